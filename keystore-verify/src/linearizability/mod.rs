//! Linearizability: what threads saw of a few hot keys, checked against a register that one thread
//! uses at a time.
//!
//! An operation on one key promises to take effect at one instant between its call and its return.
//! Then the calls of all threads on a key can be put in *one* order, which a register with one user
//! could have answered in just the same way, and in which no call comes before another that had
//! returned before it was made. Whether there is such an order is decided by a known checker: the
//! algorithm of Wing and Gong (1993) with the improvements of Lowe (2017), in the form that Horn
//! and Kroening describe (arXiv 1504.00204), as the crate todc-utils has it. A history of one key
//! is enough for one check, since linearizability is a property of each object by itself (Herlihy
//! and Wing, 1990).
//!
//! # What is done
//!
//! Threads go from round to round together. In a round each makes some calls, of every operation,
//! on the few hot keys, and takes a number from one counter before and after each. The counter is
//! read and raised in one step that orders everything around it, so a return that has a smaller
//! number than a call really came before it. Then the threads share the keys among themselves and
//! check the histories. Meanwhile another thread makes the table grow and shrink (`churn`).
//!
//! The checker's time grows fast with the length of a history. So a history is cut at calls that no
//! other overlaps and whose answer tells what the key holds then: whatever came before has taken
//! effect, and what comes after begins with that. The cut changes no verdict (`history`).
//!
//! # What it cannot see
//!
//! Only those interleavings that happen. The pool yields (`Yielding`) and closures let other
//! threads go first, so that calls overlap on a machine of few processors too; the model checks go
//! through interleavings one by one. And taking numbers orders memory between calls: an effect that
//! is merely late, and is seen when the next call is made, is not noticed.

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

/// The most threads that make calls.
pub const MAX_THREADS: usize = 256;

/// How a check is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Options {
    /// Threads that make calls, 2 to [`MAX_THREADS`]. One more makes the table grow and shrink.
    pub threads: usize,
    /// Hot keys, from 1 to 64. The fewer, the more calls meet.
    pub keys: usize,
    /// Calls of each thread in a round, 1 to 4,096. The longer a round, the longer a history can
    /// become where a thread is stopped in the midst of a call, and the checker's time with it.
    pub calls: usize,
    /// Where the draw of calls begins.
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
    /// [`Error::InvalidArgument`] names the first that is outside its limits, its value and the
    /// limit.
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

/// What was checked, and what was found.
#[derive(Clone, Debug, Default)]
pub struct Checked {
    /// Calls on hot keys whose answers were checked; a batch counts once for each of its keys.
    pub operations: u64,
    /// Histories that were checked: one for each hot key and round.
    pub histories: u64,
    /// The longest history that had to be checked in one piece.
    pub longest: usize,
    /// Times the table became larger or smaller.
    pub resizes: u64,
    /// Entries that came and went to make it do so, each looked up while it was there.
    pub passers_by: u64,
    /// Entries among these that could not be found, or were there after they had been removed.
    pub lost: u64,
    /// The histories that no register could have, as far as they are kept: the first ten.
    pub violations: Vec<Violation>,
}

impl Checked {
    /// Returns whether nothing was found wrong.
    #[must_use]
    pub const fn passed(&self) -> bool {
        self.lost == 0 && self.violations.is_empty()
    }

    /// Adds what another check found.
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

/// Violations that are kept. One is enough to fail.
const MAX_VIOLATIONS: usize = 10;

/// Checks `store` until `end`, or until something is found wrong; at least one round. Hot keys
/// begin with `hot`, others with `by`; what else the store holds is left alone.
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

/// Returns the hot key of number `n`: of three bytes to some hundreds.
fn hot_key(n: usize) -> Vec<u8> {
    let mut key = format!("hot{n}").into_bytes();
    key.resize([4, 8, 16, 300][n % 4].max(key.len()), b'.');
    key
}

/// What the threads that make calls share.
struct Rounds<'a> {
    options: &'a Options,
    keys: &'a [Vec<u8>],
    /// The numbers that calls and returns get.
    clock: AtomicU64,
    barrier: Barrier,
    /// By thread: what it called in the round, with the key's number.
    logs: Vec<RwLock<Vec<(usize, Event)>>>,
    /// Whether this round was the last.
    ended: AtomicBool,
    checked: Mutex<Checked>,
    /// Of a thread that panicked. It goes on to the end of the round, for the others wait for it.
    panic: Mutex<Option<Box<dyn Any + Send>>>,
}

impl Rounds<'_> {
    /// Goes from round to round as thread number `thread`.
    fn take_part<K: Keystore + ?Sized>(&self, store: &K, thread: usize, end: Instant) {
        let mut recorder = Recorder::new(store, self.keys, &self.clock, thread, self.options.seed);
        // By key: what it holds, for the keys that this thread checks.
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

    /// Keeps a panic for when all threads have come to the end of the round, which is then the
    /// last.
    fn caught(&self, work: impl FnOnce()) {
        if let Err(panic) = catch_unwind(AssertUnwindSafe(work)) {
            *self.panic.lock().unwrap_or_else(PoisonError::into_inner) = Some(panic);
            self.ended.store(true, Ordering::Relaxed);
        }
    }

    /// Checks the round's history of a key that held `begin` before it: what the key holds now.
    fn check_key<K: Keystore + ?Sized>(
        &self,
        recorder: &mut Recorder<'_, K>,
        key: usize,
        begin: Value,
        checked: &mut Checked,
    ) -> Value {
        // Nobody makes calls on the key now, so this says what it holds, and what its next history
        // begins with.
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
