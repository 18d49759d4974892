//! Makes scc's `HashIndex` a peer. It has the table of scc's `HashMap`, but readers take no lock.
//!
//! Readers may read an entry at any time, so an entry never changes. A write adds a new entry and
//! marks the old one removed. The old entry is dropped on a later write to its bucket, once no
//! reader can see it. As the documentation recommends, a value is replaced by looking the borrowed
//! key up and calling `update` on the entry, which copies the key.

use std::ops::ControlFlow;

use keystore::{Change, DefaultHasher, Update};
use scc::hash_index::{Entry, OccupiedEntry};
use scc::{Guard, HashIndex};

use super::map::{Bytes, Map, new_bytes};

impl Map for HashIndex<Bytes, Bytes, DefaultHasher> {
    #[inline]
    fn read<R>(&self, key: &[u8], visit: impl FnOnce(&[u8]) -> R) -> Option<R> {
        self.peek_with(key, |_, value| visit(value))
    }

    fn read_many(&self, keys: &[&[u8]], mut visit: impl FnMut(usize, Option<&[u8]>)) {
        let guard = Guard::new();
        for (index, key) in keys.iter().enumerate() {
            visit(index, self.peek(*key, &guard).map(|value| &**value));
        }
    }

    #[inline]
    fn set(&self, key: &[u8], value: &[u8]) -> Change {
        if let Some(mut entry) = self.get_sync(key) {
            entry.update(value.into());
            return Change::Replaced;
        }
        match self.entry_sync(key.into()) {
            Entry::Occupied(mut entry) => {
                entry.update(value.into());
                Change::Replaced
            }
            Entry::Vacant(entry) => {
                entry.insert_entry(value.into());
                Change::Created
            }
        }
    }

    #[inline]
    fn insert(&self, key: &[u8], value: &[u8]) -> bool {
        self.insert_sync(key.into(), value.into()).is_ok()
    }

    #[inline]
    fn update<'v>(
        &self,
        key: &[u8],
        mut decide: impl FnMut(Option<&[u8]>) -> Update<'v>,
    ) -> Change {
        if let Some(entry) = self.get_sync(key) {
            return alter(entry, decide);
        }
        match self.entry_sync(key.into()) {
            Entry::Occupied(entry) => alter(entry, decide),
            Entry::Vacant(entry) => match decide(None) {
                Update::Set(value) => {
                    entry.insert_entry((&*new_bytes(&value, None)).into());
                    Change::Created
                }
                Update::Keep | Update::Delete => Change::Absent,
            },
        }
    }

    #[inline]
    fn remove(&self, key: &[u8]) -> bool {
        self.remove_sync(key)
    }

    fn len(&self) -> usize {
        self.len()
    }

    fn for_each(&self, mut visit: impl FnMut(&[u8], &[u8]) -> ControlFlow<()>) {
        // scc's lock-free iterator may return an entry twice while the table is resized.
        // `iter_sync` holds each bucket's lock instead.
        self.iter_sync(|key, value| visit(key, value).is_continue());
    }
}

/// Applies to an entry what `decide` returns for its value. The entry's bucket is locked.
#[inline]
fn alter<'v>(
    mut entry: OccupiedEntry<'_, Bytes, Bytes, DefaultHasher>,
    mut decide: impl FnMut(Option<&[u8]>) -> Update<'v>,
) -> Change {
    match decide(Some(entry.get())) {
        Update::Keep => Change::Kept,
        Update::Set(value) => {
            let new = new_bytes(&value, Some(entry.get()));
            entry.update((&*new).into());
            Change::Replaced
        }
        Update::Delete => {
            entry.remove_entry();
            Change::Deleted
        }
    }
}
