//! Reports about sizes: memory that passes a limit or does not come back, and wrong lengths.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};

use keystore::{BackendKind, Config, Keystore, NodeAllocator, code, open};

use crate::check::{Check, checks};
use crate::combination::Combination;
use crate::{fill, key, one_bucket};

pub(crate) const CHECKS: &[Check] = checks![
    all:
        dashmap_197_all_entries_are_removed_and_the_map_is_shrunk,
        moka_383_a_map_is_dropped;
    shared:
        folly_1280_the_size_is_read_while_the_map_is_cleared,
        moka_72_many_threads_fill_a_map_with_a_limit;
    alone:
        libcuckoo_59_many_maps_are_nearly_empty
];

/// dashmap: the reporter removes every entry and calls `shrink_to_fit`, but `len` and `capacity` go
/// on growing.
///
/// Here every removal is counted with the removal itself, in one place. After the last one, `len`
/// and the nodes' bytes are 0, and `shrink` gives back the table. (`rwlock` keeps the memory of its
/// buckets, but no overflow buckets, for the next growth. It does not grow either.)
fn dashmap_197_all_entries_are_removed_and_the_map_is_shrunk(combination: &Combination) {
    const COUNT: usize = 4_000;
    let store = combination.open(&one_bucket());
    let empty = store.table_bytes().unwrap();
    let mut first_full = None;
    for _ in 0..3 {
        fill(&*store, COUNT);
        let full = store.table_bytes().unwrap();
        assert!(full <= *first_full.get_or_insert(full), "the table grows from round to round");
        for n in 0..COUNT / 2 {
            assert_eq!(store.delete(&key(n)), Ok(true));
        }
        for n in COUNT / 2..COUNT {
            assert_eq!(store.take(&key(n)), Ok(Some(key(n))));
        }
        store.shrink().unwrap();
        let stats = store.stats().unwrap();
        assert_eq!((store.len(), stats.entries.count, stats.memory.node_bytes), (Ok(0), 0, 0));
        let after = store.table_bytes().unwrap();
        match combination.backend {
            BackendKind::RwLock => {
                let bytes = stats.memory.table_bytes;
                // `full` is without overflow buckets, of which a bucket may keep one of 64 bytes.
                assert!(bytes <= full + 1024, "{bytes} bytes, {full} when it was full");
            }
            _ => assert!(after <= empty * 2, "{after} bytes, {empty} when it was new"),
        }
    }
}

/// moka: entries that are in the cache when it is dropped are never dropped themselves, since they
/// wait in the queues of crossbeam-epoch for a thread that frees them.
///
/// Here removed nodes stay with their store. Dropping the store frees the entries and the removed
/// nodes before it returns.
fn moka_383_a_map_is_dropped(combination: &Combination) {
    let pool = combination.pool(&one_bucket());
    for round in 0..3 {
        let store = combination.open_over(&one_bucket(), pool.clone()).unwrap();
        fill(&*store, 500);
        for n in 0..250 {
            store.set(&key(n), &[round; 70]).unwrap();
            store.delete(&key(n + 250)).unwrap();
        }
        assert!(pool.stats().live_nodes >= 250);
        drop(store);
        assert_eq!((pool.stats().live_nodes, pool.stats().live_bytes), (0, 0));
    }
}

/// folly: `size` and `empty` of `ConcurrentHashMap` read a number without the lock that `clear`
/// holds when it writes that number. This is a data race.
///
/// Here the numbers are atomic, and a sum that would be negative is 0. `len` never returns a number
/// that is far off, and the right one once nobody writes.
fn folly_1280_the_size_is_read_while_the_map_is_cleared(combination: &Combination) {
    const COUNT: usize = 300;
    let store = &*combination.open_shared(&one_bucket());
    let done = &AtomicBool::new(false);
    std::thread::scope(|scope| {
        let writers = [0, 1].map(|_| {
            scope.spawn(move || {
                for _ in 0..15 {
                    fill(store, COUNT);
                    store.clear().unwrap();
                }
            })
        });
        let reader = scope.spawn(move || {
            let mut most = 0;
            while !done.load(Relaxed) {
                most = most.max(store.len().unwrap());
                store.is_empty().unwrap();
            }
            most
        });
        let results = writers.map(|writer| writer.join());
        done.store(true, Relaxed);
        let most = reader.join().unwrap();
        results.into_iter().for_each(Result::unwrap);
        // A sum over the threads' numbers may mix two instants, so it may be too high by some of
        // the calls between them, 18,000 in all. Below 0 it would be nearly 2^64.
        assert!(most <= 20_000, "{most} entries at once");
    });
    store.clear().unwrap();
    assert_eq!((store.len(), store.is_empty()), (Ok(0), Ok(true)));
}

/// moka: under load, memory passes the cache's capacity by far. Entries count against the capacity,
/// and are evicted, by a background task that falls behind the writers.
///
/// Here a writer takes its bytes from the limit before it adds the entry. If they are not there, it
/// gets -10 and nothing has changed. No task runs in the background.
fn moka_72_many_threads_fill_a_map_with_a_limit(combination: &Combination) {
    const LIMIT: u64 = 64 << 10;
    let store =
        &*combination.open_shared(&Config { memory_limit: Some(LIMIT), ..Config::default() });
    let (added, refused) = (&AtomicUsize::new(0), &AtomicUsize::new(0));
    for round in 0..4 {
        std::thread::scope(|scope| {
            for thread in 0..4 {
                scope.spawn(move || {
                    for n in 0..500 {
                        match store.set(&key(thread * 500 + n), &vec![round; 100 + n % 50]) {
                            Ok(_) => added.fetch_add(1, Relaxed),
                            Err(error) => {
                                assert_eq!(error.code(), code::OUT_OF_MEMORY);
                                refused.fetch_add(1, Relaxed)
                            }
                        };
                        if n % 3 == 0 {
                            store.delete(&key(thread * 500 + n / 2)).unwrap();
                        }
                    }
                });
            }
        });
        let bytes = store.stats().unwrap().memory.node_bytes;
        assert!(bytes <= LIMIT && bytes > LIMIT / 2, "{bytes} bytes of {LIMIT}");
    }
    assert!(added.load(Relaxed) > 0 && refused.load(Relaxed) > 0);
}

/// Returns the memory that the process has from the system, in bytes, if the system tells.
fn resident_bytes() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    Some(line.trim().strip_suffix(" kB")?.trim().parse::<u64>().ok()? * 1024)
}

/// libcuckoo: an empty map takes 2.6 MB, since it allocates 2^16 locks at once. A map of maps takes
/// gigabytes.
///
/// Here a lock is a part of its bucket or shard, so there are no more locks than the table needs. A
/// store with one bucket takes some kilobytes. Stores may share a pool.
fn libcuckoo_59_many_maps_are_nearly_empty(combination: &Combination) {
    const STORES: usize = 100;
    /// Bytes of a store. Counters and lists of garbage for each thread are most of it.
    const MOST: u64 = 128 << 10;
    let pool = combination.pool(&one_bucket());
    let before = resident_bytes();
    let stores: Vec<_> = (0..STORES)
        .map(|n| {
            let store = open(combination.backend, &one_bucket(), pool.clone()).unwrap();
            store.set(&key(n), b"value").unwrap();
            let bytes = store.stats().unwrap().memory.table_bytes;
            assert!(bytes <= 64 << 10, "{bytes} bytes of table");
            store
        })
        .collect();
    if let (Some(before), Some(after)) = (before, resident_bytes()) {
        let each = after.saturating_sub(before) / STORES as u64;
        assert!(each <= MOST, "{each} bytes for each store");
    }
    assert!(pool.stats().held_bytes <= 4 << 20, "{} bytes in the pool", pool.stats().held_bytes);
    for (n, store) in stores.iter().enumerate() {
        assert_eq!(store.get(&key(n)), Ok(Some(b"value".to_vec())));
    }
}
