//! Slots: a small number for each live thread.
//!
//! Counters and pools keep one record for each slot, so that threads do not write to the same cache
//! line. Each of the first [`OWNED`] live threads owns a slot, which no other live thread has. So
//! the owner can update its record with a plain load and store. All other threads share a few
//! slots.
//!
//! When a thread ends, its slot passes to the next thread that needs one. This may be a new thread,
//! or a thread that shares a slot because it started while all slots were taken.

use std::cell::Cell;
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};
use std::sync::atomic::{AtomicU64, AtomicUsize};

use super::thread_exit;

/// Number of live threads that own a slot.
pub const OWNED: usize = 64;

/// Number of slots that all other threads share. A power of two.
pub(crate) const SHARED: usize = 16;

/// Bit set of the slots that live threads own.
static TAKEN: AtomicU64 = AtomicU64::new(0);

/// Counter that spreads threads over the shared slots.
static NEXT_SHARED: AtomicUsize = AtomicUsize::new(0);

/// Value of [`SLOT`] for a thread without a slot.
const UNASSIGNED: usize = usize::MAX;

thread_local! {
    // It has no destructor, so reading it costs no check, and the first use allocates no memory.
    static SLOT: Cell<usize> = const { Cell::new(UNASSIGNED) };
}

/// Returns a small number for the calling thread. If the number is below [`OWNED`], no other live
/// thread has it. The number passes to another thread when this one ends.
#[inline]
#[must_use]
pub fn thread_slot() -> usize {
    let slot = SLOT.get();
    if slot == UNASSIGNED { assign_slot() } else { slot }
}

#[cold]
fn assign_slot() -> usize {
    // If no hook runs at the end of this thread, it must not keep a slot. It tries again with its
    // next call.
    if !thread_exit::arm() {
        return next_shared();
    }
    let slot = take_owned().unwrap_or_else(next_shared);
    SLOT.set(slot);
    slot
}

/// Takes the lowest slot that no live thread has.
fn take_owned() -> Option<usize> {
    let mut taken = TAKEN.load(Relaxed);
    while taken != u64::MAX {
        let lowest = (!taken).trailing_zeros();
        // Acquire: this thread sees what the slot's last owner wrote to its records.
        match TAKEN.compare_exchange_weak(taken, taken | 1 << lowest, Acquire, Relaxed) {
            Ok(_) => return Some(lowest as usize),
            Err(now) => taken = now,
        }
    }
    None
}

fn next_shared() -> usize {
    OWNED + NEXT_SHARED.fetch_add(1, Relaxed) % SHARED
}

/// If the calling thread shares a slot, and a thread that owned a slot has ended, gives that slot
/// to the calling thread. The thread must not be in a call of a pool, since pools keep records by
/// slot.
#[cold]
pub(crate) fn improve_slot() {
    // A thread that has no slot yet, or must not keep one, requests one with its next call anyway.
    if SLOT.get() != UNASSIGNED
        && let Some(owned) = take_owned()
    {
        // The hooks give back what pools keep under the shared slot. Otherwise it would wait there
        // for another thread with that slot.
        thread_exit::run_hooks();
        SLOT.set(owned);
    }
}

/// Gives back the slot of the calling thread, which is ending.
pub(crate) fn release_slot() {
    let slot = SLOT.replace(UNASSIGNED);
    if slot < OWNED {
        TAKEN.fetch_and(!(1 << slot), Release);
    }
}

/// Returns the calling thread's slot if the thread owns it.
#[inline(always)]
pub(crate) fn owned_slot() -> Option<usize> {
    let slot = SLOT.get();
    (slot < OWNED).then_some(slot)
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::*;

    #[test]
    fn threads_one_after_another_reuse_numbers() {
        let lowest =
            (0..500).map(|_| std::thread::spawn(thread_slot).join().unwrap()).min().unwrap();
        // Other tests run at the same time and own slots too, but never all of them for long.
        assert!(lowest < OWNED, "{lowest}");
    }

    #[test]
    fn a_thread_that_started_in_a_crowd_has_a_stripe_of_its_own_once_the_crowd_has_ended() {
        let (crowded, dispersed) =
            (std::sync::Barrier::new(OWNED + 17), std::sync::Barrier::new(2));
        std::thread::scope(|scope| {
            let last = scope.spawn(|| {
                // Wait until the other threads own all slots, so that this thread must share one.
                while TAKEN.load(Relaxed) != u64::MAX {
                    std::thread::yield_now();
                }
                let before = thread_slot();
                crowded.wait();
                dispersed.wait();
                // Other tests run at the same time and own slots too.
                let end = Instant::now() + Duration::from_secs(30);
                while thread_slot() >= OWNED && Instant::now() < end {
                    improve_slot();
                }
                (before, thread_slot())
            });
            let crowd: Vec<_> = (0..OWNED + 15)
                .map(|_| {
                    scope.spawn(|| {
                        let _ = thread_slot();
                        crowded.wait();
                    })
                })
                .collect();
            crowded.wait();
            crowd.into_iter().for_each(|thread| thread.join().unwrap());
            dispersed.wait();
            let (before, after) = last.join().unwrap();
            assert!(before >= OWNED && after < OWNED, "{before}, then {after}");
        });
    }
}
