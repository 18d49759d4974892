//! Adds and removes entries, so that the table grows and shrinks while other threads make calls.

use std::sync::atomic::{AtomicBool, Ordering};

use keystore::Keystore;
use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};

use super::Checked;

/// Base-2 logarithm of the largest number of entries that are added at once. With that many, a
/// table of one bucket doubles about eleven times.
const MOST_BITS: u32 = 13;

/// Adds and removes entries until `stop`. Looks up every entry while it is present, and some
/// entries after they were removed.
pub(super) fn run<K: Keystore + ?Sized>(store: &K, seed: u64, stop: &AtomicBool) -> Checked {
    let mut churn = Churn { store, size: 0, checked: Checked::default() };
    let mut rng = SmallRng::seed_from_u64(!seed);
    while !stop.load(Ordering::Relaxed) {
        let entries = 1 << rng.random_range(4..=MOST_BITS);
        let keys: Vec<[u8; 10]> = (0..entries).map(key).collect();
        if rng.random_range(0..4) == 0 {
            churn.expect(store.reserve(2 * entries as usize).is_ok());
        }
        if churn.come(&keys, stop) {
            churn.look(&keys, true);
        }
        churn.go(&keys, &mut rng);
        churn.look(&keys[..keys.len() / 8], false);
        churn.expect(store.shrink().is_ok());
        churn.look_at_size();
    }
    churn.checked
}

/// Returns the key of temporary entry `n`.
fn key(n: u64) -> [u8; 10] {
    let mut key = *b"by........";
    key[2..].copy_from_slice(&n.to_be_bytes());
    key
}

struct Churn<'a, K: ?Sized> {
    store: &'a K,
    /// Bytes of the table at the last measurement.
    size: u64,
    checked: Checked,
}

impl<K: Keystore + ?Sized> Churn<'_, K> {
    fn expect(&mut self, holds: bool) {
        self.checked.lost += u64::from(!holds);
    }

    /// Counts a resize if the size of the table has changed.
    fn look_at_size(&mut self) {
        let size = self.store.table_bytes().unwrap_or(self.size);
        self.checked.resizes += u64::from(size != self.size);
        self.size = size;
    }

    /// Adds the entries, some in batches. Returns whether all were added before `stop`.
    fn come(&mut self, keys: &[[u8; 10]], stop: &AtomicBool) -> bool {
        for (at, chunk) in keys.chunks(32).enumerate() {
            if stop.load(Ordering::Relaxed) {
                return false;
            }
            if at % 2 == 0 {
                let entries: Vec<(&[u8], &[u8])> =
                    chunk.iter().map(|key| (&key[..], &key[..])).collect();
                self.expect(self.store.set_many(&entries) == Ok(chunk.len()));
            } else {
                for key in chunk {
                    self.expect(self.store.insert(key, key) == Ok(true));
                }
            }
            self.checked.passers_by += chunk.len() as u64;
            self.look_at_size();
        }
        true
    }

    /// Checks that the entries are present, each with its own key as its value, or that all are
    /// absent.
    fn look(&mut self, keys: &[[u8; 10]], there: bool) {
        for key in keys {
            let mut whole = false;
            let found = self.store.read_dyn(key, &mut |value| whole = value == key);
            self.expect(found == Ok(there) && whole == there);
        }
    }

    /// Removes the entries: one by one, in batches, or by a scan that must leave all other entries
    /// unchanged.
    fn go(&mut self, keys: &[[u8; 10]], rng: &mut SmallRng) {
        match rng.random_range(0..3) {
            0 => keys.iter().for_each(|key| drop(self.store.delete(key))),
            1 => {
                for chunk in keys.chunks(64) {
                    let chunk: Vec<&[u8]> = chunk.iter().map(|key| &key[..]).collect();
                    self.expect(self.store.delete_many(&chunk).is_ok());
                }
            }
            _ => {
                let left = self.store.retain_dyn(&mut |key, _| !key.starts_with(b"by"));
                self.expect(left.is_ok());
            }
        }
        self.look_at_size();
    }
}
