//! The stress test: very many threads use one store, and then everything that must be true of it is
//! checked.
//!
//! # What is done
//!
//! 1. *Own keys.* Every thread sets keys that no other thread uses, and gets each one back at once.
//!    The thread knows the answer, so it recognises a missing key or a wrong value with certainty.
//!    This step is the one that is timed: see [`Outcome::ops_per_sec`].
//! 2. *Shared keys.* All threads use the same few keys, with every single-key operation. Each
//!    thread records what it did. The records of all threads together determine what the store must
//!    hold afterwards: see the families of entries in `entry`.
//! 3. *The audit.* After all threads have ended, every key is looked up again. The whole store is
//!    scanned for entries that occur twice or should be absent. The counts of the store are
//!    compared with the records. After the store is dropped, its pool must have every node back.
//!
//! Every value can be traced. It is computed from its key, its length and a stamp that it carries
//! (its writer, or the count that it stands for). So the test recognises a value that is torn,
//! partly stale, or belongs to another key.
//!
//! # Where things are
//!
//! `entry` the keys and values · `tally` the counts of a thread's calls and faults · `own_keys`,
//! `shared`, `audit` the three steps · `outcome` the report · `table` all results side by side.

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

/// Largest number of threads of a stress test.
pub const MAX_THREADS: usize = 10_000;

/// Largest number of keys that each thread uses alone.
pub const MAX_KEYS_PER_THREAD: usize = 10_000_000;

/// Length of the longest value in bytes.
pub const MAX_VALUE_SIZE: usize = 1 << 20;

/// Largest number of bytes of keys and values that all threads together may set: 64 GiB.
pub const MAX_DATA_BYTES: usize = 64 << 30;

/// Size of a stress test.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Options {
    /// Number of threads, all running at once: 1 to [`MAX_THREADS`].
    pub threads: usize,
    /// Number of keys that each thread uses alone: 1 to [`MAX_KEYS_PER_THREAD`].
    pub keys_per_thread: usize,
    /// Bytes of each value: 0 to [`MAX_VALUE_SIZE`]. Values of shared keys have at least 16 bytes,
    /// for their stamp and a check word.
    pub value_size: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self { threads: 1000, keys_per_thread: 1000, value_size: 32 }
    }
}

impl Options {
    /// Checks every field, and the memory that they require together.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] names the first field that is outside its limits, its value and
    /// the limit.
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

    /// Returns the number of keys that belong to one thread, over all threads.
    const fn entries(&self) -> usize {
        self.threads.saturating_mul(self.keys_per_thread)
    }

    /// Returns the number of operations of each thread on each family of shared keys: a quarter of
    /// the number of its own keys, but at least 8 and at most 1,000.
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
    /// Every key is looked up and the store is scanned.
    Audit,
}

impl Step {
    /// Returns a short description for a person who watches.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::OwnKeys => "own keys",
            Self::SharedKeys => "shared keys",
            Self::Audit => "audit",
        }
    }
}

/// The progress that a stress test reports while it runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// The start of a step that consists of this many pieces of work.
    Begin(Step, u64),
    /// The completion of this many more pieces.
    Advance(u64),
}

/// Number of pieces of work after which a thread reports progress: small enough for a person, and
/// large enough not to slow the test down.
const ADVANCE_EVERY: usize = 256;

/// The reason why a stress test could not run. A store that misbehaves is not an error but part of
/// an [`Outcome`].
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

/// Opens a store of this combination, runs the stress test, drops the store, and reports. Many
/// threads call `progress`.
///
/// # Errors
/// [`StressError`] if the test could not run.
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

/// Runs the stress test on an empty store, and leaves the entries in it.
///
/// # Errors
/// [`StressError`] if the test could not run.
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
