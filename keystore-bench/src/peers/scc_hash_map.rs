//! Makes scc's `HashMap` a peer. Each of its buckets has a reader-writer lock, and a table grows
//! bucket by bucket.
//!
//! The adapter uses the synchronous operations. Lookups and overwriting take a borrowed key, so
//! only a new key is copied.

use std::ops::ControlFlow;

use keystore::{Change, DefaultHasher, Update};
use scc::HashMap;
use scc::hash_map::{Entry, OccupiedEntry};

use super::map::{Bytes, Map, new_bytes, overwrite};

impl Map for HashMap<Bytes, Bytes, DefaultHasher> {
    #[inline]
    fn read<R>(&self, key: &[u8], visit: impl FnOnce(&[u8]) -> R) -> Option<R> {
        self.read_sync(key, |_, value| visit(value))
    }

    #[inline]
    fn set(&self, key: &[u8], value: &[u8]) -> Change {
        if self.update_sync(key, |_, old| overwrite(old, value)).is_some() {
            return Change::Replaced;
        }
        match self.upsert_sync(key.into(), value.into()) {
            Some(_) => Change::Replaced,
            None => Change::Created,
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
        self.remove_sync(key).is_some()
    }

    fn len(&self) -> usize {
        self.len()
    }

    fn for_each(&self, mut visit: impl FnMut(&[u8], &[u8]) -> ControlFlow<()>) {
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
            overwrite(entry.get_mut(), &new);
            Change::Replaced
        }
        Update::Delete => {
            let _ = entry.remove();
            Change::Deleted
        }
    }
}
