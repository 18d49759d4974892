//! Tests the memory of a store that grows and shrinks through four orders of magnitude.
//!
//! The length of an entry is drawn at random, from one byte to a mebibyte, so that each power of
//! two occurs and small lengths are frequent: the base-2 logarithm is proportional to the cube of a
//! uniform random number. Each overwrite draws a new length. The length depends only on the number
//! of the entry and on how often it was written. So every thread knows what each of its entries
//! must hold.
//!
//! A store that has lived long must not hold much more memory than one that has just been filled.
//! The pool must reuse the holes that removed entries left, the table must free its old arrays, and
//! garbage must be freed. So at the end, when the store is full again, the process's resident
//! memory is compared with its size with a fresh store of the same content.

use std::cell::Cell;
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread::Scope;
use std::time::Instant;

use keystore::{BoxedKeystore, Keystore, Result, Stats};
use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};
use serde::Serialize;

use super::Options;
use crate::mix::mix;
use crate::resident::{Resident, release_free_memory};

/// Base-2 logarithm of the longest value, a mebibyte.
const DOUBLINGS: f64 = 20.0;

/// Divisors for the number of entries, one after another: four orders of magnitude down and up
/// again.
const SHARES: [usize; 9] = [1, 10, 100, 1_000, SMALLEST, 1_000, 100, 10, 1];
const SMALLEST: usize = 10_000;

/// The result of the memory test.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct MemoryReport {
    /// Number of threads that used the store.
    pub threads: u64,
    /// Number of entries when the store was largest. When it was smallest, it had a ten-thousandth
    /// of them.
    pub entries: u64,
    /// Bytes of keys and values at the end.
    pub content_bytes: u64,
    /// Number of times that the store shrank and grew again.
    pub cycles: u64,
    /// Number of writes, removals and lookups.
    pub operations: u64,
    /// Number of entries that were wrongly absent, wrongly present, or had a wrong value.
    pub wrong: u64,
    /// Resident memory of the process before the store was opened, in bytes; 0 if the system does
    /// not report it.
    pub start_bytes: u64,
    /// Growth of the process at the end, when the store was full again, in bytes.
    pub end_bytes: u64,
    /// Growth of the process with a fresh store of the same content instead, in bytes.
    pub fresh_bytes: u64,
    /// Growth of the process that was left after the store was dropped, in bytes.
    pub left_bytes: u64,
    /// Bytes that the store reported at the end: table, pool and garbage.
    pub end_counted: u64,
    /// Bytes that the fresh store reported.
    pub fresh_counted: u64,
}

/// Largest amount of garbage that a store may hold, whatever its content, in bytes.
const GARBAGE: u64 = 16 << 20;

/// Freed memory that the process's allocator may keep for each thread, for which the store is not
/// responsible. It is a large part of some hundred mebibytes, but a small part of the gibibyte of a
/// long run.
const KEPT_FOR_A_THREAD: u64 = 8 << 20;

impl MemoryReport {
    /// Returns the growth of the process at the end as a percentage of the growth with a fresh
    /// store; 100 if the system does not report it.
    #[must_use]
    pub fn percent(&self) -> f64 {
        if self.fresh_bytes == 0 {
            100.0
        } else {
            100.0 * self.end_bytes as f64 / self.fresh_bytes as f64
        }
    }

    /// Returns whether the store held at most a tenth more than a fresh one plus the allowed
    /// garbage. Both the store's count and the system's must show this; the system's count includes
    /// some room for memory that the allocator keeps.
    #[must_use]
    pub const fn is_bounded(&self) -> bool {
        self.end_bytes <= self.most_resident() && self.end_counted <= self.most_counted()
    }

    /// Returns the largest allowed growth of the process at the end, in bytes.
    #[must_use]
    pub const fn most_resident(&self) -> u64 {
        tenth_more(self.fresh_bytes) + GARBAGE + self.threads * KEPT_FOR_A_THREAD
    }

    /// Returns the largest allowed count of the store, in bytes.
    #[must_use]
    pub const fn most_counted(&self) -> u64 {
        tenth_more(self.fresh_counted) + GARBAGE
    }
}

const fn tenth_more(bytes: u64) -> u64 {
    bytes + bytes / 10
}

/// Returns the number of bytes that a store reports to hold.
fn counted(store: &BoxedKeystore) -> Result<u64> {
    let Stats { memory, pool, .. } = store.stats()?;
    Ok(memory.table_bytes + pool.held_bytes.max(memory.node_bytes + memory.garbage_bytes))
}

/// Lets a store from `open` grow and shrink until `end`, at least once, and opens another store for
/// the comparison.
pub(super) fn run(
    open: impl Fn() -> Result<BoxedKeystore>,
    options: &Options,
    end: Instant,
) -> Result<MemoryReport> {
    let open = || open().map(Arc::new);
    std::thread::scope(|scope| {
        let workers = Workers::new(scope, options);
        let before = Resident::before();
        let mut report = MemoryReport {
            threads: options.threads as u64,
            entries: options.entries as u64,
            start_bytes: before.bytes(),
            ..MemoryReport::default()
        };
        let store = open()?;
        workers.all(&store, Work::GoTo(options.entries));
        while report.cycles == 0 || (Instant::now() < end && workers.tally().wrong == 0) {
            for share in SHARES {
                workers.all(&store, Work::GoTo(options.entries / share));
                if share == SMALLEST {
                    store.shrink()?;
                    workers.all(&store, Work::ReleaseMemory);
                }
            }
            report.cycles += 1;
        }
        workers.all(&store, Work::LookAtAll);
        report.end_bytes = before.grown_by_now();
        report.end_counted = counted(&store)?;
        workers.all(&store, Work::ReleaseMemory);
        drop(store);
        workers.all(&open()?, Work::ReleaseMemory);
        report.left_bytes = before.grown_by_now();

        let fresh = open()?;
        workers.all(&fresh, Work::Fill);
        report.fresh_bytes = before.grown_by_now();
        report.fresh_counted = counted(&fresh)?;
        workers.all(&fresh, Work::LookAtAll);
        let Tally { operations, wrong, content_bytes } = workers.tally();
        Ok(MemoryReport { operations, wrong, content_bytes, ..report })
    })
}

/// Work of every thread on its entries.
#[derive(Clone, Copy, Debug)]
enum Work {
    /// Brings the store to this many entries, over all threads.
    GoTo(usize),
    /// Looks up every entry that must be present, and every entry that must be absent.
    LookAtAll,
    /// Fills a fresh store with the content of the old one.
    Fill,
    /// Only has the allocator return freed memory to the system. All other work except `GoTo` ends
    /// with that too, because the next step needs the memory.
    ReleaseMemory,
}

/// The store and the work that a thread gets.
type Order = (Arc<BoxedKeystore>, Work);

/// Threads that live for the whole test, because an allocator keeps memory for each thread.
struct Workers {
    threads: Vec<(Sender<Order>, Receiver<Tally>)>,
    tally: Cell<Tally>,
}

impl Workers {
    fn new<'scope>(scope: &'scope Scope<'scope, '_>, options: &Options) -> Self {
        let start = |thread| {
            let (give, orders) = mpsc::channel::<Order>();
            let (report, reports) = mpsc::channel();
            let mut worker = Worker::new(options, thread);
            scope.spawn(move || {
                for (store, work) in orders {
                    worker.work(&store, work);
                    drop(store);
                    if !matches!(work, Work::GoTo(_)) {
                        release_free_memory();
                    }
                    if report.send(worker.tally()).is_err() {
                        break;
                    }
                }
            });
            (give, reports)
        };
        Self { threads: (0..options.threads).map(start).collect(), tally: Cell::default() }
    }

    /// Gives every thread a piece of work, and waits for all.
    fn all(&self, store: &Arc<BoxedKeystore>, work: Work) {
        for (give, _) in &self.threads {
            give.send((Arc::clone(store), work))
                .expect("a thread that panicked has ended the test");
        }
        let mut all = Tally::default();
        for (_, reports) in &self.threads {
            let Tally { operations, wrong, content_bytes } =
                reports.recv().expect("the thread did not panic");
            all.operations += operations;
            all.wrong += wrong;
            all.content_bytes += content_bytes;
        }
        self.tally.set(all);
    }

    /// Returns the counts of all threads so far.
    fn tally(&self) -> Tally {
        self.tally.get()
    }
}

/// Counts of the threads' work so far, and the bytes of their entries now.
#[derive(Clone, Copy, Debug, Default)]
struct Tally {
    operations: u64,
    wrong: u64,
    content_bytes: u64,
}

/// One thread's entries: the ones whose number, modulo the number of threads, is the thread's.
struct Worker {
    first: usize,
    step: usize,
    /// By own entry: number of times it was written, or 0 if it is absent.
    written: Vec<u64>,
    writes: u64,
    rng: SmallRng,
    operations: u64,
    wrong: u64,
    value: Vec<u8>,
}

impl Worker {
    fn new(options: &Options, thread: usize) -> Self {
        let own = (options.entries + options.threads - 1 - thread) / options.threads;
        Self {
            first: thread,
            step: options.threads,
            written: vec![0; own],
            writes: 0,
            rng: SmallRng::seed_from_u64(options.seed ^ mix(thread as u64)),
            operations: 0,
            wrong: 0,
            value: Vec::new(),
        }
    }

    fn work(&mut self, store: &BoxedKeystore, work: Work) {
        match work {
            Work::GoTo(entries) => self.go_to(store, entries),
            Work::LookAtAll => self.look_at_all(store),
            Work::Fill => self.fill(store),
            Work::ReleaseMemory => {}
        }
    }

    fn key(&self, own: usize) -> [u8; 8] {
        ((self.first + own * self.step) as u64).to_le_bytes()
    }

    /// Sets `self.value` to what the entry must hold.
    fn make_value(&mut self, own: usize) {
        let seed = self.value_seed(own);
        fill(&mut self.value, seed);
    }

    fn value_seed(&self, own: usize) -> u64 {
        mix((self.first + own * self.step) as u64 ^ mix(self.written[own]))
    }

    /// Brings the store to this thread's share of the entries, in random order: adds missing
    /// entries, removes surplus ones, and overwrites and looks up some of the others.
    fn go_to(&mut self, store: &BoxedKeystore, entries: usize) {
        let own = entries.saturating_sub(self.first).div_ceil(self.step).min(self.written.len());
        let start = self.rng.random_range(0..self.written.len().max(1));
        for at in 0..self.written.len() {
            let entry = (start + at) % self.written.len();
            match (self.written[entry] > 0, entry < own) {
                (false, true) => self.set(store, entry),
                (true, false) => self.delete(store, entry),
                (true, true) if self.rng.random_range(0..4) == 0 => self.set(store, entry),
                (true, true) => self.look_at(store, entry),
                (false, false) => {}
            }
        }
    }

    fn set(&mut self, store: &BoxedKeystore, own: usize) {
        let was_there = self.written[own] > 0;
        self.writes += 1;
        self.written[own] = self.writes;
        self.make_value(own);
        let change = store.set(&self.key(own), &self.value);
        let expected =
            if was_there { keystore::Change::Replaced } else { keystore::Change::Created };
        self.expect(change == Ok(expected));
    }

    fn delete(&mut self, store: &BoxedKeystore, own: usize) {
        self.written[own] = 0;
        let deleted = store.delete(&self.key(own));
        self.expect(deleted == Ok(true));
    }

    fn look_at(&mut self, store: &BoxedKeystore, own: usize) {
        self.make_value(own);
        let same = store.read(&self.key(own), |value| value == self.value);
        self.expect(same == Ok(Some(true)));
    }

    /// Looks up every entry that must be present, and every entry that must be absent.
    fn look_at_all(&mut self, store: &BoxedKeystore) {
        for own in 0..self.written.len() {
            if self.written[own] > 0 {
                self.look_at(store, own);
            } else {
                let there = store.contains(&self.key(own));
                self.expect(there == Ok(false));
            }
        }
    }

    /// Fills a fresh store with the content of the old one.
    fn fill(&mut self, store: &BoxedKeystore) {
        for own in (0..self.written.len()).filter(|&own| self.written[own] > 0).collect::<Vec<_>>()
        {
            self.make_value(own);
            let created = store.insert(&self.key(own), &self.value);
            self.expect(created == Ok(true));
        }
    }

    fn expect(&mut self, holds: bool) {
        self.operations += 1;
        self.wrong += u64::from(!holds);
    }

    fn tally(&self) -> Tally {
        let there = (0..self.written.len()).filter(|&own| self.written[own] > 0);
        let bytes = there.map(|own| (self.key(own).len() + length(self.value_seed(own))) as u64);
        Tally { operations: self.operations, wrong: self.wrong, content_bytes: bytes.sum() }
    }
}

/// Returns the length of the value for `seed`, 1 byte to 1 MiB.
fn length(seed: u64) -> usize {
    let even = (seed >> 11) as f64 / (1_u64 << 53) as f64;
    (DOUBLINGS * even.powi(3)).exp2() as usize
}

/// Fills `value` for `seed`: sets its length, and repeats a word that identifies it.
fn fill(value: &mut Vec<u8>, seed: u64) {
    let word = mix(seed).to_le_bytes();
    value.clear();
    value.resize(length(seed), word[0]);
    value.as_chunks_mut::<8>().0.fill(word);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stress::faulty::{Fault, FaultyStore};

    #[test]
    fn entries_that_are_lost_or_wrong_are_found() {
        let options = Options {
            combinations: Vec::new(),
            threads: 2,
            seed: 5,
            time: std::time::Duration::ZERO,
            entries: 10_000,
        };
        for fault in [Fault::SetCorrupts, Fault::DeleteForgets] {
            let open = || Ok(Box::new(FaultyStore::new(fault)) as BoxedKeystore);
            let report = run(open, &options, Instant::now()).unwrap();
            assert!(report.wrong > 0, "{fault:?}: {report:?}");
        }
    }

    #[test]
    fn lengths_go_from_a_byte_to_a_mebibyte_and_have_all_between() {
        let lengths: Vec<usize> = (0..200_000).map(|n| length(mix(n))).collect();
        assert_eq!(lengths.iter().min(), Some(&1));
        assert!(lengths.iter().all(|&length| length <= 1 << 20));
        for doubling in 0..20 {
            let among = lengths.iter().filter(|&&length| length >> doubling == 1).count();
            assert!(among > 1_000, "{among} of 2^{doubling} bytes");
        }
        let mean = lengths.iter().sum::<usize>() / lengths.len();
        assert!((20_000..35_000).contains(&mean), "{mean}");
    }
}
