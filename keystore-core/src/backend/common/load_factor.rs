//! How full tables are: what the backends with buckets of their own agree on.

use crate::hash::samples_entries;

/// Entries to a bucket above which a table grows: it then has two and a half to a bucket of six or
/// seven slots.
pub(crate) const MAX: usize = 5;

/// Entries to a bucket that `reserve` and `shrink` aim under.
pub(crate) const TARGET: usize = 4;

/// Entries to a bucket below which a table that shrinks by itself becomes smaller: far enough from
/// [`MAX`] that it does not grow again at once, with twice as many.
pub(crate) const MIN: usize = 1;

/// Tables of fewer buckets than 2 to the power of this are asked whether they are crowded whenever
/// an entry goes into an overflow bucket. In larger ones that is so often that counting costs more
/// than it tells.
const SAMPLED_AT_OVERFLOW: u32 = 10;

/// Whether who added an entry with this hash asks if the table of 2 to the power of `bits` buckets
/// is crowded, for the number of entries is a sum over all threads: one in 32 does, and in a small
/// table each whose entry is `in_overflow`.
#[inline]
pub(crate) fn samples_load(hash: u64, in_overflow: bool, bits: impl FnOnce() -> u32) -> bool {
    samples_entries(hash) || in_overflow && bits() < SAMPLED_AT_OVERFLOW
}
