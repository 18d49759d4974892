//! Defines the results of a comparison (`results.json`) and what is computed from them.
//!
//! The file is self-contained: it has the scenarios that ran, the machine, and one row for each
//! candidate, scenario and number of threads. [`SCHEMA`] is its version, which increases with every
//! change that an older reader would misunderstand.

pub mod advice;
mod check;
pub(crate) mod compare;
mod file;
pub mod lead;
mod row;
mod winners;

use serde::{Deserialize, Serialize};

pub use self::file::write_whole;
pub use self::row::Row;
pub use self::winners::{Growth, Winner};
use crate::error::{Error, Result};
use crate::measure::candidate::Candidate;
use crate::measure::limit::LineRate;
use crate::measure::machine::Machine;
use crate::measure::proof::Verification;
use crate::workload::keys::KeySource;
use crate::workload::scenario::Scenario;

/// Version of the format of `results.json`.
pub const SCHEMA: u32 = 3;

/// Results of a comparison.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Results {
    /// Version of the format: [`SCHEMA`].
    pub schema: u32,
    /// The name of the suite, or of the file that the scenarios came from.
    pub suite: String,
    /// Command line that measured the results; empty if no command did.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub command: String,
    /// Start time, in seconds since the Unix epoch.
    pub started_at: u64,
    /// Duration in seconds.
    pub seconds: f64,
    /// `true` if the comparison was interrupted. Some rows may then have fewer rounds than others,
    /// or be missing.
    pub interrupted: bool,
    /// Number of runs if every round takes place; 0 in files that do not record it.
    #[serde(default)]
    pub planned_runs: usize,
    /// The machine that was measured.
    pub machine: Machine,
    /// Rates at which the machine's memory delivers cache lines; empty if they were not measured.
    pub limits: Vec<LineRate>,
    /// The scenarios, in the order in which they ran.
    pub scenarios: Vec<Measured>,
    /// One row for each candidate, scenario and number of threads.
    pub rows: Vec<Row>,
}

/// A scenario that was measured, with properties of its data and its cost.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Measured {
    /// The scenario.
    pub scenario: Scenario,
    /// Source of the keys.
    pub keys: KeySource,
    /// Mean length of the keys, in bytes.
    pub mean_key_len: f64,
    /// Mean length of the values that were written, in bytes.
    pub mean_value_len: f64,
    /// Time that the harness itself takes for one operation, in nanoseconds, measured on a store
    /// that does nothing.
    pub harness_ns: f64,
}

impl Results {
    /// Returns the number of runs that were measured.
    #[must_use]
    pub fn runs_done(&self) -> usize {
        self.rows.iter().map(|row| row.rounds.len() + row.before.len()).sum()
    }

    /// Returns the candidates that ran: first our combinations of a backend and a pool, then the
    /// peers.
    #[must_use]
    pub fn candidates(&self) -> Vec<Candidate> {
        let mut candidates: Vec<_> = self.rows.iter().map(|row| row.store).collect();
        candidates.sort_unstable();
        candidates.dedup();
        candidates
    }

    /// Returns the row of a candidate, scenario and number of threads.
    #[must_use]
    pub fn row(&self, store: Candidate, scenario: &str, threads: usize) -> Option<&Row> {
        self.rows
            .iter()
            .find(|row| row.store == store && row.scenario == scenario && row.threads == threads)
    }

    /// Returns the rows of a scenario with a number of threads.
    pub fn rows_of<'a>(
        &'a self,
        scenario: &'a str,
        threads: usize,
    ) -> impl Iterator<Item = &'a Row> {
        self.rows.iter().filter(move |row| row.scenario == scenario && row.threads == threads)
    }

    /// Returns every number of threads that any scenario ran with, in ascending order.
    #[must_use]
    pub fn thread_counts(&self) -> Vec<usize> {
        let mut threads: Vec<_> = self.rows.iter().map(|row| row.threads).collect();
        threads.sort_unstable();
        threads.dedup();
        threads
    }

    /// Returns the most informative number of threads of a scenario: the greatest number for which
    /// every thread had a processor, or the least number if there is none.
    #[must_use]
    pub fn representative_threads(&self, scenario: &Scenario) -> usize {
        let fits = |threads: &&usize| **threads <= self.machine.processors;
        let most = scenario.threads.iter().filter(fits).max();
        most.or(scenario.threads.iter().min()).copied().unwrap_or(1)
    }

    /// Returns the scenario to read the memory per entry from. That is the scenario with the most
    /// entries among those that only read a loaded store. If there is none, it is the last
    /// scenario.
    #[must_use]
    pub fn memory_scenario(&self) -> Option<&Scenario> {
        let scenarios = || self.scenarios.iter().map(|measured| &measured.scenario);
        let unchanged =
            scenarios().filter(|scenario| scenario.is_read_only() && scenario.loaded_keys() > 0);
        // If several have the same number of entries, take the first: `max_by_key` returns the
        // last.
        unchanged.rev().max_by_key(|scenario| scenario.loaded_keys()).or(scenarios().next_back())
    }

    /// Returns the scenario of this name.
    #[must_use]
    pub fn measured(&self, scenario: &str) -> Option<&Measured> {
        self.scenarios.iter().find(|measured| measured.scenario.name == scenario)
    }

    /// Returns the greatest number of rounds of any row.
    #[must_use]
    pub fn rounds(&self) -> usize {
        self.rows.iter().map(|row| row.rounds.len()).max().unwrap_or(0)
    }

    /// Returns the least number of rounds of any row.
    #[must_use]
    pub fn fewest_rounds(&self) -> usize {
        self.rows.iter().map(|row| row.rounds.len()).min().unwrap_or(0)
    }

    /// Checks that every row of our stores passed verification.
    /// [`peers_faults`](Self::peers_faults) reports on peers.
    ///
    /// # Errors
    /// [`Error::Verification`], with the number of rows that failed, and what is wrong with the
    /// first.
    pub fn verify(&self) -> Result<()> {
        let ours = || self.rows.iter().filter(|row| !row.store.is_peer());
        let mut failed = ours().filter(|row| !row.verification.passed());
        let Some(row) = failed.next() else { return Ok(()) };
        Err(Error::Verification { rows: 1 + failed.count(), of: ours().count(), first: fault(row) })
    }

    /// Returns a line for each row of a peer that failed verification. A peer may promise less than
    /// our stores. For example, scc's `HashIndex` replaces a value by removing it and inserting
    /// another, and a lookup in between finds nothing.
    #[must_use]
    pub fn peers_faults(&self) -> Vec<String> {
        let failed =
            self.rows.iter().filter(|row| row.store.is_peer() && !row.verification.passed());
        failed.map(fault).collect()
    }
}

/// Returns what is wrong with a row that failed verification.
fn fault(row: &Row) -> String {
    let Verification { checked, missing, wrong, duplicates, miscounted } = row.verification;
    format!(
        "{}, {}, threads {}: of {checked} keys {missing} missing, {wrong} wrong, {duplicates} twice, the count \
         {miscounted} off",
        row.store, row.scenario, row.threads
    )
}

#[cfg(test)]
pub(crate) mod tests;
