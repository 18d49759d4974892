//! What a comparison found: `results.json` and what can be read from it.
//!
//! The file is self-contained: the scenarios that ran, the machine, and one row for each candidate, scenario and number
//! of threads. [`SCHEMA`] is its version; it rises with every change that an older reader would misunderstand.

use std::fs;
use std::io::Write;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::candidate::Candidate;
use crate::error::{Error, Result};
use crate::keys::KeySource;
use crate::lead::{Lead, picks};
use crate::limit::{LineRate, Pages};
use crate::machine::Machine;
use crate::measure::{Latency, Memory, Slice, Spread};
use crate::proof::Verification;
use crate::scenario::Scenario;
use keystore_text::input::Input;

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
    /// What the harness itself takes for an operation of it, measured on a store that does nothing, nanoseconds.
    pub harness_ns: f64,
}

/// One candidate under one scenario with one number of threads.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Row {
    /// The store: a backend on a pool, or a peer.
    pub store: Candidate,
    /// The scenario's name.
    pub scenario: String,
    /// Threads.
    pub threads: usize,
    /// Operations a second in each round, in order.
    pub rounds: Vec<f64>,
    /// Operations a second in each round before the burst of threads, if the scenario has one. What
    /// `rounds` has was then measured after the burst.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub before: Vec<f64>,
    /// Operations over all rounds, those of the warm-up included.
    pub operations: u64,
    /// Those of them that looked a key up.
    pub lookups: u64,
    /// Lookups that did not find their key.
    pub misses: u64,
    /// Their median and its bounds.
    pub ops_per_sec: Spread,
    /// Latency of a call, from its start to its end, over all rounds.
    pub latency_ns: Latency,
    /// Latency of a call from when it was due to its end, at a fixed rate: what those wait who do not know that the store is
    /// busy. Without it, a store that stops for a second hides all that would have arrived meanwhile (G. Tene, "How not to
    /// measure latency": coordinated omission).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub response_ns: Option<Latency>,
    /// Memory at the end of the last round.
    pub memory: Memory,
    /// The last round, a slice of time after another, where the scenario asks for it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub timeline: Vec<Slice>,
    /// What checking the content after every round found, added up.
    pub verification: Verification,
}

impl Row {
    /// How far it is ahead of another row of the same scenario and number of threads. `None` if
    /// there are fewer than three rounds.
    #[must_use]
    pub fn lead_over(&self, other: &Self) -> Option<Lead> {
        Lead::of(&self.rounds, &other.rounds)
    }

    /// Whether a difference between the two was measured, in either direction.
    #[must_use]
    pub fn is_told_from(&self, other: &Self) -> bool {
        let told = |lead: Option<Lead>| lead.is_some_and(|lead| lead.is_told());
        told(self.lead_over(other)) || told(other.lead_over(self))
    }

    /// Share of the lookups that found their key, from 0 to 1; `None` without lookups.
    #[must_use]
    pub fn hit_ratio(&self) -> Option<f64> {
        (self.lookups > 0).then(|| 1.0 - self.misses as f64 / self.lookups as f64)
    }

    /// Its rate over the rate before the burst, if the scenario has a burst: round by round.
    #[must_use]
    pub fn ratio_to_before(&self) -> Option<Spread> {
        let ratios: Vec<f64> = self
            .rounds
            .iter()
            .zip(&self.before)
            .map(|(after, before)| after / before.max(f64::MIN_POSITIVE))
            .collect();
        (!ratios.is_empty()).then(|| Spread::of(&ratios))
    }

    /// The median of the rounds that say who is compared with whom.
    pub(crate) fn picking(&self) -> f64 {
        Spread::of(&picks(&self.rounds)).median
    }
}

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
    /// The rows that the best cannot be told from.
    pub fn level(&self) -> impl Iterator<Item = &'a Row> {
        let told = |lead: &Option<Lead>| lead.is_some_and(|lead| lead.is_told());
        self.others.iter().filter(move |(_, lead)| !told(lead)).map(|(row, _)| *row)
    }

    /// The rows that nobody is ahead of as far as can be told, the one with the highest median
    /// first: the winner alone, or it and those that it cannot be told from.
    #[must_use]
    pub fn front(&self) -> Vec<&'a Row> {
        let mut front: Vec<&Row> = std::iter::once(self.best).chain(self.level()).collect();
        front.sort_by(|a, b| b.ops_per_sec.median.total_cmp(&a.ops_per_sec.median));
        front
    }

    /// The fastest store of ours, which may be the winner.
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
    /// How many times longer the many keys take.
    #[must_use]
    pub fn ratio(&self) -> f64 {
        self.many.1 / self.few.1
    }
}

impl Results {
    /// Returns the number of runs that were measured.
    #[must_use]
    pub fn runs_done(&self) -> usize {
        self.rows.iter().map(|row| row.rounds.len() + row.before.len()).sum()
    }

    /// The candidates that ran: combinations in the order of their names' kinds, then peers.
    #[must_use]
    pub fn candidates(&self) -> Vec<Candidate> {
        let mut candidates: Vec<_> = self.rows.iter().map(|row| row.store).collect();
        candidates.sort_unstable();
        candidates.dedup();
        candidates
    }

    /// The row of a candidate, scenario and number of threads.
    #[must_use]
    pub fn row(&self, store: Candidate, scenario: &str, threads: usize) -> Option<&Row> {
        self.rows.iter().find(|row| row.store == store && row.scenario == scenario && row.threads == threads)
    }

    /// The rows of a scenario with a number of threads.
    pub fn rows_of<'a>(&'a self, scenario: &'a str, threads: usize) -> impl Iterator<Item = &'a Row> {
        self.rows.iter().filter(move |row| row.scenario == scenario && row.threads == threads)
    }

    /// All numbers of threads that any scenario ran with, rising.
    #[must_use]
    pub fn thread_counts(&self) -> Vec<usize> {
        let mut threads: Vec<_> = self.rows.iter().map(|row| row.threads).collect();
        threads.sort_unstable();
        threads.dedup();
        threads
    }

    /// The number of threads that says most about a scenario: the most that still had a processor each, or the fewest
    /// that ran.
    #[must_use]
    pub fn telling_threads(&self, scenario: &Scenario) -> usize {
        let fits = |threads: &&usize| **threads <= self.machine.processors;
        let most = scenario.threads.iter().filter(fits).max();
        most.or(scenario.threads.iter().min()).copied().unwrap_or(1)
    }

    /// The scenario that says how much memory an entry takes: the one with the most entries of those that leave a loaded
    /// store as it was, or the last.
    #[must_use]
    pub fn memory_scenario(&self) -> Option<&Scenario> {
        let scenarios = || self.scenarios.iter().map(|measured| &measured.scenario);
        let unchanged = scenarios().filter(|scenario| scenario.is_read_only() && scenario.loaded_keys() > 0);
        // The first of several that hold as many.
        unchanged.rev().max_by_key(|scenario| scenario.loaded_keys()).or(scenarios().next_back())
    }

    /// Which store won which scenario, with each number of threads. At a fixed rate all do as many
    /// operations, and nobody wins.
    #[must_use]
    pub fn winners(&self) -> Vec<Winner<'_>> {
        let open_ended = self.scenarios.iter().filter(|measured| measured.scenario.rate.is_none());
        let runs = open_ended.flat_map(|Measured { scenario, .. }| {
            scenario.threads.iter().map(move |&threads| (scenario.name.as_str(), threads))
        });
        runs.filter_map(|(scenario, threads)| {
            let rows = || self.rows_of(scenario, threads);
            let best = rows().max_by(|a, b| a.picking().total_cmp(&b.picking()))?;
            let mut others: Vec<(&Row, Option<Lead>)> =
                rows().filter(|row| row.store != best.store).map(|row| (row, best.lead_over(row))).collect();
            others.sort_by(|(a, _), (b, _)| b.ops_per_sec.median.total_cmp(&a.ops_per_sec.median));
            Some(Winner { scenario, threads, best, others })
        })
        .collect()
    }

    /// What growing costs each candidate, on one thread: where two scenarios or more grow an empty store.
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

    /// The fastest peer of a scenario with a number of threads, where peers ran.
    #[must_use]
    pub fn best_peer<'a>(&'a self, scenario: &'a str, threads: usize) -> Option<&'a Row> {
        let median = |a: &&Row, b: &&Row| a.ops_per_sec.median.total_cmp(&b.ops_per_sec.median);
        self.rows_of(scenario, threads).filter(|row| row.store.is_peer()).max_by(median)
    }

    /// How many times the rate of the best peer a row has. `None` if no peer ran, or if either has
    /// only one round: a ratio of two single measurements says nothing.
    #[must_use]
    pub fn ratio_to_best_peer(&self, row: &Row) -> Option<f64> {
        let peer = self.best_peer(&row.scenario, row.threads)?;
        let rounds = row.rounds.len().min(peer.rounds.len());
        let known = rounds > 1 && peer.ops_per_sec.median > 0.0;
        known.then(|| row.ops_per_sec.median / peer.ops_per_sec.median)
    }

    /// How near a row comes to what the memory can do, from 0 up: its operations a second, each of
    /// them one line of the table and, unless it is a lookup that finds nothing, the lines of a
    /// node, over the lines that as many threads fetch with 16 in flight in huge pages. Over 1
    /// where caches hold what is asked for. `None` where the limit was not measured for that number
    /// of threads.
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

    /// The scenario of this name.
    #[must_use]
    pub fn measured(&self, scenario: &str) -> Option<&Measured> {
        self.scenarios.iter().find(|measured| measured.scenario.name == scenario)
    }

    /// The most rounds that any row has.
    #[must_use]
    pub fn rounds(&self) -> usize {
        self.rows.iter().map(|row| row.rounds.len()).max().unwrap_or(0)
    }

    /// The fewest rounds that any row has.
    #[must_use]
    pub fn fewest_rounds(&self) -> usize {
        self.rows.iter().map(|row| row.rounds.len()).min().unwrap_or(0)
    }

    /// Checks that every row of ours passed verification. Peers are told of by [`peers_faults`](Self::peers_faults).
    ///
    /// # Errors
    /// [`Error::Verification`] with the number of rows that did not, and what was wrong with the first.
    pub fn verify(&self) -> Result<()> {
        let ours = || self.rows.iter().filter(|row| !row.store.is_peer());
        let mut failed = ours().filter(|row| !row.verification.passed());
        let Some(row) = failed.next() else { return Ok(()) };
        Err(Error::Verification { rows: 1 + failed.count(), of: ours().count(), first: fault(row) })
    }

    /// What was found wrong with peers, a line for each row. A map of others may promise less than a store of ours: scc's
    /// `HashIndex`, for one, replaces a value by removing it and inserting another, and a lookup in between finds nothing.
    #[must_use]
    pub fn peers_faults(&self) -> Vec<String> {
        let failed = self.rows.iter().filter(|row| row.store.is_peer() && !row.verification.passed());
        failed.map(fault).collect()
    }

    /// Writes the results to a file: all of it, or nothing.
    ///
    /// # Errors
    /// [`Error::Text`] where it cannot be written.
    pub fn save(&self, path: &Path) -> Result<()> {
        let text =
            serde_json::to_string_pretty(self).map_err(|error| Error::unwritable(path, error.into()))?;
        write_whole(path, text.as_bytes())
    }

    /// Reads results that [`save`](Self::save) wrote.
    ///
    /// # Errors
    /// [`Error::Text`] where the file cannot be read, [`Error::Results`] where it is of another version or holds
    /// something else.
    pub fn load(path: &Path) -> Result<Self> {
        #[derive(Deserialize)]
        struct Versioned {
            schema: u32,
        }
        let wrong = |reason| Error::Results { path: path.to_owned(), reason };
        let text = Input::open(path)?.text()?;
        let malformed = |error: serde_json::Error| wrong(format!("these are no results: {error}"));
        let Versioned { schema } = serde_json::from_str(&text).map_err(malformed)?;
        if schema != SCHEMA {
            return Err(wrong(format!("results of version {schema}: this version reads {SCHEMA}")));
        }
        let results: Self = serde_json::from_str(&text).map_err(malformed)?;
        for Row { store, scenario, threads, rounds, ops_per_sec, .. } in &results.rows {
            let rates = [ops_per_sec.median, ops_per_sec.low, ops_per_sec.high];
            if let Some(rate) = rates.iter().chain(rounds).find(|&&rate| rate <= 0.0) {
                return Err(wrong(format!(
                    "{store}, {scenario}, threads {threads}: a rate of {rate}: it must be above 0"
                )));
            }
        }
        Ok(results)
    }
}

/// What is wrong with a row that failed verification.
fn fault(row: &Row) -> String {
    let Verification { checked, missing, wrong, duplicates, miscounted } = row.verification;
    format!(
        "{}, {}, threads {}: of {checked} keys {missing} missing, {wrong} wrong, {duplicates} twice, the count \
         {miscounted} off",
        row.store, row.scenario, row.threads
    )
}

/// Writes a file whole: first beside it under another name, which then takes its place.
///
/// # Errors
/// [`Error::Text`] where it cannot be written; what was there before is then still there.
pub fn write_whole(path: &Path, content: &[u8]) -> Result<()> {
    let failed = |source| Error::unwritable(path, source);
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut builder = tempfile::Builder::new();
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        // A report is for everybody who may see the folder, as far as the process's mask lets them.
        builder.permissions(fs::Permissions::from_mode(0o666));
    }
    let mut file = builder.prefix(".keystore-").tempfile_in(folder).map_err(failed)?;
    file.write_all(content).map_err(failed)?;
    file.persist(path).map_err(|error| failed(error.error))?;
    Ok(())
}

#[cfg(test)]
pub(crate) mod tests {
    use std::sync::OnceLock;

    use super::*;
    use crate::driver::Watch;
    use crate::plan::{Plan, Rounds};
    use crate::scenario::Length;
    use crate::suite::Suite;

    /// Results of a real, tiny comparison.
    pub(crate) fn tiny() -> Results {
        static TINY: OnceLock<Results> = OnceLock::new();
        let compare = || {
            let plan = Plan::new(tiny_suite(), Candidate::ours()).unwrap();
            plan.run(&Watch::default(), &mut |_| {}).unwrap()
        };
        TINY.get_or_init(compare).clone()
    }

    /// The default suite, made tiny.
    pub(crate) fn tiny_suite() -> Suite {
        let mut suite = Suite::named("quick").unwrap();
        suite.rounds = Rounds { at_most: 2, budget: None };
        for scenario in &mut suite.scenarios {
            scenario.threads.retain(|&threads| threads <= 2);
            scenario.value_size = 16.into();
            scenario.keys /= 2000;
            scenario.rounds = None;
            scenario.timeline_ms = scenario.timeline_ms.map(|_| 1);
            scenario.length = match scenario.length {
                Length::Seconds(_) => Length::Seconds(0.001),
                _ => Length::Operations(scenario.keys as u64),
            };
        }
        suite
    }

    #[test]
    fn results_come_back_as_they_were_saved() {
        let results = tiny();
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("results.json");
        results.save(&path).unwrap();
        assert!(Results::load(&path).unwrap() == results);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "no temporary file is left");
    }

    #[test]
    fn results_of_another_version_are_refused_by_name() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("results.json");
        fs::write(&path, "{\"schema\": 99, \"other\": true}").unwrap();
        let error = Results::load(&path).unwrap_err().to_string();
        assert!(error.starts_with(&path.display().to_string()), "{error}");
        assert!(error.ends_with("results of version 99: this version reads 3"), "{error}");
        fs::write(&path, "{\"schema\": 3}").unwrap();
        assert!(Results::load(&path).unwrap_err().to_string().contains("missing field"));
        let missing = folder.path().join("none.json");
        assert!(Results::load(&missing).unwrap_err().to_string().contains("none.json: cannot be read"));
    }

    #[test]
    fn a_file_that_cannot_be_written_is_named() {
        let error = write_whole(Path::new("/no/such/folder/results.json"), b"x").unwrap_err();
        assert!(error.to_string().starts_with("/no/such/folder/results.json: cannot be written"), "{error}");
        assert!(!error.is_usage());
    }

    /// One scenario on one thread, with these rates in the rounds of each store.
    fn one_run(rounds: impl Fn(usize) -> Vec<f64>) -> Results {
        let mut results = tiny();
        results.scenarios.truncate(1);
        results.scenarios[0].scenario.threads = vec![1];
        let name = results.scenarios[0].scenario.name.clone();
        results.rows.retain(|row| row.scenario == name && row.threads == 1);
        for (n, row) in results.rows.iter_mut().enumerate() {
            row.rounds = rounds(n);
            row.ops_per_sec = Spread::of(&row.rounds);
        }
        results
    }

    #[test]
    fn the_winner_is_picked_in_some_rounds_and_tested_in_the_others() {
        let results = one_run(|n| {
            let rate = 10.0 * (n + 1) as f64;
            // The whole machine was slow in round 2. Store 7 comes and goes, and is not told from
            // the winner.
            let swings = if n == 7 { [1.6, 1.0, 0.7, 1.0, 1.3] } else { [1.0, 1.01, 0.99, 1.0, 1.01] };
            (0..5).map(|round| rate * swings[round] * if round == 2 { 0.25 } else { 1.0 }).collect()
        });
        let winners = results.winners();
        assert_eq!(winners.len(), 1);
        let winner = &winners[0];
        assert_eq!(winner.best.store, results.rows[8].store);
        let level: Vec<Candidate> = winner.level().map(|row| row.store).collect();
        assert_eq!(level, [results.rows[7].store]);
        let (last, lead) = winner.others.last().unwrap();
        assert_eq!(last.store, results.rows[0].store);
        assert!((lead.unwrap().ratio - 9.0).abs() < 1e-9 && lead.unwrap().is_told());
    }

    #[test]
    fn a_map_of_others_that_was_fastest_is_the_winner() {
        let mut results = one_run(|n| vec![10.0 * (n + 1) as f64; 5]);
        results.rows[8].store = Candidate::Peer(crate::peers::PeerKind::Papaya);
        let winners = results.winners();
        assert_eq!(winners[0].best.store.to_string(), "papaya");
        assert_eq!(winners[0].best_of_ours().unwrap().store, results.rows[7].store);
        assert_eq!(results.ratio_to_best_peer(&results.rows[0]), Some(1.0 / 9.0));
    }

    #[test]
    fn one_round_gives_no_ratio_and_no_winner_that_is_ahead() {
        let mut results = one_run(|n| vec![10.0 * (n + 1) as f64]);
        results.rows[0].store = Candidate::Peer(crate::peers::PeerKind::Papaya);
        assert_eq!(results.winners()[0].level().count(), 8);
        assert_eq!(results.ratio_to_best_peer(&results.rows[8]), None);
    }

    #[test]
    fn a_lookup_that_finds_nothing_is_not_held_to_have_fetched_a_node() {
        let mut results = one_run(|_| vec![1e6; 2]);
        results.limits = vec![LineRate { pages: Pages::Huge, threads: 1, in_flight: 16, lines_per_sec: 1e8 }];
        let row = &mut results.rows[0];
        (row.operations, row.lookups, row.misses) = (100, 100, 0);
        let found = results.share_of_limit(&results.rows[0]).unwrap();
        results.rows[0].misses = 100;
        assert_eq!(results.rows[0].hit_ratio(), Some(0.0));
        let missed = results.share_of_limit(&results.rows[0]).unwrap();
        assert_eq!(missed, 0.01, "a line of the table");
        assert!(found > missed);
        results.rows[0].lookups = 0;
        assert_eq!(results.rows[0].hit_ratio(), None);
    }

    #[test]
    fn growth_is_the_time_for_many_keys_over_that_for_few() {
        let mut results = tiny();
        for row in &mut results.rows {
            row.ops_per_sec.median = 100.0;
        }
        let growth = results.growth();
        assert_eq!(growth.len(), 9);
        assert_eq!((growth[0].few, growth[0].many), ((50, 0.5), (500, 5.0)));
        assert_eq!(growth[0].ratio(), 10.0);
    }

    #[test]
    fn a_row_that_failed_verification_fails_the_results() {
        let mut results = tiny();
        results.verify().unwrap();
        results.rows[3].verification.wrong = 2;
        results.rows[5].verification.duplicates = 1;
        let error = results.verify().unwrap_err();
        assert!(!error.is_usage());
        let expected = format!("2 of {} rows failed verification; the first is ", results.rows.len());
        assert!(error.to_string().starts_with(&expected), "{error}");
        assert!(error.to_string().contains("2 wrong"), "{error}");
        for row in [3, 5] {
            results.rows[row].store = Candidate::Peer(crate::peers::PeerKind::SccHashIndex);
        }
        results.verify().unwrap();
        assert_eq!(results.peers_faults().len(), 2);
        assert!(results.peers_faults()[0].starts_with("scc-hashindex, "), "{:?}", results.peers_faults());
    }

    #[test]
    fn a_baseline_with_a_rate_that_is_none_or_in_another_encoding_is_refused() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let mut results = tiny();
        results.rows[0].rounds[0] = -1.0;
        results.save(file.path()).unwrap();
        let error = Results::load(file.path()).unwrap_err().to_string();
        assert!(error.contains("a rate of -1: it must be above 0"), "{error}");
        for (content, hint) in
            [(&b"\xff\xfe{\0"[..], "UTF-16"), (b"{\0}", "NUL"), (b"{\n\xff}", ":2: a byte is not UTF-8")]
        {
            fs::write(file.path(), content).unwrap();
            for error in [
                Results::load(file.path()).unwrap_err().to_string(),
                Suite::read(file.path()).unwrap_err().to_string(),
            ] {
                assert!(error.contains(hint), "{error}");
            }
        }
    }
}
