//! Tests that a counter is changed in place: without one call of the global allocator.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

use keystore::{Change, Config, Keystore, Map, Pod, RwLockKeystore, SlabPool, Update};

thread_local! {
    /// Number of blocks that the thread has asked the global allocator for.
    static CALLS: Cell<u64> = const { Cell::new(0) };
}

/// The system's allocator, which counts the calls of each thread.
struct Counting;

#[global_allocator]
static COUNTING: Counting = Counting;

/// Counts one call. A thread that is ending may have no counter any more.
fn count() {
    let _ = CALLS.try_with(|calls| calls.set(calls.get() + 1));
}

// SAFETY: every call goes to the system's allocator, which keeps the promises.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count();
        // SAFETY: the caller's promises are those of the system's allocator.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        count();
        // SAFETY: as above; every block came from the system's allocator.
        unsafe { System.dealloc(block, layout) }
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count();
        // SAFETY: as above.
        unsafe { System.realloc(block, layout, size) }
    }
}

/// Returns the number of calls of the global allocator that `work` makes.
fn calls_of(work: impl FnOnce()) -> u64 {
    let before = CALLS.get();
    work();
    CALLS.get() - before
}

const ROUNDS: u64 = 1_000_000;
const KEYS: u64 = 16;

/// Returns a map on the slab pool with the keys 0 to 15.
fn counters() -> Map<u64, u64, Pod, RwLockKeystore<SlabPool>> {
    let config = Config::default();
    let pool = SlabPool::from_config(&config).unwrap();
    let map = Map::over(RwLockKeystore::open(&config, pool).unwrap());
    map.extend((0..KEYS).map(|key| (key, 0))).unwrap();
    map
}

#[test]
fn allocations_are_counted() {
    assert_eq!(calls_of(|| drop(std::hint::black_box(Box::new(7)))), 2);
}

#[test]
fn a_million_additions_make_no_call_of_the_global_allocator() {
    let map = counters();
    let calls = calls_of(|| {
        for n in 0..ROUNDS {
            assert_eq!(map.fetch_add(&(n % KEYS), 1), Ok(Some(n / KEYS)));
        }
    });
    assert_eq!(calls, 0);
    assert_eq!(map.get(&3), Ok(Some(ROUNDS / KEYS)));
}

#[test]
fn a_million_typed_reads_and_writes_make_no_call_of_the_global_allocator() {
    let map = counters();
    let calls = calls_of(|| {
        for n in 0..ROUNDS {
            let key = n % KEYS;
            let old = map.insert(key, n).unwrap();
            assert_eq!(map.get(&key), Ok(Some(n)));
            assert_eq!(old, Some(n.saturating_sub(KEYS)));
            assert_eq!(map.update(&key, |n| n + 1), Ok(Some(n + 1)));
            assert_eq!(map.compare_exchange(&key, Some(&(n + 1)), Some(&n)), Ok(Ok(())));
        }
    });
    assert_eq!(calls, 0);
}

#[test]
fn a_million_updates_of_bytes_make_no_call_of_the_global_allocator() {
    let store = counters().into_store();
    let calls = calls_of(|| {
        for n in 0..ROUNDS {
            let change = store.update(&(n % KEYS).to_ne_bytes(), |old| {
                let old = u64::from_ne_bytes(old.unwrap().try_into().unwrap());
                Update::set((old + 1).to_ne_bytes())
            });
            assert_eq!(change, Ok(Change::Replaced));
        }
    });
    assert_eq!(calls, 0);
    assert_eq!(store.get(&3_u64.to_ne_bytes()), Ok(Some((ROUNDS / KEYS).to_ne_bytes().to_vec())));
}

#[test]
fn a_million_reads_into_a_buffer_make_no_call_of_the_global_allocator() {
    let store = counters().into_store();
    let mut buffer = Vec::with_capacity(8);
    let calls = calls_of(|| {
        for n in 0..ROUNDS {
            assert_eq!(store.get_into(&(n % KEYS).to_ne_bytes(), &mut buffer), Ok(true));
            assert_eq!(buffer.len(), 8);
        }
    });
    assert_eq!(calls, 0);
}
