//! What a stress test reports.

use std::time::Duration;

use hdrhistogram::Histogram;
use keystore::{BackendKind, Combination, PoolKind, Stats};
use serde::Serialize;

use super::Options;

/// Whether the store did what it promises.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub enum Verdict {
    /// Nothing was found wrong.
    #[serde(rename = "PASS")]
    Pass,
    /// Something was: [`Faults`] say what.
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

/// How many of a kind of fault are described; the others are only counted.
const MAX_EXAMPLES: usize = 10;

/// What was found wrong. All numbers are observations: a key that is lost is missed once by the
/// thread that set it, once by the look-up at the end, and once in the walk.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Faults {
    /// Keys that must be there, and were not found.
    pub missing: u64,
    /// Values that nobody wrote to their key, or that had been replaced.
    pub wrong: u64,
    /// Entries that a walk showed again, and inserts of one key that succeeded again.
    pub duplicates: u64,
    /// Entries that should not be there.
    pub unexpected: u64,
    /// Updates and exchanges that succeeded and left no trace, or left one twice.
    pub lost_updates: u64,
    /// How far the store's own counts (entries, operations) are from what was done, all differences
    /// added up.
    pub miscounted: u64,
    /// Operations that returned an error, and threads that panicked.
    pub errors: u64,
    /// Nodes that the pool did not get back when the store was dropped.
    pub leaked_nodes: u64,
    /// The first faults, in words.
    pub examples: Vec<String>,
}

impl Faults {
    /// Describes a fault that has been counted.
    pub(super) fn note(&mut self, example: String) {
        if self.examples.len() < MAX_EXAMPLES {
            self.examples.push(example);
        }
    }

    /// Adds what another thread or step found.
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

    /// Faults other than missing keys, wrong values and duplicates, of all kinds together.
    #[must_use]
    pub const fn others(&self) -> u64 {
        self.unexpected + self.lost_updates + self.miscounted + self.errors + self.leaked_nodes
    }

    /// Returns whether nothing was found wrong.
    #[must_use]
    pub const fn is_clean(&self) -> bool {
        self.missing == 0 && self.wrong == 0 && self.duplicates == 0 && self.others() == 0
    }
}

/// How long single operations took, in nanoseconds: one in eight of the sets and gets of own keys.
/// With more threads than cores the longest include the time in which a thread waited for a core.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Latency {
    /// Operations that were timed.
    pub samples: u64,
    /// Arithmetic mean.
    pub average_ns: f64,
    /// Median.
    pub p50_ns: u64,
    /// 95 of 100 operations took no longer.
    pub p95_ns: u64,
    /// 99 of 100 operations took no longer.
    pub p99_ns: u64,
    /// The longest.
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

/// What stressing one store gave.
#[derive(Clone, Debug, Default)]
pub struct Measure {
    /// What was found wrong.
    pub faults: Faults,
    /// Sets and gets of own keys.
    pub own_operations: u64,
    /// The time those took, from the first thread passing the gate to the last being done.
    pub own_time: Duration,
    /// Operations on shared keys.
    pub shared_operations: u64,
    /// The time those took, measured alike.
    pub shared_time: Duration,
    /// How long single sets and gets took.
    pub latency: Latency,
    /// The store's own picture of itself, in the end.
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
    /// Threads.
    pub threads: usize,
    /// Keys that each thread had of its own.
    pub keys_per_thread: usize,
    /// Bytes of each value.
    pub value_size: usize,
    /// What was found wrong.
    #[serde(flatten)]
    pub faults: Faults,
    /// Operations a second on own keys: two for each key, a set and a get that copies the value
    /// out, by the wall time from the instant the first thread passes the gate to the instant the
    /// last has done its work. Making keys and values and checking the answers is within that time.
    pub ops_per_sec: f64,
    /// That time, seconds.
    pub seconds: f64,
    /// Operations a second on shared keys, measured alike.
    pub shared_ops_per_sec: f64,
    /// How long single sets and gets took.
    pub latency: Latency,
    /// Whether the store did what it promises.
    pub result: Verdict,
    /// The store's own picture of itself, in the end.
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
