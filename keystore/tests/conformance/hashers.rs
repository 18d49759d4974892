//! Checks that a faulty hasher may hide keys and does no other harm. It may give any hash, panic,
//! or call the store.
//!
//! A hasher is safe code, so no promise about memory may depend on its answers. The documentation
//! of each check says what such a hasher costs.

use std::cell::{Cell, RefCell};
use std::collections::BTreeSet;
use std::hash::{BuildHasher, DefaultHasher, Hasher};
use std::ops::ControlFlow;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use keystore::{Change, Config, Error, Keystore, Shrinking, Update, code};

use crate::allocators::Audit;
use crate::check::{Check, checks};
use crate::combination::Combination;
use crate::entries::{Entries, assert_holds, bytes, contents, key, one_bucket};
use crate::hashing::{open_hashing, open_shared_hashing};

pub(crate) const CHECKS: &[Check] = checks![
    all:
        a_hasher_that_changes_its_mind_loses_and_doubles_no_node,
        a_hasher_that_gives_one_answer_keeps_keys_apart,
        a_hasher_that_panics_loses_nothing_and_what_took_effect_is_counted,
        a_batch_whose_hasher_panics_has_done_the_keys_before,
        a_hasher_that_calls_its_store_is_answered_or_refused,
        a_closure_that_writes_its_own_key_comes_to_an_end;
    shared:
        threads_whose_hashers_disagree_lose_and_double_no_node,
        threads_whose_hashers_panic_lose_nothing
];

/// The fault of a hasher.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
    /// It returns another hash at each call.
    Random,
    /// It inverts all bits of every second hash.
    Turning,
    /// It inverts one bit of every second hash.
    OneBit(u32),
    /// It changes the high bits of every hash, which choose neither the bucket nor the tag.
    HighBits,
    /// It returns the same hash for all keys.
    Constant(u64),
    /// It panics in one call out of this many.
    Panic(u64),
}

/// A hasher whose fault can be turned on and off.
#[derive(Clone, Debug)]
struct Faulty(Arc<Orders>);

#[derive(Debug)]
struct Orders {
    fault: Fault,
    /// 1 if the fault is on, else 0.
    on: AtomicU64,
    calls: AtomicU64,
}

struct FaultyState(DefaultHasher, Faulty);

impl Faulty {
    fn new(fault: Fault) -> Self {
        Self(Arc::new(Orders { fault, on: AtomicU64::new(1), calls: AtomicU64::new(0) }))
    }

    fn is_faulty(&self, on: bool) {
        self.0.on.store(u64::from(on), Relaxed);
    }
}

impl BuildHasher for Faulty {
    type Hasher = FaultyState;

    fn build_hasher(&self) -> FaultyState {
        FaultyState(DefaultHasher::new(), self.clone())
    }
}

impl Hasher for FaultyState {
    fn write(&mut self, bytes: &[u8]) {
        self.0.write(bytes);
    }

    fn finish(&self) -> u64 {
        let Orders { fault, on, calls } = &*self.1.0;
        let right = self.0.finish();
        if on.load(Relaxed) == 0 {
            return right;
        }
        let call = calls.fetch_add(1, Relaxed);
        match *fault {
            Fault::Random => call.wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(23),
            Fault::Turning => right ^ (call % 2).wrapping_neg(),
            Fault::OneBit(bit) => right ^ (call % 2) << bit,
            Fault::HighBits => right & 0xff_ffff_ffff | call << 40,
            Fault::Constant(answer) => answer,
            Fault::Panic(every) if call % every == every - 1 => panic_quietly(),
            Fault::Panic(_) => right,
        }
    }
}

/// Unwinds as a panic does, without the message on the terminal.
fn panic_quietly() -> ! {
    resume_unwind(Box::new("a panic of a caller's hasher"))
}

/// Faults by which two hashes of one key differ. Of the inverted bits, 0 and 3 choose the bucket in
/// small tables, 14 and 20 are part of the tag, and 40 does neither.
const FICKLE: [Fault; 8] = [
    Fault::Random,
    Fault::Turning,
    Fault::OneBit(0),
    Fault::OneBit(3),
    Fault::OneBit(14),
    Fault::OneBit(20),
    Fault::OneBit(40),
    Fault::HighBits,
];

/// Checks that the table has as many entries as were created and not removed, and that scans end.
#[track_caller]
fn assert_counted(store: &dyn Keystore, entries: usize, what: impl std::fmt::Debug) {
    assert_eq!(store.len(), Ok(entries), "{what:?}: entries by the count");
    let stats = store.stats().unwrap();
    assert_eq!(stats.entries.count, entries as u64, "{what:?}: entries in the table");
    let mut shown = 0;
    store
        .for_each_dyn(&mut |_, _| {
            shown += 1;
            ControlFlow::Continue(())
        })
        .unwrap();
    assert!(shown <= entries, "{what:?}: {shown} shown of {entries}");
}

/// Such a hasher may hide keys: a key that was set is not found, and is there twice after it is set
/// again.
fn a_hasher_that_changes_its_mind_loses_and_doubles_no_node(combination: &Combination) {
    for fault in FICKLE {
        for shrinking in [Shrinking::OnRequest, Shrinking::Automatic] {
            let config = Config { shrinking, ..one_bucket() };
            let audit = Audit::new(combination, &config);
            let store = open_hashing(combination, &config, audit.clone(), Faulty::new(fault));
            let mut entries = 0;
            for n in 0..4_000 {
                entries += usize::from(store.set(&key(n), &bytes(n, 20)) == Ok(Change::Created));
                if n % 3 == 0 {
                    entries -= usize::from(store.delete(&key(n / 2)).unwrap());
                }
                if n % 5 == 0 {
                    store.update_dyn(&key(n), &mut |_| Update::Keep).unwrap();
                    store.get(&key(n)).unwrap();
                }
            }
            assert_counted(&*store, entries, fault);
            store.reserve(20_000).unwrap();
            assert_counted(&*store, entries, fault);
            entries -= store.retain_dyn(&mut |key, _| key.len() % 2 == 0).unwrap();
            store.shrink().unwrap();
            assert_counted(&*store, entries, fault);
            let all: Vec<_> = (0..4_000).map(key).collect();
            let all: Vec<_> = all.iter().map(Vec::as_slice).collect();
            store.read_many_dyn(&all, &mut |_, _| ()).unwrap();
            entries -= store.delete_many(&all).unwrap();
            store.clear().unwrap();
            assert!(store.len().unwrap() <= entries, "{fault:?}");
            audit.assert_in_order();
            drop(store);
            audit.assert_all_returned();
        }
    }
}

/// Such a hasher costs time only.
fn a_hasher_that_gives_one_answer_keeps_keys_apart(combination: &Combination) {
    for answer in [0, u64::MAX, 0x3fff_c000] {
        let audit = Audit::new(combination, &one_bucket());
        let faulty = Faulty::new(Fault::Constant(answer));
        let store = open_hashing(combination, &one_bucket(), audit.clone(), faulty);
        let mut expected = Entries::new();
        for n in 0..400 {
            assert_eq!(store.insert(&key(n), &bytes(n, 30)), Ok(true));
            expected.insert(key(n), bytes(n, 30));
        }
        store.reserve(2_000).unwrap();
        assert_holds(&*store, &expected);
        for n in (0..400).step_by(2) {
            assert_eq!(store.take(&key(n)), Ok(expected.remove(&key(n))));
        }
        store.shrink().unwrap();
        assert_holds(&*store, &expected);
        drop(store);
        audit.assert_all_returned();
    }
}

/// After a call that panicked, the caller must look at the store to learn if the call took effect.
fn a_hasher_that_panics_loses_nothing_and_what_took_effect_is_counted(combination: &Combination) {
    for every in [2, 3, 5, 50, 1_000] {
        let audit = Audit::new(combination, &one_bucket());
        let faulty = Faulty::new(Fault::Panic(every));
        let store = open_hashing(combination, &one_bucket(), audit.clone(), faulty.clone());
        let attempt = |call: &mut dyn FnMut()| catch_unwind(AssertUnwindSafe(call)).is_ok();
        let (mut certain, mut panics) = (BTreeSet::new(), 0);
        for n in 0..6_000 {
            let done =
                attempt(&mut || assert_eq!(store.set(&key(n), &bytes(n, 20)), Ok(Change::Created)));
            if done {
                certain.insert(n);
            }
            panics += usize::from(!done);
            if n % 4 == 0 {
                attempt(&mut || assert!(store.delete(&key(n / 2)).is_ok()));
                // If it panicked, the key may be there or not.
                certain.remove(&(n / 2));
            }
        }
        assert!(panics > 0);
        faulty.is_faulty(false);
        let check = |certain: &BTreeSet<usize>| {
            for &n in certain {
                assert_eq!(
                    store.get(&key(n)).unwrap(),
                    Some(bytes(n, 20)),
                    "one in {every}: key {n}"
                );
            }
            // A scan shows each entry once, and the count agrees.
            let now = contents(&*store);
            assert_holds(&*store, &now);
        };
        check(&certain);
        faulty.is_faulty(true);
        for _ in 0..20 {
            attempt(&mut || store.reserve(30_000).unwrap());
            attempt(&mut || drop(store.for_each_dyn(&mut |_, _| ControlFlow::Continue(()))));
            attempt(&mut || store.shrink().unwrap());
            attempt(&mut || drop(store.retain_dyn(&mut |_, _| true)));
        }
        faulty.is_faulty(false);
        check(&certain);
        faulty.is_faulty(true);
        attempt(&mut || store.clear().unwrap());
        faulty.is_faulty(false);
        check(&BTreeSet::new());
        drop(store);
        audit.assert_all_returned();
    }
}

/// A hasher that panics at keys which begin with an exclamation mark.
#[derive(Clone, Copy, Debug)]
struct Squeamish;

struct SqueamishState(DefaultHasher);

impl BuildHasher for Squeamish {
    type Hasher = SqueamishState;

    fn build_hasher(&self) -> SqueamishState {
        SqueamishState(DefaultHasher::new())
    }
}

impl Hasher for SqueamishState {
    fn write(&mut self, bytes: &[u8]) {
        if bytes.first() == Some(&b'!') {
            panic_quietly();
        }
        self.0.write(bytes);
    }

    fn finish(&self) -> u64 {
        self.0.finish()
    }
}

fn a_batch_whose_hasher_panics_has_done_the_keys_before(combination: &Combination) {
    for at in [0, 1, 7, 31, 32, 40, 99] {
        let config = one_bucket();
        let store = open_hashing(combination, &config, combination.pool(&config), Squeamish);
        let keys: Vec<_> = (0..100).map(|n| if n == at { b"!".to_vec() } else { key(n) }).collect();
        let keys: Vec<_> = keys.iter().map(Vec::as_slice).collect();
        let values: Vec<_> = (0..100).map(|n| bytes(n, n)).collect();
        let entries: Vec<_> =
            keys.iter().zip(&values).map(|(key, value)| (*key, &**value)).collect();

        let outcome = catch_unwind(AssertUnwindSafe(|| store.set_many(&entries)));
        assert!(outcome.is_err(), "the panic reaches the caller");
        let before = (0..at).map(|n| (key(n), bytes(n, n))).collect();
        assert_holds(&*store, &before);
        assert_eq!(store.stats().unwrap().operations.adds, at as u64);

        let mut shown = Vec::new();
        let mut visit = |n: usize, value: Option<&[u8]>| shown.push((n, value.map(<[u8]>::to_vec)));
        let outcome = catch_unwind(AssertUnwindSafe(|| store.read_many_dyn(&keys, &mut visit)));
        assert!(outcome.is_err());
        assert_eq!(shown, (0..at).map(|n| (n, Some(bytes(n, n)))).collect::<Vec<_>>());

        store.set(b"another", b"value").unwrap();
        assert!(catch_unwind(AssertUnwindSafe(|| store.delete_many(&keys))).is_err());
        assert_holds(&*store, &[(b"another".to_vec(), b"value".to_vec())].into());
    }
}

thread_local! {
    /// The store that [`Calling`] calls on this thread.
    static CALLED: RefCell<Option<Rc<dyn Keystore>>> = const { RefCell::new(None) };
    static IS_CALLING: Cell<bool> = const { Cell::new(false) };
}

/// A hasher that calls the store that it hashes for.
#[derive(Clone, Copy, Debug)]
struct Calling;

impl BuildHasher for Calling {
    type Hasher = DefaultHasher;

    fn build_hasher(&self) -> DefaultHasher {
        let store = CALLED.with_borrow(Option::clone);
        if let Some(store) = store.filter(|_| !IS_CALLING.replace(true)) {
            let answers = |outcome: Result<(), Error>| {
                let refused = outcome.err().map(|error| error.code());
                assert!(matches!(refused, None | Some(code::LOCK_NOT_ACQUIRED)), "{refused:?}");
            };
            answers(store.get(b"asked").map(drop));
            answers(store.set(b"asked", b"by the hasher").map(drop));
            answers(store.delete(b"asked").map(drop));
            IS_CALLING.set(false);
        }
        DefaultHasher::new()
    }
}

fn a_hasher_that_calls_its_store_is_answered_or_refused(combination: &Combination) {
    let audit = Audit::new(combination, &one_bucket());
    let store: Rc<dyn Keystore> =
        open_hashing(combination, &one_bucket(), audit.clone(), Calling).into();
    CALLED.set(Some(Rc::clone(&store)));
    let mut expected = Entries::new();
    for n in 0..2_000 {
        assert_eq!(store.set(&key(n), &bytes(n, 10)), Ok(Change::Created));
        expected.insert(key(n), bytes(n, 10));
    }
    store.reserve(10_000).unwrap();
    store.for_each_dyn(&mut |_, _| ControlFlow::Continue(())).unwrap();
    store.retain_dyn(&mut |_, _| true).unwrap();
    store.shrink().unwrap();
    CALLED.set(None);
    store.delete(b"asked").unwrap();
    assert_holds(&*store, &expected);
    drop(store);
    audit.assert_all_returned();
}

/// If a key is written while a closure decides about it, the closure is called again. A closure
/// that writes this key itself would therefore be called without end, if the store allowed that
/// write.
fn a_closure_that_writes_its_own_key_comes_to_an_end(combination: &Combination) {
    for fault in FICKLE {
        let config = Config::default();
        let store =
            open_hashing(combination, &config, combination.pool(&config), Faulty::new(fault));
        for n in 0..20 {
            store.set(&key(n), b"first").unwrap();
            let mut asked = 0;
            let mut decide = |_: Option<&[u8]>| {
                asked += 1;
                assert!(asked < 100, "{fault:?}: asked again and again");
                let inner = store.set(&key(n), &bytes(asked, 10));
                assert!(
                    inner.is_ok()
                        || inner.is_err_and(|error| error.code() == code::LOCK_NOT_ACQUIRED)
                );
                Update::set(b"second".to_vec())
            };
            store.update_dyn(&key(n), &mut decide).unwrap();
        }
    }
}

/// Such hashers may hide keys.
fn threads_whose_hashers_disagree_lose_and_double_no_node(combination: &Combination) {
    for fault in FICKLE {
        let config = Config { shrinking: Shrinking::Automatic, ..one_bucket() };
        let audit = Audit::new(combination, &config);
        let store = open_shared_hashing(combination, &config, audit.clone(), Faulty::new(fault));
        let entries: i64 = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..4)
                .map(|thread| {
                    let store = &store;
                    scope.spawn(move || {
                        let mut entries = 0;
                        for round in 0..3 {
                            for n in 0..1_500 {
                                let key = key(n * 4 + thread);
                                let set = store.set(&key, &bytes(n, 20)).unwrap();
                                entries += i64::from(set == Change::Created);
                                store.contains(&key).unwrap();
                                if (n + round) % 3 == 0 {
                                    entries -= i64::from(store.delete(&key).unwrap());
                                }
                            }
                            entries -=
                                store.retain_dyn(&mut |key, _| key.len() % 2 == 0).unwrap() as i64;
                            store.shrink().unwrap();
                        }
                        entries
                    })
                })
                .collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).sum()
        });
        assert_counted(&*store, entries as usize, fault);
        audit.assert_in_order();
        drop(store);
        audit.assert_all_returned();
    }
}

fn threads_whose_hashers_panic_lose_nothing(combination: &Combination) {
    for every in [3, 40, 1_001] {
        let audit = Audit::new(combination, &one_bucket());
        let faulty = Faulty::new(Fault::Panic(every));
        let store = open_shared_hashing(combination, &one_bucket(), audit.clone(), faulty.clone());
        let certain: Vec<usize> = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..4)
                .map(|thread| {
                    let store = &store;
                    scope.spawn(move || {
                        let mut certain = Vec::new();
                        for n in (0..6_000).map(|n| n * 4 + thread) {
                            let set = || store.set(&key(n), &bytes(n, 20)).unwrap();
                            if catch_unwind(AssertUnwindSafe(set)).is_ok() {
                                certain.push(n);
                            }
                        }
                        certain
                    })
                })
                .collect();
            threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
        });
        faulty.is_faulty(false);
        for n in certain {
            assert_eq!(store.get(&key(n)).unwrap(), Some(bytes(n, 20)), "one in {every}: key {n}");
        }
        let now = contents(&*store);
        assert_holds(&*store, &now);
        drop(store);
        audit.assert_all_returned();
    }
}
