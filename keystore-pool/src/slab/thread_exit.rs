//! Empties the magazines of threads that end.
//!
//! A thread's magazines hold little memory, but each block in them keeps its chunk of 2 MiB from
//! going back to the system, and no other thread can use it. So a thread that ends leaves none.
//!
//! Each slot of [`PerThread`](crate::per_thread::PerThread) has a list of the pools that may keep
//! blocks there. A pool is registered in a slot's list when a thread in that slot gets its first
//! magazine. It is removed when a thread in that slot ends, or when the pool ends. So the end of a
//! thread takes time in proportion to the pools that it used, not to the pools that exist.
//!
//! The list's lock is held while its pools are drained, so no pool ends during that.

use std::ptr::NonNull;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Mutex, MutexGuard, PoisonError};

use keystore_core::fallible::try_reserve;
use keystore_core::thread_exit::Hook;

use super::Core;
use crate::per_thread::{SLOTS, current_slot};

/// The registered pools of each slot.
static LISTS: [Mutex<Vec<Registered>>; SLOTS] = [const { Mutex::new(Vec::new()) }; SLOTS];

static HOOK: Hook = Hook::new(drain_current_slot);

struct Registered(NonNull<Core>);

const fn assert_sync<T: Sync>() {}
const _: () = assert_sync::<Core>();
// SAFETY: any thread may use a `Core` by reference, because it is `Sync`.
unsafe impl Send for Registered {}

/// Locks the list of a slot. Nothing unwinds under the lock.
fn list(slot: usize) -> MutexGuard<'static, Vec<Registered>> {
    LISTS[slot].lock().unwrap_or_else(PoisonError::into_inner)
}

/// Has `pool` drain the calling thread's slot when the thread ends.
///
/// Call it after the thread may have got a magazine, and outside of
/// [`PerThread::with_slot`](crate::per_thread::PerThread::with_slot): the end of a thread locks the
/// list first and the slot second.
///
/// # Safety
/// The pool stays at its address until [`unregister`] was called for it.
#[inline]
pub(super) unsafe fn register_thread(pool: &Core, slot: usize) {
    let is_registered = pool.is_registered(slot);
    if !is_registered.load(Relaxed) {
        add(NonNull::from(pool), is_registered, slot);
    }
}

#[cold]
fn add(pool: NonNull<Core>, is_registered: &AtomicBool, slot: usize) {
    // All threads of a model run on one thread of the system, so its end is not the end of any of
    // them.
    if cfg!(loom) {
        return;
    }
    HOOK.add();
    let mut list = list(slot);
    // If there is no memory for the list, the next call tries again. Threads that share the slot
    // may come here at the same time: the flag lets one of them add the pool.
    if try_reserve(&mut list, 1).is_ok() && !is_registered.swap(true, Relaxed) {
        list.push(Registered(pool));
    }
}

/// Drains the calling thread's slot in the pools on its list.
fn drain_current_slot() {
    let slot = current_slot();
    for pool in list(slot).drain(..) {
        // SAFETY: a pool is unregistered before it ends, and that takes the lock which is held
        // here.
        let pool = unsafe { pool.0.as_ref() };
        // The flag is cleared before draining. So a thread that shares the slot and fills it
        // afterwards registers the pool again.
        pool.is_registered(slot).store(false, Relaxed);
        pool.drain_slot(slot);
    }
}

/// Removes a pool that ends from all lists.
///
/// It locks every list, even those that the pool is not on: a thread that ends may have removed the
/// pool from its list and still be draining it.
pub(super) fn unregister(pool: &Core) {
    for slot in 0..SLOTS {
        list(slot).retain(|registered| !std::ptr::eq(registered.0.as_ptr(), pool));
    }
}

/// Returns the number of pools on the list of the calling thread's slot.
#[cfg(all(test, not(loom)))]
pub(super) fn registered_pools() -> usize {
    list(current_slot()).len()
}

#[cfg(all(test, not(loom)))]
mod tests {
    use std::sync::{Barrier, OnceLock};
    use std::thread::sleep;
    use std::time::Duration;

    use super::*;
    use crate::SlabPool;

    static DRAINING: Barrier = Barrier::new(2);
    static HAS_ENDED: AtomicBool = AtomicBool::new(false);
    static HAD_ENDED: AtomicBool = AtomicBool::new(false);

    /// Makes draining take a while, and records if the pool ends during that time.
    fn drain_slowly() {
        DRAINING.wait();
        sleep(Duration::from_millis(50));
        HAD_ENDED.store(HAS_ENDED.load(Relaxed), Relaxed);
    }

    #[test]
    fn a_pool_ends_after_a_thread_that_is_emptying_its_place() {
        static POOL: OnceLock<SlabPool> = OnceLock::new();
        let mut pool = SlabPool::new().unwrap();
        pool.core.get_mut().before_draining = Some(drain_slowly);
        let core = &*POOL.get_or_init(|| pool).core;
        // SAFETY: the pool is static.
        let thread = std::thread::spawn(|| unsafe { register_thread(core, current_slot()) });
        DRAINING.wait();
        unregister(core);
        HAS_ENDED.store(true, Relaxed);
        thread.join().unwrap();
        assert!(!HAD_ENDED.load(Relaxed), "the pool ended while its slot was being drained");
    }
}
