//! Counters without contention between threads.
//!
//! If all threads add to one counter, its cache line moves from core to core. [`ShardedCounters`]
//! gives each thread that owns a [slot](crate::thread_slot) a shard, which the thread writes with a
//! plain load and store: no locked instruction, no shared cache line. The other threads share a few
//! shards by atomic addition. A sum visits all shards. It is exact if nobody adds at the same time,
//! and off by at most the additions that overlap it.

use std::sync::atomic::AtomicI64;
use std::sync::atomic::Ordering::Relaxed;

use crossbeam_utils::CachePadded;

use crate::error::Result;
use crate::fallible::try_boxed_slice;
use crate::sync::thread_slot::{OWNED, SHARED, improve_slot, owned_slot, thread_slot};

/// `N` counters, each split into shards for the threads.
#[derive(Debug)]
pub struct ShardedCounters<const N: usize> {
    shards: Box<[CachePadded<[AtomicI64; N]>; OWNED + SHARED]>,
}

impl<const N: usize> ShardedCounters<N> {
    /// Creates `N` counters at zero.
    ///
    /// # Errors
    /// Returns [`Error::OutOfMemory`](crate::Error::OutOfMemory), -10, if the shards cannot be
    /// allocated.
    pub fn new() -> Result<Self> {
        let shard = |_| CachePadded::new([const { AtomicI64::new(0) }; N]);
        let shards = try_boxed_slice(OWNED + SHARED, shard)?;
        Ok(Self { shards: shards.try_into().expect("as many as were asked for") })
    }

    /// Adds `amount` to `counter`, and returns the new count of this thread's shard. Use it to do
    /// something once in so many additions; it is not a total.
    ///
    /// # Panics
    /// Panics if `counter` is not below `N`.
    #[inline]
    pub fn add(&self, counter: usize, amount: i64) -> i64 {
        self.add_to_own(counter, amount)
            .unwrap_or_else(|| self.add_first_or_shared(counter, amount))
    }

    /// Does the same as [`add`](Self::add), for a thread that is not inside a call of a pool. If
    /// the thread shares a shard, it gets an unshared one as soon as another thread has left one.
    #[inline]
    pub(crate) fn add_outside_pools(&self, counter: usize, amount: i64) -> i64 {
        self.add_to_own(counter, amount).unwrap_or_else(|| {
            improve_slot();
            self.add_first_or_shared(counter, amount)
        })
    }

    /// Adds to two counters, like [`add_outside_pools`](Self::add_outside_pools).
    #[inline]
    pub(crate) fn add_both_outside_pools(&self, one: (usize, i64), other: (usize, i64)) {
        if self.add_to_own(one.0, one.1).is_some() {
            self.add_to_own(other.0, other.1);
        } else {
            improve_slot();
            self.add_first_or_shared(one.0, one.1);
            self.add_first_or_shared(other.0, other.1);
        }
    }

    /// Adds to the shard that only this thread writes, if it has one.
    #[inline(always)]
    fn add_to_own(&self, counter: usize, amount: i64) -> Option<i64> {
        let shard = &self.shards[owned_slot()?];
        // Only this thread writes this shard, so no write comes between the load and the store.
        let sum = shard[counter].load(Relaxed).wrapping_add(amount);
        shard[counter].store(sum, Relaxed);
        Some(sum)
    }

    /// Does the same as [`add`](Self::add), for a thread that shares a shard or has none yet.
    #[cold]
    fn add_first_or_shared(&self, counter: usize, amount: i64) -> i64 {
        let slot = thread_slot();
        let shard = if slot < OWNED { slot } else { OWNED + slot % SHARED };
        self.shards[shard][counter].fetch_add(amount, Relaxed).wrapping_add(amount)
    }

    /// Returns the total of `counter`.
    ///
    /// # Panics
    /// Panics if `counter` is not below `N`.
    #[must_use]
    pub fn sum(&self, counter: usize) -> i64 {
        self.shards.iter().map(|shard| shard[counter].load(Relaxed)).fold(0, i64::wrapping_add)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_addition_is_lost_with_more_threads_than_stripes() {
        let counters = ShardedCounters::<2>::new().unwrap();
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
}
