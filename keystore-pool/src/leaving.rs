//! Threads that end: what they have in pools goes back to the pools that they used.
//!
//! A slab's magazine or an arena's span holds little memory, but it keeps its chunk of 2 MiB from
//! going back to the system, and nobody else can get at it. So a thread that ends leaves none.
//!
//! Each slot of [`PerThread`](crate::per_thread::PerThread) has a list of the pools that may keep
//! something there. A pool joins the list of a slot when a thread at that slot gets its first
//! magazine or span, and leaves it when a thread ends which had the slot, or when the pool ends.
//! So the end of a thread costs time in proportion to the pools that it used, not to those that are
//! open.
//!
//! The lock of a list is held while its pools empty the slot, so no pool ends meanwhile.

use std::ptr::NonNull;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Mutex, MutexGuard, PoisonError};

use keystore_core::thread_exit::Hook;

use crate::per_thread::{SLOTS, current_slot};

/// A pool that keeps something at the places of threads.
pub(crate) trait Places: Sync {
    /// Whether the pool is on the list of a slot.
    fn is_listed(&self, slot: usize) -> &AtomicBool;

    /// Takes back what the pool keeps at a slot that the calling thread has, or shares.
    fn empty(&self, slot: usize);
}

/// The pools that may keep something at each slot.
static LISTS: [Mutex<Vec<Listed>>; SLOTS] = [const { Mutex::new(Vec::new()) }; SLOTS];

static HOOK: Hook = Hook::new(empty_own_place);

struct Listed(NonNull<dyn Places>);

// SAFETY: a pool's places may be used by any thread, by their own rules: `Places` asks for `Sync`.
unsafe impl Send for Listed {}

/// Locks the list of a slot. Nothing unwinds under the lock.
fn list(slot: usize) -> MutexGuard<'static, Vec<Listed>> {
    LISTS[slot].lock().unwrap_or_else(PoisonError::into_inner)
}

/// Notes that a pool may keep something at the calling thread's slot. To be called after the slot
/// may have got it, and not within
/// [`PerThread::with_slot`](crate::per_thread::PerThread::with_slot).
///
/// # Safety
/// The pool stays where it is until [`leave`] was called for it.
#[inline]
pub(crate) unsafe fn note<P: Places + 'static>(pool: &P, slot: usize) {
    if !pool.is_listed(slot).load(Relaxed) {
        join(NonNull::from(pool), pool.is_listed(slot), slot);
    }
}

#[cold]
fn join(pool: NonNull<dyn Places>, is_listed: &AtomicBool, slot: usize) {
    // A model's threads are all on one of the system's, whose end is not theirs.
    if cfg!(loom) {
        return;
    }
    HOOK.add();
    let mut list = list(slot);
    // If there is no memory for the list, the next call tries again. Threads that share the slot
    // may have come here together.
    if list.try_reserve(1).is_ok() && !is_listed.swap(true, Relaxed) {
        list.push(Listed(pool));
    }
}

/// Empties the calling thread's slot, or the one that it shares, in the pools on its list.
fn empty_own_place() {
    let slot = current_slot();
    for pool in list(slot).drain(..) {
        // SAFETY: a pool leaves the lists before it ends, and the lock of this one is held.
        let pool = unsafe { pool.0.as_ref() };
        // Before it is emptied: a thread that shares the slot and fills it afterwards notes it
        // again.
        pool.is_listed(slot).store(false, Relaxed);
        pool.empty(slot);
    }
}

/// Takes a pool, which ends, off all lists. It looks at each under its lock, also at those that the pool
/// is not on: a thread that ends may have taken it off and be at it still.
pub(crate) fn leave<P: Places>(pool: &P) {
    for slot in 0..SLOTS {
        list(slot).retain(|listed| !std::ptr::addr_eq(listed.0.as_ptr(), pool));
    }
}

/// How many pools are on the list of the calling thread's slot.
#[cfg(all(test, not(loom)))]
pub(crate) fn listed() -> usize {
    list(current_slot()).len()
}

#[cfg(all(test, not(loom)))]
mod tests {
    use std::sync::Barrier;
    use std::thread::sleep;
    use std::time::Duration;

    use super::*;

    /// A pool that takes its time to empty a slot.
    struct Slow {
        listed: [AtomicBool; SLOTS],
        emptying: Barrier,
        has_left: AtomicBool,
        had_left: AtomicBool,
    }

    impl Places for Slow {
        fn is_listed(&self, slot: usize) -> &AtomicBool {
            &self.listed[slot]
        }

        fn empty(&self, _: usize) {
            self.emptying.wait();
            sleep(Duration::from_millis(50));
            self.had_left.store(self.has_left.load(Relaxed), Relaxed);
        }
    }

    #[test]
    fn a_pool_ends_after_a_thread_that_is_emptying_its_place() {
        static POOL: Slow = Slow {
            listed: [const { AtomicBool::new(false) }; SLOTS],
            emptying: Barrier::new(2),
            has_left: AtomicBool::new(false),
            had_left: AtomicBool::new(false),
        };
        // SAFETY: the pool is static.
        let thread = std::thread::spawn(|| unsafe { note(&POOL, current_slot()) });
        POOL.emptying.wait();
        leave(&POOL);
        POOL.has_left.store(true, Relaxed);
        thread.join().unwrap();
        assert!(!POOL.had_left.load(Relaxed), "the pool was gone while its slot was being emptied");
    }
}
