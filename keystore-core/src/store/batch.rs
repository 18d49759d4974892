//! Batches: many keys in one call, whose waits for memory overlap.
//!
//! A batch enters the table once and takes its keys in groups of [`GROUP`]. For each group it
//!
//! 1. computes all hashes and prefetches all buckets,
//! 2. prefetches all nodes,
//! 3. runs the operations in order.
//!
//! So the waits of a group overlap instead of adding up (the idea of DRAMHiT and of DLHT's
//! batches).

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

use super::session::Entered;
use crate::account::counters::Operation;
use crate::error::{BatchError, Result};
use crate::keystore::Change;
use crate::sync::reentrancy::{InternalClosure, UserClosure};
use crate::table::Table;
use crate::update::Update;

/// Number of keys of a batch that are in flight together. They fill a core's line buffers twice
/// over, and are few enough that a prefetched line is still in the first-level cache when its turn
/// comes.
const GROUP: usize = 32;

impl<T: Table, const WRITES: bool> Entered<'_, T, WRITES> {
    /// Runs `each` on every item of a batch, in order, after it prefetched the buckets and nodes of
    /// the item's group.
    fn in_groups<I>(
        &mut self,
        operation: Operation,
        items: &[I],
        key_of: impl Fn(&I) -> &[u8],
        mut each: impl FnMut(&Self, usize, u64, &I) -> Result<()>,
    ) -> Result<(), BatchError> {
        let store = self.store;
        let mut hashes = [0; GROUP];
        for (group, items) in items.chunks(GROUP).enumerate() {
            let mut refused = None;
            let mut valid = 0;
            // The user's hasher may panic. Then the keys before that one are done first, as single
            // operations would be.
            let hashing = catch_unwind(AssertUnwindSafe(|| {
                for item in items {
                    match store.checked_hash(operation, key_of(item)) {
                        Ok(hash) => {
                            hashes[valid] = hash;
                            store.table().prefetch_bucket(&self.session, hash);
                            valid += 1;
                        }
                        Err(error) => {
                            refused = Some(error);
                            break;
                        }
                    }
                }
            }));
            for &hash in &hashes[..valid] {
                store.table().prefetch_node(&self.session, hash);
            }
            for (at, (item, &hash)) in items.iter().zip(&hashes[..valid]).enumerate() {
                let index = group * GROUP + at;
                each(self, index, hash, item).map_err(|error| BatchError { index, error })?;
            }
            hashing.unwrap_or_else(|panic| resume_unwind(panic));
            self.refresh();
            if let Some(error) = refused {
                return Err(BatchError { index: group * GROUP + valid, error });
            }
        }
        Ok(())
    }

    pub(crate) fn read_many(
        &mut self,
        keys: &[&[u8]],
        mut visit: impl FnMut(usize, Option<&[u8]>),
    ) -> Result<(), BatchError> {
        self.in_groups(
            Operation::Find,
            keys,
            |key| key,
            |entered, index, hash, key| {
                let shown = entered
                    .read_hashed::<UserClosure, _>(hash, key, |value| visit(index, Some(value)));
                if shown?.is_none() {
                    visit(index, None);
                }
                Ok(())
            },
        )
    }

    pub(crate) fn set_many(&mut self, entries: &[(&[u8], &[u8])]) -> Result<usize, BatchError> {
        self.write_entries(entries, |_, value| Update::set(value))
    }

    pub(crate) fn insert_many(&mut self, entries: &[(&[u8], &[u8])]) -> Result<usize, BatchError> {
        self.write_entries(entries, |old, value| match old {
            Some(_) => Update::Keep,
            None => Update::set(value),
        })
    }

    /// Writes each entry, and returns the number of keys that were created.
    #[inline]
    fn write_entries(
        &mut self,
        entries: &[(&[u8], &[u8])],
        decide: impl for<'v> Fn(Option<&[u8]>, &'v [u8]) -> Update<'v>,
    ) -> Result<usize, BatchError> {
        let mut created = 0;
        self.in_groups(
            Operation::Add,
            entries,
            |entry| entry.0,
            |entered, _, hash, &(key, value)| {
                let change = entered.update_hashed::<InternalClosure>(
                    Operation::Add,
                    hash,
                    key,
                    Some(value),
                    |old| decide(old, value),
                )?;
                created += usize::from(change == Change::Created);
                Ok(())
            },
        )?;
        Ok(created)
    }

    pub(crate) fn update_many<'v>(
        &mut self,
        keys: &[&[u8]],
        mut decide: impl FnMut(usize, Option<&[u8]>) -> Update<'v>,
    ) -> Result<usize, BatchError> {
        let mut changed = 0;
        self.in_groups(
            Operation::Add,
            keys,
            |key| key,
            |entered, index, hash, key| {
                let change = entered.update_hashed::<UserClosure>(
                    Operation::Add,
                    hash,
                    key,
                    None,
                    |old| decide(index, old),
                )?;
                changed += usize::from(change.is_effective());
                Ok(())
            },
        )?;
        Ok(changed)
    }

    pub(crate) fn delete_many(&mut self, keys: &[&[u8]]) -> Result<usize, BatchError> {
        let mut deleted = 0;
        self.in_groups(
            Operation::Delete,
            keys,
            |key| key,
            |entered, _, hash, key| {
                let change = entered.update_hashed::<InternalClosure>(
                    Operation::Delete,
                    hash,
                    key,
                    None,
                    |_| Update::Delete,
                )?;
                deleted += usize::from(change == Change::Deleted);
                Ok(())
            },
        )?;
        Ok(deleted)
    }

    pub(crate) fn take_many(
        &mut self,
        keys: &[&[u8]],
        mut visit: impl FnMut(usize, Option<Vec<u8>>),
    ) -> Result<usize, BatchError> {
        let mut taken = 0;
        self.in_groups(
            Operation::Delete,
            keys,
            |key| key,
            |entered, index, hash, key| {
                let value = entered.take_hashed(hash, key)?;
                taken += usize::from(value.is_some());
                visit(index, value);
                Ok(())
            },
        )?;
        Ok(taken)
    }
}
