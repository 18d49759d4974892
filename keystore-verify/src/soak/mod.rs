//! The soak: every combination in turn, for as long as one likes, with every check that has no
//! natural end.
//!
//! Each combination gets an equal share of the time and spends it on two things:
//!
//! 1. [`crate::linearizability`]: fresh stores one after another, opened in different ways (one
//!    bucket or many; shrinking when asked or by itself), with one to eight hot keys, two seconds
//!    each.
//! 2. `memory`: one store that grows and shrinks through four orders of magnitude, over and over,
//!    with values of one byte to a mebibyte, whose every value is checked. In the end it must hold
//!    no more than a tenth more memory than a fresh store with the same content, and the 16 MiB of
//!    garbage that any store may hold.

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

/// The longest that a store is checked for linearizability before the next is opened.
const SLICE: Duration = Duration::from_secs(2);

/// What checking calls gets at least, for each combination.
const LEAST: Duration = Duration::from_millis(500);

/// The most entries that the test of memory may be asked for: some 25 GiB of them.
pub const MAX_ENTRIES: usize = 1_000_000;

/// How a soak is made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// The combinations to soak.
    pub combinations: Vec<Combination>,
    /// Threads that make calls, 2 to [`linearizability::MAX_THREADS`].
    pub threads: usize,
    /// Where the draw of calls begins.
    pub seed: u64,
    /// The time of all combinations together. Each goes through all that it has to do at least
    /// once, however short that is.
    pub time: Duration,
    /// Entries of the test of memory when the store is largest, 10,000 to [`MAX_ENTRIES`]; 25 KiB
    /// each on average.
    pub entries: usize,
}

impl Options {
    /// Checks every field.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] names the first that is outside its limits, its value and the
    /// limit.
    pub fn validate(&self) -> Result<()> {
        self.linearizability(0).validate()?;
        if !(10_000..=MAX_ENTRIES).contains(&self.entries) {
            return Err(Error::invalid_argument("entries", self.entries, "from 10000 to 1000000"));
        }
        Ok(())
    }

    /// Returns how the store of number `slice` is checked.
    fn linearizability(&self, slice: u64) -> linearizability::Options {
        linearizability::Options {
            threads: self.threads,
            keys: [4, 1, 2, 8][slice as usize % 4],
            seed: self.seed.wrapping_add(slice),
            ..linearizability::Options::default()
        }
    }
}

/// What is being done, for a person who watches.
#[derive(Clone, Debug)]
pub struct Progress {
    /// The combination, and its number from 1.
    pub combination: (usize, Combination),
    /// `calls` or `memory`.
    pub step: &'static str,
    /// Calls of this combination that were checked so far.
    pub operations: u64,
    /// Histories of this combination that were checked so far.
    pub histories: u64,
    /// Faults of this combination that were found so far.
    pub faults: u64,
}

/// What soaking one combination gave; as JSON, one object.
#[derive(Clone, Debug, Serialize)]
pub struct Outcome {
    /// The backend.
    pub backend: BackendKind,
    /// The pool.
    pub pool: PoolKind,
    /// Threads that made calls.
    pub threads: usize,
    /// Where the draw of calls began.
    pub seed: u64,
    /// The time that it took, seconds.
    pub seconds: f64,
    /// Calls on hot keys whose answers were checked.
    pub operations: u64,
    /// Histories of a key that were checked.
    pub histories: u64,
    /// The longest history that had to be checked in one piece, calls.
    pub longest: usize,
    /// Times that the table became larger or smaller under them.
    pub resizes: u64,
    /// Entries that came and went to make it do so, each looked up.
    pub passers_by: u64,
    /// The test of memory.
    pub memory: MemoryReport,
    /// Entries that were not there when they had to be, or there when they must not be, or with
    /// another value than theirs.
    pub keys_lost: u64,
    /// Nodes that stores left in their pools when they were dropped.
    pub leaked_nodes: u64,
    /// The histories that no register could have, printed.
    pub violations: Vec<String>,
    /// Whether nothing was found wrong.
    pub result: Verdict,
}

/// Soaks the combinations, one after another.
///
/// # Errors
/// Returns the errors of [`Options::validate`], and of opening stores. A store that misbehaves is
/// no error: it is an [`Outcome`].
pub fn run(options: &Options, progress: &mut dyn FnMut(&Progress)) -> Result<Vec<Outcome>> {
    options.validate()?;
    let started = Instant::now();
    let mut outcomes = Vec::with_capacity(options.combinations.len());
    for (at, &combination) in options.combinations.iter().enumerate() {
        // What one combination takes beyond its share, the others lack.
        let left = options.time.saturating_sub(started.elapsed());
        let share = left / (options.combinations.len() - at) as u32;
        let mut soak = Soak { options, combination, number: at + 1, progress };
        outcomes.push(soak.run(share)?);
    }
    Ok(outcomes)
}

/// One combination's soak.
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

    /// Checks fresh stores for linearizability until `end`, at least one: what was checked, and the
    /// nodes they left behind.
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
        // Written once to fill it and once at most in each of nine steps; looked at in most.
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
