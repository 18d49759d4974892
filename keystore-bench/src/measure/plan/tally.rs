//! Collects the results of the runs of one row.

use std::collections::HashMap;

use hdrhistogram::Histogram;
use keystore_verify::latency_histogram;

use crate::measure::metrics::{Memory, Slice};
use crate::measure::proof::Verification;

/// The results of the runs of one row so far.
pub(super) struct Tally {
    /// Operations a second before the burst, if the scenario has one.
    pub(super) before: Vec<f64>,
    pub(super) rates: Vec<f64>,
    pub(super) operations: u64,
    pub(super) lookups: u64,
    pub(super) misses: u64,
    pub(super) latency: Histogram<u64>,
    pub(super) response: Option<Histogram<u64>>,
    pub(super) memory: Memory,
    pub(super) timeline: Vec<Slice>,
    pub(super) verification: Verification,
}

impl Tally {
    pub(super) fn new() -> Self {
        Self {
            before: Vec::new(),
            rates: Vec::new(),
            operations: 0,
            lookups: 0,
            misses: 0,
            latency: latency_histogram(),
            response: None,
            memory: Memory::default(),
            timeline: Vec::new(),
            verification: Verification::default(),
        }
    }
}

/// Returns the tallies that hold at least one measurement.
pub(super) fn measured_once(
    mut tallies: HashMap<(usize, usize, usize), Tally>,
) -> HashMap<(usize, usize, usize), Tally> {
    tallies.retain(|_, tally| !tally.rates.is_empty());
    tallies
}
