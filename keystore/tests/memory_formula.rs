//! Checks the formula of docs/memory.md: the bytes that a store takes for N entries, for every
//! backend and pool.

use keystore::{BackendKind, Combination, Config, Keystore, MAX_KEY_LEN, PoolKind};

/// Number of entries that a store is filled with.
const ENTRIES: usize = 100_000;

/// Bytes of a node's header.
const HEADER: usize = 8;

/// Bytes of a bucket and of an overflow bucket.
const BUCKET: f64 = 64.0;

/// Load factor above which a table doubles.
const MAX_LOAD: usize = 5;

/// Tolerance for a table, as a share. The number of overflow buckets is an expected value, and a
/// table samples its load, so that it may grow a little late.
const TABLE_TOLERANCE: f64 = 0.05;

/// Tolerance for the pool, as a share: headers of spans, and ends of spans that no block fits.
const POOL_TOLERANCE: f64 = 0.03;

/// Bytes of a chunk, of which slab and arena hold whole ones.
const CHUNK: usize = 2 << 20;

/// Returns the bytes of a node.
fn node(key: usize, value: usize) -> usize {
    HEADER + key + value
}

/// Returns the bytes that a pool takes for a block.
fn block(pool: PoolKind, size: usize) -> usize {
    match pool {
        // Above 256 bytes, slab has four size classes to a doubling.
        PoolKind::Slab if size > 256 => {
            let step = (size - 1).next_power_of_two() / 2 / 4;
            size.next_multiple_of(step)
        }
        PoolKind::Slab | PoolKind::Arena => size.next_multiple_of(8),
        _ => size,
    }
}

/// Returns the expected number of overflow buckets of a bucket: the load is the mean of a Poisson
/// distribution, and entries beyond `slots` go to overflow buckets of 7 slots.
fn overflow_buckets(load: f64, slots: usize) -> f64 {
    let (mut probability, mut expected) = ((-load).exp(), 0.0);
    for entries in 1..60 {
        probability *= load / entries as f64;
        expected += probability * (entries as f64 - slots as f64).max(0.0).div_euclid(7.0);
        if entries > slots && !(entries - slots).is_multiple_of(7) {
            expected += probability;
        }
    }
    expected
}

/// Returns the bytes of a table.
fn table(backend: BackendKind, entries: usize) -> f64 {
    let buckets = entries.div_ceil(MAX_LOAD).next_power_of_two() as f64;
    let load = entries as f64 / buckets;
    match backend {
        BackendKind::RwLock => buckets * BUCKET * (1.0 + overflow_buckets(load, 6)),
        BackendKind::Epoch => buckets * BUCKET * (1.0 + overflow_buckets(load, 7)),
        _ => {
            // The shards and their tables are powers of two, so together they have a power of two.
            let slots = (entries * 8).div_ceil(7).next_power_of_two();
            (slots * 17) as f64
        }
    }
}

/// Checks that a number is within a share of what the formula gives.
#[track_caller]
fn assert_near(what: &str, actual: f64, formula: f64, tolerance: f64) {
    let off = actual / formula - 1.0;
    assert!(
        off.abs() <= tolerance,
        "{what}: {actual:.0} bytes, {formula:.0} by the formula, off by {:.1} %",
        off * 100.0
    );
}

fn check(combination: Combination, key_len: usize, value_len: usize) {
    let store = combination.open(&Config { huge_pages: false, ..Config::default() }).unwrap();
    let mut key = vec![b'k'; key_len];
    let value = vec![b'v'; value_len];
    for n in 0..ENTRIES {
        key[..4].copy_from_slice(&(n as u32).to_le_bytes());
        store.set(&key, &value).unwrap();
    }
    let stats = store.stats().unwrap();
    let name = |part: &str| format!("{combination}, {key_len} + {value_len} bytes, {part}");
    let node = node(key_len, value_len);
    assert_eq!(stats.memory.node_bytes as usize, ENTRIES * node, "{}", name("nodes"));
    assert_eq!(stats.pool.live_bytes as usize, ENTRIES * node, "{}", name("live"));
    let blocks = ENTRIES * block(combination.pool, node);
    let held = match combination.pool {
        PoolKind::System => blocks,
        _ => blocks.next_multiple_of(CHUNK),
    };
    // Slab and arena may hold one chunk more, for the spans of other size classes.
    let held_bytes = stats.pool.held_bytes as usize;
    let most = held as f64 * (1.0 + POOL_TOLERANCE) + CHUNK as f64;
    assert!(
        held_bytes >= blocks && held_bytes as f64 <= most,
        "{}: {held_bytes} bytes, {held} by the formula",
        name("held")
    );
    assert_near(
        &name("table"),
        stats.memory.table_bytes as f64,
        table(combination.backend, ENTRIES),
        TABLE_TOLERANCE,
    );
}

#[test]
fn the_formula_gives_the_bytes_of_short_entries() {
    for combination in Combination::all() {
        check(combination, 16, 64);
    }
}

#[test]
fn the_formula_gives_the_bytes_of_entries_beyond_the_fine_size_classes() {
    for combination in Combination::all() {
        check(combination, 11, 300);
    }
}

#[test]
fn the_page_has_the_figures_of_the_formula() {
    let page = include_str!("../../docs/memory.md");
    for load in [2.5, 3.0, 3.5, 4.0, 4.5, 5.0] {
        let percent = |slots| overflow_buckets(load, slots) * 100.0;
        let row = format!("| {load:.1} | {:.1} % | {:.1} % |", percent(6), percent(7));
        assert!(page.contains(&row), "the page lacks {row}");
    }
    for entries in [100_000, 1_000_000, 10_000_000] {
        let mib = |backend| table(backend, entries) / (1 << 20) as f64;
        let row = format!(
            "| {entries} | {:.1} | {:.1} | {:.1} |",
            mib(BackendKind::RwLock),
            mib(BackendKind::Epoch),
            mib(BackendKind::DashMap)
        );
        assert!(page.contains(&row), "the page lacks {row}");
    }
    for (size, slab) in [(88, 88), (89, 96), (319, 320), (1_500, 1_536)] {
        assert_eq!(block(PoolKind::Slab, size), slab);
    }
    assert!(node(MAX_KEY_LEN, 0) < 1 << 17);
}
