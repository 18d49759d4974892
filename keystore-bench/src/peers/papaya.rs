//! papaya: an open-addressing table of pointers to entries, lock-free, memory reclaimed by hyaline (seize).
//!
//! An entry is one allocation, key and value side by side, and never changes: a write makes a new one. Every access
//! goes through a pin, which its documentation advises to use again where one can: a batch does.
//!
//! Its table moves a few entries at a time, with each write, after it has grown. Its iterators
//! finish that first, by their documentation: so the harness walks a peer once when it has loaded
//! it.

use std::ops::ControlFlow;

use keystore::{Change, DefaultHasher, Update};
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

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::hash::{BuildHasher, Hasher};
    use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

    use super::*;

    /// Hashers that count how many keys were hashed.
    #[derive(Default)]
    struct Counting {
        keys: AtomicUsize,
        inner: DefaultHasher,
    }

    impl BuildHasher for &Counting {
        type Hasher = Box<dyn Hasher>;

        fn build_hasher(&self) -> Self::Hasher {
            self.keys.fetch_add(1, Relaxed);
            Box::new(self.inner.build_hasher())
        }
    }

    #[test]
    fn a_walk_after_loading_finishes_what_the_table_had_begun_to_move() {
        let counting = Counting::default();
        let map: HashMap<u64, u64, &Counting> = HashMap::with_hasher(&counting);
        let hashed = |call: &dyn Fn()| {
            let before = counting.keys.load(Relaxed);
            call();
            counting.keys.load(Relaxed) - before
        };
        // A write of a new key hashes that, and the keys that it moves.
        let last = Cell::new(0);
        let add = || {
            last.set(last.get() + 1);
            _ = map.pin().insert(last.get(), 0);
        };
        // Until a move has ended, and then until the next one has begun.
        let mut quiet = 0;
        while quiet < 300 || last.get() < 200_000 {
            quiet = if hashed(&add) == 1 { quiet + 1 } else { 0 };
        }
        while hashed(&add) == 1 {}
        // Writes that come upon what was moved help; others do not.
        assert!((0..10_000).any(|_| hashed(&add) > 1), "the table is still moving");
        assert_eq!(map.pin().iter().count() as u64, last.get());
        for _ in 0..10_000 {
            assert_eq!(hashed(&add), 1, "nothing is left to move");
        }
    }
}
