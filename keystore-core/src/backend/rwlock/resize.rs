//! Growing and shrinking the table, one bucket at a time.
//!
//! *Growing.* A writer that finds the load factor too high allocates the memory for the new
//! buckets, and then raises the target level by one exchange ([`super::directory`]). From then on,
//! if a thread locks a bucket to write and finds the bucket's level below the target, it first
//! splits the bucket. It holds the locks of this bucket and of the new one while it does so. Every
//! writer that adds an entry also splits one more bucket, so that buckets to which no thread writes
//! are split too.
//!
//! *Shrinking.* A thread first lowers the target level, so that no thread splits buckets any more.
//! Then it merges each bucket that is too deep with the bucket that it was split from, under the
//! same two locks.
//!
//! A thread that needs two locks takes them in the order of the buckets' indices, so there is no
//! deadlock.

use std::hash::BuildHasher;
use std::sync::atomic::Ordering;

use super::RwLockTable;
use super::bucket::{Bucket, Spare, WriteLocked};
use super::directory::{MAX_LEVEL, mask, parent_of};
use super::lock::{BucketLock, Exclusive};
use crate::allocator::NodeAllocator;
use crate::backend::common::load_factor;
use crate::backend::common::zeroed_array::ZeroedArray;
use crate::error::{Error, Result};
use crate::sync::reentrancy;

impl<A: NodeAllocator, L: BucketLock, S: BuildHasher> RwLockTable<A, L, S> {
    /// Raises the target level if the load factor is too high. A lack of memory only delays the
    /// growth: until then, more entries go to overflow buckets.
    #[cold]
    pub(super) fn grow_if_crowded(&self) {
        let levels = self.directory.levels();
        if self.account.counters.entries() > load_factor::MAX << levels.target {
            let _ = self.directory.raise(levels);
        }
    }

    /// Does a writer's share of the growth: splits one bucket that is below the target level.
    #[inline]
    pub(super) fn help_split(&self) {
        if self.directory.next_to_split.load(Ordering::Relaxed)
            <= mask(self.directory.levels().target)
        {
            self.split_next();
        }
    }

    #[cold]
    fn split_next(&self) {
        // Inside a closure, this thread may already hold the lock of this bucket.
        if reentrancy::is_inside() {
            return;
        }
        let target = self.directory.levels().target;
        let index = self.directory.next_to_split.fetch_add(1, Ordering::Relaxed);
        if index <= mask(target) && self.directory.level(index).is_some_and(|level| level < target)
        {
            // If the lock is held, skip the bucket. Its next writer splits it.
            if let Some(mut low) = self.directory.bucket(index).try_write() {
                self.split(index, &mut low);
            }
        }
    }

    /// Splits bucket `index`, which is `low`, until it is at the target level. The thread must not
    /// be inside a closure.
    pub(super) fn split<'a>(&'a self, index: usize, low: &mut WriteLocked<'a, L>) {
        // The target is read under the lock, since a thread that shrinks lowers the target before
        // it locks the buckets to merge.
        let target = self.directory.levels().target;
        while let Some(level) = self.directory.level_of(index, low).filter(|&level| level < target)
        {
            let high = self.directory.bucket(index + (1 << level));
            let Some(mut high) = high.write(self.lock_timeout) else { return };
            // All hashes are computed before a word moves. So if the hasher panics, no word has
            // moved. The hasher is the user's code, which runs under a lock here. If it calls a
            // store, that call must not wait.
            reentrancy::inside(|| {
                low.divide(|word, node| word.hash_bit(level, || self.account.hash(node.key())))
            });
            low.drain(Spare::none(), |low, word, spare| {
                let to = if word.goes_to_second() { &mut high } else { low };
                to.push(word.bare(), spare)
                    .expect("a split needs no more overflow buckets than it empties");
            });
            // The new bucket's level is set last. So a thread that sees its level also sees its
            // entries.
            self.directory.set_level(low, Some(level + 1));
            self.directory.set_level(&mut high, Some(level + 1));
        }
    }

    /// Grows until the table is large enough for `entries`.
    pub(super) fn grow_for(&self, entries: usize) -> Result<()> {
        let buckets = entries.div_ceil(load_factor::TARGET).max(1);
        let level = buckets.checked_next_power_of_two().map_or(u32::MAX, usize::ilog2);
        if level > self.directory.levels().target
            && (level > MAX_LEVEL || ZeroedArray::<Bucket<L>>::probe(1 << level).is_err())
        {
            // It is better to fail now than halfway through the growth.
            return Err(Error::OutOfMemory {
                requested: buckets.saturating_mul(size_of::<Bucket<L>>()),
            });
        }
        while self.directory.levels().target < level {
            self.directory.raise(self.directory.levels())?;
        }
        for index in 0..=mask(self.directory.levels().target) {
            if self.directory.level(index).is_some() {
                let low = self.directory.bucket(index).write(self.lock_timeout);
                let mut low = low.ok_or_else(|| self.refused("reserve"))?;
                if !reentrancy::is_inside() {
                    self.split(index, &mut low);
                }
            }
        }
        Ok(())
    }

    /// Shrinks as far as the entries allow. Waits if another thread is shrinking the table.
    pub(super) fn shrink_to_fit(&self) -> Result<()> {
        // Only one thread may shrink at a time. Otherwise each thread would treat the other's
        // unfinished merges as done.
        let _shrinking = Exclusive::lock(&self.shrinking, self.lock_timeout)
            .ok_or_else(|| self.refused("shrink"))?;
        self.shrink_alone()
    }

    /// Shrinks as far as the entries allow. No other thread may shrink the table at the same time.
    pub(super) fn shrink_alone(&self) -> Result<()> {
        loop {
            let levels = self.directory.levels();
            let halved = levels.target.max(1) - 1;
            let fits = self.account.counters.entries().div_ceil(load_factor::TARGET) <= 1 << halved;
            let lowered = if fits && levels.target > self.directory.initial_level() {
                let Some(lowered) = self.directory.lower(levels) else { continue };
                lowered
            } else if levels.deepest > levels.target {
                // An earlier call left deep buckets, because it ran out of memory or the target was
                // raised meanwhile.
                levels
            } else {
                return Ok(());
            };
            for level in (lowered.target..lowered.deepest).rev() {
                for high in 1 << level..1 << (level + 1) {
                    self.merge(high, level)?;
                }
            }
            // If another thread has raised the target since, this leaves the deepest level as it
            // is.
            self.directory.set_uniform(lowered);
        }
    }

    /// Merges bucket `index`, of `level` + 1, with the bucket of `level` that it was split from.
    fn merge(&self, index: usize, level: u32) -> Result<()> {
        let lock = |index| {
            let locked = self.directory.bucket(index).write(self.lock_timeout);
            locked.ok_or_else(|| self.refused("shrink"))
        };
        let mut low = lock(parent_of(index))?;
        let mut high = lock(index)?;
        if self.directory.level_of(index, &high) != Some(level + 1)
            || self.directory.levels().target > level
        {
            return Ok(());
        }
        // The six slots of the last bucket itself are no overflow bucket. So the merge may need one
        // overflow bucket more than it empties.
        let mut spare = Spare::none();
        spare.stock()?;
        high.drain(spare, |_, word, spare| {
            low.push(word, spare).expect("a merge needs one overflow bucket more than it empties");
        });
        self.directory.set_level(&mut high, None);
        self.directory.set_level(&mut low, Some(level));
        Ok(())
    }
}
