//! Closures that call the store, and why no such call deadlocks.
//!
//! *Locks.* A caller's closure runs while the thread holds a bucket's lock, in a locked backend.
//! If the closure calls a store and that call waited for a lock, two threads could wait for each
//! other, or one for itself. So a thread inside such a closure never waits. It takes a lock that
//! is free. If the lock is held, the call returns [`Error::Busy`](crate::Error::Busy). The mark
//! belongs to the thread, not to the store, since waiting for another store could close the same
//! circle.
//!
//! The crate's own closures call no store, and are not marked ([`Closure`]).
//!
//! *Retries.* The lock-free backend calls a closure again if the key was written in the meantime. A
//! closure that writes the very key it decides about would be called without end. So that write is
//! refused, with the same error. Writes to other keys leave their share of a resize to the write
//! around them: to resize now could freeze the bucket of the key, and the closure would be called
//! again.

use std::cell::Cell;
use std::ptr;
use std::thread::sleep;
use std::time::{Duration, Instant};

use crate::error::Error;
use crate::system_memory::allocator_has;

/// Poll interval for a lock for which the thread cannot queue.
const POLL_INTERVAL: Duration = Duration::from_micros(100);

/// Upper bound of the bytes that parking_lot allocates for a thread that waits for the first time,
/// and for a queue of a thousand threads.
const QUEUE_BYTES: usize = 256 << 10;

thread_local! {
    /// True if the thread has waited for a lock, so that parking_lot has memory for its place.
    static HAS_WAITED: Cell<bool> = const { Cell::new(false) };
    /// Number of users' closures that the thread is inside.
    static DEPTH: Cell<u32> = const { Cell::new(0) };
    /// Innermost update whose closure the thread is inside, or null.
    static DECIDING: Cell<*const ActiveUpdate> = const { Cell::new(ptr::null()) };
    /// Shares of a resize that writes from inside closures left to the write around them.
    static PUT_OFF: Cell<usize> = const { Cell::new(0) };
}

/// A guard of a thread that is inside a closure.
struct DepthGuard;

impl Drop for DepthGuard {
    #[inline]
    fn drop(&mut self) {
        DEPTH.set(DEPTH.get() - 1);
    }
}

/// Runs `closure` with this thread marked as inside a closure. The mark ends if the closure
/// unwinds, too.
#[inline]
pub(crate) fn inside<R>(closure: impl FnOnce() -> R) -> R {
    DEPTH.set(DEPTH.get() + 1);
    let _guard = DepthGuard;
    closure()
}

/// Who wrote a closure: the user or this crate.
pub(crate) trait Closure {
    /// Returns the number of shares of a resize that the closure's own writes put off.
    fn take_put_off() -> usize;

    /// Runs `closure`. If it may call a store, this thread is marked as inside a closure.
    fn inside<R>(closure: impl FnOnce() -> R) -> R;

    /// Runs `closure`. If it may call a store, this thread is marked as deciding about `key` in
    /// `table`.
    fn deciding<T, R>(table: &T, key: &[u8], closure: impl FnOnce() -> R) -> R;
}

/// Marks a user's closure, which may do anything.
pub(crate) struct UserClosure;

/// Marks a closure of this crate, which calls no store and does not panic.
pub(crate) struct InternalClosure;

impl Closure for UserClosure {
    #[inline]
    fn take_put_off() -> usize {
        let shares = PUT_OFF.get();
        if shares > 0 {
            PUT_OFF.set(0);
        }
        shares
    }

    #[inline]
    fn inside<R>(closure: impl FnOnce() -> R) -> R {
        inside(closure)
    }

    #[inline]
    fn deciding<T, R>(table: &T, key: &[u8], closure: impl FnOnce() -> R) -> R {
        deciding(table, key, closure)
    }
}

impl Closure for InternalClosure {
    #[inline]
    fn take_put_off() -> usize {
        0
    }

    #[inline]
    fn inside<R>(closure: impl FnOnce() -> R) -> R {
        closure()
    }

    #[inline]
    fn deciding<T, R>(_: &T, _: &[u8], closure: impl FnOnce() -> R) -> R {
        closure()
    }
}

/// Returns whether this thread is inside a closure, and so must not wait.
#[inline]
pub(crate) fn is_inside() -> bool {
    DEPTH.get() > 0
}

/// Waits for a lock that is held. If `lock_timeout` is set, `in_time` waits for that long;
/// otherwise `wait` waits. Returns `None` if the time was not enough, and at once if this thread is
/// inside a closure, and so must not wait.
///
/// A thread that waits in parking_lot for the first time allocates memory for its place in the
/// queue, and parking_lot cannot report a lack of memory. If there is none, the thread polls with
/// `try_lock` instead.
pub(crate) fn wait_for_lock<G>(
    lock_timeout: Option<Duration>,
    try_lock: impl Fn() -> Option<G>,
    in_time: impl FnOnce(Duration) -> Option<G>,
    wait: impl FnOnce() -> G,
) -> Option<G> {
    if is_inside() {
        return None;
    }
    if !HAS_WAITED.get() && !allocator_has(QUEUE_BYTES) {
        return poll(lock_timeout, try_lock);
    }
    HAS_WAITED.set(true);
    match lock_timeout {
        Some(lock_timeout) => in_time(lock_timeout),
        None => Some(wait()),
    }
}

/// Polls for a lock until it is free, or until `lock_timeout` is over if it is set.
#[cold]
pub(crate) fn poll<G>(
    lock_timeout: Option<Duration>,
    try_lock: impl Fn() -> Option<G>,
) -> Option<G> {
    let start = Instant::now();
    loop {
        let left = match lock_timeout {
            Some(lock_timeout) => lock_timeout.checked_sub(start.elapsed()),
            None => Some(POLL_INTERVAL),
        };
        if let Some(guard) = try_lock() {
            return Some(guard);
        }
        sleep(left?.min(POLL_INTERVAL));
    }
}

/// Returns the error for a lock that is held: `Busy` if the thread must not wait for it, else the
/// time-out.
#[cold]
pub(crate) fn refused(operation: &'static str, lock_timeout: Option<Duration>) -> Error {
    match lock_timeout {
        Some(waited) if !is_inside() => Error::LockTimeout { operation, waited },
        _ => Error::Busy { operation },
    }
}

/// An update whose closure this thread is inside, linked to the update around it.
struct ActiveUpdate {
    table: *const (),
    /// The key, not its hash: a hasher may give another one when it is asked again.
    key: *const [u8],
    outer: *const ActiveUpdate,
}

impl Drop for ActiveUpdate {
    #[inline]
    fn drop(&mut self) {
        DECIDING.set(self.outer);
    }
}

/// Runs `closure` with this thread marked as deciding about `key` in `table`. The mark
/// ends with the closure, also if it unwinds.
#[inline]
fn deciding<T, R>(table: &T, key: &[u8], closure: impl FnOnce() -> R) -> R {
    let update = ActiveUpdate { table: ptr::from_ref(table).cast(), key, outer: DECIDING.get() };
    DECIDING.set(&raw const update);
    closure()
}

/// What this thread decides about in a table, in closures that have not returned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Deciding {
    /// No key of the table.
    Nothing,
    /// Keys of the table, but not the one that was asked about.
    AnotherKey,
    /// The key that was asked about.
    ThisKey,
}

/// Returns what this thread decides about in `table`, as seen from a write to `key`. Takes time in
/// proportion to the number of closures that the thread is inside.
#[inline]
pub(crate) fn deciding_in<T>(table: &T, key: &[u8]) -> Deciding {
    if DECIDING.get().is_null() { Deciding::Nothing } else { nested_in(table, key) }
}

/// [`deciding_in`] for a thread that is inside a closure.
#[cold]
fn nested_in<T>(table: &T, key: &[u8]) -> Deciding {
    let mut at = DECIDING.get();
    let mut found = Deciding::Nothing;
    // SAFETY: an update is in the list only while it lives: dropping it takes it off the list, and
    // the innermost is dropped first.
    while let Some(update) = unsafe { at.as_ref() } {
        let is_table = ptr::eq(update.table, ptr::from_ref(table).cast());
        // SAFETY: `deciding` borrows the key for longer than the update is in the list.
        if is_table && unsafe { &*update.key } == key {
            return Deciding::ThisKey;
        }
        if is_table {
            found = Deciding::AnotherKey;
        }
        at = update.outer;
    }
    found
}

/// Notes that a write made no share of a resize, since this thread is inside a closure.
pub(crate) fn put_off() {
    PUT_OFF.set(PUT_OFF.get().saturating_add(1));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lock_is_polled_for_until_it_is_free_or_patience_is_over() {
        let tries = Cell::new(0);
        let third_time = || {
            tries.set(tries.get() + 1);
            (tries.get() == 3).then_some("locked")
        };
        assert_eq!(poll(None, third_time), Some("locked"));
        let start = Instant::now();
        assert_eq!(poll::<()>(Some(Duration::from_millis(5)), || None), None);
        assert!(start.elapsed() >= Duration::from_millis(5));
    }

    #[test]
    fn a_decision_is_known_to_what_it_calls_and_forgotten_after() {
        let (table, other) = (1, 2);
        deciding(&table, b"7", || {
            deciding(&other, b"8", || {
                assert!(
                    (deciding_in(&table, b"7") == Deciding::ThisKey)
                        && (deciding_in(&other, b"8") == Deciding::ThisKey)
                );
                assert!(
                    !(deciding_in(&table, b"8") == Deciding::ThisKey)
                        && !(deciding_in(&other, b"7") == Deciding::ThisKey)
                );
            });
            assert!(!(deciding_in(&other, b"8") == Deciding::ThisKey));
        });
        assert!(
            std::panic::catch_unwind(|| deciding(&table, b"7", || panic!("of a caller's closure")))
                .is_err()
        );
        assert!(!(deciding_in(&table, b"7") == Deciding::ThisKey));
    }

    #[test]
    fn the_mark_ends_with_the_closure_also_by_panic() {
        assert!(!is_inside());
        inside(|| {
            assert!(is_inside());
            inside(|| assert!(is_inside()));
            assert!(is_inside());
        });
        assert!(std::panic::catch_unwind(|| inside(|| panic!("of a caller's closure"))).is_err());
        assert!(!is_inside());
    }
}
