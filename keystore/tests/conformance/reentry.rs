//! Checks that a closure that calls the store gets its answer, or `Busy` at once. No call
//! deadlocks, with itself or with other threads.
//!
//! The watchdog that every check runs under turns a deadlock into a failure.

use std::ops::ControlFlow;
use std::sync::Barrier;

use keystore::{BackendKind, Change, Config, Error, Keystore, ScanCursor, Update};

use crate::calls::{ON_KEY, ON_STORE};
use crate::check::{Check, checks};
use crate::combination::Combination;
use crate::entries::{Entries, assert_holds, bytes, contents, fill, key, one_bucket};

pub(crate) const CHECKS: &[Check] = checks![
    all:
        every_verb_inside_every_closure_ends,
        a_closure_may_read_what_it_is_shown,
        closures_three_deep_end,
        a_walk_that_inserts_into_its_store_ends,
        a_closure_uses_another_store_freely,
        a_refused_call_is_named_as_the_caller_named_it;
    shared:
        two_threads_that_call_across_each_other_end,
        two_stores_that_call_across_each_other_end,
        walks_that_write_across_each_other_end
];

/// An operation whose closure makes a call.
type Outer = (&'static str, fn(&dyn Keystore, &mut dyn FnMut()) -> Result<(), Error>);

const OUTER: [Outer; 12] = [
    ("read", |store, call| store.read_dyn(&key(1), &mut |_| call()).map(drop)),
    ("update to keep", |store, call| update(store, &key(1), call, Update::Keep)),
    ("update to a value that fits", |store, call| {
        update(store, &key(1), call, Update::set(b"u".to_vec()))
    }),
    ("update to a longer value", |store, call| {
        update(store, &key(1), call, Update::set(vec![b'u'; 2_000]))
    }),
    ("update to delete", |store, call| update(store, &key(1), call, Update::Delete)),
    ("update of an absent key", |store, call| {
        update(store, b"absent", call, Update::set(b"u".to_vec()))
    }),
    ("read_many", |store, call| {
        Ok(store.read_many_dyn(&[&key(0), &key(1), b"absent", &key(1)], &mut |_, _| call())?)
    }),
    ("scan", |store, call| store.scan_dyn(ScanCursor::START, 50, &mut |_, _| call()).map(drop)),
    ("update_many", |store, call| {
        let mut decide = |_: usize, _: Option<&[u8]>| {
            call();
            Update::Keep
        };
        Ok(store.update_many_dyn(&[&key(0), b"absent", &key(1)], &mut decide).map(drop)?)
    }),
    ("for_each", |store, call| {
        store.for_each_dyn(&mut |_, _| {
            call();
            ControlFlow::Continue(())
        })
    }),
    ("retain that keeps all", |store, call| {
        let mut keep = |_: &[u8], _: &[u8]| {
            call();
            true
        };
        store.retain_dyn(&mut keep).map(drop)
    }),
    ("retain that keeps none", |store, call| {
        let mut keep = |_: &[u8], _: &[u8]| {
            call();
            false
        };
        store.retain_dyn(&mut keep).map(drop)
    }),
];

fn update(
    store: &dyn Keystore,
    key: &[u8],
    call: &mut dyn FnMut(),
    answer: Update,
) -> Result<(), Error> {
    let mut decide = |_: Option<&[u8]>| {
        call();
        answer.clone()
    };
    store.update_dyn(key, &mut decide).map(drop)
}

/// Checks the result of a call from inside a closure: it is an answer, or `Busy`.
#[track_caller]
fn assert_ended<T>(name: &str, result: &Result<T, Error>) {
    assert!(
        matches!(result, Ok(_) | Err(Error::Busy { .. })),
        "{name}: {:?}",
        result.as_ref().err()
    );
}

/// Checks the result of a call that touches no key which an outer closure decides about. A store
/// without locks must answer it.
#[track_caller]
fn assert_answered<T>(combination: &Combination, name: &str, result: &Result<T, Error>) {
    match combination.backend {
        BackendKind::Epoch => {
            assert_eq!(result.as_ref().err(), None, "{name}: a store without locks is not busy")
        }
        _ => assert_ended(name, result),
    }
}

/// Returns true if the closure of this operation decides what happens to a key.
fn decides(outer: &str) -> bool {
    outer.starts_with("update") || outer.starts_with("retain")
}

fn a_refused_call_is_named_as_the_caller_named_it(combination: &Combination) {
    type Call = fn(&dyn Keystore) -> Result<(), Error>;
    let calls: [(&str, Call); 3] = [
        ("clear", |store| store.clear()),
        ("retain", |store| store.retain_dyn(&mut |_, _| false).map(drop)),
        ("for_each", |store| store.for_each_dyn(&mut |_, _| ControlFlow::Continue(()))),
    ];
    for (name, call) in calls {
        let store = combination.open(&one_bucket());
        fill(&*store, 3);
        let mut inside = Ok(());
        update(&*store, &key(1), &mut || inside = call(&*store), Update::Keep).unwrap();
        match inside {
            Ok(()) => assert_eq!(combination.backend, BackendKind::Epoch, "{name}"),
            Err(Error::Busy { operation }) => assert_eq!(operation, name),
            Err(error) => panic!("{name}: {error}"),
        }
    }
}

fn every_verb_inside_every_closure_ends(combination: &Combination) {
    // With one bucket, all entries share a lock. With many, scans also visit buckets that are not
    // locked.
    for config in [one_bucket(), Config { initial_buckets: 64, ..Config::default() }] {
        for (outer_name, outer) in OUTER {
            let run = |name: &str, call: &dyn Fn(&dyn Keystore) -> Result<(), Error>| {
                let store = combination.open(&config);
                fill(&*store, 5);
                let mut calls = 0;
                let ended = outer(&*store, &mut || {
                    let result = call(&*store);
                    if decides(outer_name) {
                        assert_ended(name, &result);
                    } else {
                        assert_answered(combination, name, &result);
                    }
                    calls += 1;
                    assert!(
                        calls < 10_000,
                        "{name} in {outer_name}: the closure is called without end"
                    );
                });
                assert_eq!(ended, Ok(()), "{outer_name} around {name}");
                assert!(calls > 0, "{outer_name} has called its closure");
                assert_usable(&*store);
            };
            for (name, verb) in ON_KEY {
                for target in [key(1), key(2), b"absent".to_vec(), b"new".to_vec()] {
                    run(name, &|store| verb(store, &target));
                }
            }
            for (name, verb) in ON_STORE {
                run(name, &|store| verb(store));
            }
        }
    }
}

/// Checks that all operations that read agree, and that every operation works.
fn assert_usable(store: &dyn Keystore) {
    let now = contents(store);
    assert_holds(store, &now);
    for (name, verb) in ON_STORE {
        assert_eq!(verb(store), Ok(()), "{name}");
    }
    for (name, verb) in ON_KEY {
        assert_eq!(verb(store, &key(1)), Ok(()), "{name}");
    }
}

fn a_closure_may_read_what_it_is_shown(combination: &Combination) {
    let store = combination.open(&one_bucket());
    let expected = fill(&*store, 8);
    // In every backend, readers share a lock as long as no writer waits.
    let value = store.read(&key(3), |outer| {
        let inner = store.get(&key(3));
        assert_eq!(inner, Ok(Some(outer.to_vec())));
        inner
    });
    assert_eq!(value, Ok(Some(Ok(Some(bytes(3, 3))))));
    store
        .for_each(|key, value| {
            assert_eq!(store.get(key), Ok(Some(value.to_vec())));
            ControlFlow::Continue(())
        })
        .unwrap();
    assert_holds(&*store, &expected);
}

fn closures_three_deep_end(combination: &Combination) {
    let store = combination.open(&one_bucket());
    fill(&*store, 8);
    let mut deepest = 0;
    let outer = store.read(&key(1), |_| {
        let middle = store.update(&key(2), |_| {
            let inner = store.for_each(|key, _| {
                deepest += 1;
                assert_ended("set", &store.set(key, b"three deep"));
                if deepest < 1_000 { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
            });
            assert_answered(combination, "for_each", &inner);
            Update::Keep
        });
        assert_answered(combination, "update", &middle);
    });
    assert_eq!(outer, Ok(Some(())));
    assert_usable(&*store);
}

fn a_walk_that_inserts_into_its_store_ends(combination: &Combination) {
    let store = combination.open(&one_bucket());
    let mut expected = fill(&*store, 100);
    let (mut shown, mut next) = (Vec::new(), 0);
    store
        .for_each(|key, _| {
            shown.push(key.to_vec());
            // The scan may show some of the inserted entries, so the number of insertions is
            // limited.
            for _ in 0..if next < 20_000 { 100 } else { 0 } {
                let new = format!("new {next}").into_bytes();
                let result = store.set(&new, b"value");
                assert_answered(combination, "set", &result);
                if result.is_ok() {
                    expected.insert(new, b"value".to_vec());
                }
                next += 1;
            }
            ControlFlow::Continue(())
        })
        .unwrap();
    for n in 0..100 {
        let times = shown.iter().filter(|&shown| *shown == key(n)).count();
        assert_eq!(times, 1, "key {n} was there throughout");
    }
    assert_holds(&*store, &expected);
}

fn a_closure_uses_another_store_freely(combination: &Combination) {
    let (one, other) = (combination.open(&one_bucket()), combination.open(&one_bucket()));
    let mut expected = Entries::new();
    fill(&*one, 2_000);
    // The entries are copied to another store, of which no thread holds a lock.
    one.for_each(|key, value| {
        assert_eq!(other.set(key, value), Ok(Change::Created));
        expected.insert(key.to_vec(), value.to_vec());
        ControlFlow::Continue(())
    })
    .unwrap();
    assert_holds(&*other, &expected);
    assert_eq!(one.retain(|key, _| other.take(key) == Ok(None)), Ok(2_000));
    assert_holds(&*other, &Entries::new());
    assert_holds(&*one, &Entries::new());
    assert_eq!(other.set(b"key", b"value"), Ok(Change::Created));
}

/// Runs `first` and `second` many times, each on its own thread. Both threads start together.
fn side_by_side(first: impl Fn() + Sync, second: impl Fn() + Sync) {
    const TIMES: usize = 3_000;
    let barrier = Barrier::new(2);
    std::thread::scope(|scope| {
        for call in [&first as &(dyn Fn() + Sync), &second] {
            let barrier = &barrier;
            scope.spawn(move || {
                barrier.wait();
                for _ in 0..TIMES {
                    call();
                }
            });
        }
    });
}

fn two_threads_that_call_across_each_other_end(combination: &Combination) {
    for config in [one_bucket(), Config::default()] {
        let store = combination.open_shared(&config);
        fill(&*store, 4);
        let cross = |mine: usize, theirs: usize| {
            let update = store.update(&key(mine), |old| {
                assert_answered(combination, "set", &store.set(&key(theirs), b"across"));
                Update::set(old.unwrap_or(b"").to_vec())
            });
            assert!(update.is_ok(), "{update:?}");
            let read = store.read(&key(mine), |_| {
                assert_answered(combination, "delete", &store.delete(&key(theirs)));
                assert_answered(combination, "get", &store.get(&key(theirs)));
            });
            assert!(read.is_ok(), "{read:?}");
        };
        side_by_side(|| cross(0, 1), || cross(1, 0));
        assert_usable(&*store);
    }
}

fn two_stores_that_call_across_each_other_end(combination: &Combination) {
    let (one, other) =
        (combination.open_shared(&one_bucket()), combination.open_shared(&one_bucket()));
    fill(&*one, 4);
    fill(&*other, 4);
    let cross = |mine: &(dyn Keystore + Sync), theirs: &(dyn Keystore + Sync)| {
        let mut decide = |_: Option<&[u8]>| {
            assert_answered(combination, "set", &theirs.set(&key(1), b"across"));
            Update::set(b"own".to_vec())
        };
        assert!(mine.update_dyn(&key(1), &mut decide).is_ok());
        let mut visit = |_: &[u8]| assert_answered(combination, "take", &theirs.take(&key(2)));
        assert!(mine.read_dyn(&key(2), &mut visit).is_ok());
        assert!(mine.set(&key(2), b"again").is_ok());
    };
    side_by_side(|| cross(&*one, &*other), || cross(&*other, &*one));
    assert_usable(&*one);
    assert_usable(&*other);
}

fn walks_that_write_across_each_other_end(combination: &Combination) {
    let store = combination.open_shared(&one_bucket());
    fill(&*store, 50);
    let walk = || {
        let mut left = 20;
        let walk = store.for_each(|key, _| {
            assert_answered(combination, "set", &store.set(key, b"of the walk"));
            left -= 1;
            if left > 0 { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
        });
        assert_eq!(walk, Ok(()));
    };
    let retain = || {
        let mut asked = 0;
        let retained = store.retain(|key, _| {
            asked += 1;
            if asked < 20 {
                assert_ended("insert", &store.insert(b"other", b""));
                assert_answered(combination, "get", &store.get(key));
                assert_answered(combination, "reserve", &store.reserve(100));
                assert_answered(combination, "shrink", &store.shrink());
            }
            true
        });
        assert!(retained.is_ok(), "{retained:?}");
    };
    side_by_side(walk, retain);
    assert_usable(&*store);
}
