//! Checks that a call waits no longer than the lock time-out, and has changed nothing if it gives
//! up.

use std::ops::ControlFlow;
use std::sync::Barrier;
use std::thread;
use std::time::{Duration, Instant};

use keystore::{BackendKind, Change, Config, Error, Keystore, Update};

use crate::check::{Check, checks};
use crate::combination::Combination;
use crate::entries::{assert_holds, key, one_bucket};

pub(crate) const CHECKS: &[Check] = checks![
    all:
        a_time_out_changes_nothing_for_one_thread;
    shared:
        a_writer_waits_no_longer_than_it_is_told,
        a_reader_waits_no_longer_than_it_is_told
];

const PATIENCE: Duration = Duration::from_millis(20);

fn impatient() -> Config {
    Config { lock_timeout: Some(PATIENCE), ..one_bucket() }
}

/// Makes a call while another thread holds a lock that it needs. The locked backends must give up
/// in time, and the lock-free one must answer.
#[track_caller]
fn assert_gives_up<T>(
    combination: &Combination,
    operation: &'static str,
    call: impl FnOnce() -> Result<T, Error>,
) {
    let begun = Instant::now();
    let result = call().map(drop);
    if combination.backend == BackendKind::Epoch {
        assert_eq!(result, Ok(()), "{operation}");
        return;
    }
    let error = result.unwrap_err();
    assert_eq!(error, Error::LockTimeout { operation, waited: PATIENCE });
    assert_eq!(error.code(), -30);
    assert!(error.to_string().starts_with(&format!("{operation} waited 20ms")), "{error}");
    assert!(begun.elapsed() >= PATIENCE, "{operation} gave up early");
}

/// Runs `meanwhile` while another thread is inside `hold`, in the function that it passes to
/// `hold`.
fn while_held(hold: impl FnOnce(&mut dyn FnMut()) + Send, meanwhile: impl FnOnce()) {
    let (held, done) = (Barrier::new(2), Barrier::new(2));
    thread::scope(|scope| {
        scope.spawn(|| {
            hold(&mut || {
                held.wait();
                done.wait();
            });
        });
        held.wait();
        meanwhile();
        done.wait();
    });
}

fn a_time_out_changes_nothing_for_one_thread(combination: &Combination) {
    let store = combination.open(&impatient());
    assert_eq!(store.set(&key(1), b"one"), Ok(Change::Created));
    assert_eq!(store.set(&key(1), b"two"), Ok(Change::Replaced));
    // A call that would wait for its own thread is refused at once, as it is without a time-out.
    let mut inside = Ok(Change::Kept);
    store.read_dyn(&key(1), &mut |_| inside = store.set(&key(1), b"three")).unwrap();
    match combination.backend {
        BackendKind::Epoch => assert_eq!(inside, Ok(Change::Replaced)),
        _ => assert!(matches!(inside, Err(Error::Busy { .. })), "{inside:?}"),
    }
}

fn a_writer_waits_no_longer_than_it_is_told(combination: &Combination) {
    let store = &*combination.open_shared(&impatient());
    store.set(&key(1), b"old").unwrap();
    let locked = combination.backend != BackendKind::Epoch;
    let read = |call: &mut dyn FnMut()| assert!(store.read_dyn(&key(1), &mut |_| call()).unwrap());
    while_held(read, || {
        assert!(store.contains(&key(1)).unwrap(), "readers are let in");
        assert_gives_up(combination, "write", || store.set(&key(1), b"new"));
        assert_gives_up(combination, "retain", || store.retain_dyn(&mut |_, _| true));
        assert_gives_up(combination, "write", || store.delete(&key(1)));
    });
    if locked {
        assert_holds(store, &[(key(1), b"old".to_vec())].into());
        assert_eq!(
            store.stats().unwrap().errors.get(-30),
            2,
            "calls of verbs on one key are counted"
        );
    }
    assert!(store.set(&key(1), b"after").is_ok());
    assert_eq!(store.get(&key(1)), Ok(Some(b"after".to_vec())));
}

fn a_reader_waits_no_longer_than_it_is_told(combination: &Combination) {
    let store = &*combination.open_shared(&impatient());
    store.set(&key(1), b"old").unwrap();
    let update = |call: &mut dyn FnMut()| {
        let mut decide = |_: Option<&[u8]>| {
            call();
            Update::set(b"new".to_vec())
        };
        assert_eq!(store.update_dyn(&key(1), &mut decide), Ok(Change::Replaced));
    };
    while_held(update, || {
        assert_gives_up(combination, "read", || store.get(&key(1)));
        assert_gives_up(combination, "for_each", || {
            store.for_each_dyn(&mut |_, _| ControlFlow::Continue(()))
        });
        assert_gives_up(combination, "stats", || store.stats());
    });
    assert_eq!(store.get(&key(1)), Ok(Some(b"new".to_vec())));
}
