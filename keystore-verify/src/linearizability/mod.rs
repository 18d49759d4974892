//! Linearizability: checks the answers that threads got for a few hot keys against a register that
//! one thread uses.
//!
//! An operation on one key promises to take effect at one instant between its call and its return.
//! Then the calls of all threads on a key can be put in *one* order with two properties. A register
//! with one user would give the same answers in that order. And if a call returned before another
//! was made, it comes first in the order. A known checker decides whether there is such an order:
//! the algorithm of Wing and Gong (1993) with the improvements of Lowe (2017), in the form that
//! Horn and Kroening describe (arXiv 1504.00204), as implemented by the crate todc-utils. It is
//! enough to check the history of each key separately, because a history is linearizable if and
//! only if the history of each object is (Herlihy and Wing, 1990).
//!
//! # What is done
//!
//! All threads go through rounds together. In a round each thread makes some calls, of every
//! operation, on the few hot keys. Before and after each call it takes a number from one counter.
//! It reads and increments the counter in one atomic step that orders all memory accesses around
//! it. So if the number of a return is smaller than the number of a call, the return really came
//! first. Then the threads divide the keys among themselves and check the histories. During all
//! this, another thread makes the table grow and shrink (`churn`).
//!
//! The checker's time grows fast with the length of a history. So a history is cut at calls that no
//! other call overlaps and whose answer tells the value of the key at that moment. Everything
//! before the cut has taken effect, and what comes after starts with that value. The cut changes no
//! verdict (`history`).
//!
//! # What it cannot find
//!
//! The check sees only the interleavings that happen. The pool yields (`Yielding`), and closures
//! let other threads go first, so that calls overlap also on a machine with few processors. The
//! model checks go through interleavings one by one. Besides, taking the numbers orders memory
//! between calls. So the check does not notice an effect that is only late and becomes visible when
//! the next call is made.

mod churn;
mod history;
mod record;
mod register;
#[cfg(test)]
mod tests;
mod yielding;

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Barrier, Mutex, PoisonError, RwLock};
use std::time::Instant;

use keystore::{Error, Keystore, Result};

pub use self::history::Violation;
use self::history::{Event, Outcome};
use self::record::Recorder;
use self::register::Value;
pub(crate) use self::yielding::Yielding;

/// Largest number of threads that make calls.
pub const MAX_THREADS: usize = 256;

/// Options of a check.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Options {
    /// Number of threads that make calls, 2 to [`MAX_THREADS`]. One more thread makes the table
    /// grow and shrink.
    pub threads: usize,
    /// Number of hot keys, from 1 to 64. With fewer keys, more calls overlap.
    pub keys: usize,
    /// Number of calls of each thread in a round, 1 to 4,096. In a longer round, a history can
    /// become longer if a thread is paused in the middle of a call, and then the checker takes
    /// longer.
    pub calls: usize,
    /// Seed of the random choice of calls.
    pub seed: u64,
}

impl Default for Options {
    fn default() -> Self {
        Self { threads: 4, keys: 4, calls: 128, seed: 1 }
    }
}

impl Options {
    /// Checks every field.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] names the first field that is outside its limits, its value and
    /// the limit.
    pub fn validate(&self) -> Result<()> {
        if !(2..=MAX_THREADS).contains(&self.threads) {
            return Err(Error::invalid_argument("threads", self.threads, "from 2 to 256"));
        }
        if !(1..=64).contains(&self.keys) {
            return Err(Error::invalid_argument("keys", self.keys, "from 1 to 64"));
        }
        if !(1..=4096).contains(&self.calls) {
            return Err(Error::invalid_argument("calls", self.calls, "from 1 to 4096"));
        }
        Ok(())
    }
}

/// The result of a check.
#[derive(Clone, Debug, Default)]
pub struct Checked {
    /// Number of calls on hot keys whose answers were checked. A batch counts once for each of its
    /// keys.
    pub operations: u64,
    /// Number of histories that were checked: one for each hot key and round.
    pub histories: u64,
    /// Number of calls in the longest history that was checked in one piece.
    pub longest: usize,
    /// Number of times that the table became larger or smaller.
    pub resizes: u64,
    /// Number of temporary entries that were added to make it do so. Each was looked up while it
    /// was present.
    pub passers_by: u64,
    /// Number of errors with these entries: not found while present, or found after they were
    /// removed.
    pub lost: u64,
    /// The first ten histories that no register could have produced.
    pub violations: Vec<Violation>,
}

impl Checked {
    /// Returns whether no error was found.
    #[must_use]
    pub const fn passed(&self) -> bool {
        self.lost == 0 && self.violations.is_empty()
    }

    /// Adds the result of another check.
    pub fn add(&mut self, other: Self) {
        self.operations += other.operations;
        self.histories += other.histories;
        self.longest = self.longest.max(other.longest);
        self.resizes += other.resizes;
        self.passers_by += other.passers_by;
        self.lost += other.lost;
        let room = MAX_VIOLATIONS.saturating_sub(self.violations.len());
        self.violations.extend(other.violations.into_iter().take(room));
    }
}

/// Largest number of violations that are kept. One is enough to fail.
const MAX_VIOLATIONS: usize = 10;

/// Checks `store` until `end`, or until an error is found, for at least one round. Hot keys begin
/// with `hot`, other keys with `by`. Other entries of the store are left unchanged.
///
/// # Errors
/// Returns the errors of [`Options::validate`]. An operation that returns an error is a
/// [`Violation`].
pub fn check<K>(store: &K, options: &Options, end: Instant) -> Result<Checked>
where
    K: Keystore + Sync + ?Sized,
{
    options.validate()?;
    let keys: Vec<Vec<u8>> = (0..options.keys).map(hot_key).collect();
    let rounds = Rounds {
        options,
        keys: &keys,
        clock: AtomicU64::new(0),
        barrier: Barrier::new(options.threads),
        logs: (0..options.threads).map(|_| RwLock::default()).collect(),
        ended: AtomicBool::new(false),
        checked: Mutex::default(),
        panic: Mutex::default(),
    };
    let stop = AtomicBool::new(false);
    let churned = std::thread::scope(|scope| {
        let churning = scope.spawn(|| churn::run(store, options.seed, &stop));
        let threads: Vec<_> = (0..options.threads)
            .map(|thread| {
                let rounds = &rounds;
                scope.spawn(move || rounds.take_part(store, thread, end))
            })
            .collect();
        for thread in threads {
            thread.join().unwrap_or_else(|panic| resume_unwind(panic));
        }
        stop.store(true, Ordering::Relaxed);
        churning.join().unwrap_or_else(|panic| resume_unwind(panic))
    });
    if let Some(panic) = rounds.panic.into_inner().unwrap_or_else(PoisonError::into_inner) {
        resume_unwind(panic);
    }
    let mut checked = rounds.checked.into_inner().unwrap_or_else(PoisonError::into_inner);
    checked.add(churned);
    Ok(checked)
}

/// Returns the hot key of number `n`, which has between three and some hundred bytes.
fn hot_key(n: usize) -> Vec<u8> {
    let mut key = format!("hot{n}").into_bytes();
    key.resize([4, 8, 16, 300][n % 4].max(key.len()), b'.');
    key
}

/// Shared state of the threads that make calls.
struct Rounds<'a> {
    options: &'a Options,
    keys: &'a [Vec<u8>],
    /// Counter that gives the numbers of calls and returns.
    clock: AtomicU64,
    barrier: Barrier,
    /// For each thread, its calls in the round, each with the number of its key.
    logs: Vec<RwLock<Vec<(usize, Event)>>>,
    /// Whether this round is the last.
    ended: AtomicBool,
    checked: Mutex<Checked>,
    /// Payload of a panic. The thread that panicked still finishes the round, because the others
    /// wait for it.
    panic: Mutex<Option<Box<dyn Any + Send>>>,
}

impl Rounds<'_> {
    /// Goes through the rounds as thread number `thread`.
    fn take_part<K: Keystore + ?Sized>(&self, store: &K, thread: usize, end: Instant) {
        let mut recorder = Recorder::new(store, self.keys, &self.clock, thread, self.options.seed);
        // By key: its value, for the keys that this thread checks.
        let mut held = vec![Value::Absent; self.keys.len()];
        let mut mine = Checked::default();
        loop {
            self.barrier.wait();
            self.caught(|| {
                let mut log = self.logs[thread].write().unwrap_or_else(PoisonError::into_inner);
                log.clear();
                recorder.round(self.options.calls, &mut log);
            });
            self.barrier.wait();
            self.caught(|| {
                for key in (thread..self.keys.len()).step_by(self.options.threads) {
                    held[key] = self.check_key(&mut recorder, key, held[key], &mut mine);
                }
            });
            if thread == 0 && Instant::now() >= end {
                self.ended.store(true, Ordering::Relaxed);
            }
            self.barrier.wait();
            if self.ended.load(Ordering::Relaxed) {
                break;
            }
        }
        self.checked.lock().unwrap_or_else(PoisonError::into_inner).add(mine);
    }

    /// Runs `work` and keeps its panic, if any, until all threads have finished the round. That
    /// round is then the last.
    fn caught(&self, work: impl FnOnce()) {
        if let Err(panic) = catch_unwind(AssertUnwindSafe(work)) {
            *self.panic.lock().unwrap_or_else(PoisonError::into_inner) = Some(panic);
            self.ended.store(true, Ordering::Relaxed);
        }
    }

    /// Checks the round's history of a key whose value was `begin` before it. Returns the value
    /// now.
    fn check_key<K: Keystore + ?Sized>(
        &self,
        recorder: &mut Recorder<'_, K>,
        key: usize,
        begin: Value,
        checked: &mut Checked,
    ) -> Value {
        // No thread makes calls on the key now, so this read returns the value that the next
        // history begins with.
        let last = recorder.read_alone(key);
        let history = self.history_of(key, last);
        let Outcome { violation, longest } = history::check(&self.keys[key], begin, &history);
        checked.operations += history.len() as u64;
        checked.histories += 1;
        checked.longest = checked.longest.max(longest);
        if let Some(violation) = violation {
            checked.violations.push(violation);
            self.ended.store(true, Ordering::Relaxed);
        }
        last.operation.leaves().unwrap_or(Value::Absent)
    }

    /// Returns all calls on a key in this round, in the order in which they were made.
    fn history_of(&self, key: usize, last: Event) -> Vec<Event> {
        let mut history = Vec::new();
        for log in &self.logs {
            let log = log.read().unwrap_or_else(PoisonError::into_inner);
            history.extend(log.iter().filter(|(on, _)| *on == key).map(|(_, event)| *event));
        }
        history.push(last);
        history.sort_unstable_by_key(|event| event.called);
        history
    }
}
