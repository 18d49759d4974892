//! The metrics that are kept of a run: latency, rate, memory and time line.

use hdrhistogram::Histogram;
use keystore::Stats;
use serde::{Deserialize, Serialize};

/// Latency percentiles, in nanoseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Latency {
    /// Number of timed calls.
    pub samples: u64,
    /// The median.
    pub p50: u64,
    /// The 90th percentile: 90 in 100 calls took no longer.
    pub p90: u64,
    /// The 95th percentile.
    pub p95: u64,
    /// The 99th percentile.
    pub p99: u64,
    /// The 99.9th percentile: 999 in 1,000 calls took no longer.
    pub p999: u64,
    /// The 99.99th percentile: 9,999 in 10,000 calls took no longer.
    pub p9999: u64,
    /// The longest of the timed calls.
    pub max: u64,
}

impl Latency {
    /// Returns the percentiles of a histogram of nanoseconds.
    #[must_use]
    pub fn of(histogram: &Histogram<u64>) -> Self {
        let at = |percentile| histogram.value_at_percentile(percentile);
        Self {
            samples: histogram.len(),
            p50: at(50.0),
            p90: at(90.0),
            p95: at(95.0),
            p99: at(99.0),
            p999: at(99.9),
            p9999: at(99.99),
            max: histogram.max(),
        }
    }

    /// Returns the percentiles in ascending order, with their names.
    #[must_use]
    pub const fn points(&self) -> [(&'static str, u64); 7] {
        [
            ("p50", self.p50),
            ("p90", self.p90),
            ("p95", self.p95),
            ("p99", self.p99),
            ("p99.9", self.p999),
            ("p99.99", self.p9999),
            ("max", self.max),
        ]
    }
}

/// The median of several measurements of one quantity, with a confidence interval for it.
///
/// The bounds of the interval are two of the measurements, chosen by rank. They enclose the true
/// median with a confidence of 95 %, or as near to it as the number of measurements allows. This
/// holds for any distribution (W. R. Thompson, "On confidence ranges for the median", 1936). For up
/// to eight measurements, the bounds are the minimum and the maximum. Five measurements give a
/// [confidence](Self::confidence) of 94 %.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Spread {
    /// The median.
    pub median: f64,
    /// The lower bound of the median.
    pub low: f64,
    /// The upper bound of the median.
    pub high: f64,
    /// The mean.
    pub mean: f64,
    /// The sample standard deviation, or 0 for a single measurement.
    pub deviation: f64,
}

impl Spread {
    /// Returns the spread of some measurements. All fields are zero if there are none.
    #[must_use]
    pub fn of(measurements: &[f64]) -> Self {
        let mut sorted = measurements.to_vec();
        sorted.sort_by(f64::total_cmp);
        let count = sorted.len();
        if count == 0 {
            return Self::default();
        }
        let median = (sorted[(count - 1) / 2] + sorted[count / 2]) / 2.0;
        let mean = sorted.iter().sum::<f64>() / count as f64;
        let squares: f64 = sorted.iter().map(|value| (value - mean).powi(2)).sum();
        let deviation = if count > 1 { (squares / (count - 1) as f64).sqrt() } else { 0.0 };
        let cut = cut_off(count);
        Self { median, low: sorted[cut], high: sorted[count - 1 - cut], mean, deviation }
    }

    /// Returns the confidence, from 0 to 1, that the true median lies within the bounds of a spread
    /// of that many measurements.
    #[must_use]
    pub fn confidence(measurements: usize) -> f64 {
        1.0 - 2.0 * below_half(measurements, cut_off(measurements))
    }

    /// Returns whether the intervals of two spreads overlap. If they do, the medians do not count
    /// as different.
    #[must_use]
    pub fn overlaps(&self, other: &Self) -> bool {
        self.low <= other.high && other.low <= self.high
    }

    /// Returns the distance from the median to the farther bound, in percent of the median.
    #[must_use]
    pub fn percent(&self) -> f64 {
        if self.median > 0.0 {
            100.0 * (self.high - self.median).max(self.median - self.low) / self.median
        } else {
            0.0
        }
    }
}

/// Returns the number of measurements on each side that lie outside the bounds of the median, out
/// of `count` measurements.
fn cut_off(count: usize) -> usize {
    (0..count / 2).take_while(|&cut| below_half(count, cut) <= 0.025).last().unwrap_or(0)
}

/// Returns the probability that at most `most` of `count` measurements fall below the median.
fn below_half(count: usize, most: usize) -> f64 {
    let mut probability = 0.5_f64.powi(i32::try_from(count).unwrap_or(i32::MAX));
    let mut sum = 0.0;
    for below in 0..=most {
        sum += probability;
        probability *= (count - below) as f64 / (below + 1) as f64;
    }
    sum
}

/// One time slice of a run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Slice {
    /// Number of operations that ended in the slice, over all threads.
    pub operations: u64,
    /// The longest of the timed calls that ended in the slice, in nanoseconds.
    pub max_ns: u64,
    /// Bytes of the table at the end of the slice, or 0 if the store does not report them.
    pub table_bytes: u64,
}

/// The memory of a store at the end of a run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Memory {
    /// Number of entries in the store.
    pub entries: u64,
    /// Bytes of live nodes: headers, keys and values.
    pub node_bytes: u64,
    /// Bytes of system memory that the pool holds, in use or not, or 0 if the pool does not count
    /// them.
    pub held_bytes: u64,
    /// Bytes of the table.
    pub table_bytes: u64,
    /// Bytes of removed nodes and tables that are not freed yet because a reader may still use
    /// them.
    pub garbage_bytes: u64,
    /// Growth of the process's resident memory from before the store was opened to the end of the
    /// run, or 0 if the system does not report it. For third-party maps this is the only measure.
    pub resident_bytes: u64,
    /// Growth of the process's resident memory at its peak.
    pub peak_bytes: u64,
}

/// One part of a store's memory.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct MemoryPart {
    /// The name of the part.
    pub name: &'static str,
    /// Bytes per entry of the store.
    pub bytes_per_entry: f64,
}

impl Memory {
    /// Returns the memory that a store's statistics report.
    #[must_use]
    pub fn of(stats: &Stats) -> Self {
        Self {
            entries: stats.entries.count,
            node_bytes: stats.memory.node_bytes,
            held_bytes: stats.pool.held_bytes,
            table_bytes: stats.memory.table_bytes,
            garbage_bytes: stats.memory.garbage_bytes,
            ..Self::default()
        }
    }

    /// Returns the parts that make up all the memory of the store. The rest of the pool is what the
    /// pool holds in addition to live nodes: free nodes, the unused ends of chunks, and removed
    /// nodes that are not freed yet.
    #[must_use]
    pub fn parts(&self) -> [MemoryPart; 3] {
        let rest = self.held_bytes.max(self.node_bytes + self.garbage_bytes) - self.node_bytes;
        [("nodes", self.node_bytes), ("rest of the pool", rest), ("table", self.table_bytes)].map(
            |(name, bytes)| MemoryPart {
                name,
                bytes_per_entry: bytes as f64 / self.entries.max(1) as f64,
            },
        )
    }

    /// Returns all bytes per entry, as the store counts them.
    #[must_use]
    pub fn bytes_per_entry(&self) -> f64 {
        self.parts().iter().map(|part| part.bytes_per_entry).sum()
    }

    /// Returns the growth of the process in bytes per entry.
    #[must_use]
    pub fn resident_per_entry(&self) -> f64 {
        self.resident_bytes as f64 / self.entries.max(1) as f64
    }
}

#[cfg(test)]
mod tests {
    use keystore_verify::{LONGEST_NS, latency_histogram};

    use super::*;

    #[test]
    fn percentiles_are_those_of_what_was_recorded() {
        let mut histogram = latency_histogram();
        for nanoseconds in 1..=10_000 {
            histogram.record(nanoseconds).unwrap();
        }
        let latency = Latency::of(&histogram);
        let near = |value: u64, expected: u64| value.abs_diff(expected) * 100 <= expected;
        assert_eq!(latency.samples, 10_000);
        assert!(near(latency.p50, 5000) && near(latency.p90, 9000), "{latency:?}");
        assert!(near(latency.p95, 9500) && near(latency.p99, 9900), "{latency:?}");
        assert!(near(latency.p999, 9990) && near(latency.p9999, 9999), "{latency:?}");
        assert!(near(latency.max, 10_000), "{latency:?}");
        histogram.saturating_record(u64::MAX);
        assert!(near(Latency::of(&histogram).max, LONGEST_NS));
    }

    #[test]
    fn the_median_of_an_even_number_lies_between() {
        let spread = Spread::of(&[4.0, 1.0, 3.0, 2.0]);
        assert_eq!((spread.median, spread.low, spread.high, spread.mean), (2.5, 1.0, 4.0, 2.5));
        assert!((spread.deviation - (5.0_f64 / 3.0).sqrt()).abs() < 1e-12);
        assert_eq!(Spread::of(&[3.0, 9.0, 1.0]).median, 3.0);
        assert_eq!(Spread::of(&[]), Spread::default());
        assert_eq!(Spread::of(&[7.0]).deviation, 0.0);
        assert_eq!(Spread::of(&[100.0, 90.0, 120.0]).percent(), 20.0);
    }

    #[test]
    fn the_bounds_of_the_median_have_the_confidence_of_the_tables() {
        // The expected values are from published tables of the sign test: the ranks of the bounds,
        // and the confidence that they enclose the median.
        for (count, cut, confidence) in
            [(1, 0, 0.0), (5, 0, 0.9375), (6, 0, 0.969), (9, 1, 0.961), (20, 5, 0.959)]
        {
            assert_eq!(cut_off(count), cut, "{count}");
            assert!((Spread::confidence(count) - confidence).abs() < 5e-4, "{count}");
        }
        let nine: Vec<f64> = (1..=9).map(f64::from).collect();
        assert_eq!((Spread::of(&nine).low, Spread::of(&nine).high), (2.0, 8.0));
    }

    #[test]
    fn the_bounds_hold_the_true_median_as_often_as_they_say() {
        use rand::{RngExt, SeedableRng};
        let mut rng = rand::rngs::SmallRng::seed_from_u64(3);
        let held = (0..10_000)
            .filter(|_| {
                // A very skewed distribution: the cube of a uniform number. Its median is an
                // eighth.
                let spread =
                    Spread::of(&std::array::from_fn::<f64, 5, _>(|_| rng.random::<f64>().powi(3)));
                spread.low <= 0.125 && 0.125 <= spread.high
            })
            .count();
        assert!((9250..9500).contains(&held), "{held} of 10,000, and 9,375 expected");
    }

    #[test]
    fn spreads_that_touch_overlap() {
        let of = |low, high| Spread { median: (low + high) / 2.0, low, high, ..Spread::default() };
        assert!(of(1.0, 2.0).overlaps(&of(2.0, 3.0)));
        assert!(of(1.0, 4.0).overlaps(&of(2.0, 3.0)));
        assert!(!of(1.0, 2.0).overlaps(&of(2.1, 3.0)));
        assert!(!of(2.1, 3.0).overlaps(&of(1.0, 2.0)));
    }

    #[test]
    fn the_parts_of_memory_add_up_and_count_nothing_twice() {
        let memory = Memory {
            entries: 10,
            node_bytes: 880,
            held_bytes: 1000,
            table_bytes: 200,
            garbage_bytes: 50,
            ..Memory::default()
        };
        assert_eq!(memory.parts().map(|part| part.bytes_per_entry), [88.0, 12.0, 20.0]);
        assert_eq!(memory.bytes_per_entry(), 120.0);
        let uncounted = Memory { held_bytes: 0, ..memory };
        assert_eq!(uncounted.bytes_per_entry(), 113.0, "nodes, garbage and table");
        assert_eq!(Memory::default().bytes_per_entry(), 0.0);
    }
}
