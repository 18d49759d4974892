//! Closures that call the store: how they are answered without anyone ever waiting for themselves.
//!
//! *Locks.* A closure that a caller hands to a verb of a locked backend runs while the thread holds a bucket's lock. If it calls a
//! store, and that call had to wait for a lock, two threads could wait for each other, or one for itself, for ever. So a thread
//! that is inside such a closure never waits: a lock that is free it takes, and for one that is held the call returns
//! [`Error::Busy`](crate::Error::Busy). The mark is the thread's, not the store's, for waiting on another store from inside a closure could
//! close the same circle.
//!
//! Closures of the crate's own call nobody, and are not marked ([`Closure`]).
//!
//! *Retries.* The lock-free backend asks a deciding closure again where the key was written meanwhile. A closure that
//! writes the very key it decides about would be asked for ever; so that write is refused, with the same error.

use std::cell::Cell;
use std::ptr;
use std::time::Duration;

use crate::error::Error;

thread_local! {
    static DEPTH: Cell<u32> = const { Cell::new(0) };
    static DECIDING: Cell<*const Decision> = const { Cell::new(ptr::null()) };
}

struct Inside;

impl Drop for Inside {
    #[inline]
    fn drop(&mut self) {
        DEPTH.set(DEPTH.get() - 1);
    }
}

/// Runs `closure` with this thread marked as inside a closure, also where it unwinds.
#[inline]
pub(crate) fn inside<R>(closure: impl FnOnce() -> R) -> R {
    DEPTH.set(DEPTH.get() + 1);
    let _inside = Inside;
    closure()
}

/// Whose a closure is that decides about a key.
pub(crate) trait Closure {
    /// Runs it with this thread marked as inside a closure, where it may call a store.
    fn inside<R>(closure: impl FnOnce() -> R) -> R;

    /// Runs it with this thread marked as deciding about `key` in `table`, where it may call a
    /// store.
    fn deciding<T, R>(table: &T, key: &[u8], closure: impl FnOnce() -> R) -> R;
}

/// A caller's closure, which may do anything.
pub(crate) struct OfCaller;

/// The crate's own closure, which calls no store and does not panic.
pub(crate) struct OfCrate;

impl Closure for OfCaller {
    #[inline]
    fn inside<R>(closure: impl FnOnce() -> R) -> R {
        inside(closure)
    }

    #[inline]
    fn deciding<T, R>(table: &T, key: &[u8], closure: impl FnOnce() -> R) -> R {
        deciding(table, key, closure)
    }
}

impl Closure for OfCrate {
    #[inline]
    fn inside<R>(closure: impl FnOnce() -> R) -> R {
        closure()
    }

    #[inline]
    fn deciding<T, R>(_: &T, _: &[u8], closure: impl FnOnce() -> R) -> R {
        closure()
    }
}

/// Whether this thread is inside a closure, and so must not wait.
#[inline]
pub(crate) fn is_inside() -> bool {
    DEPTH.get() > 0
}

/// Waits for a lock that is held: as `in_time` does for that long, where there is a limit to `patience`, else as `wait` does. `None`
/// where that was not enough, and at once where this thread is inside a closure, and so must not wait.
pub(crate) fn wait_for_lock<G>(
    patience: Option<Duration>,
    in_time: impl FnOnce(Duration) -> Option<G>,
    wait: impl FnOnce() -> G,
) -> Option<G> {
    match patience {
        _ if is_inside() => None,
        Some(patience) => in_time(patience),
        None => Some(wait()),
    }
}

/// The error for a lock that is held: where the thread must not wait for it, and where it has waited for `patience`.
#[cold]
pub(crate) fn refused(operation: &'static str, patience: Option<Duration>) -> Error {
    match patience {
        Some(waited) if !is_inside() => Error::LockTimeout { operation, waited },
        _ => Error::Busy { operation },
    }
}

/// A decision about a key that this thread is in the middle of, and the one around it.
struct Decision {
    table: *const (),
    /// The key, not its hash: a hasher may give another one when it is asked again.
    key: *const [u8],
    around: *const Decision,
}

impl Drop for Decision {
    #[inline]
    fn drop(&mut self) {
        DECIDING.set(self.around);
    }
}

/// Runs `closure` with this thread marked as deciding about `key` in `table`, also where it
/// unwinds.
#[inline]
fn deciding<T, R>(table: &T, key: &[u8], closure: impl FnOnce() -> R) -> R {
    let decision = Decision { table: ptr::from_ref(table).cast(), key, around: DECIDING.get() };
    DECIDING.set(&raw const decision);
    closure()
}

/// Whether this thread is deciding about `key` in `table`.
#[inline]
pub(crate) fn is_deciding<T>(table: &T, key: &[u8]) -> bool {
    let mut at = DECIDING.get();
    // SAFETY: a decision is in the list only while it lives: it takes itself off when it is dropped, innermost first.
    while let Some(decision) = unsafe { at.as_ref() } {
        let is_table = ptr::eq(decision.table, ptr::from_ref(table).cast());
        // SAFETY: a decision borrows its key from the call that made it, which lives as long as the
        // decision.
        if is_table && unsafe { &*decision.key } == key {
            return true;
        }
        at = decision.around;
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_decision_is_known_to_what_it_calls_and_forgotten_after() {
        let (table, other) = (1, 2);
        deciding(&table, b"7", || {
            deciding(&other, b"8", || {
                assert!(is_deciding(&table, b"7") && is_deciding(&other, b"8"));
                assert!(!is_deciding(&table, b"8") && !is_deciding(&other, b"7"));
            });
            assert!(!is_deciding(&other, b"8"));
        });
        assert!(
            std::panic::catch_unwind(|| deciding(&table, b"7", || panic!("of a caller's closure"))).is_err()
        );
        assert!(!is_deciding(&table, b"7"));
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
