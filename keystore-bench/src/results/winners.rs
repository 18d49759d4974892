//! Which store is fastest, what growing costs, and how near a store comes to what memory can do.

use super::lead::Lead;
use super::row::Row;
use super::{Measured, Results};
use crate::measure::candidate::Candidate;
use crate::measure::limit::Pages;
use crate::workload::scenario::Scenario;

/// Bytes of a node before its key, and of a cache line.
const NODE_HEADER: f64 = 8.0;
const LINE: f64 = 64.0;

/// Which store was fastest under one scenario with one number of threads, the maps of others
/// included.
#[derive(Clone, Debug, PartialEq)]
pub struct Winner<'a> {
    /// The scenario's name.
    pub scenario: &'a str,
    /// Threads.
    pub threads: usize,
    /// The row that half of the rounds picked. The other half says how far it is ahead.
    pub best: &'a Row,
    /// The others, the fastest first, with the winner's lead.
    pub others: Vec<(&'a Row, Option<Lead>)>,
}

impl<'a> Winner<'a> {
    /// Returns the rows that the best cannot be told from.
    pub fn level(&self) -> impl Iterator<Item = &'a Row> {
        let told = |lead: &Option<Lead>| lead.is_some_and(|lead| lead.is_significant());
        self.others.iter().filter(move |(_, lead)| !told(lead)).map(|(row, _)| *row)
    }

    /// Returns the rows that nobody is ahead of as far as can be told, the one with the highest
    /// median first: the winner alone, or it and those that it cannot be told from.
    #[must_use]
    pub fn front(&self) -> Vec<&'a Row> {
        let mut front: Vec<&Row> = std::iter::once(self.best).chain(self.level()).collect();
        front.sort_by(|a, b| b.ops_per_sec.median.total_cmp(&a.ops_per_sec.median));
        front
    }

    /// Returns the fastest store of ours, which may be the winner.
    #[must_use]
    pub fn best_of_ours(&self) -> Option<&'a Row> {
        let rows = std::iter::once(self.best).chain(self.others.iter().map(|(row, _)| *row));
        rows.filter(|row| !row.store.is_peer()).max_by(|a, b| a.picking().total_cmp(&b.picking()))
    }
}

/// What growing costs: the time for many keys over that for fewer.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Growth {
    /// Whose.
    pub store: Candidate,
    /// The fewer keys, and seconds to set them all, from an empty store.
    pub few: (usize, f64),
    /// The many keys, likewise.
    pub many: (usize, f64),
}

impl Growth {
    /// Returns how many times longer the many keys take.
    #[must_use]
    pub fn ratio(&self) -> f64 {
        self.many.1 / self.few.1
    }
}

impl Results {
    /// Returns which store won which scenario, with each number of threads. At a fixed rate all do
    /// as many operations, and nobody wins.
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

    /// Returns what growing costs each candidate, on one thread: where two scenarios or more grow
    /// an empty store.
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

    /// Returns the fastest peer of a scenario with a number of threads, where peers ran.
    #[must_use]
    pub fn best_peer<'a>(&'a self, scenario: &'a str, threads: usize) -> Option<&'a Row> {
        let median = |a: &&Row, b: &&Row| a.ops_per_sec.median.total_cmp(&b.ops_per_sec.median);
        self.rows_of(scenario, threads).filter(|row| row.store.is_peer()).max_by(median)
    }

    /// Returns how many times the rate of the best peer a row has. `None` if no peer ran, or if
    /// either has only one round: a ratio of two single measurements says nothing.
    #[must_use]
    pub fn ratio_to_best_peer(&self, row: &Row) -> Option<f64> {
        let peer = self.best_peer(&row.scenario, row.threads)?;
        let rounds = row.rounds.len().min(peer.rounds.len());
        let known = rounds > 1 && peer.ops_per_sec.median > 0.0;
        known.then(|| row.ops_per_sec.median / peer.ops_per_sec.median)
    }

    /// Returns how near a row comes to what the memory can do, from 0 up: its operations a second,
    /// each of them one line of the table and, unless it is a lookup that finds nothing, the lines
    /// of a node, over the lines that as many threads fetch with 16 in flight in huge pages. Over 1
    /// where caches hold what is asked for. `None` if the limit was not measured for that number of
    /// threads.
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
