//! The load factor: entries for each bucket, and when a table resizes.

use crate::hash::samples_entries;

/// Load factor above which a table grows. It then has two and a half entries for each bucket of
/// six or seven slots.
pub(crate) const MAX: usize = 5;

/// Load factor that `reserve` and `shrink` stay below.
pub(crate) const TARGET: usize = 4;

/// Load factor below which an automatically shrinking table shrinks. It is far enough below
/// [`MAX`] that the table does not grow again at once.
pub(crate) const MIN: usize = 1;

/// Tables of fewer buckets than 2 to the power of this sample their load whenever an entry goes
/// into an overflow bucket. In larger tables that happens so often that counting would cost too
/// much.
const SAMPLED_AT_OVERFLOW: u32 = 10;

/// Returns whether the writer that added an entry with this hash samples the load of a table of 2
/// to the power of `bits` buckets. The number of entries is a sum over all threads, so only one
/// writer in 32 does, and in a small table each whose entry is `in_overflow`.
#[inline]
pub(crate) fn samples_load(hash: u64, in_overflow: bool, bits: impl FnOnce() -> u32) -> bool {
    samples_entries(hash) || in_overflow && bits() < SAMPLED_AT_OVERFLOW
}
