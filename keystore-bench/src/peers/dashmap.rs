//! Makes dashmap a peer, through its ordinary interface, with `Box<[u8]>` keys and values.
//!
//! Our backend of the same name differs: it puts our nodes into dashmap's shards and passes their
//! hashes. Here, `set` copies the key only if it is new, and overwrites a value of the same length
//! in place.

use std::ops::ControlFlow;

use dashmap::{DashMap, Entry};
use keystore::{Change, DefaultHasher, Update};

use super::map::{Bytes, Map, new_bytes, overwrite};

impl Map for DashMap<Bytes, Bytes, DefaultHasher> {
    #[inline]
    fn read<R>(&self, key: &[u8], visit: impl FnOnce(&[u8]) -> R) -> Option<R> {
        self.get(key).map(|value| visit(&value))
    }

    #[inline]
    fn set(&self, key: &[u8], value: &[u8]) -> Change {
        if let Some(mut old) = self.get_mut(key) {
            overwrite(&mut old, value);
            return Change::Replaced;
        }
        match self.insert(key.into(), value.into()) {
            Some(_) => Change::Replaced,
            None => Change::Created,
        }
    }

    #[inline]
    fn insert(&self, key: &[u8], value: &[u8]) -> bool {
        match self.entry(key.into()) {
            Entry::Occupied(_) => false,
            Entry::Vacant(entry) => {
                entry.insert(value.into());
                true
            }
        }
    }

    #[inline]
    fn update<'v>(
        &self,
        key: &[u8],
        mut decide: impl FnMut(Option<&[u8]>) -> Update<'v>,
    ) -> Change {
        // `remove_if_mut` is dashmap's only operation that can keep, change or remove an entry
        // under one lock and takes a borrowed key.
        let mut change = None;
        self.remove_if_mut(key, |_, old| {
            let (done, remove) = match decide(Some(old)) {
                Update::Keep => (Change::Kept, false),
                Update::Set(value) => {
                    let new = new_bytes(&value, Some(old));
                    overwrite(old, &new);
                    (Change::Replaced, false)
                }
                Update::Delete => (Change::Deleted, true),
            };
            change = Some(done);
            remove
        });
        if let Some(change) = change {
            return change;
        }
        match self.entry(key.into()) {
            Entry::Occupied(mut entry) => match decide(Some(entry.get())) {
                Update::Keep => Change::Kept,
                Update::Set(value) => {
                    let new = new_bytes(&value, Some(entry.get()));
                    overwrite(entry.get_mut(), &new);
                    Change::Replaced
                }
                Update::Delete => {
                    entry.remove();
                    Change::Deleted
                }
            },
            Entry::Vacant(entry) => match decide(None) {
                Update::Set(value) => {
                    entry.insert((&*new_bytes(&value, None)).into());
                    Change::Created
                }
                Update::Keep | Update::Delete => Change::Absent,
            },
        }
    }

    #[inline]
    fn remove(&self, key: &[u8]) -> bool {
        self.remove(key).is_some()
    }

    fn len(&self) -> usize {
        self.len()
    }

    fn for_each(&self, mut visit: impl FnMut(&[u8], &[u8]) -> ControlFlow<()>) {
        let _ = self.iter().try_for_each(|entry| visit(entry.key(), entry.value()));
    }
}
