//! Keys and values for the checks, and comparison of a store's whole content.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hasher};
use std::ops::ControlFlow;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use keystore::{Config, Keystore};
use rand::{Rng, RngExt};

/// The content of a store.
pub(crate) type Entries = BTreeMap<Vec<u8>, Vec<u8>>;

/// Returns a configuration with one initial bucket, so that all entries collide and growth begins
/// at once.
pub(crate) fn one_bucket() -> Config {
    Config { initial_buckets: 1, ..Config::default() }
}

/// Returns the key of number `n`.
pub(crate) fn key(n: usize) -> Vec<u8> {
    format!("key {n}").into_bytes()
}

/// Returns bytes that depend on their position and on `seed`.
pub(crate) fn bytes(seed: usize, length: usize) -> Vec<u8> {
    (0..length)
        .map(|at| (at.wrapping_mul(31) ^ at >> 8).wrapping_add(seed.wrapping_mul(101)) as u8)
        .collect()
}

/// Returns all entries of `store`, and checks that `for_each` shows each of them once.
pub(crate) fn contents(store: &dyn Keystore) -> Entries {
    let mut entries = Entries::new();
    store
        .for_each_dyn(&mut |key, value| {
            assert!(
                entries.insert(key.to_vec(), value.to_vec()).is_none(),
                "{key:?} is shown twice"
            );
            ControlFlow::Continue(())
        })
        .expect("for_each answers");
    entries
}

/// Checks that the store holds exactly `expected`, by every operation that reads.
pub(crate) fn assert_holds(store: &dyn Keystore, expected: &Entries) {
    for (key, value) in expected {
        assert_eq!(store.get(key).as_ref().map(Option::as_ref), Ok(Some(value)), "get of {key:?}");
    }
    let found = contents(store);
    if found != *expected {
        let lost: Vec<_> = expected.keys().filter(|&key| !found.contains_key(key)).collect();
        let extra: Vec<_> = found.keys().filter(|&key| !expected.contains_key(key)).collect();
        panic!("for_each does not show {lost:?}, and shows {extra:?} or other values besides");
    }
    assert_eq!(store.len(), Ok(expected.len()));
    assert_eq!(store.is_empty(), Ok(expected.is_empty()));
    let entries = store.stats().expect("stats answers").entries;
    assert_eq!(entries.count, expected.len() as u64, "entries in stats");
}

/// Adds `count` entries to a store and returns them.
pub(crate) fn fill(store: &dyn Keystore, count: usize) -> Entries {
    (0..count)
        .map(|n| {
            let (key, value) = (key(n), bytes(n, n % 100));
            store.set(&key, &value).expect("set answers");
            (key, value)
        })
        .collect()
}

/// Length of the checksum at the start of a sealed value, bytes.
const SEAL: usize = 8;

/// Returns a value for `key` that shows if it is whole. It has random bytes, after a checksum over
/// the key and these bytes. Most values are under 300 bytes, and some have 10 KiB.
pub(crate) fn sealed(key: &[u8], rng: &mut impl Rng) -> Vec<u8> {
    let length = if rng.random_ratio(1, 64) { 10 << 10 } else { rng.random_range(SEAL..300) };
    let mut value = vec![0; length];
    rng.fill_bytes(&mut value[SEAL..]);
    let seal = seal(key, &value[SEAL..]);
    value[..SEAL].copy_from_slice(&seal);
    value
}

/// Checks that `value` was made by [`sealed`] for `key`, and is not torn.
#[track_caller]
pub(crate) fn assert_whole(key: &[u8], value: &[u8]) {
    let whole = value.len() >= SEAL && value[..SEAL] == seal(key, &value[SEAL..]);
    assert!(
        whole,
        "the value of {key:?} is torn, or another key's: {} bytes, {:?}...",
        value.len(),
        &value[..value.len().min(16)]
    );
}

fn seal(key: &[u8], rest: &[u8]) -> [u8; SEAL] {
    let mut hasher = DefaultHasher::new();
    hasher.write(key);
    hasher.write(rest);
    hasher.finish().to_le_bytes()
}

/// Returns a number as a value.
pub(crate) fn number(n: u64) -> Vec<u8> {
    n.to_le_bytes().to_vec()
}

/// Returns a value as a number, and 0 if there is no value.
pub(crate) fn as_number(value: Option<&[u8]>) -> u64 {
    value.map_or(0, |value| u64::from_le_bytes(value.try_into().expect("eight bytes")))
}

/// Guard that tells threads to stop when it is dropped. So they also stop if the check that started
/// them fails.
pub(crate) struct Stop<'a>(pub(crate) &'a AtomicBool);

impl Drop for Stop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Relaxed);
    }
}
