//! Checks that every count is exact, on one thread and on many.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use keystore::{Config, ErrorCounts, Keystore, NodeOperationStats, OperationStats, Update};

use crate::allocators::Audit;
use crate::check::{Check, checks};
use crate::combination::Combination;
use crate::entries::{bytes, fill, key, one_bucket};

pub(crate) const CHECKS: &[Check] = checks![
    all:
        each_verb_is_counted_for_what_it_is,
        batches_count_each_of_their_entries,
        failures_are_counted_by_their_code,
        whole_store_verbs_count_what_they_remove,
        without_counters_only_entries_are_counted,
        node_bytes_are_what_the_allocator_handed_out,
        the_pool_counts_what_it_handed_out,
        the_distribution_adds_up,
        counters_are_those_of_the_statistics,
        counters_take_microseconds_however_many_entries_there_are,
        times_are_those_of_the_calls;
    shared:
        many_threads_lose_no_count,
        the_length_is_exact_when_writers_have_ended
];

/// Returns the statistics of these numbers of calls that add, find and delete. `failed` has the
/// numbers of failed calls in the same order.
fn operations_of([adds, finds, deletes]: [u64; 3], failed: [u64; 3]) -> OperationStats {
    let mut operations = OperationStats::default();
    (operations.adds, operations.finds, operations.deletes) = (adds, finds, deletes);
    [operations.failed_adds, operations.failed_finds, operations.failed_deletes] = failed;
    operations
}

fn counters_are_those_of_the_statistics(combination: &Combination) {
    for counting in [true, false] {
        let config = Config { counters: counting, ..one_bucket() };
        let store = combination.open(&config);
        fill(&*store, 500);
        for n in 0..600 {
            store.get(&key(n)).unwrap();
        }
        for n in 0..100 {
            store.set(&key(n), &bytes(n, 3 * n)).unwrap();
            store.delete(&key(n + 450)).unwrap();
            store.update(&key(n + 200), |_| Update::set([7; 9])).unwrap();
        }
        store.retain(|key, _| key.len() < 7).unwrap();
        store.set(b"", b"refused").unwrap_err();
        let (counters, stats) = (store.counters().unwrap(), store.stats().unwrap());
        assert_eq!(counters.entries, stats.entries.count);
        assert_eq!(counters.table_bytes, store.table_bytes().unwrap());
        assert_eq!(counters.pool_held_bytes, stats.pool.held_bytes);
        assert_eq!(counters.garbage_bytes, stats.memory.garbage_bytes);
        let counted =
            [counters.hits, counters.misses, counters.sets, counters.deletes, counters.node_bytes];
        let removed = stats.nodes.deletes;
        let expected = [500, 100, 700, removed, stats.memory.node_bytes];
        assert_eq!(counted, if counting { expected } else { [0; 5] });
        assert!(!counting || removed > 50);
        let old: Vec<u64> = counted.to_vec();
        store.clear().unwrap();
        let counters = store.counters().unwrap();
        assert_eq!((counters.entries, counters.node_bytes), (0, 0), "was {old:?}");
    }
}

/// The limit is far above what the call takes, since other checks run at the same time. A call that
/// visited the entries would take a hundred times as long.
fn counters_take_microseconds_however_many_entries_there_are(combination: &Combination) {
    let store = combination.open(&Config::default());
    fill(&*store, 50_000);
    let fastest = (0..50).map(|_| {
        let begin = Instant::now();
        store.counters().unwrap();
        begin.elapsed()
    });
    let fastest = fastest.min().unwrap();
    assert!(fastest < Duration::from_micros(200), "{fastest:?}");
}

/// Returns the statistics of these numbers of nodes: created, updated, read, deleted, and failed to
/// be created.
fn nodes_of(counts: [u64; 5]) -> NodeOperationStats {
    let mut nodes = NodeOperationStats::default();
    [nodes.creates, nodes.updates, nodes.reads, nodes.deletes, nodes.failed_creates] = counts;
    nodes
}

fn operations(store: &dyn Keystore) -> OperationStats {
    store.stats().unwrap().operations
}

fn each_verb_is_counted_for_what_it_is(combination: &Combination) {
    let store = combination.open(&Config::default());
    assert_eq!(operations(&*store), OperationStats::default());
    // Adds: four that create, two that replace, one that deletes, and three that change nothing.
    store.set(b"a", b"1").unwrap();
    store.insert(b"b", b"1").unwrap();
    store.update(b"c", |_| Update::set(vec![1])).unwrap();
    store.compare_exchange(b"d", None, Some(b"1")).unwrap();
    store.set(b"a", b"2").unwrap();
    store.update(b"a", |_| Update::set(vec![3])).unwrap();
    store.update(b"b", |_| Update::Delete).unwrap();
    store.insert(b"a", b"4").unwrap();
    store.update(b"absent", |_| Update::Keep).unwrap();
    store.compare_exchange(b"a", None, Some(b"5")).unwrap();
    // Finds: three hits and three misses.
    store.get(b"a").unwrap();
    store.contains(b"a").unwrap();
    store.read(b"a", |_| ()).unwrap();
    store.get(b"absent").unwrap();
    store.contains(b"absent").unwrap();
    store.read(b"absent", |_| ()).unwrap();
    // Deletes: two hits and two misses.
    store.delete(b"c").unwrap();
    store.take(b"d").unwrap();
    store.delete(b"absent").unwrap();
    store.take(b"absent").unwrap();
    let stats = store.stats().unwrap();
    let operations = operations_of([10, 6, 4], [0, 3, 2]);
    assert_eq!(stats.operations, operations);
    let nodes = nodes_of([4, 2, 3, 3, 0]);
    assert_eq!(stats.nodes, nodes);
    assert_eq!(stats.errors, ErrorCounts::default());
    assert_eq!((stats.entries.count, store.len()), (1, Ok(1)));
}

fn batches_count_each_of_their_entries(combination: &Combination) {
    let store = combination.open(&one_bucket());
    let keys: Vec<_> = (0..100).map(key).collect();
    let keys: Vec<_> = keys.iter().map(Vec::as_slice).collect();
    let entries: Vec<_> = keys.iter().map(|&key| (key, &b"value"[..])).collect();
    assert_eq!(store.set_many(&entries[..60]), Ok(60));
    assert_eq!(store.set_many(&entries[50..70]), Ok(10));
    store.read_many(&keys, |_, _| ()).unwrap();
    assert_eq!(store.delete_many(&keys[40..]), Ok(30));
    let stats = store.stats().unwrap();
    let operations = operations_of([80, 100, 60], [0, 30, 30]);
    assert_eq!(stats.operations, operations);
    let nodes = nodes_of([70, 10, 70, 30, 0]);
    assert_eq!(stats.nodes, nodes);
    assert_eq!(store.len(), Ok(40));
}

fn failures_are_counted_by_their_code(combination: &Combination) {
    let store = combination.open(&Config { memory_limit: Some(500), ..Config::default() });
    for _ in 0..3 {
        store.set(b"", b"value").unwrap_err();
        store.get(b"").unwrap_err();
        store.delete(b"").unwrap_err();
        store.set(b"key", &[0; 600]).unwrap_err();
    }
    store.set_many(&[(b"a", b""), (b"", b""), (b"b", b"")]).unwrap_err();
    store.read_many(&[b"a", b"", b"b"], |_, _| ()).unwrap_err();
    store.delete_many(&[b"a", b"", b"b"]).unwrap_err();
    let stats = store.stats().unwrap();
    let operations = operations_of([8, 5, 5], [7, 4, 4]);
    assert_eq!(stats.operations, operations);
    assert_eq!(stats.errors, ErrorCounts::from([(-20, 12), (-10, 3)]));
    assert_eq!(stats.nodes.failed_creates, 7);
    assert_eq!(store.len(), Ok(0));
}

fn whole_store_verbs_count_what_they_remove(combination: &Combination) {
    let store = combination.open(&one_bucket());
    fill(&*store, 100);
    let before = operations(&*store);
    store.for_each(|_, _| std::ops::ControlFlow::Continue(())).unwrap();
    store.reserve(1_000).unwrap();
    store.shrink().unwrap();
    store.stats().unwrap();
    assert_eq!(operations(&*store), before, "walking and resizing is no operation on an entry");
    assert_eq!(store.retain(|_, value| value.len() < 50), Ok(50));
    assert_eq!(operations(&*store).deletes, 50);
    assert_eq!(store.len(), Ok(50));
    store.clear().unwrap();
    let stats = store.stats().unwrap();
    assert_eq!(
        (stats.operations.deletes, stats.nodes.deletes, stats.operations.failed_deletes),
        (100, 100, 0)
    );
    assert_eq!(store.len(), Ok(0));
}

fn without_counters_only_entries_are_counted(combination: &Combination) {
    let store = combination.open(&Config { counters: false, ..one_bucket() });
    fill(&*store, 200);
    fill(&*store, 100);
    for n in 0..50 {
        store.get(&key(n)).unwrap();
        store.delete(&key(n)).unwrap();
        store.delete(&key(n)).unwrap();
        store.update(&key(n + 50), |_| Update::Delete).unwrap();
    }
    store.set(b"", b"").unwrap_err();
    assert_eq!(store.retain(|_, _| true), Ok(0));
    assert_eq!(store.len(), Ok(100));
    let stats = store.stats().unwrap();
    assert_eq!(stats.entries.count, 100);
    assert_eq!(stats.operations, OperationStats::default());
    assert_eq!(stats.nodes, NodeOperationStats::default());
    assert_eq!(stats.errors, ErrorCounts::default());
}

fn node_bytes_are_what_the_allocator_handed_out(combination: &Combination) {
    let audit = Audit::new(combination, &one_bucket());
    let store = combination.open_over(&one_bucket(), audit.clone()).unwrap();
    let compare = |when: &str| {
        let stats = store.stats().unwrap();
        let (live, bytes) = audit.live();
        let memory = &stats.memory;
        let known = memory.node_bytes + memory.garbage_bytes;
        assert!(memory.node_bytes <= bytes, "{when}: {memory:?}, and {bytes} bytes live");
        // Garbage may include buckets and arrays of the table, so the sum can be larger.
        assert!(known >= bytes, "{when}: {memory:?}, and {bytes} bytes live");
        if memory.garbage_bytes == 0 {
            assert_eq!((stats.entries.count, memory.node_bytes), (live, bytes), "{when}");
        }
    };
    compare("empty");
    let expected = fill(&*store, 1_000);
    let exact: usize = expected.iter().map(|(key, value)| 8 + key.len() + value.len()).sum();
    compare("filled");
    assert_eq!(
        store.stats().unwrap().memory.node_bytes,
        exact as u64,
        "headers of 8 bytes, keys and values"
    );
    for n in 0..1_000 {
        // Some new values are shorter and some are longer. A backend may write the shorter ones in
        // place.
        store.set(&key(n), &bytes(n, (n * 7) % 110)).unwrap();
    }
    compare("overwritten");
    for n in 0..500 {
        store.delete(&key(n)).unwrap();
    }
    compare("half deleted");
    store.clear().unwrap();
    compare("cleared");
    drop(store);
    audit.assert_all_returned();
}

fn the_pool_counts_what_it_handed_out(combination: &Combination) {
    for preallocation in [0.0, 0.5] {
        let config = Config { preallocation, ..Config::default() };
        let audit = Audit::new(combination, &config);
        let store = combination.open_over(&config, audit.clone()).unwrap();
        let compare = |when: &str| {
            // The pool serves only nodes, so both counts must agree. They can differ for an
            // instant, because another thread of the process may be freeing removed nodes of the
            // lock-free backend.
            let mut looks = 0;
            let pool = loop {
                let pool = store.stats().unwrap().pool;
                let audited = audit.live();
                if (pool.live_nodes, pool.live_bytes) == audited {
                    break pool;
                }
                looks += 1;
                assert!(looks < 1_000, "{when}: {pool:?}, and {audited:?} by the audit");
                std::thread::yield_now();
            };
            assert!(pool.held_bytes >= pool.live_bytes, "{when}: {pool:?}");
            assert!(pool.fallback_bytes <= pool.live_bytes, "{when}: {pool:?}");
            let percents = pool.utilization_percent() + pool.fragmentation_percent();
            assert!(pool.held_bytes == 0 || (percents - 100.0).abs() < 1e-6, "{when}: {pool:?}");
        };
        compare("empty");
        fill(&*store, 2_000);
        assert!(store.stats().unwrap().pool.live_nodes >= 2_000);
        compare("filled");
        (0..2_000).for_each(|n| drop(store.set(&key(n), &bytes(n, 3_000 - n))));
        compare("overwritten");
        store.retain(|_, value| value.len() < 1_500).unwrap();
        compare("half removed");
        store.clear().unwrap();
        compare("cleared");
    }
}

fn the_distribution_adds_up(combination: &Combination) {
    let store = combination.open(&Config::default());
    for count in [0_usize, 1, 100, 5_000] {
        fill(&*store, count);
        let stats = store.stats().unwrap();
        let (entries, collisions) = (&stats.entries, &stats.collisions);
        assert_eq!(entries.count, count as u64);
        assert_eq!(entries.nonempty_buckets + entries.empty_buckets, entries.buckets);
        assert!(entries.nonempty_buckets <= entries.count);
        assert!(entries.min_in_bucket <= entries.max_in_bucket);
        assert!((entries.min_in_bucket as f64) <= entries.median_per_bucket);
        assert!(entries.median_per_bucket <= entries.max_in_bucket as f64);
        let close = |a: f64, b: f64| (a - b).abs() < 1e-6;
        assert!(close(
            entries.mean_per_nonempty_bucket * entries.nonempty_buckets as f64,
            entries.count as f64
        ));
        assert!(close(
            entries.empty_bucket_percent * entries.buckets as f64,
            100.0 * entries.empty_buckets as f64
        ));
        assert_eq!(collisions.max_in_bucket, entries.max_in_bucket.saturating_sub(1));
        assert!(collisions.buckets <= entries.nonempty_buckets);
        // Number of entries beyond the first one of their bucket.
        let colliding = collisions.mean_per_nonempty_bucket * entries.nonempty_buckets as f64;
        assert!(close(colliding, (entries.count - entries.nonempty_buckets) as f64));
    }
}

fn times_are_those_of_the_calls(combination: &Combination) {
    let now = || SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    let before = now();
    let store = combination.open(&Config::default());
    let metadata = store.stats().unwrap().metadata;
    assert!((before..=now()).contains(&metadata.opened_at), "{metadata:?}");
    assert_eq!(metadata.cleaned_up_at, 0, "never");
    for clean_up in [|store: &dyn Keystore| store.clear(), |store: &dyn Keystore| store.shrink()] {
        let before = now();
        clean_up(&*store).unwrap();
        let metadata = store.stats().unwrap().metadata;
        assert!((before..=now()).contains(&metadata.cleaned_up_at), "{metadata:?}");
    }
}

fn many_threads_lose_no_count(combination: &Combination) {
    const THREADS: u64 = 12;
    const EACH: usize = 1_500;
    let store = combination.open_shared(&one_bucket());
    std::thread::scope(|scope| {
        for thread in 0..THREADS {
            let store = &store;
            scope.spawn(move || {
                let own = |n: usize| format!("{thread} {n}").into_bytes();
                for n in 0..EACH {
                    store.set(&own(n), b"first").unwrap();
                    store.set(&own(n), b"second").unwrap();
                    store.get(&own(n)).unwrap();
                    store.get(b"absent").unwrap();
                    store.update(b"shared", |_| Update::set(vec![thread as u8; n % 40])).unwrap();
                    if n % 3 == 0 {
                        store.delete(&own(n)).unwrap();
                        store.delete(&own(n)).unwrap();
                    }
                    store.set(b"", b"").unwrap_err();
                }
            });
        }
    });
    let stats = store.stats().unwrap();
    let each = THREADS * EACH as u64;
    let operations = operations_of([4 * each, 2 * each, 2 * each / 3], [each, each, each / 3]);
    assert_eq!(stats.operations, operations);
    let nodes = nodes_of([each + 1, 2 * each - 1, each, each / 3, each]);
    assert_eq!(stats.nodes, nodes);
    assert_eq!(stats.errors, ErrorCounts::from([(-20, each)]));
    assert_eq!(stats.entries.count, each - each / 3 + 1);
    assert_eq!(store.len(), Ok((each - each / 3) as usize + 1));
}

fn the_length_is_exact_when_writers_have_ended(combination: &Combination) {
    let store = combination.open_shared(&one_bucket());
    for round in 0..20 {
        std::thread::scope(|scope| {
            for thread in 0..4 {
                let store = &store;
                // All threads create and remove the same keys, so most calls lose a race.
                scope.spawn(move || {
                    for n in 0..300 {
                        let n = (n * 7 + thread * 13 + round) % 300;
                        match (n + thread + round) % 4 {
                            0 => drop(store.delete(&key(n)).unwrap()),
                            1 => drop(store.take(&key(n)).unwrap()),
                            2 => drop(store.insert(&key(n), b"value").unwrap()),
                            _ => drop(store.set(&key(n), b"another value").unwrap()),
                        }
                    }
                });
            }
        });
        let shown = crate::entries::contents(&*store).len();
        assert_eq!(store.len(), Ok(shown), "round {round}");
    }
}
