//! Counters without contention between threads.
//!
//! If all threads add to one counter, its cache line moves from core to core. [`ShardedCounters`]
//! gives each thread that has a [slot](crate::thread_slot) of its own a shard, which the thread
//! writes with a plain load and store: no locked instruction, no shared cache line. Shards come in
//! blocks of 64. The first block is made with the counters, and the others when a thread with such
//! a slot first adds. Threads beyond the last block share a few shards by atomic addition. A sum
//! visits all shards. It is exact if nobody adds at the same time, and off by at most the additions
//! that overlap it.

use std::sync::OnceLock;
use std::sync::atomic::AtomicI64;
use std::sync::atomic::Ordering::Relaxed;

use crossbeam_utils::CachePadded;

use crate::error::Result;
use crate::fallible::try_boxed_slice;
use crate::sync::thread_slot::{NUMBERED, OWNED, SHARED, improve_slot, owned_slot, thread_slot};

/// One count of each of `N` counters.
type Shard<const N: usize> = CachePadded<[AtomicI64; N]>;

/// Number of blocks that are made when they are needed.
const LATER_BLOCKS: usize = NUMBERED / OWNED - 1;

/// `N` counters, each split into shards for the threads.
#[derive(Debug)]
pub struct ShardedCounters<const N: usize> {
    /// The first block of shards, and the shards that threads share.
    shards: Box<[Shard<N>; OWNED + SHARED]>,
    /// The shards of the threads with higher slots.
    later: [OnceLock<Box<[Shard<N>]>>; LATER_BLOCKS],
}

/// Makes `count` shards at zero.
fn new_shards<const N: usize>(count: usize) -> Result<Box<[Shard<N>]>> {
    try_boxed_slice(count, |_| CachePadded::new([const { AtomicI64::new(0) }; N]))
}

/// Adds to a count that only this thread writes. Returns the new count.
#[inline(always)]
fn add_alone(count: &AtomicI64, amount: i64) -> i64 {
    // No write comes between the load and the store.
    let sum = count.load(Relaxed).wrapping_add(amount);
    count.store(sum, Relaxed);
    sum
}

impl<const N: usize> ShardedCounters<N> {
    /// Creates `N` counters at zero.
    ///
    /// # Errors
    /// Returns [`Error::OutOfMemory`](crate::Error::OutOfMemory), -10, if the shards cannot be
    /// allocated.
    pub fn new() -> Result<Self> {
        let shards = new_shards(OWNED + SHARED)?;
        Ok(Self {
            shards: shards.try_into().expect("as many as were asked for"),
            later: [const { OnceLock::new() }; LATER_BLOCKS],
        })
    }

    /// Adds `amount` to `counter`, and returns the new count of this thread's shard. Use it to do
    /// something once in so many additions; it is not a total.
    ///
    /// # Panics
    /// Panics if `counter` is not below `N`.
    #[inline]
    pub fn add(&self, counter: usize, amount: i64) -> i64 {
        self.add_to_own(counter, amount).unwrap_or_else(|| self.add_elsewhere(counter, amount))
    }

    /// Does the same as [`add`](Self::add), for a thread that is not inside a call of a pool. If
    /// the thread has no record of its own in pools, it gets one as soon as another thread has left
    /// one.
    #[inline]
    pub(crate) fn add_outside_pools(&self, counter: usize, amount: i64) -> i64 {
        self.add_to_own(counter, amount).unwrap_or_else(|| {
            improve_slot();
            self.add_elsewhere(counter, amount)
        })
    }

    /// Adds to this thread's shard, if that is in the first block.
    #[inline(always)]
    fn add_to_own(&self, counter: usize, amount: i64) -> Option<i64> {
        let shard = &self.shards[owned_slot()?];
        Some(add_alone(&shard[counter], amount))
    }

    /// Does the same as [`add`](Self::add), for a thread whose shard is not in the first block, or
    /// which has no slot yet.
    #[inline(never)]
    fn add_elsewhere(&self, counter: usize, amount: i64) -> i64 {
        let slot = thread_slot();
        if let Some(shard) = self.shards[..OWNED].get(slot) {
            return add_alone(&shard[counter], amount);
        }
        match self.later.get(slot / OWNED - 1).and_then(Self::block) {
            Some(block) => add_alone(&block[slot % OWNED][counter], amount),
            None => {
                let shared = &self.shards[OWNED + slot % SHARED];
                shared[counter].fetch_add(amount, Relaxed).wrapping_add(amount)
            }
        }
    }

    /// Returns a block of shards. Returns `None` if there is no memory for it: then its threads add
    /// to shared shards until there is.
    #[inline]
    fn block(block: &OnceLock<Box<[Shard<N>]>>) -> Option<&[Shard<N>]> {
        if block.get().is_none() {
            // If another thread has made the block in the meantime, this one is dropped.
            let _ = block.set(new_shards(OWNED).ok()?);
        }
        block.get().map(|block| &**block)
    }

    /// Returns the total of `counter`.
    ///
    /// # Panics
    /// Panics if `counter` is not below `N`.
    #[must_use]
    pub fn sum(&self, counter: usize) -> i64 {
        let later = self.later.iter().filter_map(OnceLock::get).flatten();
        let counts = self.shards.iter().chain(later).map(|shard| shard[counter].load(Relaxed));
        counts.fold(0, i64::wrapping_add)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_addition_is_lost_with_more_threads_than_stripes() {
        let counters = ShardedCounters::<2>::new().unwrap();
        let all_there = std::sync::Barrier::new(200);
        std::thread::scope(|scope| {
            for _ in 0..200 {
                scope.spawn(|| {
                    counters.add(0, 0);
                    all_there.wait();
                    for _ in 0..1_000 {
                        counters.add(0, 1);
                        counters.add_outside_pools(1, -2);
                    }
                });
            }
        });
        assert!(counters.later[..2].iter().all(|block| block.get().is_some()), "200 slots");
        assert_eq!(counters.sum(0), 200_000);
        assert_eq!(counters.sum(1), -400_000);
    }
}
