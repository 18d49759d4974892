//! Checks that a child has its own copy of the store, which works as the parent's does.

use std::io::{self, Read, Write};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::{Arc, Barrier, Weak};
use std::thread::{self, ScopedJoinHandle};
use std::time::Duration;

use keystore::{
    BackendKind, BoxedKeystore, Change, Config, Error, Keystore, NodeAllocator, Update,
};

use crate::check::{Check, checks};
use crate::child::fork;
use crate::combination::Combination;
use crate::entries::{Entries, as_number, assert_holds, bytes, fill, key, number, one_bucket};
use crate::script::script;
use crate::steps::Model;

pub(crate) const CHECKS: &[Check] = checks![
    all:
        the_copies_of_parent_and_child_are_apart,
        a_child_may_fork_again;
    shared:
        idle_threads_of_the_parent_keep_no_garbage_in_the_child,
        a_child_may_start_threads_of_its_own,
        a_lock_that_another_thread_held_stays_held
];

/// Calls every operation and checks each answer.
fn every_verb(store: &dyn Keystore) {
    store.clear().unwrap();
    let mut model = Model::default();
    for step in script() {
        assert_eq!(model.take(store, &step), Ok(()), "{step:?}");
    }
}

/// Sets the first `count` keys to values that depend on `seed`, and returns the entries.
fn overwrite(store: &dyn Keystore, count: usize, seed: usize) -> Entries {
    (0..count)
        .map(|n| {
            let (key, value) = (key(n), bytes(n + seed, 50 + n % 70 + seed));
            store.set(&key, &value).unwrap();
            (key, value)
        })
        .collect()
}

fn the_copies_of_parent_and_child_are_apart(combination: &Combination) {
    for config in [one_bucket(), Config { preallocation: 1.0, ..Config::default() }] {
        let pool = combination.pool(&config);
        let mut store = Some(combination.open_over(&config, pool.clone()).unwrap());
        let at_fork = fill(store.as_deref().unwrap(), 3_000);
        let (mut told, mut tell) = io::pipe().unwrap();
        let child = fork(|| {
            let store = store.take().unwrap();
            // Waits until the parent has changed its copy.
            told.read_exact(&mut [0]).unwrap();
            assert_holds(&*store, &at_fork);
            let mut own = overwrite(&*store, 12_000, 1);
            assert_holds(&*store, &own);
            own.retain(|key, _| key.len().is_multiple_of(2));
            store.retain(|key, _| key.len().is_multiple_of(2)).unwrap();
            store.shrink().unwrap();
            assert_holds(&*store, &own);
            every_verb(&*store);
            drop(store);
            assert_eq!(pool.stats().live_nodes, 0);
            every_verb(&*combination.open(&config));
        });
        let store = store.unwrap();
        for n in 1_000..3_000 {
            assert_eq!(store.delete(&key(n)), Ok(true));
        }
        overwrite(&*store, 1_000, 2);
        tell.write_all(&[1]).unwrap();
        let own = overwrite(&*store, 8_000, 3);
        child.wait();
        assert_holds(&*store, &own);
        every_verb(&*store);
        drop(store);
        assert_eq!(pool.stats().live_nodes, 0);
    }
}

fn a_child_may_fork_again(combination: &Combination) {
    let store = combination.open(&one_bucket());
    let first = overwrite(&*store, 500, 1);
    fork(|| {
        let second = overwrite(&*store, 1_000, 2);
        fork(|| {
            assert_holds(&*store, &second);
            overwrite(&*store, 2_000, 3);
            every_verb(&*store);
        })
        .wait();
        assert_holds(&*store, &second);
    })
    .wait();
    assert_holds(&*store, &first);
}

/// Runs `check` beside idle threads: they have used the store and will use it again, and do
/// something else during the check. They hold only a weak reference to the store.
fn beside_idle_threads(store: &Weak<BoxedKeystore>, check: impl FnOnce()) {
    const THREADS: usize = 3;
    let (idle, done) = (Barrier::new(THREADS + 1), Barrier::new(THREADS + 1));
    let own = |thread| (0..500).map(move |n| key(1_000_000 + thread * 1_000 + n));
    thread::scope(|scope| {
        let threads: Vec<_> = (0..THREADS)
            .map(|thread| {
                let (idle, done) = (&idle, &done);
                scope.spawn(move || {
                    with(store, |store| {
                        own(thread)
                            .for_each(|key| assert_eq!(store.set(&key, &key), Ok(Change::Created)));
                    });
                    idle.wait();
                    done.wait();
                    with(store, |store| {
                        own(thread).for_each(|key| assert_eq!(store.delete(&key), Ok(true)));
                    });
                })
            })
            .collect();
        idle.wait();
        let result = catch_unwind(AssertUnwindSafe(check));
        done.wait();
        threads.into_iter().for_each(end);
        result.unwrap_or_else(|panic| resume_unwind(panic));
    });
}

/// Waits until a thread has ended, including the destructors of its thread-local variables. A scope
/// alone does not wait for these destructors, and none may run when the next check forks.
fn end(thread: ScopedJoinHandle<'_, ()>) {
    thread.join().unwrap_or_else(|panic| resume_unwind(panic));
}

fn with(store: &Weak<BoxedKeystore>, work: impl FnOnce(&dyn Keystore)) {
    work(&**store.upgrade().expect("the check has it"));
}

/// Forks beside idle threads. The child runs `work` and drops its copy of the store, which must
/// leave no memory behind.
fn fork_beside_idle_threads(combination: &Combination, work: impl FnOnce(&BoxedKeystore)) {
    let config = Config::default();
    let pool = combination.pool(&config);
    let store = keystore::open(combination.backend, &config, pool.clone()).unwrap();
    let mut store = Some(Arc::new(store));
    let known = Arc::downgrade(store.as_ref().unwrap());
    beside_idle_threads(&known, || {
        fork(|| {
            let store =
                Arc::into_inner(store.take().unwrap()).expect("the other threads have let go");
            work(&store);
            drop(store);
            assert_eq!(pool.stats().live_nodes, 0);
        })
        .wait();
    });
    assert_eq!(store.unwrap().len(), Ok(0));
}

fn idle_threads_of_the_parent_keep_no_garbage_in_the_child(combination: &Combination) {
    const KEYS: usize = 200;
    fork_beside_idle_threads(combination, |store| {
        // The child writes 50 MB, three times the bound of garbage.
        for n in 0..12_500 {
            store.set(&key(n % KEYS), &vec![n as u8; 4_000 + n % 7]).unwrap();
            if n % 100 == 0 {
                let memory = store.stats().unwrap().memory;
                assert!(memory.garbage_bytes <= 16 << 20, "{memory:?}");
            }
        }
        every_verb(store);
    });
}

fn a_child_may_start_threads_of_its_own(combination: &Combination) {
    const THREADS: u64 = 4;
    const ROUNDS: u64 = 2_000;
    fork_beside_idle_threads(combination, |store| {
        thread::scope(|scope| {
            for thread in 0..THREADS {
                scope.spawn(move || {
                    let mut add = |old: Option<&[u8]>| Update::set(number(as_number(old) + 1));
                    for round in 0..ROUNDS {
                        store.update_dyn(b"of all", &mut add).unwrap();
                        store.set(&number(thread << 32 | round), b"of one").unwrap();
                    }
                });
            }
        });
        assert_eq!(as_number(store.get(b"of all").unwrap().as_deref()), THREADS * ROUNDS);
        let written =
            (0..THREADS).flat_map(|thread| (0..ROUNDS).map(move |round| thread << 32 | round));
        for n in written {
            assert_eq!(store.get(&number(n)), Ok(Some(b"of one".to_vec())));
        }
        every_verb(store);
    });
}

/// Shows a case that is not promised: another thread holds a lock at the fork. The child does not
/// have that thread, so nothing releases the lock there.
fn a_lock_that_another_thread_held_stays_held(combination: &Combination) {
    let patience = Duration::from_millis(20);
    let config = Config { lock_timeout: Some(patience), ..Config::default() };
    let store = &*keystore::open(combination.backend, &config, combination.pool(&config)).unwrap();
    store.set(&key(1), b"old").unwrap();
    let (held, done) = (Barrier::new(2), Barrier::new(2));
    thread::scope(|scope| {
        let holder = scope.spawn(|| {
            let mut wait = |_: &[u8]| {
                held.wait();
                done.wait();
            };
            assert_eq!(store.read_dyn(&key(1), &mut wait), Ok(true));
        });
        held.wait();
        let child = fork(|| {
            let expected = match combination.backend {
                BackendKind::Epoch => Ok(Change::Replaced),
                _ => Err(Error::LockTimeout { operation: "write", waited: patience }),
            };
            assert_eq!(store.set(&key(1), b"new"), expected);
        });
        done.wait();
        end(holder);
        child.wait();
    });
    assert_eq!(store.set(&key(1), b"new"), Ok(Change::Replaced));
}
