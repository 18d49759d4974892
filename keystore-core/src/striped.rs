//! Counters that threads do not fight over.
//!
//! A counter that every thread adds to is a cache line that every core has to own in turn. [`Striped`] gives each of
//! the first [`OWNED`] live threads a stripe of its own, which it writes with a plain load and store: no locked
//! instruction, no shared line. Threads beyond those share a few stripes by atomic addition. A sum walks the stripes:
//! exact when nobody adds meanwhile, and never off by more than the additions that overlap it.
//!
//! The stripe is chosen by [`thread_slot`]: a number that no two live threads share while it is below [`OWNED`], handed
//! on when its thread ends.

use std::cell::Cell;
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::sync::atomic::{AtomicI64, Ordering::Relaxed};
use std::sync::{Mutex, PoisonError};

use crossbeam_utils::CachePadded;

use crate::error::{Error, Result};

/// How many live threads have a stripe of their own.
pub const OWNED: usize = 64;

/// How many stripes the other threads share. A power of two.
const SHARED: usize = 16;

/// Numbers that ended threads gave back, the lowest first, and the next number that nobody had yet.
static FREE: Mutex<(BinaryHeap<Reverse<usize>>, usize)> = Mutex::new((BinaryHeap::new(), 0));

/// Stands for "this thread has no number yet".
const UNASSIGNED: usize = usize::MAX;

thread_local! {
    // Apart from the guard below, so that reading it costs no check for a destructor.
    static SLOT: Cell<usize> = const { Cell::new(UNASSIGNED) };
    static RETURN: ReturnOnExit = const { ReturnOnExit };
}

struct ReturnOnExit;

impl Drop for ReturnOnExit {
    fn drop(&mut self) {
        // Destructors that run after this one may still count: with a shared stripe.
        let slot = SLOT.replace(OWNED);
        if slot != UNASSIGNED {
            FREE.lock().unwrap_or_else(PoisonError::into_inner).0.push(Reverse(slot));
        }
    }
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
    // Registers the destructor; where the thread is past that, it takes a shared stripe for its last words.
    if RETURN.try_with(|_| ()).is_err() {
        return OWNED;
    }
    let mut free = FREE.lock().unwrap_or_else(PoisonError::into_inner);
    let slot = match free.0.pop() {
        Some(Reverse(slot)) => slot,
        None => {
            free.1 += 1;
            free.1 - 1
        }
    };
    SLOT.set(slot);
    slot
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
    /// [`Error::OutOfMemory`] where the stripes cannot be allocated.
    pub fn new() -> Result<Self> {
        let mut stripes = Vec::new();
        stripes.try_reserve_exact(OWNED + SHARED).map_err(|_| Error::OutOfMemory {
            requested: (OWNED + SHARED) * size_of::<CachePadded<[AtomicI64; N]>>(),
        })?;
        stripes.resize_with(OWNED + SHARED, || CachePadded::new([const { AtomicI64::new(0) }; N]));
        let stripes = stripes.into_boxed_slice().try_into().expect("as many as were asked for");
        Ok(Self { stripes })
    }

    /// Adds `amount` to `counter` and returns what this thread's stripe of it holds then: a number that is good for
    /// "every so many additions", not a total.
    ///
    /// # Panics
    /// If `counter` is not below `N`.
    #[inline]
    pub fn add(&self, counter: usize, amount: i64) -> i64 {
        match self.stripes[..OWNED].get(SLOT.get()) {
            // Only this thread writes this stripe, so nothing comes between the load and the store.
            Some(stripe) => {
                let sum = stripe[counter].load(Relaxed).wrapping_add(amount);
                stripe[counter].store(sum, Relaxed);
                sum
            }
            None => self.add_first_or_shared(counter, amount),
        }
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
        let highest = (0..500).map(|_| std::thread::spawn(thread_slot).join().unwrap()).max().unwrap();
        // Other tests run beside this one and hold numbers too; 500 threads in a row must not need 500.
        assert!(highest < 400, "{highest}");
    }
}
