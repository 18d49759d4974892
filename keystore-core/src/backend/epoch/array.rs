//! The array of buckets, and the array that it is being moved to.
//!
//! A table is one array of 2^k buckets, chosen by the low k bits of the hash. It grows and shrinks
//! by hanging an array of twice or half the size on [`BucketArray::next`] and moving the buckets
//! over a few at a time (module `migrate`); when all are moved, `next` becomes the table's array
//! and the old one is retired.
//!
//! Buckets move by *units*: growing, a unit is a bucket of the old array and the two buckets of
//! the new one that its entries part to; shrinking, two of the old and the one of the new that
//! they meet in. Either way the unit of a hash is given by the low bits that both arrays take. A
//! unit counts as moved when its last new bucket is settled: until that instant the old array has
//! its entries, from then on the new one does.

use std::ptr::null_mut;

use crossbeam_utils::CachePadded;

use super::bucket::Bucket;
use super::reclaim::Guard;
use crate::backend::common::zeroed_array::{Zeroable, ZeroedArray};
use crate::error::Result;
use crate::fallible::try_box;
use crate::huge_pages::Pages;
use crate::sync::primitive::access;
use crate::sync::primitive::atomic::{AtomicBool, AtomicPtr, AtomicUsize, Ordering};

/// The most bits that an array can have: what the bucket index can take of the hash, and memory
/// can hold.
pub(super) const MAX_BITS: u32 = if usize::BITS > 48 { 40 } else { 24 };

/// See the module.
#[derive(Debug)]
pub(super) struct BucketArray {
    buckets: ZeroedArray<Bucket>,
    /// The number of buckets less one.
    mask: usize,
    bits: u32,
    next: AtomicPtr<BucketArray>,
    /// How far the move into this array has come; `None` for a table's first.
    migration: Option<Migration>,
}

/// The move into an array: which chunks of units have been claimed, and which are done.
#[derive(Debug)]
pub(super) struct Migration {
    pub(super) units: usize,
    /// Chunks handed out so far; past the last, they are handed out again, in case a thread never
    /// came back with one.
    pub(super) claimed: CachePadded<AtomicUsize>,
    pub(super) copied: CachePadded<AtomicUsize>,
    pub(super) chunks: ZeroedArray<AtomicBool>,
}

/// Units that a thread claims at a time.
pub(super) const CHUNK: usize = 8;

// SAFETY: zero is false.
unsafe impl Zeroable for AtomicBool {
    #[cfg(loom)]
    fn zero() -> Self {
        Self::new(false)
    }
}

/// A unit of the move from one array to the next.
#[derive(Clone, Copy, Debug)]
pub(super) struct Unit<'g> {
    pub(super) from: &'g BucketArray,
    pub(super) to: &'g BucketArray,
    index: usize,
}

impl BucketArray {
    /// An array of 2^`bits` fresh buckets: a table's first, or one to move an array of
    /// 2^`from_bits` buckets to.
    pub(super) fn allocate(bits: u32, from_bits: Option<u32>, pages: Pages) -> Result<*mut Self> {
        let migration = match from_bits {
            None => None,
            Some(from_bits) => {
                let units = 1 << bits.min(from_bits);
                Some(Migration {
                    units,
                    claimed: CachePadded::new(AtomicUsize::new(0)),
                    copied: CachePadded::new(AtomicUsize::new(0)),
                    chunks: ZeroedArray::new(usize::div_ceil(units, CHUNK), Pages::Ordinary)?,
                })
            }
        };
        let buckets = ZeroedArray::new(1 << bits, pages)?;
        let array = Box::into_raw(try_box(Self {
            buckets,
            mask: (1 << bits) - 1,
            bits,
            next: AtomicPtr::new(null_mut()),
            migration,
        })?);
        access::written(array.cast());
        Ok(array)
    }

    /// Frees an array, but none of its overflow buckets and nodes.
    ///
    /// # Safety
    /// It came from [`allocate`](Self::allocate), and nobody uses it from here on.
    pub(super) unsafe fn free(array: *mut Self) {
        access::freed(array.cast());
        // SAFETY: the caller's promise.
        drop(unsafe { Box::from_raw(array) });
    }

    /// log2 of the number of buckets.
    #[inline]
    pub(super) fn bits(&self) -> u32 {
        self.bits
    }

    #[inline]
    pub(super) fn buckets(&self) -> &[Bucket] {
        self.buckets.as_slice()
    }

    /// Bytes of the array.
    pub(super) fn bytes(&self) -> usize {
        ZeroedArray::<Bucket>::bytes(self.buckets().len()) + size_of::<Self>()
    }

    /// Of those, bytes that huge pages were asked for.
    pub(super) fn huge_page_bytes(&self) -> usize {
        self.buckets.huge_page_bytes()
    }

    pub(super) fn migration(&self) -> Option<&Migration> {
        self.migration.as_ref()
    }

    /// The bucket of `hash`.
    #[inline]
    pub(super) fn bucket(&self, hash: u64) -> &Bucket {
        // SAFETY: an array is made with one bucket more than its mask, and neither changes.
        unsafe { self.buckets().get_unchecked(hash as usize & self.mask) }
    }

    /// The array that this one is being moved to, or was.
    #[inline]
    pub(super) fn next<'g>(&self, _: &'g Guard) -> Option<&'g Self> {
        // SAFETY: an array is retired when the table no longer leads to it, and freed when nobody
        // is pinned who could have come by it before; `'g` lies within a pin.
        unsafe { self.next.load(Ordering::Acquire).as_ref() }
    }

    /// Hangs `next` on this array where it has none: whether it had none.
    pub(super) fn install_next(&self, next: *mut Self) -> bool {
        self.next.compare_exchange(null_mut(), next, Ordering::AcqRel, Ordering::Acquire).is_ok()
    }

    /// The unit of `hash` in the move to `to`.
    #[inline]
    pub(super) fn unit<'g>(&'g self, to: &'g Self, hash: u64) -> Unit<'g> {
        let units = 1_usize << self.bits.min(to.bits);
        Unit { from: self, to, index: hash as usize & (units - 1) }
    }
}

impl<'g> Unit<'g> {
    /// The buckets that the unit's entries come from.
    pub(super) fn sources(self) -> impl Iterator<Item = &'g Bucket> {
        self.buckets_in(self.from)
    }

    /// The buckets that they go to.
    pub(super) fn targets(self) -> impl Iterator<Item = &'g Bucket> {
        self.buckets_in(self.to)
    }

    fn buckets_in(self, array: &'g BucketArray) -> impl Iterator<Item = &'g Bucket> {
        let units = 1_usize << self.from.bits.min(self.to.bits);
        array.buckets().iter().skip(self.index).step_by(units)
    }

    /// Whether the unit has been moved: from then on, the new array has its entries.
    #[inline]
    pub(super) fn is_migrated(self) -> bool {
        self.last_target().link().is_migrated()
    }

    /// The target that is settled last.
    #[inline]
    pub(super) fn last_target(self) -> &'g Bucket {
        let units = 1_usize << self.from.bits.min(self.to.bits);
        &self.to.buckets()[self.to.buckets().len() - units + self.index]
    }

    /// The bit of the hash that parts the unit's entries to its two targets; `None` where there is
    /// one.
    pub(super) fn split_bit(self) -> Option<u32> {
        (self.to.bits > self.from.bits).then_some(self.from.bits)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_partition_both_arrays() {
        for (from_bits, to_bits) in [(3, 4), (4, 3), (0, 1), (1, 0)] {
            let from = BucketArray::allocate(from_bits, None, Pages::Huge).unwrap();
            let to = BucketArray::allocate(to_bits, Some(from_bits), Pages::Huge).unwrap();
            // SAFETY: allocated above, and freed below.
            let (from_ref, to_ref) = unsafe { (&*from, &*to) };
            for hash in 0..64_u64 {
                let unit = from_ref.unit(to_ref, hash);
                let address = |bucket: &Bucket| std::ptr::from_ref(bucket).addr();
                let has = |mut buckets: Box<dyn Iterator<Item = &Bucket> + '_>, wanted: &Bucket| {
                    buckets.any(|bucket| address(bucket) == address(wanted))
                };
                assert!(has(Box::new(unit.sources()), from_ref.bucket(hash)));
                assert!(has(Box::new(unit.targets()), to_ref.bucket(hash)));
                assert_eq!(unit.targets().last().map(address), Some(address(unit.last_target())));
                assert_eq!(unit.sources().count() + unit.targets().count(), 3);
            }
            // SAFETY: allocated above, and no longer used.
            unsafe {
                BucketArray::free(from);
                BucketArray::free(to);
            }
        }
    }
}
