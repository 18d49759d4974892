//! The buckets, as an array that grows at its end and never moves.
//!
//! Linear hashing (Witold Litwin, 1980): a table of n buckets, of any n, takes the low bits of the hash that number n
//! buckets fully, and where they point past the end, one bit fewer. Bucket n is added by splitting the one bucket that
//! stands for it so far. The buckets lie in segments that double in size, so none ever moves, and a thread may wait for a
//! bucket's lock while others grow the table.

use std::ptr::null_mut;
use std::sync::atomic::{AtomicPtr, AtomicUsize, Ordering};

use super::bucket::Bucket;
use super::lock::BucketLock;
use crate::backend::memory::{Zeroed, try_box};
use crate::error::Result;

/// Segments: the first of the initial size, each further one as large as all before it.
const SEGMENTS: usize = usize::BITS as usize;

/// Where a hash belongs in a table of some number of buckets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    /// The bucket's index.
    pub(super) index: usize,
    /// How many low bits of the hash chose it.
    pub(super) bits: u32,
}

impl Place {
    /// The place of `hash` among `buckets` buckets.
    #[inline]
    pub(super) fn of(hash: u64, buckets: usize) -> Self {
        let bits = usize::BITS - (buckets - 1).leading_zeros();
        let index = hash as usize & mask(bits);
        if index >= buckets {
            Self { index: index & mask(bits - 1), bits: bits - 1 }
        } else if bits > 0 && index < 1 << (bits - 1) && index + (1 << (bits - 1)) >= buckets {
            // Not split yet in this round: it stands for its other half too.
            Self { index, bits: bits - 1 }
        } else {
            Self { index, bits }
        }
    }
}

/// The low `bits` bits.
#[inline]
fn mask(bits: u32) -> usize {
    1_usize.checked_shl(bits).unwrap_or(0).wrapping_sub(1)
}

/// The bucket that is split to make bucket `new`, and the bit of the hash that parts them.
pub(super) fn parent_of(new: usize) -> (usize, u32) {
    let bit = new.ilog2();
    (new - (1 << bit), bit)
}

/// See the module.
#[derive(Debug)]
pub(super) struct Directory<L> {
    /// log2 of the initial number of buckets.
    initial_bits: u32,
    count: AtomicUsize,
    segments: [AtomicPtr<Zeroed<Bucket<L>>>; SEGMENTS],
}

impl<L: BucketLock> Directory<L> {
    /// A directory of `initial` buckets, a power of two. `eager` has the system provide
    /// the memory of all of them now, not when each is first used.
    pub(super) fn new(initial: usize, eager: bool) -> Result<Self> {
        let directory = Self {
            initial_bits: initial.ilog2(),
            count: AtomicUsize::new(initial),
            segments: [const { AtomicPtr::new(null_mut()) }; SEGMENTS],
        };
        directory.add_segment(0, initial)?;
        if eager {
            for index in 0..initial {
                directory.bucket(index).touch();
            }
        }
        Ok(directory)
    }

    /// Buckets now.
    #[inline]
    pub(super) fn count(&self) -> usize {
        self.count.load(Ordering::Acquire)
    }

    /// Buckets at the start.
    pub(super) fn initial(&self) -> usize {
        1 << self.initial_bits
    }

    /// Makes `count` the number of buckets. Those who hold an older number notice when they have their lock.
    pub(super) fn set_count(&self, count: usize) {
        self.count.store(count, Ordering::Release);
    }

    /// Bucket `index`, which is below a number that [`count`](Self::count) gave, or was prepared.
    #[inline]
    pub(super) fn bucket(&self, index: usize) -> &Bucket<L> {
        let (segment, offset, _) = self.locate(index);
        let segment = self.segments[segment].load(Ordering::Acquire);
        // SAFETY: a segment is published before the count that reaches into it, and freed only with the directory.
        let buckets = unsafe { (*segment).as_slice() };
        &buckets[offset]
    }

    /// The segment of bucket `index`, the bucket's offset in it, and the segment's length.
    #[inline]
    fn locate(&self, index: usize) -> (usize, usize, usize) {
        let high = index >> self.initial_bits;
        if high == 0 {
            return (0, index, self.initial());
        }
        let doubling = high.ilog2();
        let first = 1 << (self.initial_bits + doubling);
        (doubling as usize + 1, index - first, first)
    }

    /// Makes bucket `index` ready to be locked, though nobody can find it yet.
    pub(super) fn prepare(&self, index: usize) -> Result<()> {
        let (segment, offset, length) = self.locate(index);
        if self.segments[segment].load(Ordering::Acquire).is_null() {
            debug_assert_eq!(offset, 0, "segments fill from their start");
            self.add_segment(segment, length)?;
        }
        Ok(())
    }

    /// Allocates a segment. Only one thread does so at a time.
    fn add_segment(&self, segment: usize, length: usize) -> Result<()> {
        let buckets = try_box(Zeroed::new(length)?)?;
        self.segments[segment].store(Box::into_raw(buckets), Ordering::Release);
        Ok(())
    }

    /// Bytes of all segments.
    pub(super) fn bytes(&self) -> usize {
        let segments = self.segments.iter().enumerate();
        let lengths = segments
            .filter(|(_, segment)| !segment.load(Ordering::Acquire).is_null())
            .map(|(at, _)| if at == 0 { self.initial() } else { self.initial() << (at - 1) });
        lengths.map(Zeroed::<Bucket<L>>::bytes).sum::<usize>() + size_of::<Self>()
    }
}

impl<L> Drop for Directory<L> {
    fn drop(&mut self) {
        for segment in &mut self.segments {
            let segment = *segment.get_mut();
            if !segment.is_null() {
                // SAFETY: it came from a box, in `add_segment`.
                drop(unsafe { Box::from_raw(segment) });
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn growing_by_one_bucket_moves_only_what_the_split_bucket_held() {
        let hashes: Vec<u64> = (0..4_000_u64).map(|n| n.wrapping_mul(0x9e37_79b9_7f4a_7c15)).collect();
        for buckets in 1..130 {
            let (parent, bit) = parent_of(buckets);
            for &hash in &hashes {
                let before = Place::of(hash, buckets);
                let after = Place::of(hash, buckets + 1);
                assert!(before.index < buckets && after.index <= buckets);
                if before.index == parent {
                    assert_eq!(before.bits, bit);
                    assert_eq!(after.bits, bit + 1);
                    assert_eq!(after.index, if hash >> bit & 1 == 1 { buckets } else { parent });
                } else {
                    assert_eq!(before, after);
                }
                assert_eq!(after.index, hash as usize & mask(after.bits));
            }
        }
    }

    #[test]
    fn every_bucket_has_a_place_of_its_own() {
        let directory = Directory::<parking_lot::RawRwLock>::new(4, true).unwrap();
        let mut addresses = std::collections::HashSet::new();
        for index in 0..100 {
            directory.prepare(index).unwrap();
            assert!(addresses.insert(std::ptr::from_ref(directory.bucket(index)).addr()));
        }
    }
}
