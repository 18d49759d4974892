//! Checks that the table grows with its content and shrinks on request, without losing an entry.

use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use keystore::{BackendKind, Change, Config, Keystore, PoolKind, Shrinking};

use crate::check::{Check, checks};
use crate::combination::Combination;
use crate::entries::{Entries, assert_holds, bytes, fill, key, number, one_bucket};

pub(crate) const CHECKS: &[Check] = checks![
    all:
        from_one_bucket_to_a_million_keys,
        from_the_largest_reasonable_start_nothing_needs_to_grow,
        a_reserved_table_takes_what_was_reserved,
        an_emptied_table_gives_its_memory_back,
        a_table_that_shrinks_by_itself_gives_its_memory_back,
        huge_pages_are_asked_for_and_can_be_turned_off,
        growing_and_shrinking_again_and_again_loses_nothing;
    shared:
        many_threads_grow_one_table
];

/// Checks that no bucket has far more entries than the others.
fn assert_even(combination: &Combination, store: &dyn Keystore, count: usize) {
    let stats = store.stats().unwrap();
    let (entries, collisions) = (&stats.entries, &stats.collisions);
    assert_eq!(entries.count, count as u64);
    assert_eq!(entries.nonempty_buckets + entries.empty_buckets, entries.buckets);
    let mean = count as f64 / entries.buckets as f64;
    // Twelve standard deviations of a Poisson distribution. Not even one bucket in a million
    // exceeds the mean by that much.
    let most = mean + 12.0 * mean.sqrt() + 12.0;
    assert!(
        (entries.max_in_bucket as f64) < most,
        "{} entries in one bucket, with {mean:.1} on average",
        entries.max_in_bucket
    );
    assert_eq!(collisions.max_in_bucket, entries.max_in_bucket.saturating_sub(1));
    // dashmap's buckets in the statistics are its shards, whose number is fixed.
    if combination.backend != BackendKind::DashMap {
        assert!(mean < 8.0, "{mean} entries in a bucket on average: the table has not grown");
    }
}

/// Checks that the table is not too large for its entries.
fn assert_lean(store: &dyn Keystore) {
    let stats = store.stats().unwrap();
    let per_entry = stats.memory.table_bytes as f64 / stats.entries.count as f64;
    assert!(per_entry < 64.0, "{per_entry} bytes of table for each entry");
}

fn from_one_bucket_to_a_million_keys(combination: &Combination) {
    const KEYS: u64 = 1_000_000;
    let store = combination.open(&one_bucket());
    for n in 0..KEYS {
        assert_eq!(store.set(&n.to_be_bytes(), &n.to_le_bytes()), Ok(Change::Created));
        if n.is_power_of_two() {
            assert_eq!(store.len(), Ok(n as usize + 1));
        }
    }
    assert_even(combination, &*store, KEYS as usize);
    let mut right = 0;
    let keys: Vec<[u8; 8]> = (0..KEYS).map(u64::to_be_bytes).collect();
    let slices: Vec<&[u8]> = keys.iter().map(|key| &key[..]).collect();
    store
        .read_many(&slices, |at, value| {
            right += u64::from(value == Some(&(at as u64).to_le_bytes()[..]))
        })
        .unwrap();
    assert_eq!(right, KEYS, "keys that have their value");
    for n in (0..KEYS).step_by(997) {
        assert_eq!(store.get(&n.to_be_bytes()), Ok(Some(number(n))));
        assert_eq!(store.contains(&(n + KEYS).to_be_bytes()), Ok(false));
    }
    assert_eq!(store.len(), Ok(KEYS as usize));
}

fn from_the_largest_reasonable_start_nothing_needs_to_grow(combination: &Combination) {
    let config = Config { initial_buckets: 1 << 16, preallocation: 0.25, ..Config::default() };
    let store = combination.open(&config);
    let expected = fill(&*store, 20_000);
    assert_holds(&*store, &expected);
    let before = store.stats().unwrap().entries.buckets;
    store.clear().unwrap();
    store.shrink().unwrap();
    // The table does not become smaller than when it was opened.
    assert_eq!(store.stats().unwrap().entries.buckets, before);
}

fn a_reserved_table_takes_what_was_reserved(combination: &Combination) {
    let store = combination.open(&one_bucket());
    let small = store.stats().unwrap().memory.table_bytes;
    store.reserve(100_000).unwrap();
    let reserved = store.stats().unwrap().memory.table_bytes;
    assert!(reserved > small + 100_000 * 8, "{small} bytes of table became {reserved}");
    let arrays = store.table_bytes().unwrap();
    assert!((100_000 * 8..=reserved).contains(&arrays), "{arrays} of {reserved} bytes in arrays");
    let expected = fill(&*store, 100_000);
    assert_holds(&*store, &expected);
    assert_even(combination, &*store, 100_000);
    let filled = store.stats().unwrap().memory.table_bytes;
    assert!(
        filled < reserved * 3 / 2,
        "{reserved} bytes of table were reserved, and it came to {filled}"
    );
}

fn a_table_that_shrinks_by_itself_gives_its_memory_back(combination: &Combination) {
    let config = Config { shrinking: Shrinking::Automatic, ..one_bucket() };
    let store = combination.open(&config);
    let mut expected = fill(&*store, 100_000);
    let full = store.table_bytes().unwrap();
    let left = |key: &[u8]| key.ends_with(b"999");
    for key in expected.keys().filter(|key| !left(key)) {
        assert_eq!(store.delete(key), Ok(true));
    }
    expected.retain(|key, _| left(key));
    assert_holds(&*store, &expected);
    // The locked backend keeps the memory of its buckets for the next growth. So its number of
    // buckets shows that it has shrunk.
    let buckets = store.stats().unwrap().entries.buckets;
    match combination.backend {
        BackendKind::RwLock => assert!(buckets < 1_000, "{buckets} buckets for 100 entries"),
        _ => {
            let now = store.table_bytes().unwrap();
            assert!(now < full / 16, "{now} of {full} bytes of table for 100 entries");
        }
    }
    store.clear().unwrap();
    expected.clear();
    assert_holds(&*store, &expected);
    let expected = fill(&*store, 20_000);
    assert_holds(&*store, &expected);
}

fn huge_pages_are_asked_for_and_can_be_turned_off(combination: &Combination) {
    for huge_pages in [true, false] {
        let store = combination.open(&Config { huge_pages, ..Config::default() });
        store.reserve(400_000).unwrap();
        let expected = fill(&*store, 50_000);
        assert_holds(&*store, &expected);
        let stats = store.stats().unwrap();
        let table = huge_pages && combination.backend != BackendKind::DashMap;
        assert_eq!(stats.memory.huge_page_bytes > 4 << 20, table, "{:?}", stats.memory);
        assert!(stats.memory.huge_page_bytes <= stats.memory.table_bytes);
        let pool = huge_pages && combination.pool != PoolKind::System;
        assert_eq!(stats.pool.huge_page_bytes > 0, pool, "{:?}", stats.pool);
    }
}

fn an_emptied_table_gives_its_memory_back(combination: &Combination) {
    let store = combination.open(&one_bucket());
    let mut expected = fill(&*store, 100_000);
    let full = store.stats().unwrap().memory.table_bytes;
    assert_eq!(store.retain(|key, _| key.ends_with(b"99")), Ok(99_000));
    expected.retain(|key, _| key.ends_with(b"99"));
    store.shrink().unwrap();
    assert_holds(&*store, &expected);
    assert_even(combination, &*store, 1_000);
    let shrunk = store.stats().unwrap().memory.table_bytes;
    if combination.backend == BackendKind::RwLock {
        // The memory of buckets stays, because threads may be waiting for the lock of one. It
        // serves when the table grows again.
        assert!(
            shrunk <= full,
            "{full} bytes of table became {shrunk} with a hundredth of the entries"
        );
        let mut grown = fill(&*store, 100_000);
        grown.extend(expected);
        assert_holds(&*store, &grown);
        let again = store.stats().unwrap().memory.table_bytes;
        assert!(
            again <= full + full / 50,
            "{full} bytes of table became {again} with the same entries"
        );
    } else {
        assert!(
            shrunk < full / 10,
            "{full} bytes of table became {shrunk} with a hundredth of the entries"
        );
        assert_lean(&*store);
    }
}

fn growing_and_shrinking_again_and_again_loses_nothing(combination: &Combination) {
    let store = combination.open(&one_bucket());
    let mut expected = Entries::new();
    let mut next = 0;
    for round in 0..12 {
        for n in next..next + 3_000 {
            let value = bytes(n, n % 30);
            assert_eq!(store.insert(&key(n), &value), Ok(true));
            expected.insert(key(n), value);
        }
        next += 3_000;
        // Each round removes another share of the entries, and one round removes all.
        let removed = store.retain(|key, _| key[key.len() - 1] as usize % 4 > round % 5).unwrap();
        let before = expected.len();
        expected.retain(|key, _| key[key.len() - 1] as usize % 4 > round % 5);
        assert_eq!(removed, before - expected.len());
        match round % 3 {
            0 => store.shrink().unwrap(),
            1 => store.reserve(20_000).unwrap(),
            _ => {}
        }
        assert_holds(&*store, &expected);
    }
}

fn many_threads_grow_one_table(combination: &Combination) {
    const THREADS: usize = 8;
    const EACH: usize = 12_000;
    let store = combination.open_shared(&one_bucket());
    let created = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for thread in 0..THREADS {
            let (store, created) = (&store, &created);
            scope.spawn(move || {
                for n in (0..EACH).map(|n| n * THREADS + thread) {
                    if store.set(&key(n), &bytes(n, n % 50)) == Ok(Change::Created) {
                        created.fetch_add(1, Relaxed);
                    }
                    // Reads the key that was just set, and one from before the table last grew.
                    for n in [n, (n / THREADS / 2) * THREADS + thread] {
                        assert_eq!(store.get(&key(n)), Ok(Some(bytes(n, n % 50))), "key {n}");
                    }
                }
            });
        }
    });
    assert_eq!(created.into_inner(), THREADS * EACH);
    let expected = (0..THREADS * EACH).map(|n| (key(n), bytes(n, n % 50))).collect();
    assert_holds(&*store, &expected);
    assert_even(combination, &*store, THREADS * EACH);
}
