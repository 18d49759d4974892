//! Counters that threads do not fight over.
//!
//! A counter that every thread adds to is a cache line that every core has to own in turn. [`Striped`] gives each of
//! the first [`OWNED`] live threads a stripe of its own, which it writes with a plain load and store: no locked
//! instruction, no shared line. Threads beyond those share a few stripes by atomic addition. A sum walks the stripes:
//! exact when nobody adds meanwhile, and never off by more than the additions that overlap it.
//!
//! The stripe is chosen by [`thread_slot`]: a number that no two live threads share while it is
//! below [`OWNED`]. When a thread ends, its number passes to the next thread that needs one: a
//! thread that starts, or one that shares a stripe because it started while all numbers were taken.

use std::cell::Cell;
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};
use std::sync::atomic::{AtomicI64, AtomicU64, AtomicUsize};

use crossbeam_utils::CachePadded;

use crate::error::Result;
use crate::fallible::try_boxed_slice;
use crate::thread_exit;

/// How many live threads have a stripe of their own.
pub const OWNED: usize = 64;

/// How many stripes the other threads share. A power of two.
const SHARED: usize = 16;

/// The numbers below [`OWNED`] that live threads have, a bit for each.
static TAKEN: AtomicU64 = AtomicU64::new(0);

/// Spreads threads without a number of their own over the shared stripes.
static NEXT_SHARED: AtomicUsize = AtomicUsize::new(0);

/// Stands for "this thread has no number yet".
const UNASSIGNED: usize = usize::MAX;

thread_local! {
    // Without a destructor, so that reading it costs no check, and the first use takes no memory.
    static SLOT: Cell<usize> = const { Cell::new(UNASSIGNED) };
}

/// A small number for the calling thread: no two live threads have the same number below [`OWNED`]. The number passes
/// to another thread when this one ends.
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

/// Takes the lowest number below [`OWNED`] that no live thread has.
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

/// Gives a thread that shares a stripe one of its own, if another thread has ended and left one. The
/// thread is in no call of a pool: what pools keep for it changes its place.
#[cold]
fn improve_slot() {
    // One that has no number yet, or may keep none, gets what there is anyway.
    if SLOT.get() != UNASSIGNED
        && let Some(owned) = take_owned()
    {
        // What pools keep under the shared number would otherwise wait for another thread with it.
        thread_exit::run_hooks();
        SLOT.set(owned);
    }
}

/// Gives the number of the calling thread back, which ends.
pub(crate) fn release_slot() {
    let slot = SLOT.replace(UNASSIGNED);
    if slot < OWNED {
        TAKEN.fetch_and(!(1 << slot), Release);
    }
}

/// `N` counters, each split over threads.
#[derive(Debug)]
pub struct Striped<const N: usize> {
    stripes: Box<[CachePadded<[AtomicI64; N]>; OWNED + SHARED]>,
}

impl<const N: usize> Striped<N> {
    /// `N` counters at zero.
    ///
    /// # Errors
    /// [`Error::OutOfMemory`](crate::Error::OutOfMemory) where the stripes cannot be allocated.
    pub fn new() -> Result<Self> {
        let stripe = |_| CachePadded::new([const { AtomicI64::new(0) }; N]);
        let stripes = try_boxed_slice(OWNED + SHARED, stripe)?;
        Ok(Self { stripes: stripes.try_into().expect("as many as were asked for") })
    }

    /// Adds `amount` to `counter` and returns what this thread's stripe of it holds then: a number that is good for
    /// "every so many additions", not a total.
    ///
    /// # Panics
    /// If `counter` is not below `N`.
    #[inline]
    pub fn add(&self, counter: usize, amount: i64) -> i64 {
        self.add_to_own(counter, amount).unwrap_or_else(|| self.add_first_or_shared(counter, amount))
    }

    /// As [`add`](Self::add), for a thread that is in no call of a pool: if it shares a stripe, it gets one of
    /// its own as soon as another thread has left one.
    #[inline]
    pub(crate) fn add_outside_pools(&self, counter: usize, amount: i64) -> i64 {
        self.add_to_own(counter, amount).unwrap_or_else(|| {
            improve_slot();
            self.add_first_or_shared(counter, amount)
        })
    }

    /// Adds to the thread's own stripe, if it has one.
    #[inline(always)]
    fn add_to_own(&self, counter: usize, amount: i64) -> Option<i64> {
        let stripe = self.stripes[..OWNED].get(SLOT.get())?;
        // Only this thread writes this stripe, so nothing comes between the load and the store.
        let sum = stripe[counter].load(Relaxed).wrapping_add(amount);
        stripe[counter].store(sum, Relaxed);
        Some(sum)
    }

    /// [`add`](Self::add) for a thread that has no stripe of its own, or none yet.
    #[cold]
    fn add_first_or_shared(&self, counter: usize, amount: i64) -> i64 {
        let slot = thread_slot();
        let stripe = if slot < OWNED { slot } else { OWNED + slot % SHARED };
        self.stripes[stripe][counter].fetch_add(amount, Relaxed).wrapping_add(amount)
    }

    /// The total of `counter`.
    ///
    /// # Panics
    /// If `counter` is not below `N`.
    #[must_use]
    pub fn sum(&self, counter: usize) -> i64 {
        self.stripes.iter().map(|stripe| stripe[counter].load(Relaxed)).fold(0, i64::wrapping_add)
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::*;

    #[test]
    fn no_addition_is_lost_with_more_threads_than_stripes() {
        let counters = Striped::<2>::new().unwrap();
        std::thread::scope(|scope| {
            for _ in 0..200 {
                scope.spawn(|| {
                    for _ in 0..1_000 {
                        counters.add(0, 1);
                        counters.add(1, -2);
                    }
                });
            }
        });
        assert_eq!(counters.sum(0), 200_000);
        assert_eq!(counters.sum(1), -400_000);
    }

    #[test]
    fn threads_one_after_another_reuse_numbers() {
        let lowest = (0..500).map(|_| std::thread::spawn(thread_slot).join().unwrap()).min().unwrap();
        // Other tests run beside this one and hold numbers too, but never all of them for long.
        assert!(lowest < OWNED, "{lowest}");
    }

    #[test]
    fn a_thread_that_started_in_a_crowd_has_a_stripe_of_its_own_once_the_crowd_has_ended() {
        let (crowded, dispersed) = (std::sync::Barrier::new(OWNED + 17), std::sync::Barrier::new(2));
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
