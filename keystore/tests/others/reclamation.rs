//! Reports about memory that is freed too early, or never, while others may read it.

use std::sync::Barrier;
use std::time::Duration;

use keystore::{BackendKind, Change, Config, Error, Keystore};

use crate::check::{Check, checks};
use crate::combination::Combination;
use crate::{contents, fill, key, one_bucket};

pub(crate) const CHECKS: &[Check] = checks![
    all: ;
    shared:
        crossbeam_105_a_thread_pins_again_while_it_is_pinned,
        folly_1911_an_entry_is_erased_while_an_iterator_points_at_it,
        folly_2097_two_keys_of_one_bucket_are_replaced_without_end,
        scc_176_an_entry_is_removed_while_a_reader_is_in_it;
    alone:
        crossbeam_134_all_threads_become_idle_with_garbage_left
];

/// Replaces and removes entries so often that removed nodes are freed if nothing keeps them.
fn churn(store: &dyn Keystore) {
    for n in 0..2_000 {
        store.set(&key(1 + n % 100), &[n as u8; 50]).unwrap();
        store.delete(&key(1 + (n + 50) % 100)).unwrap();
    }
}

/// Runs `run` on another thread, and waits until it ends.
fn elsewhere<R: Send>(run: impl FnOnce() -> R + Send) -> R {
    std::thread::scope(|scope| scope.spawn(run).join()).unwrap()
}

/// crossbeam: if a thread that is pinned pins again, the epoch may advance. Memory that the first
/// pin protects is freed, and the thread reads it.
///
/// Here a nested pin changes the count of guards only. A value that is borrowed stays as it is
/// until its guard is dropped, however often the thread enters and leaves the store.
fn crossbeam_105_a_thread_pins_again_while_it_is_pinned(combination: &Combination) {
    if let Some(store) = combination.open_lock_free() {
        fill(&store, 20);
        let first = store.get_guard(&key(0)).unwrap().unwrap();
        assert_eq!(store.delete(&key(0)), Ok(true));
        for n in 1..50 {
            // Calls on this thread pin and unpin, with and without a guard of their own.
            drop(store.get_guard(&key(n)));
            let mut session = store.session();
            session.set(&key(n), b"of the session").unwrap();
            drop(session);
            elsewhere(|| churn(&store));
        }
        assert_eq!(*first, *key(0));
    }
    let store = &*combination.open_shared(&one_bucket());
    fill(store, 20);
    let mut intact = false;
    let visit = &mut |value: &[u8]| {
        for n in 1..50 {
            // In a backend with locks, this may be refused, but it must not unlock the outer entry.
            let nested = store.read_dyn(&key(n % 20), &mut |_| ());
            assert!(matches!(nested, Ok(_) | Err(Error::Busy { .. })), "{nested:?}");
        }
        intact = value == key(0);
    };
    assert_eq!(store.read_dyn(&key(0), visit), Ok(true));
    assert!(intact);
}

/// crossbeam: garbage is freed by threads that pin. If all threads become idle, the rest of the
/// garbage stays for ever.
///
/// Here one call of `shrink` frees all garbage that no reader can see: that of threads which have
/// ended, and that which a reader has kept for long. The backends with locks free a node when it is
/// removed.
fn crossbeam_134_all_threads_become_idle_with_garbage_left(combination: &Combination) {
    let assert_clean = |store: &dyn Keystore| {
        store.shrink().unwrap();
        assert_eq!(store.counters().unwrap().garbage_bytes, 0);
        let (pool, entries) = (store.stats().unwrap().pool, store.len().unwrap());
        assert_eq!(pool.live_nodes, entries as u64, "each node belongs to an entry");
    };
    let store = &*combination.open_shared(&one_bucket());
    elsewhere(|| churn(store));
    let left = store.counters().unwrap().garbage_bytes;
    match combination.backend {
        BackendKind::Epoch => assert!(left > 0, "some garbage is left"),
        _ => assert_eq!(left, 0),
    }
    assert_clean(store);

    if let Some(store) = combination.open_lock_free() {
        fill(&store, 1);
        let reader = store.get_guard(&key(0)).unwrap().unwrap();
        elsewhere(|| {
            for n in 0..60_000 {
                store.set(&key(1 + n % 100), &[0; 150]).unwrap();
            }
        });
        assert!(store.counters().unwrap().garbage_bytes > 8 << 20, "the reader keeps all of it");
        drop(reader);
        assert_clean(&store);
    }
}

/// folly: the iterator that `try_emplace` returns does not keep its element alive. If another
/// thread erases the element, the iterator points at freed memory.
///
/// Here a borrowed value is kept by its guard or its session, and an iterator returns copies.
fn folly_1911_an_entry_is_erased_while_an_iterator_points_at_it(combination: &Combination) {
    let store = &*combination.open_shared(&one_bucket());
    fill(store, 1);
    let mut entries = keystore::Entries::new(store);
    let first = entries.next().unwrap().unwrap();
    elsewhere(|| {
        assert_eq!(store.delete(&key(0)), Ok(true));
        churn(store);
    });
    assert_eq!(first, (key(0), key(0)));

    if let Some(store) = combination.open_lock_free() {
        fill(&store, 2);
        let session = store.session();
        let borrowed = session.get_ref(&key(0)).unwrap().unwrap();
        let guard = store.get_guard(&key(1)).unwrap().unwrap();
        elsewhere(|| {
            for n in [0, 1] {
                assert_eq!(store.delete(&key(n)), Ok(true));
            }
            (0..10).for_each(|_| churn(&store));
        });
        assert_eq!((borrowed, &*guard), (&*key(0), &*key(1)));
    }
}

/// folly: each replaced version of an entry holds a link to the next entry of its bucket, and a
/// counter of 16 bits counts these links. If versions are replaced faster than they are freed, the
/// counter overflows and the program ends.
///
/// Here nodes do not point at each other, and nothing counts references to a node. The check
/// replaces two neighbours more than 65,536 times while nothing that was replaced can be freed.
fn folly_2097_two_keys_of_one_bucket_are_replaced_without_end(combination: &Combination) {
    const EACH: u32 = 33_000;
    let replace = |store: &(dyn Keystore + Sync)| {
        let barrier = &Barrier::new(2);
        std::thread::scope(|scope| {
            for _ in 0..2 {
                scope.spawn(move || {
                    barrier.wait();
                    for n in 0..EACH {
                        for key in [key(0), key(1)] {
                            assert_eq!(store.set(&key, &n.to_le_bytes()), Ok(Change::Replaced));
                        }
                    }
                });
            }
        });
        assert_eq!(store.len(), Ok(2));
        let last = (EACH - 1).to_le_bytes().to_vec();
        let entries = contents(store);
        assert!(entries.values().any(|value| *value == last), "{entries:?}");
    };
    match combination.open_lock_free() {
        Some(store) => {
            fill(&store, 2);
            let reader = store.get_guard(&key(0)).unwrap().unwrap();
            replace(&store);
            assert_eq!(*reader, *key(0));
        }
        None => {
            let store = &*combination.open_shared(&one_bucket());
            fill(store, 2);
            replace(store);
        }
    }
}

/// scc: while a reader is in the closure of `read`, another thread removes the entry. The memory of
/// the value is freed and used again, and the reader sees other bytes.
///
/// Here the lock-free backend removes the entry but keeps its node until the reader has left. With
/// locks, the removal waits for the reader, or gives up after the time-out and has changed nothing.
fn scc_176_an_entry_is_removed_while_a_reader_is_in_it(combination: &Combination) {
    let config = Config { lock_timeout: Some(Duration::from_millis(5)), ..one_bucket() };
    let store = &*combination.open_shared(&config);
    store.set(b"first", &[123; 40]).unwrap();
    let visit = &mut |value: &[u8]| {
        let removed = elsewhere(|| {
            let removed = store.delete(b"first");
            for n in 0..500 {
                // Other entries would use the memory again. With locks they give up, too.
                let set = store.set(&key(n % 5), &[n as u8; 40]);
                if set.is_err() {
                    break;
                }
            }
            removed
        });
        match combination.backend {
            BackendKind::Epoch => assert_eq!(removed, Ok(true)),
            _ => assert!(matches!(removed, Err(Error::LockTimeout { .. })), "{removed:?}"),
        }
        assert_eq!(value, [123; 40]);
    };
    assert_eq!(store.read_dyn(b"first", visit), Ok(true));
    assert_eq!(store.delete(b"first"), Ok(combination.backend != BackendKind::Epoch));
}
