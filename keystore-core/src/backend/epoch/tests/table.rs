//! Tests of the table through its primitives.

use super::super::*;
use crate::allocator::Global;
use crate::config::Config;
use crate::keystore::Keystore;
use crate::sync::reentrancy::InternalClosure;

/// A hasher under which all keys share one bucket in a table of any size.
#[derive(Clone, Copy, Default)]
struct Colliding;

impl BuildHasher for Colliding {
    type Hasher = Self;

    fn build_hasher(&self) -> Self {
        Self
    }
}

impl std::hash::Hasher for Colliding {
    fn write(&mut self, _: &[u8]) {}

    fn finish(&self) -> u64 {
        0x0123_4567_89ab_cdef
    }
}

fn table(initial_buckets: usize) -> EpochTable<Global, Colliding> {
    let config = Config { initial_buckets, ..Config::default() };
    let garbage = Garbage::new(Account::new(&config, Global, Colliding).unwrap()).unwrap();
    let initial_bits = config.initial_buckets.ilog2();
    let array = AtomicPtr::new(BucketArray::allocate(initial_bits, None, Pages::Huge).unwrap());
    EpochTable { array, garbage, initial_bits, pages: Pages::Huge }
}

fn set(table: &EpochTable<Global, Colliding>, key: &[u8], guard: &Guard) {
    let hash = table.account().hash(key);
    let record = |change, grown| {
        table.account().counters.record_change(
            crate::account::counters::Operation::Add,
            change,
            grown,
        )
    };
    table
        .update_entry::<UserClosure>(guard, hash, key, None, |_| Update::set(key), record)
        .unwrap();
}

/// Checks that no thread reads a bucket of the old array whose unit has migrated. Its overflow
/// chain may already be freed, though operations still start at the old array.
#[test]
fn a_bucket_whose_unit_has_moved_is_not_looked_into() {
    let table = table(4);
    let keys: Vec<Vec<u8>> = (0..40_u8).map(|n| vec![n]).collect();
    let guard = pin().unwrap();
    // Fill the bucket first, and then start a migration by hand that no other thread helps. So only
    // the unit that this test chooses migrates.
    for key in &keys[..20] {
        set(&table, key, &guard);
    }
    let hash = table.account().hash(b"any");
    let old = table.current(&guard);
    let old_chain = old.bucket(hash).chain(&guard).count();
    assert!(old_chain > 1, "twenty entries of one hash have overflow buckets");
    assert!(old.install_next(
        BucketArray::allocate(old.bits() + 1, Some(old.bits()), Pages::Huge).unwrap()
    ));
    let new = old.next(&guard).unwrap();
    table.migrate_unit(old.unit(new, hash), &guard).unwrap();

    assert!(ptr::eq(table.current(&guard), old), "the other units have not moved");
    let (array, bucket) = table.bucket_to_read(hash, &guard);
    assert!(ptr::eq(array, new));
    assert_eq!(bucket.chain(&guard).count(), old_chain);
    for key in &keys[..20] {
        assert_eq!(
            table.read::<InternalClosure, _>(&guard, hash, key, <[u8]>::to_vec).unwrap().as_ref(),
            Some(key)
        );
    }
    assert!(table.footprint().unwrap().table_bytes > 0);
}

#[test]
fn a_closure_that_writes_the_key_it_decides_about_is_refused() {
    let store = EpochKeystore::default();
    store.set(b"key", b"old").unwrap();
    let change = store.update(b"key", |_| {
        assert_eq!(store.set(b"key", b"inner"), Err(Error::Busy { operation: "write" }));
        assert_eq!(store.get(b"key").unwrap().as_deref(), Some(&b"old"[..]));
        assert_eq!(store.set(b"another", b"inner"), Ok(Change::Created));
        Update::set(b"new".to_vec())
    });
    assert_eq!(change, Ok(Change::Replaced));
    assert_eq!(store.get(b"key").unwrap().as_deref(), Some(&b"new"[..]));
}

#[test]
fn keys_of_one_hash_are_kept_apart() {
    let store = EpochKeystore::with_hasher(&Config::default(), Global, Colliding).unwrap();
    for n in 0..2_000_u32 {
        assert!(store.insert(&n.to_le_bytes(), b"first").unwrap());
    }
    for n in 0..2_000_u32 {
        assert!(!store.insert(&n.to_le_bytes(), b"second").unwrap());
        assert!(store.delete(&n.to_le_bytes()).unwrap());
    }
    assert_eq!(store.len().unwrap(), 0);
}
