//! The buckets, as an array that doubles at its end and never moves, and who has which hash.
//!
//! Every bucket has a *level*: the number of low hash bits that it was chosen by. A table starts
//! with buckets of one level. A bucket `b` of level `k` is split by making bucket `b + 2^k`, which
//! gets the entries whose bit `k` is set; both have level `k + 1` then. That is linear hashing
//! (Witold Litwin, 1980) without its order: each bucket is split when somebody writes to it, or
//! comes by, so that no thread can hold up the table's growth, however long it is kept from
//! running. A bucket that has not been made yet has no level: its hashes are still with the bucket
//! it will be split from, which is its index without the highest bit.
//!
//! So a hash is found from the deepest level upwards, at the first bucket there is; and whoever
//! has locked a bucket knows by its level whether the hash belongs there. Levels change only under
//! the bucket's exclusive lock.
//!
//! The buckets lie in segments that double in size, so none ever moves, and a thread may wait for
//! a bucket's lock whatever the table does meanwhile.

use std::hint::assert_unchecked;
use std::num::NonZeroUsize;
use std::ptr::null_mut;
use std::sync::atomic::{AtomicPtr, AtomicU64, AtomicUsize, Ordering};

use super::bucket::{Bucket, LockedBucket};
use super::lock::{BucketLock, ExclusiveAccess};
use crate::backend::common::zeroed_array::ZeroedArray;
use crate::error::{Error, Result};
use crate::fallible::try_box;
use crate::huge_pages::Pages;
use crate::system_memory::check_fits;

/// Deepest level. Memory can hold no more buckets.
pub(super) const MAX_LEVEL: u32 = if usize::BITS > 48 { 40 } else { 24 };

/// Number of segments: as many as an index has bits, so that none is out of range.
const SEGMENTS: usize = usize::BITS as usize;

/// Levels of a table at some instant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Levels {
    /// Level that buckets are split to.
    pub(super) target: u32,
    /// Deepest level that a bucket may have.
    pub(super) deepest: u32,
    /// Counts the times that `target` was raised.
    raised: u32,
}

impl Levels {
    fn pack(self) -> u64 {
        u64::from(self.raised) << 32 | u64::from(self.deepest) << 16 | u64::from(self.target)
    }

    fn unpack(packed: u64) -> Self {
        Self {
            target: (packed & 0xffff) as u32,
            deepest: (packed >> 16 & 0xffff) as u32,
            raised: (packed >> 32) as u32,
        }
    }
}

/// Returns a mask of the low `bits` bits.
#[inline]
pub(super) fn mask(bits: u32) -> usize {
    (1 << bits) - 1
}

/// Place of a hash in a table whose buckets all have one level: the mask of the hash bits that are
/// a bucket's index, and below it, in 8 bits, the number of levels below the initial one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct LevelHint(u64);

impl LevelHint {
    fn at(level: u32, initial_level: u32) -> Self {
        Self((mask(level) as u64) << 8 | u64::from(level - initial_level))
    }

    #[inline]
    fn index(self, hash: u64) -> usize {
        ((self.0 >> 8) & hash) as usize
    }

    #[inline]
    fn depth(self) -> usize {
        (self.0 & 0xff) as usize
    }
}

/// See the module.
pub(super) struct Directory<L> {
    initial_level: u32,
    /// Buckets at the start.
    initial: NonZeroUsize,
    /// The [`LevelHint`] of the deepest level: a guess, for anyone who then looks at the bucket.
    level_hint: AtomicU64,
    levels: AtomicU64,
    /// The next bucket to be brought to the target level by a writer who comes by.
    pub(super) next_to_split: AtomicUsize,
    /// By segment, where bucket 0 would be if the segment began with it.
    origins: [AtomicPtr<Bucket<L>>; SEGMENTS],
    segments: [AtomicPtr<ZeroedArray<Bucket<L>>>; SEGMENTS],
    pages: Pages,
}

impl<L: BucketLock> Directory<L> {
    /// Makes a directory of `initial` buckets, a power of two. If `eager`, the system provides the
    /// memory of all of them now, and not when each is first used.
    pub(super) fn new(initial: usize, eager: bool, pages: Pages) -> Result<Self> {
        let level = initial.ilog2();
        let levels = Levels { target: level, deepest: level, raised: 0 };
        let directory = Self {
            initial_level: level,
            initial: NonZeroUsize::new(initial).expect("a power of two"),
            level_hint: AtomicU64::new(LevelHint::at(level, level).0),
            levels: AtomicU64::new(levels.pack()),
            next_to_split: AtomicUsize::new(usize::MAX),
            origins: [const { AtomicPtr::new(null_mut()) }; SEGMENTS],
            segments: [const { AtomicPtr::new(null_mut()) }; SEGMENTS],
            pages,
        };
        directory.provide_segment(level)?;
        if eager {
            for index in 0..initial {
                directory.bucket(index).touch();
            }
        }
        Ok(directory)
    }

    /// Returns the level that the table started with.
    pub(super) fn initial_level(&self) -> u32 {
        self.initial_level
    }

    /// Returns the levels now. Acquire: the segments for the deepest level are there.
    #[inline]
    pub(super) fn levels(&self) -> Levels {
        Levels::unpack(self.levels.load(Ordering::Acquire))
    }

    /// Raises the target by one level, if the levels still are `levels`.
    pub(super) fn raise(&self, levels: Levels) -> Result<()> {
        let target = levels.target + 1;
        if target > MAX_LEVEL {
            return Err(Error::OutOfMemory { requested: usize::MAX });
        }
        // The segments together, of which only the last one is new.
        check_fits((1_usize << target).saturating_mul(size_of::<Bucket<L>>()))?;
        self.provide_segment(target)?;
        let raised = Levels {
            target,
            deepest: levels.deepest.max(target),
            raised: levels.raised.wrapping_add(1),
        };
        if self.replace(levels, raised) {
            self.next_to_split.store(0, Ordering::Relaxed);
        }
        Ok(())
    }

    /// Lowers the target by one level, if the levels still are `levels`. Returns the new levels,
    /// or `None`.
    pub(super) fn lower(&self, levels: Levels) -> Option<Levels> {
        let lowered = Levels { target: levels.target - 1, ..levels };
        self.replace(levels, lowered).then_some(lowered)
    }

    /// Notes that no bucket is deeper than the target any more, if the levels still are `levels`.
    pub(super) fn set_uniform(&self, levels: Levels) {
        self.replace(levels, Levels { deepest: levels.target, ..levels });
    }

    fn replace(&self, old: Levels, new: Levels) -> bool {
        let exchanged = self.levels.compare_exchange(
            old.pack(),
            new.pack(),
            Ordering::AcqRel,
            Ordering::Relaxed,
        );
        // Two threads that exchange the levels one after the other may do this the other way
        // round. Then the hint is a worse guess.
        if exchanged.is_ok() && new.deepest != old.deepest {
            self.level_hint
                .store(LevelHint::at(new.deepest, self.initial_level).0, Ordering::Release);
        }
        exchanged.is_ok()
    }

    /// Returns the bucket that most likely has `hash`, and the depth that it has then. A thread
    /// that locks it and finds that depth knows that the guess is right. Otherwise
    /// [`owner`](Self::owner) tells.
    #[inline]
    pub(super) fn likely_owner(&self, hash: u64) -> (&Bucket<L>, usize) {
        // Acquire: the segments for that level are there.
        let hint = LevelHint(self.level_hint.load(Ordering::Acquire));
        (self.bucket(hint.index(hash)), hint.depth())
    }

    /// Returns the bucket that has `hash`, as far as can be known without its lock, and its index.
    #[inline]
    pub(super) fn owner(&self, hash: u64) -> (usize, &Bucket<L>) {
        let mut index = hash as usize & mask(self.levels().deepest);
        loop {
            let bucket = self.bucket(index);
            if self.level_of(index, bucket).is_some() {
                return (index, bucket);
            }
            index = parent_of(index);
        }
    }

    /// Returns the level of bucket `index`, or `None` if it has not been made.
    #[inline]
    pub(super) fn level(&self, index: usize) -> Option<u32> {
        self.level_of(index, self.bucket(index))
    }

    /// Returns the level of `bucket`, whose index is `index`.
    #[inline]
    pub(super) fn level_of(&self, index: usize, bucket: &Bucket<L>) -> Option<u32> {
        match bucket.depth() {
            0 if index >= self.initial.get() => None,
            depth => Some(self.initial_level + depth as u32),
        }
    }

    /// Sets the level of `bucket`, or `None` if it was merged into another. The bucket must have
    /// the entries of the hashes that are its own then.
    pub(super) fn set_level(
        &self,
        bucket: &mut LockedBucket<'_, L, impl ExclusiveAccess>,
        level: Option<u32>,
    ) {
        let depth = level.map_or(0, |level| level - self.initial_level);
        bucket.set_depth(depth as usize);
    }

    /// Bucket `index`, which is within the deepest level that [`levels`](Self::levels) gave.
    #[inline]
    pub(super) fn bucket(&self, index: usize) -> &Bucket<L> {
        // The level that the bucket came with: the first one for all that were there from the
        // start.
        let segment = (self.initial | (2 * index)).ilog2();
        let bucket = self.origins[segment as usize].load(Ordering::Acquire).wrapping_add(index);
        // SAFETY: a segment is there before a level that reaches into it is published, and is
        // freed only with the directory. What that says of the address goes without saying for a
        // reference, but not for the optimiser.
        unsafe {
            assert_unchecked(!bucket.is_null());
            &*bucket
        }
    }

    /// Makes sure that the buckets which come with `level` have their memory.
    fn provide_segment(&self, level: u32) -> Result<()> {
        let first = if level == self.initial_level { 0 } else { 1 << (level - 1) };
        let place = &self.segments[level as usize];
        if place.load(Ordering::Acquire).is_null() {
            let segment =
                Box::into_raw(try_box(ZeroedArray::new((1 << level) - first, self.pages)?)?);
            if place
                .compare_exchange(null_mut(), segment, Ordering::AcqRel, Ordering::Acquire)
                .is_err()
            {
                // SAFETY: from a box, and nobody has seen it.
                drop(unsafe { Box::from_raw(segment) });
            }
        }
        // SAFETY: a segment is freed only with the directory.
        let buckets = unsafe { (*place.load(Ordering::Acquire)).as_slice() };
        let origin = buckets.as_ptr().wrapping_sub(first).cast_mut();
        self.origins[level as usize].store(origin, Ordering::Release);
        Ok(())
    }

    /// Bytes of all segments that huge pages were asked for.
    pub(super) fn huge_page_bytes(&self) -> usize {
        let segments = self.segments.iter().map(|segment| segment.load(Ordering::Acquire));
        // SAFETY: a segment is freed only with the directory.
        segments
            .filter_map(|segment| unsafe { segment.as_ref() })
            .map(ZeroedArray::huge_page_bytes)
            .sum()
    }

    /// Bytes of all segments.
    pub(super) fn bytes(&self) -> usize {
        let segments = self.segments.iter().map(|segment| segment.load(Ordering::Acquire));
        // SAFETY: a segment is freed only with the directory.
        let lengths =
            segments.filter_map(|segment| unsafe { segment.as_ref() }).map(|s| s.as_slice().len());
        lengths.map(ZeroedArray::<Bucket<L>>::bytes).sum::<usize>() + size_of::<Self>()
    }
}

/// The bucket that bucket `index` is split from.
#[inline]
pub(super) fn parent_of(index: usize) -> usize {
    index - (1 << index.ilog2())
}

impl<L> Drop for Directory<L> {
    fn drop(&mut self) {
        for segment in &mut self.segments {
            let segment = *segment.get_mut();
            if !segment.is_null() {
                // SAFETY: it came from a box, in `provide_segment`.
                drop(unsafe { Box::from_raw(segment) });
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_bucket_has_a_place_of_its_own() {
        let directory = Directory::<crate::SharedLock>::new(4, true, Pages::Ordinary).unwrap();
        while directory.levels().deepest < 7 {
            directory.raise(directory.levels()).unwrap();
        }
        let mut addresses = std::collections::HashSet::new();
        for index in 0..128 {
            assert!(addresses.insert(std::ptr::from_ref(directory.bucket(index)).addr()));
            assert_eq!(directory.level(index), (index < 4).then_some(2));
        }
    }

    #[test]
    fn a_hash_belongs_to_the_deepest_bucket_there_is() {
        let directory = Directory::<crate::SharedLock>::new(2, true, Pages::Ordinary).unwrap();
        for _ in 0..3 {
            directory.raise(directory.levels()).unwrap();
        }
        assert_eq!(directory.owner(0b1111).0, 0b1, "no other bucket has been made");
        directory.set_level(&mut directory.bucket(0b1).try_write().unwrap(), Some(2));
        directory.set_level(&mut directory.bucket(0b11).try_write().unwrap(), Some(2));
        assert_eq!(directory.owner(0b1111).0, 0b11);
        assert_eq!(directory.owner(0b1101).0, 0b1);
        assert_eq!(directory.owner(0b1110).0, 0b0);
    }
}
