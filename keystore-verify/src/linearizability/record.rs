//! Calls every operation on one thread, and records each call and its answer.

use std::sync::atomic::{AtomicU64, Ordering};

use keystore::{Change, Exchange, Keystore, Update};
use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};

use super::history::Event;
use super::register::{Operation, Value};
use super::yielding::yield_sometimes;
use crate::value::{Stamp, read_value, write_value};

/// Lengths of values in bytes. Some are equal, so that a value is overwritten in place; others are
/// in other size classes.
const LENGTHS: [usize; 8] = [16, 24, 24, 64, 64, 100, 500, 4000];

/// One thread's recorder of calls.
pub(super) struct Recorder<'a, K: ?Sized> {
    store: &'a K,
    keys: &'a [Vec<u8>],
    clock: &'a AtomicU64,
    thread: usize,
    /// Number of values written so far, over all keys.
    written: u64,
    /// By key: the value that this thread saw last.
    seen: Vec<Value>,
    rng: SmallRng,
    scratch: Vec<u8>,
}

/// A call with its two numbers.
struct Timed<T> {
    called: u64,
    returned: u64,
    answer: T,
}

impl<'a, K: Keystore + ?Sized> Recorder<'a, K> {
    pub(super) fn new(
        store: &'a K,
        keys: &'a [Vec<u8>],
        clock: &'a AtomicU64,
        thread: usize,
        seed: u64,
    ) -> Self {
        let rng = SmallRng::seed_from_u64(seed.wrapping_mul(1 << 16).wrapping_add(thread as u64));
        let seen = vec![Value::Absent; keys.len()];
        Self { store, keys, clock, thread, written: 0, seen, rng, scratch: Vec::new() }
    }

    /// Makes this many calls, and appends them to `log`, each with the number of its key.
    pub(super) fn round(&mut self, calls: usize, log: &mut Vec<(usize, Event)>) {
        for _ in 0..calls {
            let key = self.rng.random_range(0..self.keys.len());
            match self.rng.random_range(0..32) {
                0..6 => self.read(key, log),
                6 => self.get(key, log),
                7 => self.contains(key, log),
                8..13 => self.set(key, log),
                13..17 => self.insert(key, log),
                17..20 => self.update(key, log),
                20..24 => self.exchange(key, log),
                24..27 => self.delete(key, log),
                27..29 => self.take(key, log),
                29 => self.read_many(log),
                30 => self.set_many(log),
                _ => self.delete_many(log),
            }
        }
    }

    /// Reads a key while no other thread makes calls.
    pub(super) fn read_alone(&mut self, key: usize) -> Event {
        let mut log = Vec::with_capacity(1);
        self.read(key, &mut log);
        log[0].1
    }

    /// Makes a call, and takes a number of the clock before and after it.
    fn timed<T>(&self, call: impl FnOnce() -> T) -> Timed<T> {
        // Taking a number is one atomic step. Neither the compiler nor the processor may move
        // memory accesses across it, so the call really lies between its numbers.
        let called = self.clock.fetch_add(1, Ordering::SeqCst);
        let answer = call();
        let returned = self.clock.fetch_add(1, Ordering::SeqCst);
        Timed { called, returned, answer }
    }

    /// Records a call on one key. An error is recorded as an answer that no register gives.
    fn note<T>(
        &mut self,
        log: &mut Vec<(usize, Event)>,
        verb: &'static str,
        key: usize,
        timed: Timed<keystore::Result<T>>,
        operation: impl FnOnce(T) -> Operation,
    ) {
        let Timed { called, returned, answer } = timed;
        let operation = match answer {
            Ok(answer) => operation(answer),
            Err(error) => Operation::Failed { verb, code: error.code() },
        };
        if let Some(left) = operation.leaves() {
            self.seen[key] = left;
        }
        log.push((key, Event { thread: self.thread, called, returned, operation }));
    }

    /// Returns a new value for a key, and its bytes.
    fn draw(&mut self, key: usize) -> (Value, Vec<u8>) {
        let stamp = Stamp::new(self.thread, self.written);
        self.written += 1;
        (Value::Whole(stamp), bytes_of(key, stamp))
    }

    /// Returns the value that the bytes found under a key stand for.
    fn known(&mut self, key: usize, bytes: Option<&[u8]>) -> Value {
        known(key, bytes, &mut self.scratch)
    }

    fn read(&mut self, key: usize, log: &mut Vec<(usize, Event)>) {
        let mut scratch = std::mem::take(&mut self.scratch);
        let mut seen = Value::Absent;
        let timed = self.timed(|| {
            self.store.read_dyn(&self.keys[key], &mut |bytes| {
                yield_sometimes();
                seen = known(key, Some(bytes), &mut scratch);
            })
        });
        self.scratch = scratch;
        self.note(log, "read", key, timed, |_| Operation::Read(seen));
    }

    fn get(&mut self, key: usize, log: &mut Vec<(usize, Event)>) {
        let timed = self.timed(|| self.store.get(&self.keys[key]));
        let seen = self.known(key, timed.answer.as_ref().ok().and_then(Option::as_deref));
        self.note(log, "get", key, timed, |_| Operation::Read(seen));
    }

    fn contains(&mut self, key: usize, log: &mut Vec<(usize, Event)>) {
        let timed = self.timed(|| self.store.contains(&self.keys[key]));
        self.note(log, "contains", key, timed, Operation::Contains);
    }

    fn set(&mut self, key: usize, log: &mut Vec<(usize, Event)>) {
        let (new, bytes) = self.draw(key);
        let timed = self.timed(|| self.store.set(&self.keys[key], &bytes));
        self.note(log, "set", key, timed, |change| Operation::Set { new, change: Some(change) });
    }

    fn insert(&mut self, key: usize, log: &mut Vec<(usize, Event)>) {
        let (new, bytes) = self.draw(key);
        let timed = self.timed(|| self.store.insert(&self.keys[key], &bytes));
        self.note(log, "insert", key, timed, |inserted| Operation::Insert { new, inserted });
    }

    fn update(&mut self, key: usize, log: &mut Vec<(usize, Event)>) {
        let (set, bytes) = self.draw(key);
        let (decision, new) = match self.rng.random_range(0..4) {
            0 => (Update::Keep, None),
            1 => (Update::Delete, Some(Value::Absent)),
            _ => (Update::set(bytes), Some(set)),
        };
        let mut scratch = std::mem::take(&mut self.scratch);
        let mut seen = Value::Absent;
        let timed = self.timed(|| {
            self.store.update_dyn(&self.keys[key], &mut |bytes| {
                yield_sometimes();
                seen = known(key, bytes, &mut scratch);
                decision.clone()
            })
        });
        self.scratch = scratch;
        let new = new.unwrap_or(seen);
        self.note(log, "update", key, timed, |change| Operation::Update { seen, new, change });
    }

    fn exchange(&mut self, key: usize, log: &mut Vec<(usize, Event)>) {
        let expected = self.seen[key];
        let (mut new, bytes) = self.draw(key);
        let mut bytes = Some(bytes);
        if self.rng.random_range(0..4) == 0 {
            (new, bytes) = (Value::Absent, None);
        }
        let expected_bytes = match expected {
            Value::Whole(stamp) => Some(bytes_of(key, stamp)),
            Value::Absent | Value::Broken => None,
        };
        let timed = self.timed(|| {
            self.store.compare_exchange(
                &self.keys[key],
                expected_bytes.as_deref(),
                bytes.as_deref(),
            )
        });
        let differs = match &timed.answer {
            Ok(Exchange::Differs(found)) => Some(self.known(key, found.as_deref())),
            _ => None,
        };
        self.note(log, "compare_exchange", key, timed, |_| Operation::Exchange {
            expected,
            new,
            differs,
        });
    }

    fn delete(&mut self, key: usize, log: &mut Vec<(usize, Event)>) {
        let timed = self.timed(|| self.store.delete(&self.keys[key]));
        self.note(log, "delete", key, timed, |present| Operation::Delete {
            present: Some(present),
        });
    }

    fn take(&mut self, key: usize, log: &mut Vec<(usize, Event)>) {
        let timed = self.timed(|| self.store.take(&self.keys[key]));
        let taken = self.known(key, timed.answer.as_ref().ok().and_then(Option::as_deref));
        self.note(log, "take", key, timed, |_| Operation::Take(taken));
    }

    /// Records a batch on all keys as one call on each key. Each call has the numbers of the whole
    /// batch.
    fn note_batch<T: Copy>(
        &mut self,
        log: &mut Vec<(usize, Event)>,
        verb: &'static str,
        timed: &Timed<keystore::Result<T, keystore::BatchError>>,
        operation: impl Fn(usize, T) -> Operation,
    ) {
        let &Timed { called, returned, ref answer } = timed;
        for key in 0..self.keys.len() {
            let answer = answer.as_ref().copied().map_err(|error| error.error.clone());
            self.note(log, verb, key, Timed { called, returned, answer }, |answer| {
                operation(key, answer)
            });
        }
    }

    fn read_many(&mut self, log: &mut Vec<(usize, Event)>) {
        let keys: Vec<&[u8]> = self.keys.iter().map(Vec::as_slice).collect();
        let mut scratch = std::mem::take(&mut self.scratch);
        let mut seen = vec![Value::Broken; keys.len()];
        let timed = self.timed(|| {
            self.store.read_many_dyn(&keys, &mut |at, bytes| {
                yield_sometimes();
                seen[at] = known(at, bytes, &mut scratch);
            })
        });
        self.scratch = scratch;
        self.note_batch(log, "read_many", &timed, |key, ()| Operation::Read(seen[key]));
    }

    fn set_many(&mut self, log: &mut Vec<(usize, Event)>) {
        let new: Vec<(Value, Vec<u8>)> = (0..self.keys.len()).map(|key| self.draw(key)).collect();
        let entries: Vec<(&[u8], &[u8])> =
            self.keys.iter().zip(&new).map(|(key, (_, bytes))| (&key[..], &bytes[..])).collect();
        let timed = self.timed(|| self.store.set_many(&entries));
        let all = self.keys.len();
        self.note_batch(log, "set_many", &timed, |key, created| {
            let change = all_or_none(created, all, Change::Created, Change::Replaced);
            Operation::Set { new: new[key].0, change }
        });
    }

    fn delete_many(&mut self, log: &mut Vec<(usize, Event)>) {
        let keys: Vec<&[u8]> = self.keys.iter().map(Vec::as_slice).collect();
        let timed = self.timed(|| self.store.delete_many(&keys));
        let all = keys.len();
        self.note_batch(log, "delete_many", &timed, |_, removed| Operation::Delete {
            present: all_or_none(removed, all, true, false),
        });
    }
}

/// Returns a batch tells only how many keys of it had one answer: each key's own is known where all
/// or none had.
fn all_or_none<T>(count: usize, all: usize, of_all: T, of_none: T) -> Option<T> {
    match count {
        0 => Some(of_none),
        count if count == all => Some(of_all),
        _ => None,
    }
}

/// Returns the bytes of a key's value with this stamp. The length follows from the stamp, so that
/// the bytes can be computed again.
fn bytes_of(key: usize, stamp: Stamp) -> Vec<u8> {
    let sequence = stamp.origin().map_or(0, |(thread, sequence)| sequence as usize * 5 + thread);
    let mut bytes = vec![0; LENGTHS[sequence % LENGTHS.len()]];
    write_value(&mut bytes, key as u32, stamp);
    bytes
}

/// Returns the value that the bytes found under a key stand for.
fn known(key: usize, bytes: Option<&[u8]>, scratch: &mut Vec<u8>) -> Value {
    let Some(bytes) = bytes else { return Value::Absent };
    match read_value(bytes, scratch) {
        Some((of, stamp)) if of == key as u32 => Value::Whole(stamp),
        _ => Value::Broken,
    }
}
