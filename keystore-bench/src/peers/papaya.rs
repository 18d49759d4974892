//! Makes papaya a peer. papaya is a lock-free open-addressing table of pointers to entries. It
//! reclaims memory with the hyaline scheme (crate seize).
//!
//! An entry is one allocation for the key and the value, and never changes: a write makes a new
//! entry. Every access needs a pin. papaya's documentation advises to reuse a pin, so a batch takes
//! one pin.
//!
//! After the table has grown, each write moves a few entries. According to the documentation, an
//! iterator first finishes that move. So the harness scans a peer once after loading it.

use keystore::{Change, DefaultHasher, Update};
use papaya::{Compute, HashMap, Operation};

use super::map::{Bytes, new_bytes};
use super::pinned::pinned_map;

type Papaya = HashMap<Bytes, Bytes, DefaultHasher>;

pinned_map!(Papaya, update);

/// Atomically applies to `key` what `decide` returns for its value.
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

    /// A [`BuildHasher`] that counts the keys that are hashed.
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
        // A write of a new key hashes that key and the keys that it moves.
        let last = Cell::new(0);
        let add = || {
            last.set(last.get() + 1);
            _ = map.pin().insert(last.get(), 0);
        };
        // Write until a move has ended, and then until the next one begins.
        let mut quiet = 0;
        while quiet < 300 || last.get() < 200_000 {
            quiet = if hashed(&add) == 1 { quiet + 1 } else { 0 };
        }
        while hashed(&add) == 1 {}
        // Only a write that meets a moved entry helps to move more, so try many writes.
        assert!((0..10_000).any(|_| hashed(&add) > 1), "the table is still moving");
        assert_eq!(map.pin().iter().count() as u64, last.get());
        for _ in 0..10_000 {
            assert_eq!(hashed(&add), 1, "nothing is left to move");
        }
    }
}
