//! The load factor, which is the average number of entries in a bucket. It decides when a table is
//! resized.

use crate::hash::samples_entries;

/// Load factor above which a table grows. After the table has doubled, its buckets of six or seven
/// slots have two and a half entries on average.
pub(crate) const MAX: usize = 5;

/// Largest load factor that `reserve` and `shrink` aim for.
pub(crate) const TARGET: usize = 4;

/// Load factor below which an automatically shrinking table shrinks. It is far enough below
/// [`MAX`] that the table does not grow again at once.
pub(crate) const MIN: usize = 1;

/// Number of `bits` below which a table samples its load whenever an entry goes into an overflow
/// bucket. In larger tables this happens so often that it would cost too much.
const SAMPLED_AT_OVERFLOW: u32 = 10;

/// Returns whether a writer that added an entry with this hash samples the load of its table, which
/// has 2^`bits` buckets. To know the number of entries, the writer must sum up the counts of all
/// threads. So only one writer in 32 does it. In a small table, every writer whose entry is
/// `in_overflow` does it too.
#[inline]
pub(crate) fn samples_load(hash: u64, in_overflow: bool, bits: impl FnOnce() -> u32) -> bool {
    samples_entries(hash) || in_overflow && bits() < SAMPLED_AT_OVERFLOW
}
