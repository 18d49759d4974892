//! Rules for closures that call a store, which ensure that such a call never deadlocks.
//!
//! *Locks.* In a backend with locks, a caller's closure runs while the thread holds a bucket's
//! lock. Suppose that the closure calls a store and that call waits for a lock. Then two threads
//! could wait for each other, or one thread for itself. So a thread inside such a closure never
//! waits for a lock. If the lock is free, the call takes it. If the lock is held, the call returns
//! [`Error::Busy`](crate::Error::Busy). The mark that says "inside a closure" belongs to the thread
//! and not to the store, since a wait for another store could cause the same deadlock.
//!
//! Closures of this crate do not call a store, so they need no mark ([`Closure`]).
//!
//! *Retries.* The lock-free backend calls a closure again if another write to the key came in
//! between. If the closure itself wrote the key that it decides about, it would be called without
//! end. So this write fails with the same error. A write to another key from inside the closure
//! does not do its share of a resize, but leaves it to the write that called the closure. The
//! reason is that a resize now could freeze the bucket of the key, and then the closure would be
//! called again.

use std::cell::Cell;
use std::ptr;
use std::thread::sleep;
use std::time::{Duration, Instant};

use crate::error::Error;
use crate::system_memory::allocator_has;

/// Poll interval for a lock for whose queue the thread has no place.
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
    /// Number of shares of a resize that writes from inside closures left to the write that called
    /// the closure.
    static PUT_OFF: Cell<usize> = const { Cell::new(0) };
}

/// A guard that marks the thread as being inside a closure.
struct DepthGuard;

impl Drop for DepthGuard {
    #[inline]
    fn drop(&mut self) {
        DEPTH.set(DEPTH.get() - 1);
    }
}

/// Runs `closure` with this thread marked as inside a closure. The mark also ends if the closure
/// unwinds.
#[inline]
pub(crate) fn inside<R>(closure: impl FnOnce() -> R) -> R {
    DEPTH.set(DEPTH.get() + 1);
    let _guard = DepthGuard;
    closure()
}

/// Who wrote a closure: the user or this crate.
pub(crate) trait Closure {
    /// Returns the number of shares of a resize that the closure's writes put off, and resets it.
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

/// Returns whether this thread is inside a closure, and so must not wait for a lock.
#[inline]
pub(crate) fn is_inside() -> bool {
    DEPTH.get() > 0
}

/// Waits for a lock that is held. If `lock_timeout` is set, this calls `in_time`, which waits for
/// at most that time. Otherwise it calls `wait`. Returns `None` if the time was not enough. If this
/// thread is inside a closure, it must not wait, and this returns `None` at once.
///
/// When a thread waits in parking_lot for the first time, parking_lot allocates memory for the
/// thread's place in the queue. It ends the process if there is none. So if memory is short, the
/// thread polls with `try_lock` instead.
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

/// Polls for a lock until it is free. If `lock_timeout` is set, gives up after that time and
/// returns `None`.
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

/// Returns the error for a lock that is held: `Busy` if the thread must not wait for the lock, and
/// `LockTimeout` otherwise.
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
    /// The key itself. Its hash would not do, since a hasher may return another hash when it is
    /// called again.
    key: *const [u8],
    outer: *const ActiveUpdate,
}

impl Drop for ActiveUpdate {
    #[inline]
    fn drop(&mut self) {
        DECIDING.set(self.outer);
    }
}

/// Runs `closure` with this thread marked as deciding about `key` in `table`. The mark ends when
/// the closure returns or unwinds.
#[inline]
fn deciding<T, R>(table: &T, key: &[u8], closure: impl FnOnce() -> R) -> R {
    let update = ActiveUpdate { table: ptr::from_ref(table).cast(), key, outer: DECIDING.get() };
    DECIDING.set(&raw const update);
    closure()
}

/// The keys of a table that the closures which this thread is inside decide about, compared with
/// the key of a new write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Deciding {
    /// No key of the table.
    Nothing,
    /// One or more keys of the table, but not the key of the write.
    AnotherKey,
    /// The key of the write.
    ThisKey,
}

/// Returns what this thread decides about in `table`, for a write to `key`. The time is
/// proportional to the number of closures that the thread is inside.
#[inline]
pub(crate) fn deciding_in<T>(table: &T, key: &[u8]) -> Deciding {
    if DECIDING.get().is_null() { Deciding::Nothing } else { nested_in(table, key) }
}

/// Does the work of [`deciding_in`] for a thread that is inside a closure.
#[cold]
fn nested_in<T>(table: &T, key: &[u8]) -> Deciding {
    let mut at = DECIDING.get();
    let mut found = Deciding::Nothing;
    // SAFETY: an update is in the list only while it is alive: dropping it removes it from the
    // list, and the innermost update is dropped first.
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

/// Records that a write did not do its share of a resize, since this thread is inside a closure.
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
