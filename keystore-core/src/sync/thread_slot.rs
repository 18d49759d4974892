//! A small number for each live thread.
//!
//! Counters and pools keep one record for each slot, so threads do not write the same cache line.
//! Each of the first [`OWNED`] live threads has a slot that no other live thread has; the record
//! can be written with a plain load and store. The threads beyond share a few slots.
//!
//! When a thread ends, its slot passes to the next thread that needs one: a thread that starts, or
//! one that shares a slot because it started while all slots were taken.

use std::cell::Cell;
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};
use std::sync::atomic::{AtomicU64, AtomicUsize};

use super::thread_exit;

/// Number of live threads that have a slot of their own.
pub const OWNED: usize = 64;

/// Number of slots that all other threads share. A power of two.
pub(crate) const SHARED: usize = 16;

/// The slots below [`OWNED`] that live threads have, a bit for each.
static TAKEN: AtomicU64 = AtomicU64::new(0);

/// Spreads threads without a slot of their own over the shared slots.
static NEXT_SHARED: AtomicUsize = AtomicUsize::new(0);

/// Stands for "this thread has no slot yet".
const UNASSIGNED: usize = usize::MAX;

thread_local! {
    // Without a destructor, so that reading it costs no check, and the first use takes no memory.
    static SLOT: Cell<usize> = const { Cell::new(UNASSIGNED) };
}

/// Returns a small number for the calling thread. No two live threads have the same number below
/// [`OWNED`]. The number passes to another thread when this one ends.
#[inline]
#[must_use]
pub fn thread_slot() -> usize {
    let slot = SLOT.get();
    if slot == UNASSIGNED { assign_slot() } else { slot }
}

#[cold]
fn assign_slot() -> usize {
    // A thread whose end would go unnoticed keeps no number. It asks again with its next call.
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
        // Acquire: what the last thread with this number wrote to its stripes is seen.
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

/// Gives a thread that shares a slot one of its own, if another thread has ended and left one. The
/// thread must be in no call of a pool, since pools keep records by slot.
#[cold]
pub(crate) fn improve_slot() {
    // One that has no number yet, or may keep none, gets what there is anyway.
    if SLOT.get() != UNASSIGNED
        && let Some(owned) = take_owned()
    {
        // What pools keep under the shared number would otherwise wait for another thread with it.
        thread_exit::run_hooks();
        SLOT.set(owned);
    }
}

/// Gives back the slot of the calling thread, which ends.
pub(crate) fn release_slot() {
    let slot = SLOT.replace(UNASSIGNED);
    if slot < OWNED {
        TAKEN.fetch_and(!(1 << slot), Release);
    }
}

/// Returns the calling thread's slot if no other live thread has it.
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
        // Other tests run beside this one and hold numbers too, but never all of them for long.
        assert!(lowest < OWNED, "{lowest}");
    }

    #[test]
    fn a_thread_that_started_in_a_crowd_has_a_stripe_of_its_own_once_the_crowd_has_ended() {
        let (crowded, dispersed) =
            (std::sync::Barrier::new(OWNED + 17), std::sync::Barrier::new(2));
        std::thread::scope(|scope| {
            let last = scope.spawn(|| {
                // The crowd has taken all numbers when this thread takes one.
                while TAKEN.load(Relaxed) != u64::MAX {
                    std::thread::yield_now();
                }
                let before = thread_slot();
                crowded.wait();
                dispersed.wait();
                // Other tests run beside this one and have numbers too.
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
