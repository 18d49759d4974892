//! Tests that refuse each allocation once. A fixed sequence of calls runs on a new store with its
//! first allocation refused, then on another with the second refused, and so on until no allocation
//! is left to refuse. The refused allocation may be for a node, a table, an overflow bucket, a
//! pool's tables, or a list of garbage. In each case the operation returns an error or succeeds
//! without that memory, every entry is still there, and the same call succeeds the next time.
//! SQLite tests its behaviour without memory in the same way.
//!
//! Other tests refuse a thread every allocation, from its first call on. These tests make no
//! exceptions. If code asks for memory and cannot report that it got none, the process ends and the
//! test fails.
//!
//! The global allocator of this program refuses. It refuses only the thread under test, and only
//! within a call of the store. It never refuses an allocation of a closure or of the test itself.
//! The first kind of test also spares allocations of dependencies that cannot report a failure: see
//! [`CANNOT_REPORT`]. The chunks of a pool come from the system and not from the global allocator,
//! so they are not refused.

#[path = "support/check.rs"]
mod check;
#[expect(dead_code, reason = "stores are opened here where they may be refused memory")]
#[path = "support/combination.rs"]
mod combination;
#[path = "support/script.rs"]
mod script;
#[path = "support/steps.rs"]
mod steps;

use std::alloc::{GlobalAlloc, Layout, System};
use std::backtrace::Backtrace;
use std::cell::Cell;
use std::ops::ControlFlow;
use std::process::ExitCode;
use std::ptr::null_mut;
use std::sync::Barrier;
use std::thread::sleep;
use std::time::Duration;

use keystore::{
    AnyPool, BackendKind, BatchError, BoxedKeystore, Change, Config, Exchange, Keystore, Result,
    ScanCursor, Stats, Update, code, open,
};

use self::check::{Check, checks};
use self::combination::{Combination, Scribbling};
use self::script::script;
use self::steps::{Model, Step};

/// Code that ends the process if it gets no memory, because it cannot report that. Its allocations
/// are not refused. An entry is the start of a function's name, or the start of the name of a
/// folder or file of its source.
const CANNOT_REPORT: [&str; 4] = [
    // crossbeam-epoch's entry for a thread, and its queue of bags.
    "crossbeam_epoch::",
    "crossbeam-epoch-",
    // dashmap's array of shards, when a store is opened.
    "dashmap::",
    "dashmap-",
];

const CHECKS: &[Check] = checks![
    all: whichever_allocation_fails_the_store_goes_on;
    shared: a_thread_that_gets_no_memory_at_all_is_answered_or_refused,
            a_thread_that_gets_no_memory_waits_for_a_held_lock
];

fn main() -> ExitCode {
    check::run(&[("allocation", CHECKS)])
}

thread_local! {
    /// Number of allocations up to and including the one to refuse; 0 to refuse none.
    static LEFT: Cell<u64> = const { Cell::new(0) };
    /// True while the thread is within a call of the store and not in a closure that the call runs.
    static WITHIN: Cell<bool> = const { Cell::new(false) };
    /// True if every allocation within a call is refused, without exception.
    static STARVED: Cell<bool> = const { Cell::new(false) };
}

#[global_allocator]
static REFUSING: Refusing = Refusing;

/// The system's allocator, which refuses what the variables above say.
struct Refusing;

impl Refusing {
    /// Returns true if this is an allocation to refuse.
    fn refuses(&self) -> bool {
        if !WITHIN.get() {
            return false;
        }
        if STARVED.get() {
            return true;
        }
        let left = LEFT.get();
        if left == 0 {
            return false;
        }
        LEFT.set(left - 1);
        if left > 1 {
            return false;
        }
        // Capturing a backtrace allocates, too. These allocations are not refused, because `LEFT`
        // is 0 now.
        let refuses = !cannot_report(&Backtrace::force_capture().to_string());
        // An allocation that must not be refused is skipped, and the next one is refused instead.
        LEFT.set(u64::from(!refuses));
        refuses
    }
}

/// Returns true if the code that asks for memory cannot report that it got none. It looks at the
/// functions of the backtrace from the innermost one to the first one of ours. Each function has a
/// line with its name and, if it is known, a line with its place in the source.
fn cannot_report(backtrace: &str) -> bool {
    let is_ours = |line: &&str| line.contains("keystore-core/src") || line.starts_with("at ./src");
    backtrace
        .lines()
        .map(|line| {
            line.trim_start()
                .trim_start_matches(|c: char| c.is_ascii_digit())
                .trim_start_matches(": ")
        })
        .take_while(|line| !is_ours(line))
        .any(|line| {
            CANNOT_REPORT
                .iter()
                .any(|cannot| line.starts_with(cannot) || line.contains(&format!("/{cannot}")))
        })
}

// SAFETY: every call goes to the system's allocator, which keeps the promises, or returns null, as
// an allocator may.
unsafe impl GlobalAlloc for Refusing {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller's promises are those of the system's allocator.
        if self.refuses() { null_mut() } else { unsafe { System.alloc(layout) } }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        // SAFETY: as above; every block came from the system's allocator.
        unsafe { System.dealloc(block, layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        // SAFETY: as above.
        if self.refuses() { null_mut() } else { unsafe { System.alloc_zeroed(layout) } }
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // SAFETY: as above.
        if self.refuses() { null_mut() } else { unsafe { System.realloc(block, layout, size) } }
    }
}

/// Runs `work` with `WITHIN` set to `within`, and restores `WITHIN` afterwards.
fn with<R>(within: bool, work: impl FnOnce() -> R) -> R {
    let before = WITHIN.replace(within);
    let result = work();
    WITHIN.set(before);
    result
}

/// A store whose calls can be refused memory. The closures that it runs are never refused.
struct Within<'a>(&'a dyn Keystore);

impl Keystore for Within<'_> {
    fn read<R>(&self, key: &[u8], visit: impl FnOnce(&[u8]) -> R) -> Result<Option<R>> {
        let (mut visit, mut answer) = (Some(visit), None);
        self.read_dyn(key, &mut |value| answer = visit.take().map(|visit| visit(value)))?;
        Ok(answer)
    }
    fn read_dyn(&self, key: &[u8], visit: &mut dyn FnMut(&[u8])) -> Result<bool> {
        with(true, || self.0.read_dyn(key, &mut |value| with(false, || visit(value))))
    }
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>> {
        with(true, || self.0.get(key))
    }
    fn contains(&self, key: &[u8]) -> Result<bool> {
        with(true, || self.0.contains(key))
    }
    fn set(&self, key: &[u8], value: &[u8]) -> Result<Change> {
        with(true, || self.0.set(key, value))
    }
    fn insert(&self, key: &[u8], value: &[u8]) -> Result<bool> {
        with(true, || self.0.insert(key, value))
    }
    fn update<'v>(
        &self,
        key: &[u8],
        mut decide: impl FnMut(Option<&[u8]>) -> Update<'v>,
    ) -> Result<Change> {
        self.update_dyn(key, &mut decide)
    }
    fn update_dyn<'v>(
        &self,
        key: &[u8],
        decide: &mut dyn FnMut(Option<&[u8]>) -> Update<'v>,
    ) -> Result<Change> {
        with(true, || self.0.update_dyn(key, &mut |old| with(false, || decide(old))))
    }
    fn compare_exchange(
        &self,
        key: &[u8],
        expected: Option<&[u8]>,
        new: Option<&[u8]>,
    ) -> Result<Exchange> {
        with(true, || self.0.compare_exchange(key, expected, new))
    }
    fn delete(&self, key: &[u8]) -> Result<bool> {
        with(true, || self.0.delete(key))
    }
    fn take(&self, key: &[u8]) -> Result<Option<Vec<u8>>> {
        with(true, || self.0.take(key))
    }
    fn read_many(
        &self,
        keys: &[&[u8]],
        mut visit: impl FnMut(usize, Option<&[u8]>),
    ) -> Result<(), BatchError> {
        self.read_many_dyn(keys, &mut visit)
    }
    fn read_many_dyn(
        &self,
        keys: &[&[u8]],
        visit: &mut dyn FnMut(usize, Option<&[u8]>),
    ) -> Result<(), BatchError> {
        with(true, || self.0.read_many_dyn(keys, &mut |at, value| with(false, || visit(at, value))))
    }
    fn set_many(&self, entries: &[(&[u8], &[u8])]) -> Result<usize, BatchError> {
        with(true, || self.0.set_many(entries))
    }
    fn delete_many(&self, keys: &[&[u8]]) -> Result<usize, BatchError> {
        with(true, || self.0.delete_many(keys))
    }
    fn get_into(&self, key: &[u8], buffer: &mut Vec<u8>) -> Result<bool> {
        with(true, || self.0.get_into(key, buffer))
    }
    fn insert_many(&self, entries: &[(&[u8], &[u8])]) -> Result<usize, BatchError> {
        with(true, || self.0.insert_many(entries))
    }
    fn update_many_dyn<'v>(
        &self,
        keys: &[&[u8]],
        decide: &mut dyn FnMut(usize, Option<&[u8]>) -> Update<'v>,
    ) -> Result<usize, BatchError> {
        with(true, || self.0.update_many_dyn(keys, &mut |at, old| with(false, || decide(at, old))))
    }
    fn take_many_dyn(
        &self,
        keys: &[&[u8]],
        visit: &mut dyn FnMut(usize, Option<Vec<u8>>),
    ) -> Result<usize, BatchError> {
        with(true, || self.0.take_many_dyn(keys, &mut |at, value| with(false, || visit(at, value))))
    }
    fn scan_dyn(
        &self,
        cursor: ScanCursor,
        limit: usize,
        visit: &mut dyn FnMut(&[u8], &[u8]),
    ) -> Result<Option<ScanCursor>> {
        with(true, || {
            self.0.scan_dyn(cursor, limit, &mut |key, value| with(false, || visit(key, value)))
        })
    }
    fn update_all_dyn<'v>(
        &self,
        decide: &mut dyn FnMut(&[u8], &[u8]) -> Update<'v>,
    ) -> Result<usize> {
        with(true, || self.0.update_all_dyn(&mut |key, value| with(false, || decide(key, value))))
    }
    fn len(&self) -> Result<usize> {
        with(true, || self.0.len())
    }
    fn for_each(&self, mut visit: impl FnMut(&[u8], &[u8]) -> ControlFlow<()>) -> Result<()> {
        self.for_each_dyn(&mut visit)
    }
    fn for_each_dyn(&self, visit: &mut dyn FnMut(&[u8], &[u8]) -> ControlFlow<()>) -> Result<()> {
        with(true, || self.0.for_each_dyn(&mut |key, value| with(false, || visit(key, value))))
    }
    fn retain(&self, mut keep: impl FnMut(&[u8], &[u8]) -> bool) -> Result<usize> {
        self.retain_dyn(&mut keep)
    }
    fn retain_dyn(&self, keep: &mut dyn FnMut(&[u8], &[u8]) -> bool) -> Result<usize> {
        with(true, || self.0.retain_dyn(&mut |key, value| with(false, || keep(key, value))))
    }
    fn clear(&self) -> Result<()> {
        with(true, || self.0.clear())
    }
    fn reserve(&self, additional: usize) -> Result<()> {
        with(true, || self.0.reserve(additional))
    }
    fn shrink(&self) -> Result<()> {
        with(true, || self.0.shrink())
    }
    fn stats(&self) -> Result<Stats> {
        with(true, || self.0.stats())
    }
    fn table_bytes(&self) -> Result<u64> {
        with(true, || self.0.table_bytes())
    }
}

/// Returns true if the allocation that was to be refused has been refused.
fn was_refused() -> bool {
    LEFT.get() == 0
}

fn whichever_allocation_fails_the_store_goes_on(combination: &Combination) {
    let config = Config { initial_buckets: 1, ..Config::default() };
    let steps = script();
    let mut refusals = 0;
    for nth in 1.. {
        LEFT.set(nth);
        let pool = with(true, || AnyPool::new(combination.pool, &config));
        let opened =
            pool.and_then(|pool| with(true, || combination.open_over(&config, Scribbling(pool))));
        let store = match opened {
            Ok(store) => store,
            Err(error) => {
                assert_eq!((error.code(), was_refused()), (code::OUT_OF_MEMORY, true), "{error}");
                refusals += 1;
                continue;
            }
        };
        let mut model = Model::default();
        for step in &steps {
            if matches!(step, Step::Check) {
                // This step must not fail, so it bypasses the refusing store.
                model.check(&*store);
                continue;
            }
            if let Err(error) = model.take(&Within(&*store), step) {
                assert_eq!(
                    (error.code(), was_refused()),
                    (code::OUT_OF_MEMORY, true),
                    "{step:?}: {error}"
                );
                model.check(&*store);
                // The same call succeeds the second time.
                assert_eq!(model.take(&Within(&*store), step), Ok(()), "{step:?} again");
            }
        }
        model.check(&*store);
        with(true, || drop(store));
        if !was_refused() {
            break;
        }
        refusals += 1;
    }
    LEFT.set(0);
    assert!(refusals > 30, "only {refusals} allocations refused");
}

fn a_thread_that_gets_no_memory_at_all_is_answered_or_refused(combination: &Combination) {
    const KEYS: u32 = 300;
    let config = Config { initial_buckets: 1, ..Config::default() };
    let key = |n: u32| n.to_be_bytes();
    // A thread that gets no memory makes one of these as its first call.
    let first_calls: [fn(&BoxedKeystore) -> Result<()>; 12] = [
        |store| store.get(b"absent").map(drop),
        |store| store.contains(b"absent").map(drop),
        |store| store.set(b"new", b"value").map(drop),
        |store| store.set(b"", b"refused anyway").map(drop),
        |store| store.delete(&7_u32.to_be_bytes()).map(drop),
        |store| store.take(&8_u32.to_be_bytes()).map(drop),
        |store| store.compare_exchange(&9_u32.to_be_bytes(), None, None).map(drop),
        |store| {
            store
                .set_many(&[(b"one", b"1"), (b"two", b"2")])
                .map(drop)
                .map_err(|refused| refused.error)
        },
        |store| store.stats().map(drop),
        |store| store.reserve(100_000),
        |store| store.shrink(),
        |store| store.retain_dyn(&mut |_, _| true).map(drop),
    ];
    for (nth, first_call) in first_calls.iter().enumerate() {
        let pool = AnyPool::new(combination.pool, &config).unwrap();
        let store = open(combination.backend, &config, Scribbling(pool)).unwrap();
        for n in 0..KEYS {
            store.set(&key(n), b"before").unwrap();
        }
        let fed = |answer: &Result<()>| match answer {
            Ok(()) => true,
            Err(error) => {
                let expected = if nth == 3 { code::INVALID_ARGUMENT } else { code::OUT_OF_MEMORY };
                assert!(
                    [expected, code::OUT_OF_MEMORY].contains(&error.code()),
                    "call {nth}: {error}"
                );
                false
            }
        };
        let thread = || {
            let starving = |work: &dyn Fn() -> Result<()>| {
                STARVED.set(true);
                let answer = with(true, work);
                STARVED.set(false);
                answer
            };
            fed(&starving(&|| first_call(&store)));
            // These writes remove more nodes than the thread's bag of garbage can hold without new
            // memory.
            let mut answers = [0; 2];
            for round in 0..20 {
                for n in 0..KEYS {
                    let write = || match (round + n) % 3 {
                        0 => store.delete(&key(n)).map(drop),
                        _ => store.set(&key(n), &round.to_be_bytes()).map(drop),
                    };
                    answers[usize::from(fed(&starving(&write)))] += 1;
                }
            }
            // The same calls succeed when there is memory again.
            let again = first_call(&store);
            assert!(nth == 3 || again.is_ok(), "call {nth} again: {again:?}");
            for n in 0..KEYS {
                assert!(store.set(&key(n), b"after").is_ok());
            }
            answers
        };
        std::thread::scope(|scope| scope.spawn(thread).join()).unwrap();
        for n in 0..KEYS {
            assert_eq!(
                store.get(&key(n)).unwrap().as_deref(),
                Some(&b"after"[..]),
                "after call {nth}"
            );
        }
        assert_eq!(store.stats().unwrap().entries.count as usize, store.len().unwrap());
    }
}

fn a_thread_that_gets_no_memory_waits_for_a_held_lock(combination: &Combination) {
    let store = open(combination.backend, &Config::default(), combination.pool(&Config::default()))
        .unwrap();
    store.set(b"key", b"value").unwrap();
    let held = Barrier::new(2);
    std::thread::scope(|scope| {
        let waiter = scope.spawn(|| {
            store.contains(b"key").unwrap();
            held.wait();
            STARVED.set(true);
            let deleted = with(true, || store.delete(b"key"));
            STARVED.set(false);
            deleted
        });
        let look = |_: &[u8]| {
            held.wait();
            sleep(Duration::from_millis(20));
        };
        assert_eq!(store.read(b"key", look), Ok(Some(())));
        let deleted = waiter.join().unwrap();
        // Only the lock-free backend needs memory to delete: it puts the removed node into a bag.
        let refused = deleted.as_ref().is_err_and(|error| error.code() == code::OUT_OF_MEMORY);
        assert!(
            deleted == Ok(true) || refused && combination.backend == BackendKind::Epoch,
            "{deleted:?}"
        );
    });
}
