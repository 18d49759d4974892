//! Keys and values to check with, and whole contents to compare.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hasher};
use std::ops::ControlFlow;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use keystore::{Config, Keystore};
use rand::{Rng, RngExt};

/// What a store holds.
pub(crate) type Entries = BTreeMap<Vec<u8>, Vec<u8>>;

/// A table of one bucket at the start, so that everything collides and growth begins at once.
pub(crate) fn one_bucket() -> Config {
    Config { initial_buckets: 1, ..Config::default() }
}

/// The key of number `n`.
pub(crate) fn key(n: usize) -> Vec<u8> {
    format!("key {n}").into_bytes()
}

/// Bytes that differ from place to place and from `seed` to `seed`.
pub(crate) fn bytes(seed: usize, length: usize) -> Vec<u8> {
    (0..length)
        .map(|at| (at.wrapping_mul(31) ^ at >> 8).wrapping_add(seed.wrapping_mul(101)) as u8)
        .collect()
}

/// All entries of `store`, each of which `for_each` shows once.
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

/// Checks that the store holds exactly `expected`, asking in every way there is.
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

/// Fills a store with `count` entries and says what it holds then.
pub(crate) fn fill(store: &dyn Keystore, count: usize) -> Entries {
    (0..count)
        .map(|n| {
            let (key, value) = (key(n), bytes(n, n % 100));
            store.set(&key, &value).expect("set answers");
            (key, value)
        })
        .collect()
}

/// Bytes of a sealed value that are its checksum.
const SEAL: usize = 8;

/// A value for `key` that shows whether it is whole: a checksum over the key and the rest, and the
/// rest at random. Mostly under 300 bytes, sometimes 10 KiB.
pub(crate) fn sealed(key: &[u8], rng: &mut impl Rng) -> Vec<u8> {
    let length = if rng.random_ratio(1, 64) { 10 << 10 } else { rng.random_range(SEAL..300) };
    let mut value = vec![0; length];
    rng.fill_bytes(&mut value[SEAL..]);
    let seal = seal(key, &value[SEAL..]);
    value[..SEAL].copy_from_slice(&seal);
    value
}

/// Checks that `value` was made by [`sealed`] for `key`, and has not been torn.
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

/// A number as a value.
pub(crate) fn number(n: u64) -> Vec<u8> {
    n.to_le_bytes().to_vec()
}

/// A value as a number; an absent one is 0.
pub(crate) fn as_number(value: Option<&[u8]>) -> u64 {
    value.map_or(0, |value| u64::from_le_bytes(value.try_into().expect("eight bytes")))
}

/// Tells threads to stop, also where the check that started them fails.
pub(crate) struct Stop<'a>(pub(crate) &'a AtomicBool);

impl Drop for Stop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Relaxed);
    }
}
