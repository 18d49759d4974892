//! Closures that call the store: how the locked backends answer without ever waiting for themselves.
//!
//! A closure that a caller hands to a verb runs while the thread holds a bucket's lock. If it calls a store, and that
//! call had to wait for a lock, two threads could wait for each other, or one for itself, for ever. So a thread that is
//! inside such a closure never waits: a lock that is free it takes, and for one that is held the call returns
//! [`Error::Busy`](crate::Error::Busy). The mark is the thread's, not the store's, for waiting on another store from inside
//! a closure could close the same circle.

use std::cell::Cell;

thread_local! {
    static DEPTH: Cell<u32> = const { Cell::new(0) };
}

struct Inside;

impl Drop for Inside {
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

/// Whether this thread is inside a closure, and so must not wait.
#[inline]
pub(crate) fn is_inside() -> bool {
    DEPTH.get() > 0
}

#[cfg(test)]
mod tests {
    use super::*;

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
