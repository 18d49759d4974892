//! Checks a store's whole content against the operations of a run.
//!
//! Every value carries the identity of its writer and a checksum ([`keystore_verify::value`]).
//! After a run, [`Proof::check`] compares the content of the store with the operations of the
//! threads:
//!
//! - In whatever order the threads ran, the final change of a key is the last change that *some*
//!   thread made to it. So if every thread's last change leaves the key present, the key must be
//!   present. If every thread's last change deletes it, it must be absent. A value that is found
//!   must be one of these last values. A lost update therefore fails the check.
//! - Iteration visits every key at most once. Lookups agree with iteration, and so does the count.

use std::ops::ControlFlow;

use keystore::Keystore;
use keystore_verify::value::{Stamp, read_value};
use serde::{Deserialize, Serialize};

use crate::measure::control::{LOOK_EVERY, RunControl};
use crate::workload::keys::Keys;
use crate::workload::operation::Kind;
use crate::workload::scenario::Scenario;
use crate::workload::stream::Stream;

/// The result of checking a store's content.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Verification {
    /// Number of keys that were looked up.
    pub checked: u64,
    /// Number of keys that should have been found but were not: by a lookup, by iteration, or by a
    /// get of the run.
    pub missing: u64,
    /// Number of keys that are present but should be absent, or whose value cannot be the last one
    /// written.
    pub wrong: u64,
    /// Number of entries that iteration visited a second time.
    pub duplicates: u64,
    /// Difference between the store's own count and the number of entries that iteration visits.
    pub miscounted: u64,
}

impl Verification {
    /// Returns whether the check found no fault.
    #[must_use]
    pub const fn passed(&self) -> bool {
        self.missing == 0 && self.wrong == 0 && self.duplicates == 0 && self.miscounted == 0
    }

    /// Adds the result of another check.
    pub const fn add(&mut self, other: &Self) {
        self.checked += other.checked;
        self.missing += other.missing;
        self.wrong += other.wrong;
        self.duplicates += other.duplicates;
        self.miscounted += other.miscounted;
    }
}

/// The operations of a run, against which the content of a store is checked.
#[derive(Debug)]
pub struct Proof<'a> {
    /// The scenario that ran.
    pub scenario: &'a Scenario,
    /// The keys of the scenario.
    pub keys: &'a Keys,
    /// The stream of operations of each thread.
    pub streams: &'a [Stream],
    /// Number of operations that each thread did. At the end of its stream a thread starts again
    /// from the beginning.
    pub executed: &'a [u64],
}

/// What the threads' last changes imply for a key.
#[derive(Clone, Copy, Default)]
struct Expectation {
    /// Whether some thread's last change leaves the key present.
    present: bool,
    /// Whether some thread's last change removes the key.
    absent: bool,
    /// Whether any change was something other than an insert. (An insert does nothing if the key is
    /// present.)
    overwritten: bool,
    /// Whether any change was an insert. Then the value need not be a last one, but some thread of
    /// the run, or loading, must have written it.
    inserted: bool,
    /// Whether the value found is the last one that its writer gave to the key.
    fresh: bool,
}

impl Proof<'_> {
    /// Checks the whole content of `store`. No thread may write during the check. If the control is
    /// stopped, the check ends early and its result is meaningless. O(keys + operations).
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

    /// Returns whether loading put the key into the store before the run.
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

    /// Returns what the threads' changes imply for each key, given the stamps that were found.
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
            // A lap is one pass through the stream. Each operation of the last lap repeats the same
            // operation of the lap before, so only the last lap matters.
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
