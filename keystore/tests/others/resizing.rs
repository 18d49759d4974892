//! Reports about tables that grow and shrink: lost entries, stalls, and hash values that crowd.

use std::hash::{BuildHasher, Hasher, RandomState};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::{Duration, Instant};

use keystore::{BackendKind, Change, Config, Keystore, Shrinking, code};

use crate::check::{Check, checks};
use crate::combination::Combination;
use crate::hashing::open_hashing;
use crate::{contents, fill, key, one_bucket};

pub(crate) const CHECKS: &[Check] = checks![
    all:
        junction_22_the_initial_size_is_no_power_of_two,
        libcuckoo_150_the_hash_function_is_bad,
        xsync_130_many_keys_are_deleted_at_once;
    shared:
        xsync_109_threads_write_during_a_resize;
    alone:
        rust_36481_a_map_is_copied_in_the_order_of_its_iteration
];

/// junction: an insert hangs if the initial size of the map is no power of two. Only a debug build
/// says so.
///
/// Here opening such a store is an error that names the value.
fn junction_22_the_initial_size_is_no_power_of_two(combination: &Combination) {
    for initial_buckets in [0, 3, 10_000, 999_999] {
        let config = Config { initial_buckets, ..Config::default() };
        let Err(error) = combination.open_over(&config, keystore::Global) else {
            panic!("{initial_buckets} buckets are refused")
        };
        assert_eq!(error.code(), code::INVALID_CONFIG);
        assert!(error.to_string().contains(&initial_buckets.to_string()), "{error}");
    }
}

/// A hasher that returns the same hash for all keys, or a hash with few bits.
#[derive(Clone, Copy)]
struct Bad {
    mask: u64,
}

/// State of [`Bad`]: the sum of the bytes so far.
struct BadHasher {
    mask: u64,
    sum: u64,
}

impl BuildHasher for Bad {
    type Hasher = BadHasher;

    fn build_hasher(&self) -> BadHasher {
        BadHasher { mask: self.mask, sum: 0 }
    }
}

impl Hasher for BadHasher {
    fn write(&mut self, bytes: &[u8]) {
        self.sum += bytes.iter().map(|&byte| u64::from(byte)).sum::<u64>();
    }

    fn finish(&self) -> u64 {
        self.sum & self.mask
    }
}

/// libcuckoo: if the hash function is bad, a full bucket makes the table grow although it is nearly
/// empty. After some growth, an insert throws `load_factor_too_low` and the program ends.
///
/// Here a full bucket gets an overflow bucket, and the table grows by the number of entries alone.
/// A bad hash function makes calls slow, but no call fails and the table stays small.
fn libcuckoo_150_the_hash_function_is_bad(combination: &Combination) {
    const COUNT: usize = 400;
    for mask in [0, 7] {
        let config = one_bucket();
        let pool = combination.pool(&config);
        let store = open_hashing(combination, &config, pool, Bad { mask });
        for n in 0..COUNT {
            assert_eq!(store.set(&key(n), &key(n)), Ok(Change::Created));
        }
        assert_eq!(contents(&*store), (0..COUNT).map(|n| (key(n), key(n))).collect());
        let bytes = store.stats().unwrap().memory.table_bytes;
        assert!(bytes < 128 << 10, "{bytes} bytes of table for {COUNT} entries");
        for n in 0..COUNT {
            assert_eq!(store.delete(&key(n)), Ok(true));
        }
    }
}

/// xsync: a deletion that empties a bucket tries to shrink the table. When a server deletes many
/// keys at once, each of its calls may pay for a resize, and latency jumps. There is no way to turn
/// this off.
///
/// Here a deletion does not resize the table, unless the configuration says `Automatic`. With
/// `Automatic` the table shrinks in shares, and entries that stay are found all the time.
fn xsync_130_many_keys_are_deleted_at_once(combination: &Combination) {
    const COUNT: usize = 6_000;
    const STAY: usize = 50;
    let size = |store: &dyn Keystore| match combination.backend {
        // dashmap counts its shards as buckets, so its bytes tell the size.
        BackendKind::DashMap => store.table_bytes().unwrap(),
        _ => store.stats().unwrap().entries.buckets,
    };
    for shrinking in [Shrinking::OnRequest, Shrinking::Automatic] {
        let store = combination.open(&Config { shrinking, ..one_bucket() });
        fill(&*store, COUNT);
        // Growth may still be under way.
        store.reserve(0).unwrap();
        let full = size(&*store);
        for n in STAY..COUNT {
            assert_eq!(store.delete(&key(n)), Ok(true));
            assert_eq!(store.get(&key(n % STAY)), Ok(Some(key(n % STAY))));
        }
        let after = size(&*store);
        if shrinking == Shrinking::OnRequest {
            assert_eq!(after, full, "deletions do not resize");
            store.shrink().unwrap();
        } else {
            assert!(after < full / 2, "automatic: {after} of {full}");
        }
        assert!(size(&*store) < full / 8, "{} of {full}", size(&*store));
        assert_eq!(contents(&*store), (0..STAY).map(|n| (key(n), key(n))).collect());
    }
}

/// xsync: a write that overlaps a resize of the table may go to the old table, and is lost.
///
/// Here a writer that finds its bucket moved, or being moved, goes to the new one. The check has
/// two threads that write their own keys and read them back, while the table grows from one bucket
/// and a third thread makes it large and small.
fn xsync_109_threads_write_during_a_resize(combination: &Combination) {
    const EACH: usize = 3_000;
    let store = &*combination.open_shared(&one_bucket());
    let done = &AtomicBool::new(false);
    std::thread::scope(|scope| {
        let resizer = scope.spawn(move || {
            let mut resizes = 0;
            while !done.load(Relaxed) || resizes == 0 {
                store.reserve(20_000).unwrap();
                store.shrink().unwrap();
                resizes += 1;
            }
        });
        let writers = [0, 1].map(|writer| {
            scope.spawn(move || {
                for n in 0..EACH {
                    let key = key(2 * n + writer);
                    assert_eq!(store.set(&key, b"first"), Ok(Change::Created));
                    assert_eq!(store.set(&key, &key), Ok(Change::Replaced));
                    assert_eq!(store.get(&key), Ok(Some(key)));
                }
            })
        });
        let results = writers.map(|writer| writer.join());
        done.store(true, Relaxed);
        resizer.join().unwrap();
        results.into_iter().for_each(Result::unwrap);
    });
    assert_eq!(contents(store), (0..2 * EACH).map(|n| (key(n), key(n))).collect());
}

/// Rust's former `HashMap`: inserting the entries of one map into another, smaller one in the order
/// of iteration takes O(n²) time. All early entries go to one end of the new table, which becomes
/// one long run of full slots.
///
/// Here crowded entries go to the overflow buckets of their own bucket and not to its neighbours,
/// and dashmap takes the bits that choose a slot from another part of the hash than the order of a
/// scan. The check gives both stores the same hasher, which is the worst case. It compares the time
/// of the copy with the time that the same entries take in another order.
fn rust_36481_a_map_is_copied_in_the_order_of_its_iteration(combination: &Combination) {
    const COUNT: usize = 30_000;
    /// The quadratic copy of the report takes some hundred times as long.
    const MOST: u32 = 8;
    let hasher = RandomState::new();
    let open = || {
        let pool = combination.pool(&one_bucket());
        open_hashing(combination, &one_bucket(), pool, hasher.clone())
    };
    let source = open();
    fill(&*source, COUNT);
    let in_order: Vec<_> = source.iter().map(|entry| entry.unwrap().0).collect();
    let mut sorted = in_order.clone();
    sorted.sort();
    let time_to_fill = |keys: &[Vec<u8>]| {
        let time = || {
            let target = open();
            let begun = Instant::now();
            for key in keys {
                target.set(key, key).unwrap();
            }
            let time = begun.elapsed();
            assert_eq!(target.len(), Ok(COUNT));
            time
        };
        (0..2).map(|_| time()).min().expect("two times")
    };
    let (ordered, other) = (time_to_fill(&in_order), time_to_fill(&sorted));
    // A pause of the machine must not fail the check.
    let most = other * MOST + Duration::from_millis(50);
    assert!(ordered < most, "{ordered:?} in order of iteration, {other:?} in another order");
}
