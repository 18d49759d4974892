//! The stress test: very many threads on one store, and a ledger of everything that must then be
//! true.
//!
//! # What is done
//!
//! 1. *Own keys.* Every thread sets keys that no other thread touches, and gets each back at once.
//!    The thread knows the answer, so a missing key or a wrong value is certain. This phase is the
//!    one that is timed: see [`Outcome::ops_per_sec`].
//! 2. *Shared keys.* All threads meet on the same few keys, with every single-key operation. What
//!    each of them did is tallied, and the tallies of all threads together say what the store must
//!    hold afterwards: see the families of entries in `entry`.
//! 3. *The audit.* With all threads gone, every key is looked up again, the whole store is walked
//!    for entries that are there twice or should not be there, the counts of the store are compared
//!    with what was done, and after the store is dropped its pool must have every node back.
//!
//! Every value can be traced: it is computed from its key, its length and a stamp that it carries
//! (who wrote it, or the count it stands for), so a value that is torn, stale in part, or belongs
//! to another key is seen to be wrong.
//!
//! # Where things are
//!
//! `entry` the keys and values · `tally` what a thread called and found · `own_keys`, `shared`,
//! `audit` the three steps · `outcome` what is reported · `table` all of it side by side.

mod audit;
mod entry;
#[cfg(test)]
pub(crate) mod faulty;
mod outcome;
mod own_keys;
mod shared;
mod table;
mod tally;
#[cfg(test)]
mod tests;

use keystore::{AnyPool, Combination, Config, Error, Keystore, NodeAllocator, Result, open};

use crate::spawn_together::SpawnError;

pub use self::outcome::{Faults, Latency, Measure, Outcome, Verdict};
pub use self::table::table;

/// The most threads a stress test starts.
pub const MAX_THREADS: usize = 10_000;

/// The most keys that a thread has of its own.
pub const MAX_KEYS_PER_THREAD: usize = 10_000_000;

/// The longest value, bytes.
pub const MAX_VALUE_SIZE: usize = 1 << 20;

/// The most bytes of keys and values that all threads together may set: 64 GiB.
pub const MAX_DATA_BYTES: usize = 64 << 30;

/// How large a stress test is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Options {
    /// Threads, all at work at once: 1 to [`MAX_THREADS`].
    pub threads: usize,
    /// Keys that each thread sets and gets alone: 1 to [`MAX_KEYS_PER_THREAD`].
    pub keys_per_thread: usize,
    /// Bytes of each value: 0 to [`MAX_VALUE_SIZE`]. Values of shared keys have at least 16 bytes,
    /// room for their stamp and a check.
    pub value_size: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self { threads: 1000, keys_per_thread: 1000, value_size: 32 }
    }
}

impl Options {
    /// Checks every field, and how much they ask for together.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] names the first that is outside its limits, its value and the
    /// limit.
    pub fn validate(&self) -> Result<()> {
        if !(1..=MAX_THREADS).contains(&self.threads) {
            return Err(Error::invalid_argument("threads", self.threads, "from 1 to 10000"));
        }
        if !(1..=MAX_KEYS_PER_THREAD).contains(&self.keys_per_thread) {
            return Err(Error::invalid_argument(
                "keys per thread",
                self.keys_per_thread,
                "from 1 to 10000000",
            ));
        }
        if self.value_size > MAX_VALUE_SIZE {
            return Err(Error::invalid_argument(
                "value size",
                self.value_size,
                "at most 1048576 bytes",
            ));
        }
        let bytes = self.entries().saturating_mul(self.value_size.saturating_add(entry::KEY_LEN));
        if bytes > MAX_DATA_BYTES {
            return Err(Error::invalid_argument(
                "threads x keys per thread x (value size + 16)",
                format_args!("{bytes} bytes"),
                "at most 68719476736 bytes (64 GiB)",
            ));
        }
        Ok(())
    }

    /// Keys that belong to one thread, over all threads.
    const fn entries(&self) -> usize {
        self.threads.saturating_mul(self.keys_per_thread)
    }

    /// Returns the operations on shared keys of each thread, of each family of entries: a quarter
    /// of its own keys, between 8 and 1,000.
    fn rounds(&self) -> usize {
        (self.keys_per_thread / 4).clamp(8, 1000)
    }
}

/// The steps of a stress test.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Every thread sets and gets its own keys.
    OwnKeys,
    /// All threads contend for shared keys.
    SharedKeys,
    /// Every key is looked up and the store is walked.
    Audit,
}

impl Step {
    /// Returns a few words for a person who watches.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::OwnKeys => "own keys",
            Self::SharedKeys => "shared keys",
            Self::Audit => "audit",
        }
    }
}

/// What a stress test tells while it runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// A step begins that consists of so many pieces of work.
    Begin(Step, u64),
    /// So many more pieces are done.
    Advance(u64),
}

/// How many pieces of work a thread does before it tells: often enough for a person, rarely enough
/// not to be measured.
const ADVANCE_EVERY: usize = 256;

/// Why a stress test could not be carried out. A store that misbehaves is no such error: it is an
/// [`Outcome`].
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StressError {
    /// The options or the configuration are outside their limits, or the store or its pool could
    /// not be opened.
    #[error(transparent)]
    Store(#[from] Error),
    /// The threads could not be started.
    #[error(transparent)]
    Spawn(#[from] SpawnError),
}

/// Opens a store of this combination, stresses it, drops it, and reports. `progress` is called from
/// many threads.
///
/// # Errors
/// [`StressError`] where the test could not be carried out.
pub fn run(
    combination: Combination,
    config: &Config,
    options: &Options,
    progress: &(dyn Fn(Progress) + Sync),
) -> Result<Outcome, StressError> {
    options.validate()?;
    let nodes = AnyPool::new(combination.pool, config)?;
    let before = nodes.stats().live_nodes;
    let store = open(combination.backend, config, nodes.clone())?;
    let mut measure = run_on(&store, options, progress)?;
    drop(store);
    let leaked = nodes.stats().live_nodes.saturating_sub(before);
    if leaked > 0 {
        measure.faults.leaked_nodes = leaked;
        measure.faults.note(format!("the dropped store left {leaked} nodes in its pool"));
    }
    Ok(Outcome::new(combination, options, measure))
}

/// Stresses a store that is empty, and leaves what it has set there.
///
/// # Errors
/// [`StressError`] where the test could not be carried out.
pub fn run_on<K: Keystore + Sync>(
    store: &K,
    options: &Options,
    progress: &(dyn Fn(Progress) + Sync),
) -> Result<Measure, StressError> {
    options.validate()?;
    let own = own_keys::run(store, options, progress)?;
    let shared = shared::run(store, options, progress)?;
    Ok(audit::run(store, options, own, shared, progress))
}
