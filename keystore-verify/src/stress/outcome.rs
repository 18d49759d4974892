//! The report of a stress test.

use std::time::Duration;

use hdrhistogram::Histogram;
use keystore::{BackendKind, Combination, PoolKind, Stats};
use serde::Serialize;

use super::Options;

/// Whether the store did what it promises.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub enum Verdict {
    /// No error was found.
    #[serde(rename = "PASS")]
    Pass,
    /// An error was found; [`Faults`] has the details.
    #[serde(rename = "FAIL")]
    Fail,
}

impl std::fmt::Display for Verdict {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(match self {
            Self::Pass => "PASS",
            Self::Fail => "FAIL",
        })
    }
}

/// Number of faults of a kind that are described; further ones are only counted.
const MAX_EXAMPLES: usize = 10;

/// The faults that were found. All numbers count observations: a lost key is missed once by the
/// thread that set it, once by the lookup at the end, and once by the scan.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Faults {
    /// Number of keys that must be present but were not found.
    pub missing: u64,
    /// Number of values that were never written to their key, or that had been replaced.
    pub wrong: u64,
    /// Number of entries that a scan showed again, plus inserts that succeeded a second time for
    /// one key.
    pub duplicates: u64,
    /// Number of entries that should be absent.
    pub unexpected: u64,
    /// Number of updates and exchanges that succeeded and had no effect, or had it twice.
    pub lost_updates: u64,
    /// Sum of the differences between the store's own counts (entries, operations) and the records.
    pub miscounted: u64,
    /// Number of operations that returned an error, plus threads that panicked.
    pub errors: u64,
    /// Number of nodes that the pool did not get back when the store was dropped.
    pub leaked_nodes: u64,
    /// Descriptions of the first faults.
    pub examples: Vec<String>,
}

impl Faults {
    /// Describes a fault that has been counted.
    pub(super) fn note(&mut self, example: String) {
        if self.examples.len() < MAX_EXAMPLES {
            self.examples.push(example);
        }
    }

    /// Adds the faults of another thread or step.
    pub(super) fn merge(&mut self, other: Self) {
        let Self {
            missing, wrong, duplicates, unexpected, lost_updates, miscounted, errors, ..
        } = other;
        self.missing += missing;
        self.wrong += wrong;
        self.duplicates += duplicates;
        self.unexpected += unexpected;
        self.lost_updates += lost_updates;
        self.miscounted += miscounted;
        self.errors += errors;
        self.leaked_nodes += other.leaked_nodes;
        other.examples.into_iter().for_each(|example| self.note(example));
    }

    /// Returns the number of faults other than missing keys, wrong values and duplicates.
    #[must_use]
    pub const fn others(&self) -> u64 {
        self.unexpected + self.lost_updates + self.miscounted + self.errors + self.leaked_nodes
    }

    /// Returns whether no fault was found.
    #[must_use]
    pub const fn is_clean(&self) -> bool {
        self.missing == 0 && self.wrong == 0 && self.duplicates == 0 && self.others() == 0
    }
}

/// Latencies of single operations in nanoseconds: one in eight of the sets and gets of own keys.
/// With more threads than cores, the longest include the time that a thread waited for a core.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Latency {
    /// Number of operations that were timed.
    pub samples: u64,
    /// Arithmetic mean.
    pub average_ns: f64,
    /// Median.
    pub p50_ns: u64,
    /// 95 of 100 operations took no longer.
    pub p95_ns: u64,
    /// 99 of 100 operations took no longer.
    pub p99_ns: u64,
    /// Longest time of an operation.
    pub max_ns: u64,
}

impl From<&Histogram<u64>> for Latency {
    fn from(histogram: &Histogram<u64>) -> Self {
        Self {
            samples: histogram.len(),
            average_ns: histogram.mean(),
            p50_ns: histogram.value_at_quantile(0.50),
            p95_ns: histogram.value_at_quantile(0.95),
            p99_ns: histogram.value_at_quantile(0.99),
            max_ns: histogram.max(),
        }
    }
}

/// The result of a stress test on one store.
#[derive(Clone, Debug, Default)]
pub struct Measure {
    /// The faults that were found.
    pub faults: Faults,
    /// Number of sets and gets of own keys.
    pub own_operations: u64,
    /// Time of these operations, from the moment when the first thread passed the gate until the
    /// last was done.
    pub own_time: Duration,
    /// Number of operations on shared keys.
    pub shared_operations: u64,
    /// Time of these operations, measured in the same way.
    pub shared_time: Duration,
    /// Latencies of single sets and gets.
    pub latency: Latency,
    /// The store's own statistics at the end.
    pub stats: Stats,
}

/// The result for one combination of backend and pool; as JSON, one flat object with [`Faults`]
/// among its fields.
#[derive(Clone, Debug, Serialize)]
pub struct Outcome {
    /// The backend.
    pub backend: BackendKind,
    /// The pool.
    pub pool: PoolKind,
    /// Number of threads.
    pub threads: usize,
    /// Number of keys that each thread used alone.
    pub keys_per_thread: usize,
    /// Bytes of each value.
    pub value_size: usize,
    /// The faults that were found.
    #[serde(flatten)]
    pub faults: Faults,
    /// Operations per second on own keys: a set and a get that copies the value out, for each key.
    /// The time runs from the moment when the first thread passes the gate until the last has done
    /// its work. It includes making keys and values and checking the answers.
    pub ops_per_sec: f64,
    /// That time in seconds.
    pub seconds: f64,
    /// Operations per second on shared keys, measured in the same way.
    pub shared_ops_per_sec: f64,
    /// Latencies of single sets and gets.
    pub latency: Latency,
    /// Whether the store did what it promises.
    pub result: Verdict,
    /// The store's own statistics at the end.
    pub stats: Stats,
}

impl Outcome {
    pub(super) fn new(combination: Combination, options: &Options, measure: Measure) -> Self {
        let rate =
            |operations: u64, time: Duration| operations as f64 / time.as_secs_f64().max(1e-9);
        Self {
            backend: combination.backend,
            pool: combination.pool,
            threads: options.threads,
            keys_per_thread: options.keys_per_thread,
            value_size: options.value_size,
            ops_per_sec: rate(measure.own_operations, measure.own_time),
            seconds: measure.own_time.as_secs_f64(),
            shared_ops_per_sec: rate(measure.shared_operations, measure.shared_time),
            latency: measure.latency,
            result: if measure.faults.is_clean() { Verdict::Pass } else { Verdict::Fail },
            faults: measure.faults,
            stats: measure.stats,
        }
    }
}
