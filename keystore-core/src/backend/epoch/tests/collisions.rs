//! Tests of keys whose hashes collide. A weak hasher costs time, but the store still works.

use std::hash::{BuildHasher, Hasher, RandomState};

use crate::{Change, Config, EpochKeystore, Global, Keystore};

/// Number of keys that an attacker sends. Each key has six digits.
const KEYS: u32 = 100_000;

fn key(n: u32) -> Vec<u8> {
    format!("{n:06}").into_bytes()
}

/// A hasher that uses only the first bytes of the key. The attacker knows which bytes.
#[derive(Clone, Copy, Debug)]
struct Weak {
    /// Number of bytes of the key that the hash depends on.
    counts: usize,
    hash: u64,
}

impl Weak {
    fn of(counts: usize) -> Self {
        Self { counts, hash: 0 }
    }
}

impl BuildHasher for Weak {
    type Hasher = Self;

    fn build_hasher(&self) -> Self {
        *self
    }
}

impl Hasher for Weak {
    fn write(&mut self, bytes: &[u8]) {
        let counted = bytes.iter().take(self.counts);
        self.hash = counted
            .fold(0, |hash: u64, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x100_0000_01b3));
    }

    fn finish(&self) -> u64 {
        self.hash.wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_right(32)
    }
}

/// Inserts, reads, changes and removes the first `count` keys. Returns the largest number of
/// entries in one bucket when all keys were in the table.
fn fill_and_empty<S>(hasher: S, count: u32) -> u64
where
    S: BuildHasher + Send + Sync + 'static,
{
    let store = EpochKeystore::with_hasher(&Config::default(), Global, hasher).unwrap();
    for n in 0..count {
        assert!(store.insert(&key(n), &n.to_le_bytes()).unwrap());
    }
    assert_eq!(store.len(), Ok(count as usize));
    let longest = store.stats().unwrap().entries.max_in_bucket;
    for n in 0..count {
        assert_eq!(store.get(&key(n)).unwrap().as_deref(), Some(&n.to_le_bytes()[..]));
        if n % 2 == 0 {
            assert_eq!(store.set(&key(n), b"changed"), Ok(Change::Replaced));
        } else {
            assert!(store.delete(&key(n)).unwrap());
        }
    }
    assert_eq!(store.len(), Ok(count as usize / 2));
    for n in 0..count {
        let expected: Option<&[u8]> = (n % 2 == 0).then_some(b"changed");
        assert_eq!(store.take(&key(n)).unwrap().as_deref(), expected);
    }
    assert_eq!(store.len(), Ok(0));
    longest
}

#[test]
fn a_hundred_thousand_keys_of_a_hundred_to_a_hash_are_kept_apart() {
    assert!(fill_and_empty(Weak::of(4), KEYS) >= 100);
}

#[test]
fn thousands_of_keys_of_one_hash_are_kept_apart() {
    assert_eq!(fill_and_empty(Weak::of(0), 5_000), 5_000);
}

#[test]
fn siphash_spreads_the_same_keys() {
    // If a bucket has at most five entries on average, the probability of forty entries in one
    // bucket is below 1 in 10^17.
    assert!(fill_and_empty(RandomState::new(), KEYS) < 40);
}
