//! Histograms of latencies.

use hdrhistogram::Histogram;

/// Upper end of the histogram: a minute, in nanoseconds. Longer latencies are counted as this.
pub const LONGEST_NS: u64 = 60_000_000_000;

/// Returns a histogram of nanoseconds, from 1 to a minute, with two significant digits.
///
/// Three digits would take ten times the memory, and would displace the store that is being
/// measured from the cache.
#[must_use]
pub fn latency_histogram() -> Histogram<u64> {
    Histogram::new_with_bounds(1, LONGEST_NS, 2).expect("these bounds are valid")
}
