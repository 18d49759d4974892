//! The directory of buckets: an array that doubles at its end and never moves. It also says which
//! bucket has which hash.
//!
//! Every bucket has a *level*, which is the number of low hash bits that choose it. At first, all
//! buckets of a table have the same level. To split a bucket `b` of level `k`, a thread makes
//! bucket `b + 2^k` and moves the entries to it whose hash bit `k` is set. Afterwards both buckets
//! have level `k + 1`. This is linear hashing (Witold Litwin, 1980), but buckets are not split in a
//! fixed order. A thread that writes to a bucket splits that bucket, and a thread that adds an
//! entry also splits the next one in order. So a thread that does not run for a long time cannot
//! delay the growth of the table. A bucket that has not been made yet has no level. Its hashes
//! still belong to its parent, the bucket that it will be split from. The parent's index is its own
//! index without the highest bit.
//!
//! To find the bucket of a hash, a thread starts with the bucket of the deepest level, and goes
//! from parent to parent until a bucket has been made. When the thread has locked that bucket, the
//! bucket's level tells it whether the hash belongs there. Levels change only under the bucket's
//! exclusive lock.
//!
//! The buckets lie in segments, each as large as all earlier ones together. So no bucket ever
//! moves, and a thread can wait for a bucket's lock while the table grows or shrinks.

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

/// Upper limit of the levels. No memory can hold more than 2^`MAX_LEVEL` buckets.
pub(super) const MAX_LEVEL: u32 = if usize::BITS > 48 { 40 } else { 24 };

/// Number of segments. It is the number of bits of an index, so the segment of every index is in
/// range.
const SEGMENTS: usize = usize::BITS as usize;

/// Levels of a table at some instant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Levels {
    /// Level that buckets are split to.
    pub(super) target: u32,
    /// Deepest level that a bucket may have.
    pub(super) deepest: u32,
    /// Number of times that `target` was raised.
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

/// A hint for finding the bucket of a hash. It is right if all buckets of the table have the same
/// level. The low 8 bits hold the buckets' depth, which is the number of levels below the initial
/// one. The other bits hold the mask that makes a hash a bucket's index.
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

/// The directory of a table's buckets. See the module.
pub(super) struct Directory<L> {
    initial_level: u32,
    /// Number of buckets at the start.
    initial: NonZeroUsize,
    /// [`LevelHint`] of the deepest level. It may be wrong, so a thread that uses it must check the
    /// bucket's depth.
    level_hint: AtomicU64,
    levels: AtomicU64,
    /// Index of the next bucket that a writer splits to the target level to help the growth.
    pub(super) next_to_split: AtomicUsize,
    /// Address for each segment at which bucket 0 would be if the segment began with bucket 0.
    origins: [AtomicPtr<Bucket<L>>; SEGMENTS],
    segments: [AtomicPtr<ZeroedArray<Bucket<L>>>; SEGMENTS],
    pages: Pages,
}

impl<L: BucketLock> Directory<L> {
    /// Makes a directory of `initial` buckets, which must be a power of two. If `eager` is true,
    /// the system provides the memory of all buckets now instead of at their first use.
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

    /// Returns the current levels. Acquire: the caller sees the segments for the deepest level.
    #[inline]
    pub(super) fn levels(&self) -> Levels {
        Levels::unpack(self.levels.load(Ordering::Acquire))
    }

    /// Raises the target by one level if the levels are still `levels`.
    pub(super) fn raise(&self, levels: Levels) -> Result<()> {
        let target = levels.target + 1;
        if target > MAX_LEVEL {
            return Err(Error::OutOfMemory { requested: usize::MAX });
        }
        // The check is for all segments together, though only the last one is new.
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

    /// Lowers the target by one level if the levels are still `levels`. Returns the new levels, or
    /// `None` if another thread has changed them.
    pub(super) fn lower(&self, levels: Levels) -> Option<Levels> {
        let lowered = Levels { target: levels.target - 1, ..levels };
        self.replace(levels, lowered).then_some(lowered)
    }

    /// Records that no bucket is deeper than the target any more, if the levels are still `levels`.
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
        // If two threads exchange the levels one after the other, they may store their hints in the
        // opposite order. Then the hint is wrong more often, which only costs time.
        if exchanged.is_ok() && new.deepest != old.deepest {
            self.level_hint
                .store(LevelHint::at(new.deepest, self.initial_level).0, Ordering::Release);
        }
        exchanged.is_ok()
    }

    /// Returns the bucket that most likely has `hash`, and the depth that it has if that is so. If
    /// a thread locks the bucket and finds this depth, the guess is right. Otherwise the thread
    /// must call [`owner`](Self::owner).
    #[inline]
    pub(super) fn likely_owner(&self, hash: u64) -> (&Bucket<L>, usize) {
        // Acquire: this thread sees the segments for the hint's level.
        let hint = LevelHint(self.level_hint.load(Ordering::Acquire));
        (self.bucket(hint.index(hash)), hint.depth())
    }

    /// Returns the bucket that has `hash`, and its index. Without the bucket's lock the result may
    /// be out of date, so the caller must lock the bucket and check its level.
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

    /// Sets the level of `bucket`. The level is `None` if the bucket was merged into another one.
    /// The bucket must already hold the entries of the hashes that belong to it at this level.
    pub(super) fn set_level(
        &self,
        bucket: &mut LockedBucket<'_, L, impl ExclusiveAccess>,
        level: Option<u32>,
    ) {
        let depth = level.map_or(0, |level| level - self.initial_level);
        bucket.set_depth(depth as usize);
    }

    /// Returns bucket `index`, which must be within the deepest level that [`levels`](Self::levels)
    /// returned.
    #[inline]
    pub(super) fn bucket(&self, index: usize) -> &Bucket<L> {
        // The segment's number is the level that the bucket was made for. It is the initial level
        // for all buckets that were there from the start.
        let segment = (self.initial | (2 * index)).ilog2();
        let bucket = self.origins[segment as usize].load(Ordering::Acquire).wrapping_add(index);
        // SAFETY: a segment is allocated before a level that reaches into it is published, and is
        // freed only with the directory. So the address is not null. The assertion tells this to
        // the optimiser, which cannot know it.
        unsafe {
            assert_unchecked(!bucket.is_null());
            &*bucket
        }
    }

    /// Makes sure that the segment of the buckets that `level` adds is allocated.
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
                // SAFETY: the segment came from a box, and no other thread has seen it.
                drop(unsafe { Box::from_raw(segment) });
            }
        }
        // SAFETY: a segment is freed only with the directory.
        let buckets = unsafe { (*place.load(Ordering::Acquire)).as_slice() };
        let origin = buckets.as_ptr().wrapping_sub(first).cast_mut();
        self.origins[level as usize].store(origin, Ordering::Release);
        Ok(())
    }

    /// Returns the bytes of all segments for which huge pages were requested.
    pub(super) fn huge_page_bytes(&self) -> usize {
        let segments = self.segments.iter().map(|segment| segment.load(Ordering::Acquire));
        // SAFETY: a segment is freed only with the directory.
        segments
            .filter_map(|segment| unsafe { segment.as_ref() })
            .map(ZeroedArray::huge_page_bytes)
            .sum()
    }

    /// Returns the bytes of all segments and of the directory itself.
    pub(super) fn bytes(&self) -> usize {
        let segments = self.segments.iter().map(|segment| segment.load(Ordering::Acquire));
        // SAFETY: a segment is freed only with the directory.
        let lengths =
            segments.filter_map(|segment| unsafe { segment.as_ref() }).map(|s| s.as_slice().len());
        lengths.map(ZeroedArray::<Bucket<L>>::bytes).sum::<usize>() + size_of::<Self>()
    }
}

/// Returns the index of the bucket that bucket `index` is split from.
#[inline]
pub(super) fn parent_of(index: usize) -> usize {
    index - (1 << index.ilog2())
}

impl<L> Drop for Directory<L> {
    fn drop(&mut self) {
        for segment in &mut self.segments {
            let segment = *segment.get_mut();
            if !segment.is_null() {
                // SAFETY: the segment came from a box, in `provide_segment`.
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
