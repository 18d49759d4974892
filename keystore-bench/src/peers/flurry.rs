//! flurry: Java's `ConcurrentHashMap` in Rust: bins of linked nodes, readers without locks, writers lock a bin.
//!
//! It has an atomic change for a key that is present and an atomic insertion for one that is absent, and nothing for
//! both, so an update tries one and then the other until one of them meets the key as it wants it.

use std::ops::ControlFlow;

use flurry::HashMap;
use keystore::{Change, DefaultHasher, Update};

use super::map::{Bytes, Map};

impl Map for HashMap<Bytes, Bytes, DefaultHasher> {
    #[inline]
    fn read<R>(&self, key: &[u8], visit: impl FnOnce(&[u8]) -> R) -> Option<R> {
        self.pin().get(key).map(|value| visit(value))
    }

    fn read_many(&self, keys: &[&[u8]], mut visit: impl FnMut(usize, Option<&[u8]>)) {
        let map = self.pin();
        for (index, key) in keys.iter().enumerate() {
            visit(index, map.get(*key).map(|value| &**value));
        }
    }

    fn set_many(&self, entries: &[(&[u8], &[u8])]) -> usize {
        let map = self.pin();
        entries.iter().filter(|(key, value)| map.insert((*key).into(), (*value).into()).is_none()).count()
    }

    fn remove_many(&self, keys: &[&[u8]]) -> usize {
        let map = self.pin();
        keys.iter().filter(|key| map.remove(**key).is_some()).count()
    }

    #[inline]
    fn set(&self, key: &[u8], value: &[u8]) -> Change {
        match self.pin().insert(key.into(), value.into()) {
            Some(_) => Change::Replaced,
            None => Change::Created,
        }
    }

    #[inline]
    fn insert(&self, key: &[u8], value: &[u8]) -> bool {
        self.pin().try_insert(key.into(), value.into()).is_ok()
    }

    #[inline]
    fn update(&self, key: &[u8], mut decide: impl FnMut(Option<&[u8]>) -> Update) -> Change {
        let map = self.pin();
        loop {
            let mut change = None;
            map.compute_if_present(key, |_, old| {
                let (done, value) = match decide(Some(old)) {
                    // It has no way to leave a value as it is but to give it again.
                    Update::Keep => (Change::Kept, Some(old.clone())),
                    Update::Set(value) => (Change::Replaced, Some(value.into())),
                    Update::Delete => (Change::Deleted, None),
                };
                change = Some(done);
                value
            });
            if let Some(change) = change {
                return change;
            }
            let Update::Set(value) = decide(None) else { return Change::Absent };
            if map.try_insert(key.into(), value.into()).is_ok() {
                return Change::Created;
            }
        }
    }

    #[inline]
    fn remove(&self, key: &[u8]) -> bool {
        self.pin().remove(key).is_some()
    }

    fn len(&self) -> usize {
        self.len()
    }

    fn for_each(&self, mut visit: impl FnMut(&[u8], &[u8]) -> ControlFlow<()>) {
        let _ = self.pin().iter().try_for_each(|(key, value)| visit(key, value));
    }
}
