//! The soak test: checks every combination in turn, for as long as you like.
//!
//! Each combination gets an equal share of the time and spends it on two things:
//!
//! 1. [`crate::linearizability`] checks fresh stores one after another, for two seconds each. They
//!    are opened with different options (one bucket or many, manual or automatic shrinking), and
//!    have one to eight hot keys.
//! 2. `memory` has one store that grows and shrinks through four orders of magnitude, over and
//!    over. Values have one byte to a mebibyte, and every value is checked. At the end the store
//!    may hold at most a tenth more memory than a fresh store with the same content, plus the
//!    16 MiB of garbage that any store may hold.

mod memory;

use std::time::{Duration, Instant};

use keystore::{
    AnyPool, BackendKind, Combination, Config, Error, NodeAllocator, PoolKind, Result, Shrinking,
    open,
};
use serde::Serialize;

pub use self::memory::MemoryReport;
use crate::linearizability::{self, Checked, Yielding};
use crate::stress::Verdict;

/// Longest time for which a store is checked for linearizability before the next is opened.
const SLICE: Duration = Duration::from_secs(2);

/// Minimum time for checking calls, for each combination.
const LEAST: Duration = Duration::from_millis(500);

/// Largest number of entries in the memory test; they take about 25 GiB.
pub const MAX_ENTRIES: usize = 1_000_000;

/// Options of a soak test.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// The combinations to soak.
    pub combinations: Vec<Combination>,
    /// Number of threads that make calls, 2 to [`linearizability::MAX_THREADS`].
    pub threads: usize,
    /// Seed of the random choice of calls.
    pub seed: u64,
    /// Time of all combinations together. Each combination does all its work at least once, however
    /// short this time is.
    pub time: Duration,
    /// Largest number of entries in the memory test, 10,000 to [`MAX_ENTRIES`]. They have 25 KiB
    /// each on average.
    pub entries: usize,
}

impl Options {
    /// Checks every field.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] names the first field that is outside its limits, its value and
    /// the limit.
    pub fn validate(&self) -> Result<()> {
        self.linearizability(0).validate()?;
        if !(10_000..=MAX_ENTRIES).contains(&self.entries) {
            return Err(Error::invalid_argument("entries", self.entries, "from 10000 to 1000000"));
        }
        Ok(())
    }

    /// Returns the options for the linearizability check of store number `slice`.
    fn linearizability(&self, slice: u64) -> linearizability::Options {
        linearizability::Options {
            threads: self.threads,
            keys: [4, 1, 2, 8][slice as usize % 4],
            seed: self.seed.wrapping_add(slice),
            ..linearizability::Options::default()
        }
    }
}

/// The progress of the soak test, for a person who watches.
#[derive(Clone, Debug)]
pub struct Progress {
    /// The combination, and its number from 1.
    pub combination: (usize, Combination),
    /// Name of the step: `calls` or `memory`.
    pub step: &'static str,
    /// Number of checked calls of this combination so far.
    pub operations: u64,
    /// Number of checked histories of this combination so far.
    pub histories: u64,
    /// Number of faults of this combination so far.
    pub faults: u64,
}

/// The result for one combination; as JSON, one object.
#[derive(Clone, Debug, Serialize)]
pub struct Outcome {
    /// The backend.
    pub backend: BackendKind,
    /// The pool.
    pub pool: PoolKind,
    /// Number of threads that made calls.
    pub threads: usize,
    /// Seed of the random choice of calls.
    pub seed: u64,
    /// Duration in seconds.
    pub seconds: f64,
    /// Number of calls on hot keys whose answers were checked.
    pub operations: u64,
    /// Number of histories of a key that were checked.
    pub histories: u64,
    /// Number of calls in the longest history that was checked in one piece.
    pub longest: usize,
    /// Number of times that the table became larger or smaller during the calls.
    pub resizes: u64,
    /// Number of temporary entries that were added to make it do so, each looked up.
    pub passers_by: u64,
    /// The result of the memory test.
    pub memory: MemoryReport,
    /// Number of entries that were wrongly absent, wrongly present, or had a wrong value.
    pub keys_lost: u64,
    /// Number of nodes that stores left in their pools when they were dropped.
    pub leaked_nodes: u64,
    /// The histories that no register could have produced, printed.
    pub violations: Vec<String>,
    /// Whether no error was found.
    pub result: Verdict,
}

/// Runs the soak test on the combinations, one after another.
///
/// # Errors
/// Returns the errors of [`Options::validate`] and of opening stores. A store that misbehaves is
/// not an error but part of an [`Outcome`].
pub fn run(options: &Options, progress: &mut dyn FnMut(&Progress)) -> Result<Vec<Outcome>> {
    options.validate()?;
    let started = Instant::now();
    let mut outcomes = Vec::with_capacity(options.combinations.len());
    for (at, &combination) in options.combinations.iter().enumerate() {
        // If one combination takes longer than its share, the later ones get less time.
        let left = options.time.saturating_sub(started.elapsed());
        let share = left / (options.combinations.len() - at) as u32;
        let mut soak = Soak { options, combination, number: at + 1, progress };
        outcomes.push(soak.run(share)?);
    }
    Ok(outcomes)
}

/// The soak test of one combination.
struct Soak<'a> {
    options: &'a Options,
    combination: Combination,
    number: usize,
    progress: &'a mut dyn FnMut(&Progress),
}

impl Soak<'_> {
    fn run(&mut self, share: Duration) -> Result<Outcome> {
        let started = Instant::now();
        let (checked, leaked_nodes) = self.check_calls(started + (share / 2).max(LEAST))?;
        self.tell("memory", &checked);
        let open = || self.combination.open(&Config::default());
        let memory = memory::run(open, self.options, started + share)?;
        let keys_lost = checked.lost + memory.wrong;
        let passed = checked.passed() && keys_lost == 0 && leaked_nodes == 0 && memory.is_bounded();
        Ok(Outcome {
            backend: self.combination.backend,
            pool: self.combination.pool,
            threads: self.options.threads,
            seed: self.options.seed,
            seconds: started.elapsed().as_secs_f64(),
            operations: checked.operations,
            histories: checked.histories,
            longest: checked.longest,
            resizes: checked.resizes,
            passers_by: checked.passers_by,
            memory,
            keys_lost,
            leaked_nodes,
            violations: checked.violations.iter().map(ToString::to_string).collect(),
            result: if passed { Verdict::Pass } else { Verdict::Fail },
        })
    }

    /// Checks fresh stores for linearizability until `end`, at least one. Returns the result and
    /// the number of leaked nodes.
    fn check_calls(&mut self, end: Instant) -> Result<(Checked, u64)> {
        let (mut checked, mut leaked) = (Checked::default(), 0);
        for slice in 0.. {
            let config = Config {
                initial_buckets: if slice % 3 == 2 { 256 } else { 1 },
                shrinking: if slice % 2 == 0 { Shrinking::OnRequest } else { Shrinking::Automatic },
                ..Config::default()
            };
            let pool = AnyPool::new(self.combination.pool, &config)?;
            let store = open(self.combination.backend, &config, Yielding(pool.clone()))?;
            let options = self.options.linearizability(slice);
            checked.add(linearizability::check(
                &*store,
                &options,
                end.min(Instant::now() + SLICE),
            )?);
            drop(store);
            leaked += pool.stats().live_nodes;
            self.tell("calls", &checked);
            if !checked.passed() || Instant::now() >= end {
                break;
            }
        }
        Ok((checked, leaked))
    }

    fn tell(&mut self, step: &'static str, checked: &Checked) {
        (self.progress)(&Progress {
            combination: (self.number, self.combination),
            step,
            operations: checked.operations,
            histories: checked.histories,
            faults: checked.lost + checked.violations.len() as u64,
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(combinations: Vec<Combination>) -> Options {
        Options {
            combinations,
            threads: 2,
            seed: 5,
            time: Duration::from_millis(1),
            entries: 10_000,
        }
    }

    #[test]
    fn a_soak_does_all_it_has_to_at_least_once_and_reports_it() {
        let combination = Combination { backend: BackendKind::Epoch, pool: PoolKind::Slab };
        let mut steps = Vec::new();
        let outcomes =
            run(&options(vec![combination]), &mut |progress| steps.push(progress.step)).unwrap();
        let [outcome] = &outcomes[..] else { panic!("one outcome for one combination") };
        assert_eq!((outcome.keys_lost, outcome.leaked_nodes), (0, 0));
        assert!(
            outcome.violations.is_empty() && outcome.histories > 0 && outcome.resizes > 0,
            "{outcome:?}"
        );
        let memory = &outcome.memory;
        assert_eq!((memory.entries, memory.cycles), (10_000, 1));
        // Each entry is written once to fill the store, and at most once in each of nine steps;
        // most steps look it up.
        assert!(memory.operations > 50_000 && memory.content_bytes > 100 << 20, "{memory:?}");
        assert!(
            memory.end_counted > memory.content_bytes
                && memory.fresh_counted > memory.content_bytes
        );
        assert_eq!(steps.last(), Some(&"memory"));
        let json = serde_json::to_value(outcome).unwrap();
        assert_eq!((&json["backend"], &json["memory"]["cycles"]), (&"epoch".into(), &1.into()));
    }

    #[test]
    fn memory_beyond_a_tenth_more_fails() {
        let fresh = 1 << 30;
        let report =
            MemoryReport { fresh_bytes: fresh, fresh_counted: fresh, ..MemoryReport::default() };
        let with =
            |end_bytes, end_counted| MemoryReport { end_bytes, end_counted, ..report }.is_bounded();
        assert!(with(fresh + fresh / 10, fresh + fresh / 10));
        assert!(!with(fresh + fresh / 8, fresh));
        assert!(!with(fresh, fresh + fresh / 8));
    }

    #[test]
    fn options_outside_their_limits_are_named() {
        let wrong = [
            (Options { threads: 1, ..options(vec![]) }, "threads is 1: it must be from 2 to 256"),
            (
                Options { entries: 9, ..options(vec![]) },
                "entries is 9: it must be from 10000 to 1000000",
            ),
        ];
        for (options, message) in wrong {
            assert_eq!(run(&options, &mut |_| {}).unwrap_err().to_string(), message);
        }
    }
}
