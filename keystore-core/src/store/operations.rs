//! The operations on one key, by a thread that has entered the table. Each is made of the one
//! atomic step of a table.

use crate::account::counters::{Event, Operation};
use crate::error::{Error, Result};
use crate::fallible::try_reserve;
use crate::hash::samples_entries;
use crate::keystore::{Change, Exchange};
use crate::node::Node;
use crate::scan::copy;
use crate::store::Store;
use crate::store::session::Entered;
use crate::sync::reentrancy::{Closure, InternalClosure, UserClosure};
use crate::table::Table;
use crate::update::Update;

#[expect(private_bounds, reason = "tables are the crate's own")]
impl<T: Table> Store<T> {
    /// Returns the hash of a key whose length is within its limits, or the error.
    #[inline]
    pub(crate) fn checked_hash(&self, operation: Operation, key: &[u8]) -> Result<u64> {
        match Node::check_key(key) {
            Ok(()) => Ok(self.table().account().hash(key)),
            Err(error) => self.fail(operation, error),
        }
    }

    /// Records a failed call, and returns its error. It is a call of its own, so that a call that
    /// succeeds moves no error.
    #[cold]
    #[inline(never)]
    pub(crate) fn fail<R>(&self, operation: Operation, error: Error) -> Result<R> {
        self.table().account().counters.record_failure(operation, &error);
        Err(error)
    }
}

impl<T: Table, const WRITES: bool> Entered<'_, T, WRITES> {
    /// Shrinks a sparse table after 1 removal in 32, if shrinking is automatic.
    #[inline(never)]
    fn after_removal(&self, hash: u64) {
        if samples_entries(hash) {
            self.store.shrink_if_sparse(&self.session);
        }
    }

    /// Shows the value of a key whose hash is known to `visit`.
    #[inline]
    pub(crate) fn read_hashed<C: Closure, R>(
        &self,
        hash: u64,
        key: &[u8],
        visit: impl FnOnce(&[u8]) -> R,
    ) -> Result<Option<R>> {
        match self.store.table().read::<C, R>(&self.session, hash, key, visit) {
            Ok(found) => {
                self.store.table().account().counters.record(if found.is_some() {
                    Event::FindHit
                } else {
                    Event::FindMiss
                });
                Ok(found)
            }
            Err(error) => self.store.fail(Operation::Find, error),
        }
    }

    /// Does one atomic step on a key whose hash is known, and records its effect.
    #[inline(always)]
    pub(crate) fn update_hashed<'v, C: Closure>(
        &self,
        operation: Operation,
        hash: u64,
        key: &[u8],
        likely: Option<&[u8]>,
        decide: impl FnMut(Option<&[u8]>) -> Update<'v>,
    ) -> Result<Change> {
        let record = |change, grown| {
            self.store.table().account().counters.record_change(operation, change, grown)
        };
        match self.store.table().update_entry::<C>(&self.session, hash, key, likely, decide, record)
        {
            Ok(change) => {
                if change == Change::Deleted {
                    self.after_removal(hash);
                }
                Ok(change)
            }
            Err(error) => self.store.fail(operation, error),
        }
    }

    #[inline(always)]
    fn update_entry<'v, C: Closure>(
        &self,
        operation: Operation,
        key: &[u8],
        likely: Option<&[u8]>,
        decide: impl FnMut(Option<&[u8]>) -> Update<'v>,
    ) -> Result<Change> {
        let hash = self.store.checked_hash(operation, key)?;
        self.update_hashed::<C>(operation, hash, key, likely, decide)
    }

    #[inline]
    pub(crate) fn read<C: Closure, R>(
        &self,
        key: &[u8],
        visit: impl FnOnce(&[u8]) -> R,
    ) -> Result<Option<R>> {
        let hash = self.store.checked_hash(Operation::Find, key)?;
        self.read_hashed::<C, R>(hash, key, visit)
    }

    #[inline]
    pub(crate) fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>> {
        self.read::<InternalClosure, _>(key, copy)?.transpose()
    }

    #[inline]
    pub(crate) fn get_into(&self, key: &[u8], buffer: &mut Vec<u8>) -> Result<bool> {
        buffer.clear();
        let copied = self.read::<InternalClosure, _>(key, |value| {
            try_reserve(buffer, value.len())?;
            buffer.extend_from_slice(value);
            Ok(())
        })?;
        copied.transpose().map(|found| found.is_some())
    }

    #[inline]
    pub(crate) fn contains(&self, key: &[u8]) -> Result<bool> {
        Ok(self.read::<InternalClosure, _>(key, |_| ())?.is_some())
    }

    #[inline]
    pub(crate) fn set(&self, key: &[u8], value: &[u8]) -> Result<Change> {
        let decide = |_: Option<&[u8]>| Update::set(value);
        self.update_entry::<InternalClosure>(Operation::Add, key, Some(value), decide)
    }

    #[inline]
    pub(crate) fn insert(&self, key: &[u8], value: &[u8]) -> Result<bool> {
        let change = self.update_entry::<InternalClosure>(
            Operation::Add,
            key,
            Some(value),
            |old| match old {
                Some(_) => Update::Keep,
                None => Update::set(value),
            },
        )?;
        Ok(change == Change::Created)
    }

    #[inline]
    pub(crate) fn update<'v>(
        &self,
        key: &[u8],
        decide: impl FnMut(Option<&[u8]>) -> Update<'v>,
    ) -> Result<Change> {
        self.update_entry::<UserClosure>(Operation::Add, key, None, decide)
    }

    pub(crate) fn compare_exchange(
        &self,
        key: &[u8],
        expected: Option<&[u8]>,
        new: Option<&[u8]>,
    ) -> Result<Exchange> {
        let mut found = Ok(None);
        let mut differs = false;
        self.update_entry::<InternalClosure>(Operation::Add, key, new, |old| {
            differs = old != expected;
            match new {
                _ if differs => {
                    found = old.map(copy).transpose();
                    Update::Keep
                }
                Some(value) => Update::set(value),
                None => Update::Delete,
            }
        })?;
        if differs { found.map(Exchange::Differs) } else { Ok(Exchange::Exchanged) }
    }

    #[inline]
    pub(crate) fn delete(&self, key: &[u8]) -> Result<bool> {
        let change =
            self.update_entry::<InternalClosure>(Operation::Delete, key, None, |_| Update::Delete)?;
        Ok(change == Change::Deleted)
    }

    pub(crate) fn take(&self, key: &[u8]) -> Result<Option<Vec<u8>>> {
        let hash = self.store.checked_hash(Operation::Delete, key)?;
        self.take_hashed(hash, key)
    }

    pub(crate) fn take_hashed(&self, hash: u64, key: &[u8]) -> Result<Option<Vec<u8>>> {
        let mut taken = Ok(None);
        self.update_hashed::<InternalClosure>(Operation::Delete, hash, key, None, |old| {
            taken = old.map(copy).transpose();
            // If the value cannot be copied, the key stays.
            if taken.is_ok() { Update::Delete } else { Update::Keep }
        })?;
        taken
    }
}
