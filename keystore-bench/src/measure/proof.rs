//! The check of a store's whole content against what was done to it.
//!
//! Every value names its writer and proves itself ([`keystore_verify::value`]). After a run,
//! [`Proof::check`] compares what the store holds with what the threads did:
//!
//! - The last change of a key is, in whatever order the threads ran, the last change that *some*
//!   thread made to it. So a key whose last changes all leave it present must be there, one whose
//!   last changes all delete it must not, and its value must be one of those last ones: a lost
//!   update shows.
//! - Iterating shows every key at most once, lookups and iteration agree, and so does the count.

use std::ops::ControlFlow;

use keystore::Keystore;
use keystore_verify::value::{Stamp, read_value};
use serde::{Deserialize, Serialize};

use crate::measure::control::{LOOK_EVERY, RunControl};
use crate::workload::keys::Keys;
use crate::workload::operation::Kind;
use crate::workload::scenario::Scenario;
use crate::workload::stream::Stream;

/// What checking a store's content found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Verification {
    /// Keys that were looked up.
    pub checked: u64,
    /// Keys that should have been found and were not: by a lookup, by iterating, or by a get of the
    /// run.
    pub missing: u64,
    /// Keys that are there and should not be, or whose value nobody can have written last.
    pub wrong: u64,
    /// Entries that iterating showed a second time.
    pub duplicates: u64,
    /// How far the store's own count is from the entries it shows.
    pub miscounted: u64,
}

impl Verification {
    /// Returns whether nothing was amiss.
    #[must_use]
    pub const fn passed(&self) -> bool {
        self.missing == 0 && self.wrong == 0 && self.duplicates == 0 && self.miscounted == 0
    }

    /// Adds what another check found.
    pub const fn add(&mut self, other: &Self) {
        self.checked += other.checked;
        self.missing += other.missing;
        self.wrong += other.wrong;
        self.duplicates += other.duplicates;
        self.miscounted += other.miscounted;
    }
}

/// What was done to a store, to check it against.
#[derive(Debug)]
pub struct Proof<'a> {
    /// The scenario that ran.
    pub scenario: &'a Scenario,
    /// Its keys.
    pub keys: &'a Keys,
    /// The operations of each thread.
    pub streams: &'a [Stream],
    /// How many operations each thread did; past the end of its stream it began anew.
    pub executed: &'a [u64],
}

/// What the threads' last changes say about a key.
#[derive(Clone, Copy, Default)]
struct Expectation {
    /// Some thread's last change leaves it present.
    present: bool,
    /// Some thread's last change removes it.
    absent: bool,
    /// Something other than an insert, which may do nothing, was done to it.
    overwritten: bool,
    /// An insert was among its changes: whose value it has is then open, but not whether the value
    /// is genuine.
    inserted: bool,
    /// The value found is the last one that its writer gave to the key.
    fresh: bool,
}

impl Proof<'_> {
    /// Checks the whole content of `store`, while nobody writes. If the control is stopped, the
    /// check ends early and what it returns says nothing. O(keys + operations).
    ///
    /// # Errors
    /// Returns the errors of the store's operations.
    pub fn check<K: Keystore + ?Sized>(
        &self,
        store: &K,
        control: &RunControl,
    ) -> keystore::Result<Verification> {
        let count = self.scenario.keys;
        let mut found = Verification { checked: count as u64, ..Verification::default() };
        let mut stamps: Vec<Option<Stamp>> = vec![None; count];
        let mut scratch = Vec::new();
        let mut shown = 0_u64;
        let is_stopped = |seen: u64| seen.is_multiple_of(LOOK_EVERY as u64) && control.is_stopped();
        store.for_each_dyn(&mut |key, value| {
            if is_stopped(shown) {
                return ControlFlow::Break(());
            }
            shown += 1;
            match read_value(value, &mut scratch) {
                Some((position, stamp))
                    if (position as usize) < count && self.keys.get(position as usize) == key =>
                {
                    found.duplicates +=
                        u64::from(stamps[position as usize].replace(stamp).is_some());
                }
                _ => found.wrong += 1,
            }
            ControlFlow::Continue(())
        })?;
        found.miscounted = shown.abs_diff(store.len()? as u64);

        let expectations = self.expectations(&stamps);
        for (position, (stamp, expected)) in stamps.iter().zip(&expectations).enumerate() {
            if is_stopped(position as u64) {
                break;
            }
            let mut looked_up = None;
            let present = store.read_dyn(self.keys.get(position), &mut |value| {
                looked_up = read_value(value, &mut scratch);
            })?;
            match stamp {
                _ if present && looked_up != stamp.map(|stamp| (position as u32, stamp)) => {
                    found.wrong += 1
                }
                Some(_) if !present => found.missing += 1,
                Some(stamp) => {
                    found.wrong += u64::from(!self.is_plausible(position, *stamp, *expected))
                }
                None => found.missing += u64::from(!self.may_be_absent(position, *expected)),
            }
        }
        Ok(found)
    }

    fn is_untouched(expected: Expectation) -> bool {
        !expected.present && !expected.absent
    }

    fn may_be_absent(&self, position: usize, expected: Expectation) -> bool {
        expected.absent || (Self::is_untouched(expected) && !self.was_loaded(position))
    }

    /// Returns whether the store held the key at the start.
    fn was_loaded(&self, position: usize) -> bool {
        position < self.scenario.loaded_keys()
    }

    /// Returns whether the key at `position` may be present with this stamp.
    fn is_plausible(&self, position: usize, stamp: Stamp, expected: Expectation) -> bool {
        let Some((thread, sequence)) = stamp.origin() else {
            return self.was_loaded(position) && !expected.overwritten;
        };
        let genuine = self.executed.get(thread).is_some_and(|&executed| sequence < executed) && {
            let operations = self.streams[thread].operations();
            let operation = operations[(sequence % operations.len() as u64) as usize];
            operation.key as usize == position && operation.kind.has_value()
        };
        genuine && expected.present && (expected.fresh || expected.inserted)
    }

    /// Returns what the threads' changes say about each key, given what was found there.
    fn expectations(&self, stamps: &[Option<Stamp>]) -> Vec<Expectation> {
        let mut expectations = vec![Expectation::default(); stamps.len()];
        if self.scenario.is_read_only() {
            return expectations;
        }
        const NEVER: u64 = u64::MAX;
        let mut last = vec![NEVER; stamps.len()];
        for (thread, (stream, &executed)) in self.streams.iter().zip(self.executed).enumerate() {
            let operations = stream.operations();
            let length = operations.len() as u64;
            // Every operation of the last lap replaces what it did a lap before, so the last lap
            // says it all.
            let lap = || {
                (executed.saturating_sub(length)..executed)
                    .map(|sequence| (sequence, operations[(sequence % length) as usize]))
                    .filter(|(_, operation)| operation.kind.is_write())
            };
            for (sequence, operation) in lap() {
                last[operation.key as usize] = sequence;
                let expectation = &mut expectations[operation.key as usize];
                let insert = operation.kind == Kind::Insert;
                expectation.inserted |= insert;
                expectation.overwritten |= !insert;
            }
            for (sequence, operation) in lap() {
                let key = operation.key as usize;
                if last[key] == sequence {
                    last[key] = NEVER; // for the next thread
                    let expectation = &mut expectations[key];
                    let deletes = operation.kind.is_delete();
                    expectation.absent |= deletes;
                    expectation.present |= !deletes;
                    expectation.fresh |= stamps[key] == Some(Stamp::new(thread, sequence));
                }
            }
        }
        expectations
    }
}
