//! No call aborts for lack of memory: whichever allocation of the whole process is refused, the verb returns an error, and
//! the store stays whole.
//!
//! The conformance suite refuses nodes. Here the global allocator itself refuses, so that tables, overflow buckets, garbage,
//! copies and statistics are refused their memory too: the first allocation of a script of calls, then the second, and so on
//! until the script runs through; and then once more with all allocations refused from there on. After each refused call
//! everything that the store should hold is looked up. (The procedure is SQLite's, which tests running out of memory this
//! way.)
//!
//! What a refused allocation must not do is abort, and an abort would take the whole test program along. So each combination
//! runs in a process of its own, which is this program again.

#[path = "support/check.rs"]
mod check;
#[path = "support/combination.rs"]
mod combination;

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::collections::HashMap;
use std::ops::ControlFlow;
use std::process::{Command, ExitCode};

use keystore_core::{Config, Exchange, Keystore, Result, Update, code};

use self::check::{Check, checks};
use self::combination::Combination;

/// Names the combination and the call that a process of its own is for.
const CASE: &str = "KEYSTORE_OUT_OF_MEMORY";

const CHECKS: &[Check] = checks![all: no_call_aborts];

/// The calls that are refused memory, each in a process of its own.
const CALLS: [&str; 19] = [
    "open",
    "read",
    "get",
    "contains",
    "set",
    "insert",
    "update",
    "compare_exchange",
    "delete",
    "take",
    "read_many",
    "set_many",
    "delete_many",
    "for_each",
    "retain",
    "clear",
    "reserve",
    "shrink",
    "stats",
];

fn main() -> ExitCode {
    let Ok(case) = std::env::var(CASE) else { return check::run(&[("out_of_memory", CHECKS)]) };
    let (name, wanted) = case.split_once(' ').expect("a combination and a call");
    let combination = Combination::all().into_iter().find(|combination| combination.to_string() == name);
    let call = CALLS.into_iter().find(|&call| call == wanted);
    // What a process needs once, such as a hasher's first seed, it has got before its stores run out of memory.
    drop(
        Combination::all()
            .into_iter()
            .map(|combination| combination.open(&Config::default()))
            .collect::<Vec<_>>(),
    );
    refuse(&combination.expect("a combination there is"), call.expect("a call there is"));
    ExitCode::SUCCESS
}

fn no_call_aborts(combination: &Combination) {
    let program = std::env::current_exe().expect("the test program has a path");
    let mut failures = Vec::new();
    for call in CALLS {
        let mut process = Command::new(&program);
        // A backtrace of an abort would have to be allocated.
        process.env(CASE, format!("{combination} {call}")).env("RUST_BACKTRACE", "0");
        let output = process.output().expect("it runs");
        if !output.status.success() {
            let log = String::from_utf8_lossy(&output.stderr);
            let lines: Vec<_> = log.lines().collect();
            let end = lines.iter().rev().find(|line| !line.starts_with("note:")).copied().unwrap_or("");
            failures.push(format!("{call}: {}, {end:.300}", output.status));
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

/// What the allocator does for a thread.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mood {
    Obliging,
    /// Refuses the allocation after this many.
    RefuseOne(u64),
    /// Refuses all allocations after this many.
    RefuseAll(u64),
}

thread_local! {
    static MOOD: Cell<Mood> = const { Cell::new(Mood::Obliging) };
    static REFUSED: Cell<u64> = const { Cell::new(0) };
}

/// The system's allocator, that refuses the calling thread's allocations on demand.
struct Moody;

#[global_allocator]
static ALLOCATOR: Moody = Moody;

impl Moody {
    fn refuses() -> bool {
        let (mood, refuses) = match MOOD.get() {
            Mood::Obliging => return false,
            Mood::RefuseOne(0) => (Mood::Obliging, true),
            Mood::RefuseOne(left) => (Mood::RefuseOne(left - 1), false),
            Mood::RefuseAll(0) => (Mood::RefuseAll(0), true),
            Mood::RefuseAll(left) => (Mood::RefuseAll(left - 1), false),
        };
        MOOD.set(mood);
        if refuses {
            REFUSED.set(REFUSED.get() + 1);
        }
        refuses
    }
}

// SAFETY: every call goes to the system's allocator, or answers null, as an allocator may.
unsafe impl GlobalAlloc for Moody {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller's promise.
        if Self::refuses() { std::ptr::null_mut() } else { unsafe { System.alloc(layout) } }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller's promise.
        if Self::refuses() { std::ptr::null_mut() } else { unsafe { System.alloc_zeroed(layout) } }
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // SAFETY: the caller's promise.
        if Self::refuses() { std::ptr::null_mut() } else { unsafe { System.realloc(block, layout, size) } }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        // SAFETY: the caller's promise.
        unsafe { System.dealloc(block, layout) }
    }
}

/// The keys that the script uses: enough that the table grows.
const KEYS: usize = 100;

fn key(n: usize) -> Vec<u8> {
    format!("key {n}").into_bytes()
}

fn value(n: usize, length: usize) -> Vec<u8> {
    vec![n as u8; length]
}

/// A store, what it should hold, and which of its calls are refused memory.
struct Script<'s> {
    store: &'s dyn Keystore,
    entries: HashMap<Vec<u8>, Vec<u8>>,
    refused_call: &'static str,
    /// The mood of the allocator in the next such call.
    mood: Mood,
    errors: u64,
}

/// Makes a call in this mood, which it may change.
fn in_mood<R>(mood: &mut Mood, call: impl FnOnce() -> R) -> R {
    MOOD.set(*mood);
    let result = call();
    *mood = MOOD.replace(Mood::Obliging);
    result
}

impl Script<'_> {
    /// Makes a call. If it is refused, everything must still be there.
    fn call<R>(&mut self, name: &str, verb: impl FnOnce(&dyn Keystore) -> Result<R>) -> Option<R> {
        match self.attempt(name, verb) {
            Ok(result) => Some(result),
            Err(error) => {
                assert_eq!(error.code(), code::OUT_OF_MEMORY, "{name}: {error}");
                self.errors += 1;
                self.check(name);
                None
            }
        }
    }

    fn attempt<R>(&mut self, name: &str, verb: impl FnOnce(&dyn Keystore) -> R) -> R {
        let store = self.store;
        if name == self.refused_call { in_mood(&mut self.mood, || verb(store)) } else { verb(store) }
    }

    fn check(&self, after: &str) {
        for n in 0..2 * KEYS {
            let found = self.store.get(&key(n)).expect("there is memory again");
            assert!(found.as_ref() == self.entries.get(&key(n)), "key {n} has another value after {after}");
        }
        let mut shown = 0;
        let walk = self.store.for_each_dyn(&mut |key, value| {
            assert_eq!(self.entries.get(key).map(Vec::as_slice), Some(value), "after {after}");
            shown += 1;
            ControlFlow::Continue(())
        });
        assert_eq!((walk, shown), (Ok(()), self.entries.len()), "after {after}");
        assert_eq!(self.store.len(), Ok(self.entries.len()), "after {after}");
    }

    fn set(&mut self, n: usize, length: usize) {
        let (key, value) = (key(n), value(n, length));
        if self.call("set", |store| store.set(&key, &value)).is_some() {
            self.entries.insert(key, value);
        }
    }

    /// Every verb, on a table that grows and shrinks.
    fn run(&mut self) {
        (0..KEYS).for_each(|n| self.set(n, n % 40));
        (0..KEYS).step_by(3).for_each(|n| self.set(n, 100));
        for n in 0..20 {
            let key = key(n);
            self.call("read", |store| store.read_dyn(&key, &mut |_| ()));
            self.call("get", |store| store.get(&key));
            self.call("contains", |store| store.contains(&key));
        }
        for n in KEYS - 10..KEYS + 10 {
            let (key, value) = (key(n), value(n, 33));
            if self.call("insert", |store| store.insert(&key, &value)) == Some(true) {
                self.entries.insert(key, value);
            }
        }
        for n in KEYS..KEYS + 20 {
            let (key, value) = (key(n), value(n, 60));
            let mut new = Some(value.clone());
            // The closure may be asked again, and has its value ready only once: the second time it wants nothing.
            let decide = &mut |_: Option<&[u8]>| new.take().map_or(Update::Keep, Update::Set);
            if self.call("update", |store| store.update_dyn(&key, decide)).is_some() {
                self.entries.insert(key, value);
            }
        }
        for n in 0..10 {
            let (key, new) = (key(n), value(n, 70));
            let old = self.entries.get(&key).cloned();
            let exchange = self
                .call("compare_exchange", |store| store.compare_exchange(&key, old.as_deref(), Some(&new)));
            if exchange.is_some() {
                assert_eq!(exchange, Some(Exchange::Exchanged));
                self.entries.insert(key.clone(), new.clone());
            }
            self.call("compare_exchange", |store| store.compare_exchange(&key, None, Some(&new)));
        }
        for n in 10..30 {
            let key = key(n);
            if n % 2 == 0 {
                if self.call("delete", |store| store.delete(&key)).is_some() {
                    self.entries.remove(&key);
                }
            } else if self.call("take", |store| store.take(&key)).is_some() {
                self.entries.remove(&key);
            }
        }
        self.batches();
        self.call("reserve", |store| store.reserve(1_000));
        self.call("shrink", |store| store.shrink());
        self.call("stats", |store| store.stats());
        self.call("for_each", |store| store.for_each_dyn(&mut |_, _| ControlFlow::Continue(())));
        self.call("retain", |store| store.retain_dyn(&mut |_, _| true));
        (0..40).for_each(|n| self.set(n, 500));
        self.check("the script");
        match self.attempt("clear", |store| store.clear()) {
            Ok(()) => self.entries.clear(),
            Err(error) => {
                assert_eq!(error.code(), code::OUT_OF_MEMORY, "clear: {error}");
                self.errors += 1;
                // It has removed what it had come to.
                let there = |key: &[u8]| self.store.contains(key).expect("there is memory again");
                self.entries.retain(|key, _| there(key));
            }
        }
        (0..40).for_each(|n| self.set(n, 50));
        self.check("the script");
    }

    fn batches(&mut self) {
        let keys: Vec<_> = (0..80).map(key).collect();
        let keys: Vec<_> = keys.iter().map(Vec::as_slice).collect();
        let value = value(1, 50);
        let entries: Vec<_> = keys.iter().map(|&key| (key, &value[..])).collect();
        self.call("read_many", |store| Ok(store.read_many_dyn(&keys, &mut |_, _| ())?));
        // What a batch did before it was refused is in effect.
        let set = self.attempt("set_many", |store| store.set_many(&entries));
        let done = set.map_or_else(|error| error.index, |_| entries.len());
        self.entries.extend(keys[..done].iter().map(|key| (key.to_vec(), value.clone())));
        let deleted = self.attempt("delete_many", |store| store.delete_many(&keys[40..]));
        let done = deleted.map_or_else(|error| error.index, |_| 40);
        keys[40..40 + done].iter().for_each(|&key| drop(self.entries.remove(key)));
        self.check("the batches");
    }
}

/// Runs the script with the first allocation of the calls of this name refused, with the second, and so on until none is.
fn refuse(combination: &Combination, refused_call: &'static str) {
    type Moods = fn(u64) -> Mood;
    for mood in [Mood::RefuseOne as Moods, Mood::RefuseAll as Moods] {
        for nth in 0.. {
            let before = REFUSED.get();
            let config = Config { initial_buckets: 1, ..Config::default() };
            let open = || combination.open_over(&config, combination.pool(&config));
            let opened = if refused_call == "open" {
                let pool = combination.pool(&config);
                in_mood(&mut mood(nth), || combination.open_over(&config, pool))
            } else {
                open()
            };
            let store = opened.or_else(|error| {
                assert_eq!(error.code(), code::OUT_OF_MEMORY, "open: {error}");
                open()
            });
            let store = store.expect("there is memory again");
            let mut script =
                Script { store: &*store, entries: HashMap::new(), refused_call, mood: mood(nth), errors: 0 };
            script.run();
            let refused = REFUSED.get() - before;
            assert!(script.errors <= refused, "a call is refused for lack of memory, and of nothing else");
            if refused == 0 {
                break;
            }
        }
    }
}
