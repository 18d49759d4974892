//! Histograms of latencies.

use hdrhistogram::Histogram;

/// The longest latency that is told apart from longer ones: a minute, in nanoseconds.
pub const LONGEST_NS: u64 = 60_000_000_000;

/// Returns a histogram of nanoseconds, from 1 to a minute, with two significant digits.
///
/// Three digits would take ten times the memory, and push the store out of the cache that is being
/// measured.
#[must_use]
pub fn latency_histogram() -> Histogram<u64> {
    Histogram::new_with_bounds(1, LONGEST_NS, 2).expect("these bounds are valid")
}
