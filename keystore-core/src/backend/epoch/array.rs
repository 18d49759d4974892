//! The array of buckets, and the migration to the next array.
//!
//! A table is one array of 2^k buckets. The low k bits of a hash choose the bucket. To grow or
//! shrink, the table installs an array of twice or half the size as [`BucketArray::next`], and
//! migrates a few buckets at a time (module `resize`). When all buckets have migrated, `next`
//! becomes the table's array, and the old array is retired.
//!
//! Buckets migrate in *units*. If the table grows, a unit is one bucket of the old array and the
//! two buckets of the new array that it splits into. If the table shrinks, a unit is two buckets of
//! the old array and the one bucket of the new array that they merge into. The low bits of a hash
//! that both arrays use choose its unit. A unit has migrated when its last new bucket is finished.
//! Until that instant the old array holds the unit's entries, and from then on the new array holds
//! them.

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

/// Upper limit of an array's `bits`. No memory can hold more than 2^`MAX_BITS` buckets.
pub(super) const MAX_BITS: u32 = if usize::BITS > 48 { 40 } else { 24 };

/// An array of buckets. See the module.
#[derive(Debug)]
pub(super) struct BucketArray {
    buckets: ZeroedArray<Bucket>,
    /// Number of buckets minus one.
    mask: usize,
    bits: u32,
    next: AtomicPtr<BucketArray>,
    /// Progress of the migration into this array. `None` for a table's first array.
    migration: Option<Migration>,
}

/// Progress of a migration into an array.
#[derive(Debug)]
pub(super) struct Migration {
    pub(super) units: usize,
    /// Number of claims so far. After the last chunk, threads claim the chunks again from the first
    /// one, in case a thread never finished its chunk.
    pub(super) claimed: CachePadded<AtomicUsize>,
    pub(super) copied: CachePadded<AtomicUsize>,
    pub(super) chunks: ZeroedArray<AtomicBool>,
}

/// Number of units that a thread claims at a time.
pub(super) const CHUNK: usize = 8;

// SAFETY: zero is false.
unsafe impl Zeroable for AtomicBool {
    #[cfg(loom)]
    fn zero() -> Self {
        Self::new(false)
    }
}

/// A unit of the migration from one array to the next.
#[derive(Clone, Copy, Debug)]
pub(super) struct Unit<'g> {
    pub(super) from: &'g BucketArray,
    pub(super) to: &'g BucketArray,
    index: usize,
}

impl BucketArray {
    /// Allocates an array of 2^`bits` empty buckets. If `from_bits` is set, the array is the target
    /// of a migration from an array of 2^`from_bits` buckets. Otherwise it is a table's first
    /// array.
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

    /// Frees an array, but not its overflow buckets and nodes.
    ///
    /// # Safety
    /// It came from [`allocate`](Self::allocate), and nobody uses it from here on.
    pub(super) unsafe fn free(array: *mut Self) {
        access::freed(array.cast());
        // SAFETY: the caller's promise.
        drop(unsafe { Box::from_raw(array) });
    }

    /// Returns the binary logarithm of the number of buckets.
    #[inline]
    pub(super) fn bits(&self) -> u32 {
        self.bits
    }

    #[inline]
    pub(super) fn buckets(&self) -> &[Bucket] {
        self.buckets.as_slice()
    }

    /// Returns the size of the array in bytes.
    pub(super) fn bytes(&self) -> usize {
        ZeroedArray::<Bucket>::bytes(self.buckets().len()) + size_of::<Self>()
    }

    /// Returns the number of those bytes for which huge pages were requested.
    pub(super) fn huge_page_bytes(&self) -> usize {
        self.buckets.huge_page_bytes()
    }

    pub(super) fn migration(&self) -> Option<&Migration> {
        self.migration.as_ref()
    }

    /// Returns the bucket of `hash`.
    #[inline]
    pub(super) fn bucket(&self, hash: u64) -> &Bucket {
        // SAFETY: an array is made with one bucket more than its mask, and neither changes. So the
        // masked index is in bounds.
        unsafe { self.buckets().get_unchecked(hash as usize & self.mask) }
    }

    /// Returns the array that this one migrates to, or has migrated to.
    #[inline]
    pub(super) fn next<'g>(&self, _: &'g Guard) -> Option<&'g Self> {
        // SAFETY: an array is retired when it can no longer be reached from the table. It is freed
        // when no thread is pinned that could have reached it before. The thread is pinned for
        // `'g`.
        unsafe { self.next.load(Ordering::Acquire).as_ref() }
    }

    /// Installs `next` if this array has none. Returns whether it did.
    pub(super) fn install_next(&self, next: *mut Self) -> bool {
        self.next.compare_exchange(null_mut(), next, Ordering::AcqRel, Ordering::Acquire).is_ok()
    }

    /// Returns the unit of `hash` in the migration to `to`.
    #[inline]
    pub(super) fn unit<'g>(&'g self, to: &'g Self, hash: u64) -> Unit<'g> {
        let units = 1_usize << self.bits.min(to.bits);
        Unit { from: self, to, index: hash as usize & (units - 1) }
    }
}

impl<'g> Unit<'g> {
    /// Returns the buckets that the unit's entries come from.
    pub(super) fn sources(self) -> impl Iterator<Item = &'g Bucket> {
        self.buckets_in(self.from)
    }

    /// Returns the buckets that the unit's entries go to.
    pub(super) fn targets(self) -> impl Iterator<Item = &'g Bucket> {
        self.buckets_in(self.to)
    }

    fn buckets_in(self, array: &'g BucketArray) -> impl Iterator<Item = &'g Bucket> {
        let units = 1_usize << self.from.bits.min(self.to.bits);
        array.buckets().iter().skip(self.index).step_by(units)
    }

    /// Returns whether the unit has migrated. From then on, the new array has its entries.
    #[inline]
    pub(super) fn is_migrated(self) -> bool {
        self.last_target().link().is_migrated()
    }

    /// Returns the target that is finished last.
    #[inline]
    pub(super) fn last_target(self) -> &'g Bucket {
        let units = 1_usize << self.from.bits.min(self.to.bits);
        &self.to.buckets()[self.to.buckets().len() - units + self.index]
    }

    /// Returns the bit of the hash that chooses between the unit's two targets, or `None` if there
    /// is one target.
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
