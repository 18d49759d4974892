//! What a comparison found: `results.json` and what can be read from it.
//!
//! The file is self-contained: the scenarios that ran, the machine, and one row for each candidate,
//! scenario and number of threads. [`SCHEMA`] is its version; it rises with every change that an
//! older reader would misunderstand.

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

/// The version of the form of `results.json`.
pub const SCHEMA: u32 = 3;

/// What a comparison found.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Results {
    /// The version of this form: [`SCHEMA`].
    pub schema: u32,
    /// The name of the suite, or of the file that the scenarios came from.
    pub suite: String,
    /// The command that measured it, if a command did.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub command: String,
    /// When it began, seconds since the Unix epoch.
    pub started_at: u64,
    /// How long it took, seconds.
    pub seconds: f64,
    /// Whether it was interrupted: rows may then have fewer rounds than others, or be missing.
    pub interrupted: bool,
    /// Number of runs if every round takes place; 0 in results that do not say it.
    #[serde(default)]
    pub planned_runs: usize,
    /// What it was measured on.
    pub machine: Machine,
    /// What that machine's memory can do, where it was measured.
    pub limits: Vec<LineRate>,
    /// The scenarios, in the order in which they ran.
    pub scenarios: Vec<Measured>,
    /// One for each candidate, scenario and number of threads.
    pub rows: Vec<Row>,
}

/// A scenario that was measured, and what is known of it besides.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Measured {
    /// The scenario.
    pub scenario: Scenario,
    /// Where the keys came from.
    pub keys: KeySource,
    /// Their mean length, bytes.
    pub mean_key_len: f64,
    /// The mean length of the values that were written, bytes.
    pub mean_value_len: f64,
    /// What the harness itself takes for an operation of it, measured on a store that does nothing,
    /// nanoseconds.
    pub harness_ns: f64,
}

impl Results {
    /// Returns the number of runs that were measured.
    #[must_use]
    pub fn runs_done(&self) -> usize {
        self.rows.iter().map(|row| row.rounds.len() + row.before.len()).sum()
    }

    /// Returns the candidates that ran: combinations in the order of their names' kinds, then
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

    /// Returns all numbers of threads that any scenario ran with, rising.
    #[must_use]
    pub fn thread_counts(&self) -> Vec<usize> {
        let mut threads: Vec<_> = self.rows.iter().map(|row| row.threads).collect();
        threads.sort_unstable();
        threads.dedup();
        threads
    }

    /// Returns the number of threads that says most about a scenario: the most that still had a
    /// processor each, or the fewest that ran.
    #[must_use]
    pub fn representative_threads(&self, scenario: &Scenario) -> usize {
        let fits = |threads: &&usize| **threads <= self.machine.processors;
        let most = scenario.threads.iter().filter(fits).max();
        most.or(scenario.threads.iter().min()).copied().unwrap_or(1)
    }

    /// Returns the scenario that says how much memory an entry takes: the one with the most entries
    /// of those that leave a loaded store as it was, or the last.
    #[must_use]
    pub fn memory_scenario(&self) -> Option<&Scenario> {
        let scenarios = || self.scenarios.iter().map(|measured| &measured.scenario);
        let unchanged =
            scenarios().filter(|scenario| scenario.is_read_only() && scenario.loaded_keys() > 0);
        // The first of several that hold as many.
        unchanged.rev().max_by_key(|scenario| scenario.loaded_keys()).or(scenarios().next_back())
    }

    /// Returns the scenario of this name.
    #[must_use]
    pub fn measured(&self, scenario: &str) -> Option<&Measured> {
        self.scenarios.iter().find(|measured| measured.scenario.name == scenario)
    }

    /// Returns the most rounds that any row has.
    #[must_use]
    pub fn rounds(&self) -> usize {
        self.rows.iter().map(|row| row.rounds.len()).max().unwrap_or(0)
    }

    /// Returns the fewest rounds that any row has.
    #[must_use]
    pub fn fewest_rounds(&self) -> usize {
        self.rows.iter().map(|row| row.rounds.len()).min().unwrap_or(0)
    }

    /// Checks that every row of ours passed verification. Peers are told of by
    /// [`peers_faults`](Self::peers_faults).
    ///
    /// # Errors
    /// [`Error::Verification`] with the number of rows that did not, and what was wrong with the
    /// first.
    pub fn verify(&self) -> Result<()> {
        let ours = || self.rows.iter().filter(|row| !row.store.is_peer());
        let mut failed = ours().filter(|row| !row.verification.passed());
        let Some(row) = failed.next() else { return Ok(()) };
        Err(Error::Verification { rows: 1 + failed.count(), of: ours().count(), first: fault(row) })
    }

    /// Returns what was found wrong with peers, a line for each row. A map of others may promise
    /// less than a store of ours: scc's `HashIndex`, for one, replaces a value by removing it and
    /// inserting another, and a lookup in between finds nothing.
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
