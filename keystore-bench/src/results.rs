//! What a comparison found: `results.json` and what can be read from it.
//!
//! The file is self-contained: the workloads that ran, the machine, and one row for each combination, workload and number
//! of threads. [`SCHEMA`] is its version; it rises with every change that an older reader would misunderstand.

use std::fs;
use std::io::Write;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::combination::Combination;
use crate::error::{Error, Result};
use crate::keys::{KeyDistribution, KeySource};
use crate::machine::Machine;
use crate::measure::{Latency, Memory, Spread};
use crate::proof::Verification;
use crate::workload::{Start, Workload};

/// The version of the form of `results.json`.
pub const SCHEMA: u32 = 1;

/// What a comparison found.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Results {
    /// The version of this form: [`SCHEMA`].
    pub schema: u32,
    /// When it began, seconds since the Unix epoch.
    pub started_at: u64,
    /// How long it took, seconds.
    pub seconds: f64,
    /// What it was measured on.
    pub machine: Machine,
    /// Where the keys came from.
    pub keys: KeySource,
    /// Their mean length, bytes.
    pub mean_key_len: f64,
    /// How often each row was measured.
    pub rounds: usize,
    /// The workloads, in the order in which they ran.
    pub workloads: Vec<Workload>,
    /// One for each combination, workload and number of threads.
    pub rows: Vec<Row>,
}

/// One combination under one workload with one number of threads.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Row {
    /// The backend and the pool.
    #[serde(flatten)]
    pub combination: Combination,
    /// The workload's name.
    pub workload: String,
    /// Threads.
    pub threads: usize,
    /// Operations a second in each round, in order.
    pub rounds: Vec<f64>,
    /// Their median and spread.
    pub ops_per_sec: Spread,
    /// Latency of a call, over all rounds.
    pub latency_ns: Latency,
    /// Memory at the end of the last round.
    pub memory: Memory,
    /// What checking the content after every round found, added up.
    pub verification: Verification,
}

/// Who was fastest under one workload with one number of threads.
#[derive(Clone, Debug, PartialEq)]
pub struct Winner<'a> {
    /// The workload's name.
    pub workload: &'a str,
    /// Threads.
    pub threads: usize,
    /// The row with the highest median.
    pub best: &'a Row,
    /// The rows whose spread overlaps that of the best: no difference was measured.
    pub level: Vec<&'a Row>,
    /// The best of the others.
    pub next: Option<&'a Row>,
    /// The slowest of all.
    pub last: &'a Row,
}

impl Winner<'_> {
    /// How many times the rate of `row` the winner has, to two decimals.
    pub(crate) fn times_ahead_of(&self, row: &Row) -> String {
        format!("{:.2}", self.best.ops_per_sec.median / row.ops_per_sec.median.max(f64::MIN_POSITIVE))
    }
}

/// What growing costs: the time for many keys over that for fewer.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Growth {
    /// Whose.
    pub combination: Combination,
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
    /// The combinations that ran, in the order of their names' kinds.
    #[must_use]
    pub fn combinations(&self) -> Vec<Combination> {
        let mut combinations: Vec<_> = self.rows.iter().map(|row| row.combination).collect();
        combinations.sort_unstable();
        combinations.dedup();
        combinations
    }

    /// The row of a combination, workload and number of threads.
    #[must_use]
    pub fn row(&self, combination: Combination, workload: &str, threads: usize) -> Option<&Row> {
        self.rows
            .iter()
            .find(|row| row.combination == combination && row.workload == workload && row.threads == threads)
    }

    /// The rows of a workload with a number of threads.
    pub fn rows_of<'a>(&'a self, workload: &'a str, threads: usize) -> impl Iterator<Item = &'a Row> {
        self.rows.iter().filter(move |row| row.workload == workload && row.threads == threads)
    }

    /// All numbers of threads that any workload ran with, rising.
    #[must_use]
    pub fn thread_counts(&self) -> Vec<usize> {
        let mut threads: Vec<_> = self.rows.iter().map(|row| row.threads).collect();
        threads.sort_unstable();
        threads.dedup();
        threads
    }

    /// The number of threads that says most about a workload: the most that still had a processor each, or the fewest
    /// that ran.
    #[must_use]
    pub fn telling_threads(&self, workload: &Workload) -> usize {
        let fits = |threads: &&usize| **threads <= self.machine.processors;
        let most = workload.threads.iter().filter(fits).max();
        most.or(workload.threads.iter().min()).copied().unwrap_or(1)
    }

    /// The workload that says how much memory an entry takes: one that leaves a loaded store as it was, or the last.
    #[must_use]
    pub fn memory_workload(&self) -> Option<&Workload> {
        let unchanged = |workload: &&Workload| workload.start == Start::Loaded && workload.mix.is_read_only();
        self.workloads.iter().find(unchanged).or(self.workloads.last())
    }

    /// Who won which workload, with each number of threads.
    #[must_use]
    pub fn winners(&self) -> Vec<Winner<'_>> {
        let median = |a: &&Row, b: &&Row| a.ops_per_sec.median.total_cmp(&b.ops_per_sec.median);
        let runs = self.workloads.iter().flat_map(|workload| {
            workload.threads.iter().map(move |&threads| (workload.name.as_str(), threads))
        });
        runs.filter_map(|(workload, threads)| {
            let best = self.rows_of(workload, threads).max_by(median)?;
            let last = self.rows_of(workload, threads).min_by(median)?;
            let others = || self.rows_of(workload, threads).filter(|row| row.combination != best.combination);
            let is_level = |row: &&Row| row.ops_per_sec.overlaps(&best.ops_per_sec);
            Some(Winner {
                workload,
                threads,
                best,
                level: others().filter(is_level).collect(),
                next: others().max_by(median),
                last,
            })
        })
        .collect()
    }

    /// What growing costs each combination, on one thread: where two workloads or more grow an empty store.
    #[must_use]
    pub fn growth(&self) -> Vec<Growth> {
        let mut growing: Vec<&Workload> = self
            .workloads
            .iter()
            .filter(|workload| {
                workload.start == Start::Empty && workload.distribution == KeyDistribution::Sequential
            })
            .collect();
        growing.sort_by_key(|workload| workload.keys);
        let (Some(few), Some(many)) = (growing.first(), growing.last()) else { return Vec::new() };
        if few.keys == many.keys {
            return Vec::new();
        }
        let seconds = |combination, workload: &Workload| {
            let row = self.row(combination, &workload.name, 1)?;
            Some((workload.keys, workload.keys as f64 / row.ops_per_sec.median))
        };
        self.combinations()
            .into_iter()
            .filter_map(|combination| {
                Some(Growth {
                    combination,
                    few: seconds(combination, few)?,
                    many: seconds(combination, many)?,
                })
            })
            .collect()
    }

    /// Checks that every row passed verification.
    ///
    /// # Errors
    /// [`Error::Verification`] with the number of rows that did not, and what was wrong with the first.
    pub fn verify(&self) -> Result<()> {
        let mut failed = self.rows.iter().filter(|row| !row.verification.passed());
        let Some(row) = failed.next() else { return Ok(()) };
        let Verification { checked, missing, wrong, duplicates, miscounted } = row.verification;
        Err(Error::Verification {
            rows: 1 + failed.count(),
            of: self.rows.len(),
            first: format!(
                "{}, {}, threads {}: of {checked} keys {missing} missing, {wrong} wrong, {duplicates} twice, \
                 the count {miscounted} off",
                row.combination, row.workload, row.threads
            ),
        })
    }

    /// Writes the results to a file: all of it, or nothing.
    ///
    /// # Errors
    /// [`Error::File`] where it cannot be written.
    pub fn save(&self, path: &Path) -> Result<()> {
        let text =
            serde_json::to_string_pretty(self).map_err(|error| Error::unwritable(path, error.into()))?;
        write_whole(path, &text)
    }

    /// Reads results that [`save`](Self::save) wrote.
    ///
    /// # Errors
    /// [`Error::File`] where the file cannot be read, [`Error::Results`] where it is of another version or holds
    /// something else.
    pub fn load(path: &Path) -> Result<Self> {
        #[derive(Deserialize)]
        struct Versioned {
            schema: u32,
        }
        let wrong = |reason| Error::Results { path: path.to_owned(), reason };
        let text = fs::read_to_string(path).map_err(|source| Error::unreadable(path, source))?;
        let malformed = |error: serde_json::Error| wrong(format!("these are no results: {error}"));
        let Versioned { schema } = serde_json::from_str(&text).map_err(malformed)?;
        if schema != SCHEMA {
            return Err(wrong(format!("results of version {schema}: this version reads {SCHEMA}")));
        }
        serde_json::from_str(&text).map_err(malformed)
    }
}

/// Writes a file whole: first beside it under another name, which then takes its place.
///
/// # Errors
/// [`Error::File`] where it cannot be written; what was there before is then still there.
pub(crate) fn write_whole(path: &Path, text: &str) -> Result<()> {
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
    file.write_all(text.as_bytes()).map_err(failed)?;
    file.persist(path).map_err(|error| failed(error.error))?;
    Ok(())
}

#[cfg(test)]
pub(crate) mod tests {
    use std::sync::OnceLock;

    use super::*;
    use crate::suite::{Plan, Rounds, Sizes, standard};

    /// Results of a real, tiny comparison.
    pub(crate) fn tiny() -> Results {
        static TINY: OnceLock<Results> = OnceLock::new();
        TINY.get_or_init(compare).clone()
    }

    fn compare() -> Results {
        let sizes = Sizes {
            keys: 200,
            grow_keys: 50,
            grow_far_keys: 500,
            key_size: 16,
            value_size: 16,
            seconds: 0.001,
            threads: vec![1, 2],
        };
        let keys = sizes.make_keys().unwrap();
        let plan = Plan {
            workloads: standard(&sizes),
            combinations: Combination::all(),
            keys: &keys,
            rounds: Rounds { at_most: 2, budget: None },
        };
        plan.run(&mut |_| {}).unwrap()
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
        assert!(error.ends_with("results of version 99: this version reads 1"), "{error}");
        fs::write(&path, "{\"schema\": 1}").unwrap();
        assert!(Results::load(&path).unwrap_err().to_string().contains("missing field"));
        let missing = folder.path().join("none.json");
        assert!(Results::load(&missing).unwrap_err().to_string().contains("none.json: cannot be read"));
    }

    #[test]
    fn a_file_that_cannot_be_written_is_named() {
        let error = write_whole(Path::new("/no/such/folder/results.json"), "x").unwrap_err();
        assert!(error.to_string().starts_with("/no/such/folder/results.json: cannot be written"), "{error}");
        assert!(!error.is_usage());
    }

    #[test]
    fn the_winner_is_the_best_median_and_level_rows_are_told() {
        let mut results = tiny();
        results.workloads.truncate(1);
        results.workloads[0].threads = vec![1];
        let name = results.workloads[0].name.clone();
        results.rows.retain(|row| row.workload == name && row.threads == 1);
        for (n, row) in results.rows.iter_mut().enumerate() {
            let median = 10.0 * (n + 1) as f64;
            row.ops_per_sec = Spread { median, min: median - 6.0, max: median + 6.0 };
        }
        let winners = results.winners();
        assert_eq!(winners.len(), 1);
        let winner = &winners[0];
        assert_eq!(winner.best.ops_per_sec.median, 90.0);
        assert_eq!(winner.level.len(), 1, "80 + 6 reaches 90 - 6; 70 + 6 does not");
        assert_eq!(winner.next.unwrap().ops_per_sec.median, 80.0);
        assert_eq!(winner.last.ops_per_sec.median, 10.0);
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
    }
}
