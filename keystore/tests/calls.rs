//! Checks the column "allocates" of docs/calls.md: which calls ask the global allocator for memory,
//! on a store that is warm. A store is warm if its table has its final size, and the thread's
//! magazines and bags of garbage have been used.
//!
//! The pool `slab` takes its nodes from memory that it maps itself, so on `slab` only other
//! allocations are counted. On `system`, each node is an allocation.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::ops::ControlFlow;

use keystore::{
    AnyPool, BackendKind, Change, Config, DashMapKeystore, EpochKeystore, Exchange, Keystore,
    PoolKind, RwLockKeystore, ScanCursor, Update,
};

/// An allocator that counts the allocations of each thread.
struct Counting;

#[global_allocator]
static COUNTING: Counting = Counting;

thread_local! {
    /// Number of allocations of this thread, and of blocks that were made larger or smaller.
    static ALLOCATIONS: Cell<u64> = const { Cell::new(0) };
}

fn count() {
    // A thread that is ending has no counter any more.
    let _ = ALLOCATIONS.try_with(|allocations| allocations.set(allocations.get() + 1));
}

// SAFETY: every call goes to the system's allocator, which keeps the promises.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count();
        // SAFETY: the caller's promises are those of the system's allocator.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        // SAFETY: as above; every block came from the system's allocator.
        unsafe { System.dealloc(block, layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        count();
        // SAFETY: as above.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count();
        // SAFETY: as above.
        unsafe { System.realloc(block, layout, size) }
    }
}

/// Number of keys in a warm store.
const KEYS: u32 = 2_000;

/// Number of calls that are counted together.
const CALLS: u32 = 500;

fn key(n: u32) -> [u8; 4] {
    n.to_be_bytes()
}

/// Returns the number of allocations of [`CALLS`] calls of `call`, which gets the number of the
/// call.
fn allocations(mut call: impl FnMut(u32)) -> u64 {
    let before = ALLOCATIONS.get();
    (0..CALLS).for_each(&mut call);
    ALLOCATIONS.get() - before
}

/// Adds, replaces and removes entries until the store is warm.
fn warm(store: &impl Keystore) {
    store.reserve(4 * KEYS as usize).unwrap();
    for round in 0..20 {
        for length in [48, 16] {
            for n in 0..KEYS {
                store.delete(&key(n)).unwrap();
                store.set(&key(n), &vec![round; length]).unwrap();
            }
        }
        for n in KEYS..2 * KEYS {
            store.set(&key(n), &[round; 16]).unwrap();
        }
        for n in KEYS..2 * KEYS {
            store.delete(&key(n)).unwrap();
        }
    }
}

/// The calls of the page, each with the number of allocations of a call that the page gives.
fn check(store: &impl Keystore, backend: BackendKind, pool: PoolKind) {
    let is_lock_free = backend == BackendKind::Epoch;
    // On system, each node is an allocation.
    let node = u64::from(pool == PoolKind::System);
    let in_place = if is_lock_free { node } else { 0 };
    let per_call = |each: u64| each * u64::from(CALLS);
    let check = |name: &str, allocations: u64, expected: u64| {
        assert_eq!(allocations, expected, "{name} on {backend} and {pool}");
    };
    // One write in 64 that removes a node may start a grace period of the lock-free backend, for
    // which crossbeam needs two blocks, and this crate a third one to see whether there is memory.
    let grace = if is_lock_free { 3 * u64::from(CALLS.div_ceil(64)) } else { 0 };
    let check_removing = |name: &str, allocations: u64, expected: u64| {
        assert!(
            (expected..=expected + grace).contains(&allocations),
            "{name} on {backend} and {pool}: {allocations} allocations instead of {expected}"
        );
    };
    warm(store);
    let (mut sum, mut buffer) = (0, Vec::with_capacity(64));

    let read =
        allocations(|n| sum += store.read(&key(n), |value| value.len()).unwrap().unwrap_or(0));
    check("read", read, 0);
    check("contains", allocations(|n| assert!(store.contains(&key(n)).unwrap())), 0);
    check("get of a present key", allocations(|n| drop(store.get(&key(n)))), per_call(1));
    check("get of an absent key", allocations(|n| drop(store.get(&key(n + 2 * KEYS)))), 0);
    let into = allocations(|n| assert!(store.get_into(&key(n), &mut buffer).unwrap()));
    check("get_into", into, 0);
    let read_many = allocations(|n| {
        let (one, other) = (key(n), key(n + 1));
        store.read_many(&[&one, &other], |_, value| sum += value.map_or(0, <[u8]>::len)).unwrap();
    });
    check("read_many", read_many, 0);
    check("len", allocations(|_| sum += store.len().unwrap()), 0);
    check("counters", allocations(|_| drop(store.counters())), 0);
    check("table_bytes", allocations(|_| drop(store.table_bytes())), 0);

    let overwrite = |n: u32| assert_eq!(store.set(&key(n), &[7; 16]), Ok(Change::Replaced));
    check_removing("set that overwrites", allocations(overwrite), per_call(in_place));
    let longer = |n: u32| assert_eq!(store.set(&key(n), &[7; 48]), Ok(Change::Replaced));
    check_removing("set of a longer value", allocations(longer), per_call(node));
    let array = |n: u32| {
        let (_, old) = store
            .update_with(&key(n), |old| (Update::set([9_u8; 16]), old.map_or(0, <[u8]>::len)))
            .unwrap();
        sum += old;
    };
    check_removing("update_with of an array", allocations(array), per_call(in_place));
    let keep = |n: u32| assert_eq!(store.update(&key(n), |_| Update::Keep), Ok(Change::Kept));
    check("update that keeps", allocations(keep), 0);
    let exchange = |n: u32| {
        let exchanged = store.compare_exchange(&key(n), Some(&[9; 16]), Some(&[8; 16]));
        assert_eq!(exchanged, Ok(Exchange::Exchanged));
    };
    check_removing("compare_exchange", allocations(exchange), per_call(in_place));
    check_removing("delete", allocations(|n| assert!(store.delete(&key(n)).unwrap())), 0);
    let absent = |n: u32| assert_eq!(store.delete(&key(n)), Ok(false));
    check("delete of an absent key", allocations(absent), 0);
    let insert = |n: u32| assert!(store.insert(&key(n), &[7; 16]).unwrap());
    check("insert of an absent key", allocations(insert), per_call(node));
    check_removing("take", allocations(|n| drop(store.take(&key(n)).unwrap())), per_call(1));
    let create = |n: u32| assert_eq!(store.set(&key(n), &[7; 16]), Ok(Change::Created));
    check("set of an absent key", allocations(create), per_call(node));

    let for_each = allocations(|n| {
        if n == 0 {
            store
                .for_each(|_, value| {
                    sum += value.len();
                    ControlFlow::Continue(())
                })
                .unwrap();
        }
    });
    assert!(for_each <= u64::from(KEYS) / 4, "for_each: {for_each} allocations on {backend}");
    let scan = allocations(|n| {
        if n == 0 {
            store.scan(ScanCursor::START, 100, |_, value| sum += value.len()).unwrap();
        }
    });
    assert!(scan <= 64, "scan: {scan} allocations on {backend}");
    assert!(sum > 0);
}

/// Checks a backend on both pools.
fn check_backend<S: Keystore>(backend: BackendKind, open: impl Fn(&Config, AnyPool) -> S) {
    // Counters add nothing here. Without huge pages, the test needs less memory.
    let config = Config { huge_pages: false, ..Config::default() };
    for pool in [PoolKind::Slab, PoolKind::System] {
        check(&open(&config, AnyPool::new(pool, &config).unwrap()), backend, pool);
    }
}

#[test]
fn calls_on_a_warm_rwlock_store_allocate_what_the_page_says() {
    check_backend(BackendKind::RwLock, |config, pool| RwLockKeystore::open(config, pool).unwrap());
}

#[test]
fn calls_on_a_warm_epoch_store_allocate_what_the_page_says() {
    check_backend(BackendKind::Epoch, |config, pool| EpochKeystore::open(config, pool).unwrap());
}

#[test]
fn calls_on_a_warm_dashmap_store_allocate_what_the_page_says() {
    check_backend(BackendKind::DashMap, |config, pool| {
        DashMapKeystore::open(config, pool).unwrap()
    });
}

#[test]
fn borrowed_values_allocate_nothing() {
    let store = EpochKeystore::default();
    warm(&store);
    let guards = allocations(|n| assert!(store.get_guard(&key(n)).unwrap().is_some()));
    assert_eq!(guards, 0, "get_guard");
    let session = store.session();
    let borrows = allocations(|n| assert!(session.get_ref(&key(n)).unwrap().is_some()));
    assert_eq!(borrows, 0, "get_ref");
}

#[test]
fn the_page_names_each_call_that_is_checked_here() {
    let page = include_str!("../../docs/calls.md");
    for call in [
        "read",
        "contains",
        "get",
        "get_into",
        "read_many",
        "len",
        "counters",
        "table_bytes",
        "set",
        "update_with",
        "update",
        "compare_exchange",
        "delete",
        "insert",
        "take",
        "for_each",
        "scan",
        "get_guard",
        "get_ref",
    ] {
        let is_listed = |line: &str| {
            line.starts_with('|')
                && line.split('|').nth(1).is_some_and(|cell| cell.contains(&format!("`{call}`")))
        };
        assert!(page.lines().any(is_listed), "{call} is in no row");
    }
}
