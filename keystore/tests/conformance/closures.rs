//! Checks that a closure that panics leaves the store whole and no lock held.

use std::ops::ControlFlow;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};

use keystore::{Change, Keystore, ScanCursor, Update};

use crate::allocators::Audit;
use crate::check::{Check, checks};
use crate::combination::Combination;
use crate::entries::{Entries, assert_holds, bytes, contents, fill, key, one_bucket};

pub(crate) const CHECKS: &[Check] = checks![
    all:
        a_panic_leaves_the_store_whole,
        a_panic_in_retain_keeps_what_was_not_yet_asked_about,
        a_panic_within_a_closure_within_a_closure_is_no_harm,
        a_closure_is_called_once_if_no_other_thread_writes,
        writes_from_inside_closures_let_the_table_grow;
    shared:
        panics_do_not_disturb_other_threads
];

/// Unwinds as a panic does, without the message on the terminal.
fn panic_quietly() -> ! {
    resume_unwind(Box::new("a panic of a caller's closure"))
}

/// An operation whose closure panics after `count` calls of it have returned. The closure is called
/// for present and for absent keys.
type Panicking = (&'static str, fn(&dyn Keystore, count: usize));

/// All operations with a closure, except for `retain`, which changes entries before its closure
/// panics.
const VERBS: [Panicking; 12] = [
    ("read", |store, _| drop(store.read_dyn(&key(3), &mut |_| panic_quietly()))),
    ("update of a present key", |store, _| {
        drop(store.update_dyn(&key(3), &mut |_| panic_quietly()))
    }),
    ("update of an absent key", |store, _| {
        drop(store.update_dyn(b"absent", &mut |_| panic_quietly()))
    }),
    ("read_many", |store, count| {
        let keys: Vec<_> = (0..100).map(key).collect();
        let keys: Vec<_> = keys.iter().map(Vec::as_slice).collect();
        drop(store.read_many_dyn(&keys, &mut |at, _| {
            if at == count {
                panic_quietly();
            }
        }));
    }),
    ("read_many of an absent key", |store, _| {
        drop(store.read_many_dyn(&[&key(1), b"absent"], &mut |_, value| {
            if value.is_none() {
                panic_quietly();
            }
        }));
    }),
    ("update of a present key to a filled value", |store, _| {
        let fill = |_: Option<&[u8]>, _: &mut [u8]| panic_quietly();
        drop(store.update_dyn(&key(3), &mut |_| Update::fill(5, &fill)))
    }),
    ("update of an absent key to a filled value", |store, _| {
        let fill = |_: Option<&[u8]>, _: &mut [u8]| panic_quietly();
        drop(store.update_dyn(b"absent", &mut |_| Update::fill(5_000, &fill)))
    }),
    ("update_many", |store, count| {
        let keys: Vec<_> = (0..60).map(key).collect();
        let keys: Vec<_> = keys.iter().map(Vec::as_slice).collect();
        drop(store.update_many_dyn(&keys, &mut |at, _| {
            if at == count {
                panic_quietly();
            }
            Update::Keep
        }));
    }),
    ("scan", |store, mut count| {
        drop(store.scan_dyn(ScanCursor::START, 60, &mut |_, _| {
            if count == 0 {
                panic_quietly();
            }
            count -= 1;
        }));
    }),
    ("update_all that keeps all", |store, mut count| {
        drop(store.update_all_dyn(&mut |_, _| {
            if count == 0 {
                panic_quietly();
            }
            count -= 1;
            Update::Keep
        }));
    }),
    ("for_each", |store, mut count| {
        drop(store.for_each_dyn(&mut |_, _| {
            if count == 0 {
                panic_quietly();
            }
            count -= 1;
            ControlFlow::Continue(())
        }));
    }),
    ("retain that keeps all", |store, mut count| {
        drop(store.retain_dyn(&mut |_, _| {
            if count == 0 {
                panic_quietly();
            }
            count -= 1;
            true
        }));
    }),
];

fn a_panic_leaves_the_store_whole(combination: &Combination) {
    let audit = Audit::new(combination, &one_bucket());
    let store = combination.open_over(&one_bucket(), audit.clone()).unwrap();
    let mut expected = fill(&*store, 60);
    for (round, count) in [0, 1, 5, 31, 32, 50].into_iter().enumerate() {
        for (name, verb) in VERBS {
            let outcome = catch_unwind(AssertUnwindSafe(|| verb(&*store, count)));
            assert!(outcome.is_err(), "{name}: the panic reaches the caller");
            assert_holds(&*store, &expected);
            // Every entry can still be written. If the panic had left a lock held, this would never
            // end.
            for n in 0..60 {
                let value = bytes(round + n, (round * 37 + n) % 120);
                assert_eq!(store.set(&key(n), &value), Ok(Change::Replaced), "after {name}");
                expected.insert(key(n), value);
            }
            assert_eq!(store.insert(b"absent", b"value"), Ok(true), "after {name}");
            assert_eq!(store.delete(b"absent"), Ok(true), "after {name}");
        }
    }
    assert_eq!(store.reserve(1_000), Ok(()));
    assert_eq!(store.shrink(), Ok(()));
    assert_holds(&*store, &expected);
    drop(store);
    audit.assert_all_returned();
}

fn a_panic_in_retain_keeps_what_was_not_yet_asked_about(combination: &Combination) {
    for good in [0, 1, 10, 99] {
        let audit = Audit::new(combination, &one_bucket());
        let store = combination.open_over(&one_bucket(), audit.clone()).unwrap();
        let mut expected = fill(&*store, 100);
        let mut unwanted = Vec::new();
        let outcome = catch_unwind(AssertUnwindSafe(|| {
            store.retain(|key, _| {
                if unwanted.len() == good {
                    panic_quietly();
                }
                unwanted.push(key.to_vec());
                false
            })
        }));
        assert!(outcome.is_err());
        for key in &unwanted {
            expected.remove(key);
        }
        // The entries that the closure rejected are gone and counted, and all others are there.
        assert_holds(&*store, &expected);
        let stats = store.stats().unwrap();
        assert_eq!((stats.operations.deletes, stats.nodes.deletes), (good as u64, good as u64));
        assert_eq!(store.retain(|_, _| false), Ok(100 - good));
        assert_holds(&*store, &Entries::new());
        drop(store);
        audit.assert_all_returned();
    }
}

fn a_panic_within_a_closure_within_a_closure_is_no_harm(combination: &Combination) {
    let store = combination.open(&one_bucket());
    let mut expected = fill(&*store, 20);
    let outer = store.update(&key(1), |old| {
        let before = old.map(<[u8]>::to_vec);
        let inner = catch_unwind(AssertUnwindSafe(|| store.read(&key(2), |_| panic_quietly())));
        // Either the call was refused because of a lock, or its closure ran and the panic was
        // caught here.
        assert!(
            inner.is_err() || inner.is_ok_and(|refused: Result<Option<()>, _>| refused.is_err())
        );
        // The outer closure still sees its value, and its calls still may not wait for a lock.
        assert_eq!(old.map(<[u8]>::to_vec), before);
        for n in 2..20 {
            let _ = store.contains(&key(n));
        }
        Update::set(b"new".to_vec())
    });
    assert_eq!(outer, Ok(Change::Replaced));
    expected.insert(key(1), b"new".to_vec());
    assert_holds(&*store, &expected);
}

fn panics_do_not_disturb_other_threads(combination: &Combination) {
    let store = combination.open_shared(&one_bucket());
    fill(&*store, 60);
    let done = AtomicBool::new(false);
    let panics = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for thread in 0..2 {
            let (store, done, panics) = (&store, &done, &panics);
            scope.spawn(move || {
                while !done.load(Relaxed) {
                    for (name, verb) in VERBS {
                        let outcome =
                            catch_unwind(AssertUnwindSafe(|| verb(&**store, thread * 20)));
                        assert!(outcome.is_err(), "{name}");
                        panics.fetch_add(1, Relaxed);
                    }
                }
            });
        }
        let stop = crate::entries::Stop(&done);
        let mut round = 0;
        while round < 200 || panics.load(Relaxed) < 1_000 {
            for n in 0..60 {
                assert_eq!(
                    store.set(&key(n), &bytes(round, (round + n) % 90)),
                    Ok(Change::Replaced)
                );
            }
            round += 1;
        }
        drop(stop);
    });
    let left = contents(&*store);
    assert_eq!(left.len(), 60);
    assert_holds(&*store, &left);
}

/// Writes from inside a closure, and returns true if the write was made. The locked backends may
/// refuse it.
fn write_unless_refused(store: &dyn Keystore, key: &[u8]) -> bool {
    match store.set(key, b"nested") {
        Ok(_) => true,
        Err(error) => {
            assert_eq!(error.code(), -30, "{error}");
            false
        }
    }
}

fn a_closure_is_called_once_if_no_other_thread_writes(combination: &Combination) {
    let store = combination.open(&one_bucket());
    let (mut calls, mut written) = (0, 0);
    store
        .update_dyn(b"outer", &mut |_| {
            calls += 1;
            written += (0..2_000).filter(|&n| write_unless_refused(&*store, &key(n))).count();
            Update::set(b"value".to_vec())
        })
        .unwrap();
    assert_eq!(
        calls, 1,
        "the closure's own writes make the table grow, and that is no reason to ask again"
    );
    assert_eq!(store.len(), Ok(written + 1));
    let mut asked = 0;
    let entries = store.len().unwrap();
    store
        .retain_dyn(&mut |_, _| {
            asked += 1;
            write_unless_refused(&*store, b"from retain");
            true
        })
        .unwrap();
    assert!(asked <= entries + 1, "{asked} of {entries} entries were shown");
}

fn writes_from_inside_closures_let_the_table_grow(combination: &Combination) {
    let store = combination.open(&one_bucket());
    for outer in 0..200 {
        store
            .update_dyn(b"outer", &mut |_| {
                for n in 0..50 {
                    write_unless_refused(&*store, &key(outer * 50 + n));
                }
                Update::set(b"value".to_vec())
            })
            .unwrap();
    }
    let entries = store.stats().unwrap().entries;
    // In dashmap's statistics the buckets are its shards, whose number is fixed.
    if combination.backend != keystore::BackendKind::DashMap {
        assert!(entries.max_in_bucket < 100, "{entries:?}");
    }
}
