//! Tests that a thread that is stopped between two steps of a write does not block other threads.

use std::cell::RefCell;
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

use super::super::failpoint::Failpoint;
use super::super::reclaim::revoke_idle_pins;
use crate::{Config, EpochKeystore, Global, Keystore, Update};

const ALL: [Failpoint; 12] = [
    Failpoint::Decided,
    Failpoint::Placed,
    Failpoint::Resolved,
    Failpoint::NextInstalled,
    Failpoint::Claimed,
    Failpoint::LinksFrozen,
    Failpoint::Frozen,
    Failpoint::Filled,
    Failpoint::BucketFinished,
    Failpoint::Moved,
    Failpoint::Finished,
    Failpoint::BagHeld,
];

/// Time after which a test that hangs fails.
const TIMEOUT: Duration = Duration::from_secs(60);

/// Request to stop a thread at a failpoint.
struct Stop {
    point: Failpoint,
    arrived: Sender<()>,
    go_on: Receiver<()>,
}

thread_local! {
    static STOP: RefCell<Option<Stop>> = const { RefCell::new(None) };
}

/// Stops the thread the first time that it reaches the requested failpoint.
pub(in super::super) fn hit(point: Failpoint) {
    let stop = STOP.try_with(|stop| stop.borrow_mut().take_if(|stop| stop.point == point));
    // If the thread's variables are already destroyed, the thread is ending and must not be
    // stopped.
    if let Ok(Some(Stop { arrived, go_on, .. })) = stop {
        arrived.send(()).unwrap();
        // If the test has failed in the meantime, this thread continues. A panic between two steps
        // is not what is tested here.
        let _ = go_on.recv_timeout(TIMEOUT);
    }
}

fn is_stopped_or_done() -> bool {
    STOP.with_borrow(Option::is_none)
}

fn one_bucket() -> Arc<EpochKeystore> {
    let config = Config { initial_buckets: 1, ..Config::default() };
    Arc::new(EpochKeystore::open(&config, Global).unwrap())
}

/// Runs `work` in a thread that stops at `point`, and runs `others` while that thread is stopped.
/// Then lets the thread continue. Returns the result of `work`.
fn stopped<R: Send + 'static>(
    store: &Arc<EpochKeystore>,
    point: Failpoint,
    work: impl FnOnce(&EpochKeystore) -> R + Send + 'static,
    others: impl FnOnce(&EpochKeystore) + Send + 'static,
) -> R {
    let (arrived, has_arrived) = channel();
    let (let_go, go_on) = channel();
    let thread = std::thread::spawn({
        let store = Arc::clone(store);
        move || {
            STOP.set(Some(Stop { point, arrived, go_on }));
            work(&store)
        }
    });
    has_arrived.recv_timeout(TIMEOUT).unwrap_or_else(|_| panic!("{point:?} is never reached"));
    let (done, are_done) = channel();
    let others = std::thread::spawn({
        let store = Arc::clone(store);
        move || {
            others(&store);
            let _ = done.send(());
        }
    });
    let finished = are_done.recv_timeout(TIMEOUT).is_ok();
    assert!(finished || others.is_finished(), "nobody gets on while a thread stands at {point:?}");
    others.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
    let_go.send(()).unwrap();
    thread.join().unwrap()
}

fn key(owner: u8, n: u32) -> Vec<u8> {
    [&[owner][..], &n.to_be_bytes()].concat()
}

/// Inserts, changes and removes keys of `owner` until the thread has been stopped, so that the
/// table grows. Returns the expected entries.
fn busy(store: &EpochKeystore, owner: u8) -> HashMap<Vec<u8>, Vec<u8>> {
    let mut model = HashMap::new();
    for n in 0..200_000_u32 {
        store.set(&key(owner, n), b"first").unwrap();
        store.set(&key(owner, n), b"second").unwrap();
        model.insert(key(owner, n), b"second".to_vec());
        if n % 3 == 0 {
            store.delete(&key(owner, n / 2)).unwrap();
            model.remove(&key(owner, n / 2));
        }
        if is_stopped_or_done() {
            break;
        }
    }
    model
}

/// Runs every kind of operation on keys of `owner`, which lie in the same buckets. Returns the
/// expected entries.
fn everything(store: &EpochKeystore, owner: u8) -> HashMap<Vec<u8>, Vec<u8>> {
    let mut model = HashMap::new();
    for n in 0..3_000_u32 {
        assert!(store.insert(&key(owner, n), b"new").unwrap());
        store.update(&key(owner, n), |old| Update::set([old.unwrap(), b"er"].concat())).unwrap();
        assert_eq!(store.get(&key(owner, n)).unwrap().as_deref(), Some(&b"newer"[..]));
        if n % 4 == 0 {
            assert!(store.delete(&key(owner, n)).unwrap());
        } else {
            model.insert(key(owner, n), b"newer".to_vec());
        }
    }
    let keys: Vec<Vec<u8>> = (0..64).map(|n| key(owner, n)).collect();
    let keys: Vec<&[u8]> = keys.iter().map(Vec::as_slice).collect();
    store.read_many(&keys, |n, value| assert_eq!(value.is_some(), n % 4 != 0)).unwrap();
    store.reserve(20_000).unwrap();
    store.shrink().unwrap();
    let mut shown = 0;
    store
        .for_each(|key, _| {
            shown += usize::from(key[0] == owner);
            std::ops::ControlFlow::Continue(())
        })
        .unwrap();
    assert_eq!(shown, model.len());
    model
}

#[test]
fn nobody_needs_a_thread_that_stands_still() {
    for point in ALL {
        let store = one_bucket();
        let (of_others, others) = channel();
        let own = stopped(
            &store,
            point,
            |store| busy(store, b'a'),
            move |store| {
                std::thread::scope(|scope| {
                    let two =
                        [b'b', b'c'].map(|owner| scope.spawn(move || everything(store, owner)));
                    for thread in two {
                        of_others.send(thread.join().unwrap()).unwrap();
                    }
                });
            },
        );
        let mut expected = own;
        expected.extend(others.try_iter().flatten());
        let mut found = HashMap::new();
        store
            .for_each(|key, value| {
                assert!(found.insert(key.to_vec(), value.to_vec()).is_none(), "{point:?}: twice");
                std::ops::ControlFlow::Continue(())
            })
            .unwrap();
        assert!(
            found == expected,
            "{point:?}: {} entries, {} expected",
            found.len(),
            expected.len()
        );
        assert_eq!(store.len().unwrap(), expected.len(), "{point:?}");
        for (key, value) in &expected {
            assert_eq!(store.get(key).unwrap().as_ref(), Some(value), "{point:?}");
        }
    }
}

#[test]
fn a_key_that_a_stopped_thread_is_inserting_can_be_inserted_changed_and_removed() {
    for (point, removed) in
        [Failpoint::Placed, Failpoint::Resolved].into_iter().flat_map(|p| [(p, false), (p, true)])
    {
        let store = one_bucket();
        let inserted = stopped(
            &store,
            point,
            |store| store.insert(b"key", b"of the stopped").unwrap(),
            move |store| {
                assert_eq!(store.get(b"key").unwrap(), None, "it is not in yet");
                // The stopped thread's insertion was there first. So the other thread resolves it
                // and finds the key.
                assert!(!store.insert(b"key", b"of the others").unwrap(), "{point:?}");
                assert_eq!(store.get(b"key").unwrap().as_deref(), Some(&b"of the stopped"[..]));
                store.set(b"key", b"last").unwrap();
                if removed {
                    assert!(store.delete(b"key").unwrap());
                    assert!(!store.delete(b"key").unwrap());
                }
            },
        );
        assert!(inserted, "{point:?}: it took effect, whatever came after");
        let expected: Option<&[u8]> = if removed { None } else { Some(b"last") };
        assert_eq!(store.get(b"key").unwrap().as_deref(), expected, "{point:?}");
        assert_eq!(store.len(), Ok(usize::from(!removed)));
    }
}

#[test]
fn a_write_that_was_decided_and_overtaken_is_decided_again() {
    let store = one_bucket();
    store.set(b"count", &1_u32.to_le_bytes()).unwrap();
    let add = |store: &EpochKeystore| {
        store
            .update(b"count", |old| {
                let old = u32::from_le_bytes(old.unwrap().try_into().unwrap());
                Update::set((old + 1).to_le_bytes().to_vec())
            })
            .unwrap();
    };
    stopped(&store, Failpoint::Decided, add, move |store| (0..10).for_each(|_| add(store)));
    assert_eq!(store.get(b"count").unwrap(), Some(12_u32.to_le_bytes().to_vec()));
}

#[test]
fn nobody_needs_a_thread_that_stands_still_while_it_takes_pins_back() {
    let store = one_bucket();
    let (of_others, others) = channel();
    stopped(
        &store,
        Failpoint::Revoking,
        |_| revoke_idle_pins(),
        move |store| of_others.send((everything(store, b'b'), everything(store, b'c'))).unwrap(),
    );
    let (one, other) = others.recv().unwrap();
    assert_eq!(store.len(), Ok(one.len() + other.len()));
}
