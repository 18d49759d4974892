//! A store that grows and shrinks through four orders of magnitude, and what it holds of memory in the end.
//!
//! An entry's length is drawn so that each doubling has its entries, from one byte to a mebibyte, and the small ones are
//! many: the cube of an even number says how many doublings. Overwriting draws anew. Which lengths an entry has had is a
//! matter of its number and of how often it was written, so every thread knows what each of its entries must hold.
//!
//! A store that has lived long must not hold much more than one that has just been filled: the pool has to find use for the
//! holes that removed entries left, the table for its old arrays, and garbage must have gone. So in the end, when the store
//! is full again, the process's resident memory is compared with what it is with a fresh store of the same content.

use std::time::Instant;

use keystore_core::{BoxedKeystore, Config, Keystore, Result};
use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};
use serde::Serialize;

use super::Options;
use crate::combination::Combination;
use crate::keys::mix;
use crate::machine::Resident;

/// The longest value is this many doublings of one byte: a mebibyte.
const DOUBLINGS: f64 = 20.0;

/// Each level has a tenth of the entries of the one above: four orders of magnitude in all.
const LEVELS: [usize; 9] = [1, 10, 100, 1_000, 10_000, 1_000, 100, 10, 1];

/// What the test of memory found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct MemoryReport {
    /// Entries when the store was largest. When it was smallest it had a ten-thousandth of them.
    pub entries: u64,
    /// Bytes of keys and values in the end.
    pub content_bytes: u64,
    /// Times it shrank and grew again.
    pub cycles: u64,
    /// Writes, removals and lookups.
    pub operations: u64,
    /// Entries that were not there, were there and should not be, or had another value than theirs.
    pub wrong: u64,
    /// The process's resident memory before the store was opened, bytes; 0 where the system does not say.
    pub start_bytes: u64,
    /// By how much it had grown in the end, when the store was full again.
    pub end_bytes: u64,
    /// By how much it grows with a fresh store of the same content.
    pub fresh_bytes: u64,
    /// By how much it had still grown when the store was dropped.
    pub left_bytes: u64,
}

impl MemoryReport {
    /// The store's memory in the end in percent of a fresh store's; 100 where the system does not say.
    #[must_use]
    pub fn percent(&self) -> f64 {
        if self.fresh_bytes == 0 { 100.0 } else { 100.0 * self.end_bytes as f64 / self.fresh_bytes as f64 }
    }

    /// Whether the store held at most a tenth more than a fresh one.
    #[must_use]
    pub fn is_bounded(&self) -> bool {
        self.percent() <= 110.0
    }
}

/// Lets a store grow and shrink until `end`, at least once.
pub(super) fn run(combination: Combination, options: &Options, end: Instant) -> Result<MemoryReport> {
    let before = Resident::before();
    let mut report =
        MemoryReport { entries: options.entries as u64, start_bytes: before.bytes(), ..Default::default() };
    let grown = || Resident::before().bytes().saturating_sub(before.bytes());

    let open = || combination.open(&Config::default());
    let mut crowd = Crowd::new(options);
    let store = open()?;
    crowd.all(&store, |hand, store| hand.go_to(store, options.entries));
    while report.cycles == 0 || (Instant::now() < end && crowd.wrong() == 0) {
        for level in LEVELS {
            crowd.all(&store, |hand, store| hand.go_to(store, options.entries / level));
            if level == 10_000 {
                store.shrink()?;
            }
        }
        report.cycles += 1;
    }
    crowd.all(&store, Hand::look_at_all);
    report.end_bytes = grown();
    drop(store);
    report.left_bytes = grown();

    let before = Resident::before();
    let fresh = open()?;
    crowd.all(&fresh, Hand::fill);
    report.fresh_bytes = Resident::before().bytes().saturating_sub(before.bytes());
    crowd.all(&fresh, Hand::look_at_all);
    report.wrong = crowd.wrong();
    report.operations = crowd.hands.iter().map(|hand| hand.operations).sum();
    report.content_bytes = crowd.hands.iter().map(Hand::content_bytes).sum();
    Ok(report)
}

/// The threads' knowledge, which outlives them: they are started anew for each step.
struct Crowd {
    hands: Vec<Hand>,
}

impl Crowd {
    fn new(options: &Options) -> Self {
        Self { hands: (0..options.threads).map(|thread| Hand::new(options, thread)).collect() }
    }

    /// Has every thread do a piece of work.
    fn all(&mut self, store: &BoxedKeystore, work: impl Fn(&mut Hand, &BoxedKeystore) + Sync) {
        std::thread::scope(|scope| {
            for hand in &mut self.hands {
                let work = &work;
                scope.spawn(move || work(hand, store));
            }
        });
    }

    fn wrong(&self) -> u64 {
        self.hands.iter().map(|hand| hand.wrong).sum()
    }
}

/// One thread's entries: those whose number, modulo the threads, is the thread's.
struct Hand {
    first: usize,
    step: usize,
    /// By own entry: how often it was written, or 0 where it is not there.
    written: Vec<u64>,
    writes: u64,
    rng: SmallRng,
    operations: u64,
    wrong: u64,
    value: Vec<u8>,
}

impl Hand {
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

    fn key(&self, own: usize) -> [u8; 8] {
        ((self.first + own * self.step) as u64).to_le_bytes()
    }

    /// Makes `self.value` what the entry must hold.
    fn make_value(&mut self, own: usize) {
        let seed = mix((self.first + own * self.step) as u64 ^ mix(self.written[own]));
        fill(&mut self.value, seed);
    }

    /// Brings the store to so many entries: adds what is missing, removes what is too much, in an order of chance, and
    /// overwrites and looks at some of the others.
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
            if was_there { keystore_core::Change::Replaced } else { keystore_core::Change::Created };
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

    /// Looks at every entry that must be there, and for every one that must not.
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

    /// Gives a fresh store what the old one held.
    fn fill(&mut self, store: &BoxedKeystore) {
        for own in (0..self.written.len()).filter(|&own| self.written[own] > 0).collect::<Vec<_>>() {
            self.make_value(own);
            let created = store.insert(&self.key(own), &self.value);
            self.expect(created == Ok(true));
        }
    }

    fn expect(&mut self, holds: bool) {
        self.operations += 1;
        self.wrong += u64::from(!holds);
    }

    fn content_bytes(&self) -> u64 {
        let there = (0..self.written.len()).filter(|&own| self.written[own] > 0);
        there
            .map(|own| {
                let seed = mix((self.first + own * self.step) as u64 ^ mix(self.written[own]));
                (size_of::<[u8; 8]>() + length(seed)) as u64
            })
            .sum()
    }
}

/// The length of the value that `seed` makes, 1 byte to 1 MiB.
fn length(seed: u64) -> usize {
    let even = (seed >> 11) as f64 / (1_u64 << 53) as f64;
    (DOUBLINGS * even.powi(3)).exp2() as usize
}

/// Makes `value` what `seed` says: its length, and a word over and over that says which it is.
fn fill(value: &mut Vec<u8>, seed: u64) {
    let word = mix(seed).to_le_bytes();
    value.clear();
    value.resize(length(seed), word[0]);
    value.as_chunks_mut::<8>().0.fill(word);
}

#[cfg(test)]
mod tests {
    use super::*;

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
