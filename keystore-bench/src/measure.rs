//! Measures: what is kept of a run.

use hdrhistogram::Histogram;
use keystore_core::Stats;
use serde::{Deserialize, Serialize};

/// The longest latency that is told apart from longer ones: a minute, in nanoseconds.
const LONGEST_NS: u64 = 60_000_000_000;

/// A histogram of nanoseconds, 1 to a minute, to two significant digits. With three it would take ten times the memory,
/// and push the store out of the cache that is being measured.
#[must_use]
pub fn latency_histogram() -> Histogram<u64> {
    Histogram::new_with_bounds(1, LONGEST_NS, 2).expect("these bounds are valid")
}

/// Latency percentiles, nanoseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Latency {
    /// Calls that were timed.
    pub samples: u64,
    /// The median.
    pub p50: u64,
    /// 90 in 100 calls took no longer.
    pub p90: u64,
    /// 99 in 100.
    pub p99: u64,
    /// 999 in 1,000.
    pub p999: u64,
    /// The longest of the timed calls.
    pub max: u64,
}

impl Latency {
    /// The percentiles of a histogram of nanoseconds.
    #[must_use]
    pub fn of(histogram: &Histogram<u64>) -> Self {
        let at = |percentile| histogram.value_at_percentile(percentile);
        Self {
            samples: histogram.len(),
            p50: at(50.0),
            p90: at(90.0),
            p99: at(99.0),
            p999: at(99.9),
            max: histogram.max(),
        }
    }

    /// The percentiles in rising order, with the names they go by.
    #[must_use]
    pub const fn points(&self) -> [(&'static str, u64); 5] {
        [("p50", self.p50), ("p90", self.p90), ("p99", self.p99), ("p99.9", self.p999), ("max", self.max)]
    }
}

/// The middle of several measurements, and how far they lie apart.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Spread {
    /// The median.
    pub median: f64,
    /// The least.
    pub min: f64,
    /// The greatest.
    pub max: f64,
}

impl Spread {
    /// The spread of some measurements; all zero where there are none.
    #[must_use]
    pub fn of(measurements: &[f64]) -> Self {
        let mut sorted = measurements.to_vec();
        sorted.sort_by(f64::total_cmp);
        let (Some(&min), Some(&max)) = (sorted.first(), sorted.last()) else { return Self::default() };
        let middle = sorted.len() / 2;
        let median = if sorted.len().is_multiple_of(2) {
            (sorted[middle - 1] + sorted[middle]) / 2.0
        } else {
            sorted[middle]
        };
        Self { median, min, max }
    }

    /// Whether two spreads share a value: then their medians tell no difference.
    #[must_use]
    pub fn overlaps(&self, other: &Self) -> bool {
        self.min <= other.max && other.min <= self.max
    }
}

/// Where the bytes of a store are, at the end of a run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Memory {
    /// Entries in the store.
    pub entries: u64,
    /// Bytes of live nodes: headers, keys and values.
    pub node_bytes: u64,
    /// Bytes that the pool holds of the system's memory, in use or not; 0 where the pool does not count them.
    pub held_bytes: u64,
    /// Bytes of the table.
    pub table_bytes: u64,
    /// Bytes of removed nodes and tables that wait until no reader can be looking at them.
    pub garbage_bytes: u64,
}

/// One part of a store's memory.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct MemoryPart {
    /// What it is.
    pub name: &'static str,
    /// Bytes for each entry.
    pub bytes_per_entry: f64,
}

impl Memory {
    /// The memory that a store's statistics tell of.
    #[must_use]
    pub fn of(stats: &Stats) -> Self {
        Self {
            entries: stats.entries.count,
            node_bytes: stats.memory.node_bytes,
            held_bytes: stats.pool.held_bytes,
            table_bytes: stats.memory.table_bytes,
            garbage_bytes: stats.memory.garbage_bytes,
        }
    }

    /// The parts that together are all the memory of the store. The pool's rest is what it holds beyond live nodes: free
    /// nodes, the unused ends of chunks, and removed nodes that still wait.
    #[must_use]
    pub fn parts(&self) -> [MemoryPart; 3] {
        let rest = self.held_bytes.max(self.node_bytes + self.garbage_bytes) - self.node_bytes;
        [("nodes", self.node_bytes), ("rest of the pool", rest), ("table", self.table_bytes)].map(
            |(name, bytes)| MemoryPart { name, bytes_per_entry: bytes as f64 / self.entries.max(1) as f64 },
        )
    }

    /// All bytes for each entry.
    #[must_use]
    pub fn bytes_per_entry(&self) -> f64 {
        self.parts().iter().map(|part| part.bytes_per_entry).sum()
    }
}

#[cfg(test)]
mod tests {
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
        assert!(near(latency.p99, 9900) && near(latency.p999, 9990), "{latency:?}");
        assert!(near(latency.max, 10_000), "{latency:?}");
        histogram.saturating_record(u64::MAX);
        assert!(near(Latency::of(&histogram).max, LONGEST_NS));
    }

    #[test]
    fn the_median_of_an_even_number_lies_between() {
        let spread = Spread::of(&[4.0, 1.0, 3.0, 2.0]);
        assert_eq!(spread, Spread { median: 2.5, min: 1.0, max: 4.0 });
        assert_eq!(Spread::of(&[3.0, 9.0, 1.0]).median, 3.0);
        assert_eq!(Spread::of(&[]), Spread::default());
    }

    #[test]
    fn spreads_that_touch_overlap() {
        let of = |min, max| Spread { median: (min + max) / 2.0, min, max };
        assert!(of(1.0, 2.0).overlaps(&of(2.0, 3.0)));
        assert!(of(1.0, 4.0).overlaps(&of(2.0, 3.0)));
        assert!(!of(1.0, 2.0).overlaps(&of(2.1, 3.0)));
        assert!(!of(2.1, 3.0).overlaps(&of(1.0, 2.0)));
    }

    #[test]
    fn the_parts_of_memory_add_up_and_count_nothing_twice() {
        let memory =
            Memory { entries: 10, node_bytes: 880, held_bytes: 1000, table_bytes: 200, garbage_bytes: 50 };
        assert_eq!(memory.parts().map(|part| part.bytes_per_entry), [88.0, 12.0, 20.0]);
        assert_eq!(memory.bytes_per_entry(), 120.0);
        let uncounted = Memory { held_bytes: 0, ..memory };
        assert_eq!(uncounted.bytes_per_entry(), 113.0, "nodes, garbage and table");
        assert_eq!(Memory::default().bytes_per_entry(), 0.0);
    }
}
