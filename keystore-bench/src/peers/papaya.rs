//! papaya: an open-addressing table of pointers to entries, lock-free, memory reclaimed by hyaline (seize).
//!
//! An entry is one allocation, key and value side by side, and never changes: a write makes a new one. Every access
//! goes through a pin, which its documentation advises to use again where one can: a batch does.

use std::ops::ControlFlow;

use keystore_core::{Change, DefaultHasher, Update};
use papaya::{Compute, HashMap, Operation};

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

    #[inline]
    fn set(&self, key: &[u8], value: &[u8]) -> Change {
        match self.pin().insert(key.into(), value.into()) {
            Some(_) => Change::Replaced,
            None => Change::Created,
        }
    }

    #[inline]
    fn insert(&self, key: &[u8], value: &[u8]) -> bool {
        self.pin().try_insert_with(key.into(), || value.into()).is_ok()
    }

    #[inline]
    fn update(&self, key: &[u8], mut decide: impl FnMut(Option<&[u8]>) -> Update) -> Change {
        let map = self.pin();
        let computed =
            map.compute(key.into(), |entry| match (decide(entry.map(|(_, value)| &**value)), entry) {
                (Update::Set(value), _) => Operation::Insert(value.into()),
                (Update::Delete, Some(_)) => Operation::Remove,
                (Update::Keep, Some(_)) => Operation::Abort(Change::Kept),
                (Update::Keep | Update::Delete, None) => Operation::Abort(Change::Absent),
            });
        match computed {
            Compute::Inserted(..) => Change::Created,
            Compute::Updated { .. } => Change::Replaced,
            Compute::Removed(..) => Change::Deleted,
            Compute::Aborted(change) => change,
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
