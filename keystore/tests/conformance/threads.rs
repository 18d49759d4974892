//! Checks with threads as programs use them: ten thousand one after another, some that sleep while
//! they look at a value, and some that end in the middle of their work.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Barrier};
use std::time::{Duration, Instant};

use keystore::{
    BackendKind, Change, Config, DashMapKeystore, EpochKeystore, Keystore, RwLockKeystore, Update,
};

use crate::allocators::Audit;
use crate::check::{Check, checks};
use crate::combination::Combination;
use crate::entries::{
    as_number, assert_holds, assert_whole, bytes, contents, fill, key, number, one_bucket, sealed,
};

pub(crate) const CHECKS: &[Check] = checks![
    all: ;
    shared:
        ten_thousand_threads_one_after_another,
        a_value_stays_whole_while_its_reader_sleeps,
        threads_that_end_in_mid_work_leave_nothing_behind,
        threads_that_end_with_a_session_open_leave_nothing_behind;
    alone:
        a_crowd_of_threads_that_has_ended_costs_no_speed
];

fn ten_thousand_threads_one_after_another(combination: &Combination) {
    const THREADS: usize = 10_000;
    let audit = Audit::new(combination, &one_bucket());
    let store = keystore::open(combination.backend, &one_bucket(), audit.clone()).unwrap();
    for thread in 0..THREADS {
        std::thread::scope(|scope| {
            let worker = scope.spawn(|| {
                let own = key(thread % 500);
                store.set(&own, &bytes(thread, 100)).unwrap();
                store.update(b"counter", |old| Update::set(number(as_number(old) + 1))).unwrap();
                if thread % 3 == 0 {
                    assert_eq!(store.delete(&own), Ok(true));
                }
            });
            worker.join().unwrap();
        });
    }
    assert_eq!(store.get(b"counter"), Ok(Some(number(THREADS as u64))));
    assert_holds(&*store, &contents(&*store));
    // Memory that a thread cached is used by the next thread. So 500 entries and the garbage take
    // far less memory than 10,000 entries would.
    let held = store.stats().unwrap().pool.held_bytes;
    assert!(held < 24 << 20, "the pool holds {held} bytes for 500 small entries");
    drop(store);
    audit.assert_all_returned();
}

fn a_value_stays_whole_while_its_reader_sleeps(combination: &Combination) {
    let audit = Audit::new(combination, &one_bucket());
    let store = keystore::open(combination.backend, &one_bucket(), audit.clone()).unwrap();
    let mut rng = rand::rng();
    store.set(b"looked at", &sealed(b"looked at", &mut rng)).unwrap();
    let (looking, woken) = (Barrier::new(2), AtomicBool::new(false));
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let read = store.read(b"looked at", |value| {
                let before = value.to_vec();
                looking.wait();
                std::thread::sleep(Duration::from_millis(100));
                assert_whole(b"looked at", value);
                assert!(before == value, "the value changed under its reader");
                woken.store(true, Relaxed);
            });
            assert_eq!(read, Ok(Some(())));
        });
        looking.wait();
        // A writer of this key may have to wait, but only while the reader sleeps. The lock-free
        // backend replaces the value at once. Further down, the table grows and the key's old
        // bucket goes away while the reader may still look at the value.
        assert_eq!(store.set(b"looked at", b"replaced"), Ok(Change::Replaced));
        let waited = woken.load(Relaxed);
        assert_eq!(waited, combination.backend != BackendKind::Epoch, "only locks are waited for");
        fill(&*store, 3_000);
        assert_eq!(store.delete(b"looked at"), Ok(true));
        store.clear().unwrap();
        store.shrink().unwrap();
    });
    assert_eq!(store.get(b"looked at"), Ok(None));
    drop(store);
    audit.assert_all_returned();
}

fn threads_that_end_in_mid_work_leave_nothing_behind(combination: &Combination) {
    let audit = Audit::new(combination, &one_bucket());
    let store =
        Arc::new(keystore::open(combination.backend, &one_bucket(), audit.clone()).unwrap());
    let expected = fill(&**store, 200);
    for round in 0..50 {
        let ended = |end: fn(&dyn Keystore, usize)| {
            let store = Arc::clone(&store);
            std::thread::spawn(move || end(&**store, round)).join().is_err()
        };
        assert!(ended(|store, n| drop(
            store.read_dyn(&key(n), &mut |_| resume_unwind(Box::new("ends")))
        )));
        assert!(ended(|store, n| drop(
            store.update_dyn(&key(n), &mut |_| resume_unwind(Box::new("ends")))
        )));
        assert!(ended(|store, _| drop(
            store.for_each_dyn(&mut |_, _| resume_unwind(Box::new("ends")))
        )));
        assert!(ended(|store, _| drop(
            store.retain_dyn(&mut |_, _| resume_unwind(Box::new("ends")))
        )));
    }
    assert_holds(&**store, &expected);
    drop(store);
    audit.assert_all_returned();
}

fn threads_that_end_with_a_session_open_leave_nothing_behind(combination: &Combination) {
    let audit = Audit::new(combination, &Config::default());
    // Only a store whose type is named has sessions.
    macro_rules! check {
        ($store:ty) => {{
            let store = <$store>::open(&Config::default(), audit.clone()).unwrap();
            for round in 0..100_usize {
                std::thread::scope(|scope| {
                    scope.spawn(|| {
                        let panicked = catch_unwind(AssertUnwindSafe(|| {
                            let mut session = store.session();
                            for n in 0..round {
                                session.set(&key(n), &bytes(round, n)).unwrap();
                            }
                            drop(session.update(&key(round), |_| resume_unwind(Box::new("ends"))));
                        }));
                        assert!(panicked.is_err());
                        // This session is open when its thread ends.
                        let mut session = store.session();
                        session.set(b"last", &number(round as u64)).unwrap();
                    });
                });
            }
            assert_eq!(store.get(b"last"), Ok(Some(number(99))));
            assert_eq!(store.get(&key(98)), Ok(Some(bytes(99, 98))));
            assert_eq!(store.len(), Ok(100));
        }};
    }
    match combination.backend {
        BackendKind::RwLock => check!(RwLockKeystore<Arc<Audit>>),
        BackendKind::Epoch => check!(EpochKeystore<Arc<Audit>>),
        BackendKind::DashMap => check!(DashMapKeystore<Arc<Audit>>),
        backend => panic!("{backend} is new: name its store here"),
    }
    audit.assert_all_returned();
}

/// Checks that the participants of ended threads are skipped. Before they were, a thread overwrote
/// at a tenth of its rate after a thousand threads had used the store at once.
fn a_crowd_of_threads_that_has_ended_costs_no_speed(combination: &Combination) {
    const CROWD: usize = 1_000;
    let store = keystore::open(combination.backend, &one_bucket(), combination.pool(&one_bucket()))
        .unwrap();
    let fastest = || {
        let round = || {
            let start = Instant::now();
            for n in 0..20_000 {
                store.set(&key(n % 100), &bytes(n % 100, 100)).unwrap();
            }
            start.elapsed()
        };
        (0..10).map(|_| round()).min().unwrap()
    };
    let before = fastest();
    let all_in = Barrier::new(CROWD);
    std::thread::scope(|scope| {
        for thread in 0..CROWD {
            let (store, all_in) = (&store, &all_in);
            let work = move || {
                store.set(&key(thread % 100), &bytes(thread, 100)).unwrap();
                all_in.wait();
            };
            let small = std::thread::Builder::new().stack_size(64 << 10);
            small.spawn_scoped(scope, work).unwrap();
        }
    });
    let after = fastest();
    assert!(
        after < before * 3,
        "{after:?} for what took {before:?} before {CROWD} threads came and ended"
    );
}
