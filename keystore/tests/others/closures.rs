//! Reports about deadlocks: a map is used while a reference into it is held, or from inside a
//! closure.

use std::future::poll_fn;
use std::ops::ControlFlow;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::pin::Pin;
use std::sync::Barrier;
use std::task::{Context, Poll, Waker};

use keystore::{Change, Config, Error, Keystore, Update};

use crate::check::{Check, checks};
use crate::combination::{Combination, Sharing};
use crate::{contents, fill, key, one_bucket};

pub(crate) const CHECKS: &[Check] = checks![
    all:
        dashmap_74_a_key_is_read_while_it_is_borrowed_for_writing,
        dashmap_239_the_length_is_read_while_an_entry_is_held,
        dashmap_304_a_small_map_is_shrunk,
        libcuckoo_127_the_function_of_an_upsert_writes_to_the_map,
        scc_129_a_map_is_scanned_while_an_entry_is_held,
        tinygo_5528_the_callback_of_an_iteration_deletes,
        xsync_208_the_function_of_a_compute_panics;
    shared:
        dashmap_79_tasks_of_one_thread_hold_references_across_awaits,
        dashmap_369_two_threads_hold_a_reference_and_write_the_other_key
];

/// dashmap: `get_mut(k)` followed by `get(k)` on the same thread waits for itself without end, and
/// so do two `get_mut` of different keys that happen to share a shard.
///
/// Here an entry is borrowed for writing only inside a closure. A call from a closure never waits
/// for a lock: it is answered, or returns `Busy` at once. Borrowed values of the lock-free backend
/// hold no lock.
fn dashmap_74_a_key_is_read_while_it_is_borrowed_for_writing(combination: &Combination) {
    let store = combination.open(&one_bucket());
    fill(&*store, 2);
    let mut seen = None;
    let change = store.update(&key(1), |_| {
        seen = Some((store.get(&key(1)), store.update(&key(0), |_| Update::set("new"))));
        Update::set("outer")
    });
    assert_eq!(change, Ok(Change::Replaced));
    let (read, written) = seen.expect("the closure is called");
    match combination.sharing {
        Sharing::Shared => combination.assert_refused_or_lock_free(&read),
        Sharing::OneThread => {
            assert!(matches!(read, Ok(_) | Err(Error::Busy { .. })), "{read:?}");
        }
    }
    // Whether the other key has the same lock depends on its hash.
    assert!(matches!(written, Ok(_) | Err(Error::Busy { .. })), "{written:?}");
    assert_eq!(store.get(&key(1)), Ok(Some(b"outer".to_vec())));

    if let Some(store) = combination.open_lock_free() {
        fill(&store, 100);
        let guards: Vec<_> = (0..100).map(|n| store.get_guard(&key(n)).unwrap().unwrap()).collect();
        for n in 0..100 {
            assert_eq!(store.set(&key(n), b"new"), Ok(Change::Replaced));
        }
        for (n, guard) in guards.iter().enumerate() {
            assert_eq!(**guard, *key(n));
        }
    }
}

/// dashmap: to keep a map below a limit, the reporter calls `len` while holding an entry. `len`
/// locks every shard, also the one of the entry, and waits without end.
///
/// Here `len` takes no lock: it adds up counters.
fn dashmap_239_the_length_is_read_while_an_entry_is_held(combination: &Combination) {
    const LIMIT: usize = 10;
    let store = combination.open(&one_bucket());
    for n in 0..3 * LIMIT {
        let change = store.update(&key(n), |old| {
            let length = store.len().expect("len needs no lock");
            if old.is_none() && length >= LIMIT { Update::Keep } else { Update::set("value") }
        });
        assert_eq!(change, Ok(if n < LIMIT { Change::Created } else { Change::Absent }));
    }
    assert_eq!(store.len(), Ok(LIMIT));
}

/// dashmap 6.0.0: `shrink_to_fit` hangs on a map of one entry, without any other thread. It locks a
/// shard, and calls a function that locks the same shard again.
///
/// Here the functions that move entries get the lock's guard from their caller, and lock nothing
/// themselves. `shrink` from inside a closure ends too.
fn dashmap_304_a_small_map_is_shrunk(combination: &Combination) {
    for config in [one_bucket(), Config::default()] {
        let store = combination.open(&config);
        for count in [1, 1_000] {
            fill(&*store, count);
            assert_eq!(store.shrink(), Ok(()));
            assert_eq!(store.retain(|shown, _| shown == key(0)), Ok(count - 1));
            assert_eq!(store.shrink(), Ok(()));
            assert_eq!(contents(&*store), [(key(0), key(0))].into());
        }
        let inside = store.read(&key(0), |_| store.shrink());
        assert!(matches!(inside, Ok(Some(Ok(()) | Err(Error::Busy { .. })))), "{inside:?}");
        assert_eq!(store.get(&key(0)), Ok(Some(key(0))));
    }
}

/// libcuckoo: if the function of an `upsert` writes to the same table, it may need the spin lock
/// that the upsert holds, and never ends. Nothing tells the caller.
///
/// Here the inner write is answered, or returns `Busy` at once, and the outer one takes effect. A
/// write to the very key that is being decided is always refused.
fn libcuckoo_127_the_function_of_an_upsert_writes_to_the_map(combination: &Combination) {
    for config in [one_bucket(), Config::default()] {
        let store = combination.open(&config);
        fill(&*store, 50);
        let mut others = 0;
        let change = store.update(&key(7), |_| {
            let same = store.set(&key(7), b"inner");
            assert!(matches!(same, Err(Error::Busy { .. })), "{same:?}");
            for n in (0..100).filter(|&n| n != 7) {
                match store.set(&key(n), b"inner") {
                    Ok(_) => others += 1,
                    Err(error) => assert!(matches!(error, Error::Busy { .. }), "{error}"),
                }
            }
            Update::set("outer")
        });
        assert_eq!(change, Ok(Change::Replaced));
        let now = contents(&*store);
        assert_eq!(now[&key(7)], b"outer");
        assert_eq!(now.values().filter(|value| *value == b"inner").count(), others);
    }
}

/// scc: a task keeps an occupied entry of a map and scans the map. The scan waits for the entry's
/// bucket, which the same task has locked.
///
/// Here a scan from inside a closure shows all entries, or returns `Busy` at once. A borrowed value
/// of the lock-free backend holds no lock, so a scan passes it.
fn scc_129_a_map_is_scanned_while_an_entry_is_held(combination: &Combination) {
    let store = combination.open(&one_bucket());
    fill(&*store, 30);
    let scan = |store: &dyn Keystore| {
        let mut shown = 0;
        let ended = store.for_each_dyn(&mut |_, _| {
            shown += 1;
            ControlFlow::Continue(())
        });
        ended.map(|()| shown)
    };
    // Readers share a lock.
    assert_eq!(store.read(&key(3), |_| scan(&*store)), Ok(Some(Ok(30))));
    let mut inside = Ok(0);
    let change = store.update(&key(3), |_| {
        inside = scan(&*store);
        Update::Keep
    });
    assert_eq!(change, Ok(Change::Kept));
    match combination.sharing {
        Sharing::Shared => combination.assert_refused_or_lock_free(&inside),
        Sharing::OneThread => {
            assert!(matches!(inside, Ok(30) | Err(Error::Busy { .. })), "{inside:?}");
        }
    }
    if let Some(store) = combination.open_lock_free() {
        fill(&store, 30);
        let held = store.get_guard(&key(3)).unwrap().unwrap();
        assert_eq!(scan(&store), Ok(30));
        assert_eq!(*held, *key(3));
    }
}

/// TinyGo's `sync.Map`: a callback of `Range` that deletes the entry it is shown hangs, since
/// `Range` holds the only lock of the map.
///
/// Here the deletion is answered by the lock-free backend. The others return `Busy` at once, and
/// `retain` deletes during a scan on every backend.
fn tinygo_5528_the_callback_of_an_iteration_deletes(combination: &Combination) {
    let store = combination.open(&one_bucket());
    fill(&*store, 40);
    let mut deleted = 0;
    let visit = |shown: &[u8], _: &[u8]| {
        let delete = store.delete(shown);
        combination.assert_refused_or_lock_free(&delete);
        deleted += usize::from(delete == Ok(true));
        ControlFlow::Continue(())
    };
    assert_eq!(store.for_each(visit), Ok(()));
    assert_eq!(store.len(), Ok(40 - deleted));
    assert_eq!(store.retain(|_, _| false), Ok(40 - deleted));
    assert_eq!(store.is_empty(), Ok(true));
}

/// xsync: if the function of `Compute` panics and the program recovers, the lock of the bucket
/// stays locked. Every later call on a key of this bucket hangs.
///
/// Here a guard owns each lock, so unwinding unlocks it. The entry is as it was before.
fn xsync_208_the_function_of_a_compute_panics(combination: &Combination) {
    let store = combination.open(&one_bucket());
    fill(&*store, 3);
    for n in 0..4 {
        let panics = || store.update(&key(n), |_| resume_unwind(Box::new("of the closure")));
        assert!(catch_unwind(AssertUnwindSafe(panics)).is_err());
    }
    let read = || store.read(&key(1), |_| resume_unwind(Box::new("of the closure")));
    assert!(catch_unwind(AssertUnwindSafe(read)).is_err());
    assert_eq!(contents(&*store), (0..3).map(|n| (key(n), key(n))).collect());
    for n in 0..3 {
        assert_eq!(store.set(&key(n), b"new"), Ok(Change::Replaced), "the lock is free");
    }
}

/// Lets the other tasks run once.
async fn give_way() {
    let mut has_waited = false;
    poll_fn(|_| {
        let ready = if has_waited { Poll::Ready(()) } else { Poll::Pending };
        has_waited = true;
        ready
    })
    .await;
}

/// dashmap: tasks keep the result of `get` across an `.await`, and another task of the same thread
/// calls `get_mut` for that shard. The thread waits for a lock that only it can release.
///
/// Here a value is read inside a closure, which cannot await, or copied. A borrowed value of the
/// lock-free backend can be kept across an `.await` on one thread, but it holds no lock.
fn dashmap_79_tasks_of_one_thread_hold_references_across_awaits(combination: &Combination) {
    const TASKS: usize = 30;
    let store = &*combination.open_shared(&one_bucket());
    let lock_free = &combination.open_lock_free();
    let task = |n: usize| async move {
        store.set(&key(n), &key(n)).unwrap();
        give_way().await;
        let neighbour = store.get(&key((n + 1) % TASKS)).unwrap();
        give_way().await;
        assert_eq!(store.set(&key((n + 1) % TASKS), b"new"), Ok(Change::Replaced));
        assert!(neighbour.is_some());
        if let Some(store) = lock_free {
            store.set(&key(n), &key(n)).unwrap();
            let held = store.get_guard(&key(n)).unwrap().unwrap();
            give_way().await;
            store.set(&key((n + 1) % TASKS), b"new").unwrap();
            give_way().await;
            assert_eq!(*held, *key(n));
        }
    };
    let mut tasks: Vec<Pin<Box<dyn Future<Output = ()> + '_>>> =
        (0..TASKS).map(|n| Box::pin(task(n)) as Pin<Box<dyn Future<Output = ()> + '_>>).collect();
    let mut rounds = 0;
    while !tasks.is_empty() {
        tasks.retain_mut(|task| {
            task.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending()
        });
        rounds += 1;
    }
    assert!(rounds > 2, "the tasks ran in turns");
}

/// dashmap: one thread holds a reference to "alpha" and inserts "beta", another holds one to "beta"
/// and inserts "alpha". Each waits for the other's shard without end.
///
/// Here both threads are inside closures. A call from a closure never waits for a lock: with locks
/// it returns `Busy` at once, and the lock-free backend answers it.
fn dashmap_369_two_threads_hold_a_reference_and_write_the_other_key(combination: &Combination) {
    for config in [one_bucket(), Config::default()] {
        let store = &*combination.open_shared(&config);
        store.set(b"alpha", b"1").unwrap();
        store.set(b"beta", b"2").unwrap();
        let (both_hold, both_tried) = (&Barrier::new(2), &Barrier::new(2));
        let cross = |mine: &'static [u8], theirs: &'static [u8]| {
            move || {
                let mut written = Ok(Change::Absent);
                let visit = &mut |_: &[u8]| {
                    both_hold.wait();
                    written = store.set(theirs, b"10");
                    both_tried.wait();
                };
                assert_eq!(store.read_dyn(mine, visit), Ok(true));
                written
            }
        };
        std::thread::scope(|scope| {
            let threads =
                [scope.spawn(cross(b"alpha", b"beta")), scope.spawn(cross(b"beta", b"alpha"))];
            for thread in threads {
                combination.assert_refused_or_lock_free(&thread.join().unwrap());
            }
        });
        assert_eq!(store.set(b"alpha", b"20"), Ok(Change::Replaced));
        assert_eq!(store.set(b"beta", b"20"), Ok(Change::Replaced));
    }
}
