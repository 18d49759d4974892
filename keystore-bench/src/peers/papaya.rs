//! papaya: an open-addressing table of pointers to entries, lock-free, memory reclaimed by hyaline
//! (seize).
//!
//! An entry is one allocation, key and value side by side, and never changes: a write makes a new
//! one. Every access goes through a pin, which its documentation advises to use again where one
//! can: a batch does.
//!
//! Its table moves a few entries at a time, with each write, after it has grown. Its iterators
//! finish that first, by their documentation: so the harness walks a peer once when it has loaded
//! it.

use keystore::{Change, DefaultHasher, Update};
use papaya::{Compute, HashMap, Operation};

use super::map::{Bytes, new_bytes};
use super::pinned::pinned_map;

type Papaya = HashMap<Bytes, Bytes, DefaultHasher>;

pinned_map!(Papaya, update);

/// Does with `key` what `decide` answers to its value, as one step.
#[inline]
fn update<'v>(
    map: &Papaya,
    key: &[u8],
    mut decide: impl FnMut(Option<&[u8]>) -> Update<'v>,
) -> Change {
    let map = map.pin();
    let computed =
        map.compute(key.into(), |entry| match (decide(entry.map(|(_, value)| &**value)), entry) {
            (Update::Set(value), entry) => {
                let old = entry.map(|(_, old)| &**old);
                Operation::Insert((&*new_bytes(&value, old)).into())
            }
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
