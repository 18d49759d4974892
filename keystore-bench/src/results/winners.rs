//! Computes which store is fastest, what growing costs, and how near a store comes to the limit of
//! the memory.

use super::lead::Lead;
use super::row::Row;
use super::{Measured, Results};
use crate::measure::candidate::Candidate;
use crate::measure::limit::Pages;
use crate::workload::scenario::Scenario;

/// Number of bytes of a node before its key.
const NODE_HEADER: f64 = 8.0;
/// Number of bytes of a cache line.
const LINE: f64 = 64.0;

/// The fastest store under one scenario with one number of threads, peers included.
#[derive(Clone, Debug, PartialEq)]
pub struct Winner<'a> {
    /// The scenario's name.
    pub scenario: &'a str,
    /// Number of threads.
    pub threads: usize,
    /// The row that the odd rounds picked. The even rounds measure how far it is ahead.
    pub best: &'a Row,
    /// The other rows, the fastest first, each with the winner's lead over it.
    pub others: Vec<(&'a Row, Option<Lead>)>,
}

impl<'a> Winner<'a> {
    /// Returns the rows that the winner is not significantly ahead of.
    pub fn level(&self) -> impl Iterator<Item = &'a Row> {
        let told = |lead: &Option<Lead>| lead.is_some_and(|lead| lead.is_significant());
        self.others.iter().filter(move |(_, lead)| !told(lead)).map(|(row, _)| *row)
    }

    /// Returns the winner and the rows that it is not significantly ahead of. The row with the
    /// highest median comes first.
    #[must_use]
    pub fn front(&self) -> Vec<&'a Row> {
        let mut front: Vec<&Row> = std::iter::once(self.best).chain(self.level()).collect();
        front.sort_by(|a, b| b.ops_per_sec.median.total_cmp(&a.ops_per_sec.median));
        front
    }

    /// Returns the row of the fastest of our stores, which may be the winner.
    #[must_use]
    pub fn best_of_ours(&self) -> Option<&'a Row> {
        let rows = std::iter::once(self.best).chain(self.others.iter().map(|(row, _)| *row));
        rows.filter(|row| !row.store.is_peer()).max_by(|a, b| a.picking().total_cmp(&b.picking()))
    }
}

/// Cost of growing: the time for many keys compared with the time for fewer keys.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Growth {
    /// The store.
    pub store: Candidate,
    /// Smaller number of keys, and the seconds to set them all in an empty store.
    pub few: (usize, f64),
    /// Greater number of keys, and the seconds to set them all in an empty store.
    pub many: (usize, f64),
}

impl Growth {
    /// Returns the time for the many keys divided by the time for the few.
    #[must_use]
    pub fn ratio(&self) -> f64 {
        self.many.1 / self.few.1
    }
}

impl Results {
    /// Returns the winner of each scenario with each number of threads. Scenarios with a fixed rate
    /// are left out, because there all stores do the same number of operations.
    #[must_use]
    pub fn winners(&self) -> Vec<Winner<'_>> {
        let open_ended = self.scenarios.iter().filter(|measured| measured.scenario.rate.is_none());
        let runs = open_ended.flat_map(|Measured { scenario, .. }| {
            scenario.threads.iter().map(move |&threads| (scenario.name.as_str(), threads))
        });
        runs.filter_map(|(scenario, threads)| {
            let rows = || self.rows_of(scenario, threads);
            let best = rows().max_by(|a, b| a.picking().total_cmp(&b.picking()))?;
            let mut others: Vec<(&Row, Option<Lead>)> = rows()
                .filter(|row| row.store != best.store)
                .map(|row| (row, best.lead_over(row)))
                .collect();
            others.sort_by(|(a, _), (b, _)| b.ops_per_sec.median.total_cmp(&a.ops_per_sec.median));
            Some(Winner { scenario, threads, best, others })
        })
        .collect()
    }

    /// Returns what growing costs each candidate on one thread. The result is empty unless at least
    /// two scenarios grow an empty store to different sizes.
    #[must_use]
    pub fn growth(&self) -> Vec<Growth> {
        let mut growing: Vec<&Scenario> = self
            .scenarios
            .iter()
            .map(|measured| &measured.scenario)
            .filter(|scenario| scenario.grows() && scenario.threads.contains(&1))
            .collect();
        growing.sort_by_key(|scenario| scenario.keys);
        let (Some(few), Some(many)) = (growing.first(), growing.last()) else { return Vec::new() };
        if few.keys == many.keys {
            return Vec::new();
        }
        let seconds = |store, scenario: &Scenario| {
            let row = self.row(store, &scenario.name, 1)?;
            Some((scenario.keys, scenario.keys as f64 / row.ops_per_sec.median))
        };
        self.candidates()
            .into_iter()
            .filter_map(|store| {
                Some(Growth { store, few: seconds(store, few)?, many: seconds(store, many)? })
            })
            .collect()
    }

    /// Returns the fastest peer of a scenario with a number of threads, or `None` if no peer ran.
    #[must_use]
    pub fn best_peer<'a>(&'a self, scenario: &'a str, threads: usize) -> Option<&'a Row> {
        let median = |a: &&Row, b: &&Row| a.ops_per_sec.median.total_cmp(&b.ops_per_sec.median);
        self.rows_of(scenario, threads).filter(|row| row.store.is_peer()).max_by(median)
    }

    /// Returns the rate of a row divided by the rate of the best peer. Returns `None` if no peer
    /// ran, or if either has only one round, because a ratio of single measurements says nothing.
    #[must_use]
    pub fn ratio_to_best_peer(&self, row: &Row) -> Option<f64> {
        let peer = self.best_peer(&row.scenario, row.threads)?;
        let rounds = row.rounds.len().min(peer.rounds.len());
        let known = rounds > 1 && peer.ops_per_sec.median > 0.0;
        known.then(|| row.ops_per_sec.median / peer.ops_per_sec.median)
    }

    /// Returns how near a row comes to the limit of the memory: the cache lines that its operations
    /// fetch a second, divided by the lines a second that the same number of threads can fetch.
    /// Each operation counts one line of the table. It also counts the lines of a node, except for
    /// a lookup that finds nothing. The limit is measured with 16 fetches in flight and huge pages.
    /// The result is above 1 if caches hold much of the data. Returns `None` if the limit was not
    /// measured for that number of threads.
    #[must_use]
    pub fn share_of_limit(&self, row: &Row) -> Option<f64> {
        let limit = self.limits.iter().find(|limit| {
            limit.pages == Pages::Huge && limit.threads == row.threads && limit.in_flight == 16
        })?;
        let measured = self.measured(&row.scenario)?;
        let node = NODE_HEADER + measured.mean_key_len + measured.mean_value_len;
        let missed = row.misses as f64 / row.operations.max(1) as f64;
        let lines = 1.0 + (1.0 - missed) * (node / LINE).ceil();
        Some(row.ops_per_sec.median * lines / limit.lines_per_sec)
    }
}
