//! The counts of a thread's calls and faults. Each thread keeps its own; they are added up at the
//! end.

use std::fmt::Display;

use keystore::Result;

use super::entry::KeyId;
use super::outcome::Faults;

/// Numbers of calls, by the kind as which the store counts them (see
/// [`OperationStats`](keystore::OperationStats)), and faults.
#[derive(Debug, Default)]
pub(super) struct Tally {
    pub(super) adds: u64,
    pub(super) finds: u64,
    pub(super) deletes: u64,
    pub(super) faults: Faults,
}

impl Tally {
    /// Counts a call that writes, and returns its answer.
    #[inline]
    pub(super) fn add<T>(&mut self, id: KeyId, verb: &str, answer: Result<T>) -> Option<T> {
        self.adds += 1;
        self.answer(id, verb, answer)
    }

    /// Counts a call that reads, and returns its answer.
    #[inline]
    pub(super) fn find<T>(&mut self, id: KeyId, verb: &str, answer: Result<T>) -> Option<T> {
        self.finds += 1;
        self.answer(id, verb, answer)
    }

    /// Counts a call that removes, and returns its answer.
    #[inline]
    pub(super) fn delete<T>(&mut self, id: KeyId, verb: &str, answer: Result<T>) -> Option<T> {
        self.deletes += 1;
        self.answer(id, verb, answer)
    }

    #[inline]
    fn answer<T>(&mut self, id: KeyId, verb: &str, answer: Result<T>) -> Option<T> {
        match answer {
            Ok(answer) => Some(answer),
            Err(error) => {
                self.error(format_args!("{verb} of {id}: {error}"));
                None
            }
        }
    }

    #[cold]
    pub(super) fn error(&mut self, what: impl Display) {
        self.faults.errors += 1;
        self.faults.note(what.to_string());
    }

    #[cold]
    pub(super) fn missing(&mut self, id: KeyId, when: &str) {
        self.faults.missing += 1;
        self.faults.note(format!("{id} is missing {when}"));
    }

    #[cold]
    pub(super) fn wrong(&mut self, id: KeyId, what: impl Display) {
        self.faults.wrong += 1;
        self.faults.note(format!("{id}: {what}"));
    }

    /// Returns the number of calls of all kinds.
    pub(super) const fn calls(&self) -> u64 {
        self.adds + self.finds + self.deletes
    }

    /// Adds the counts of another thread or step.
    pub(super) fn merge(&mut self, other: Self) {
        self.adds += other.adds;
        self.finds += other.finds;
        self.deletes += other.deletes;
        self.faults.merge(other.faults);
    }
}
