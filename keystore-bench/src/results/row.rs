//! Defines one row of the results.

use serde::{Deserialize, Serialize};

use super::lead::{Lead, picks};
use crate::measure::candidate::Candidate;
use crate::measure::metrics::{Latency, Memory, Slice, Spread};
use crate::measure::proof::Verification;

/// Measurements of one candidate under one scenario with one number of threads.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Row {
    /// The store: a backend on a pool, or a peer.
    pub store: Candidate,
    /// The scenario's name.
    pub scenario: String,
    /// Number of threads.
    pub threads: usize,
    /// Operations a second in each round, in order.
    pub rounds: Vec<f64>,
    /// Operations a second in each round before the burst of threads, if the scenario has a burst.
    /// Then `rounds` has the rates after the burst.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub before: Vec<f64>,
    /// Number of operations over all rounds, including the warm-up.
    pub operations: u64,
    /// Number of operations that looked a key up.
    pub lookups: u64,
    /// Number of lookups that did not find their key.
    pub misses: u64,
    /// Median of `rounds`, and its bounds.
    pub ops_per_sec: Spread,
    /// Latency of a call, from its start to its end, over all rounds.
    pub latency_ns: Latency,
    /// Latency of a call from the time when it was due to its end, if the scenario has a fixed
    /// rate. A client that sends requests at that rate waits this long. `latency_ns` alone would
    /// hide the calls that were due while the store stopped (coordinated omission; G. Tene, "How
    /// not to measure latency").
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub response_ns: Option<Latency>,
    /// Memory at the end of the last round.
    pub memory: Memory,
    /// Slices of time of the last round in order, if the scenario has a timeline.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub timeline: Vec<Slice>,
    /// Sum over all rounds of what the check of the content found.
    pub verification: Verification,
}

impl Row {
    /// Returns how far this row is ahead of another row of the same scenario and number of threads.
    /// Returns `None` if there are fewer than three rounds.
    #[must_use]
    pub fn lead_over(&self, other: &Self) -> Option<Lead> {
        Lead::of(&self.rounds, &other.rounds)
    }

    /// Returns whether one of the two rows is significantly ahead of the other.
    #[must_use]
    pub fn differs_from(&self, other: &Self) -> bool {
        let told = |lead: Option<Lead>| lead.is_some_and(|lead| lead.is_significant());
        told(self.lead_over(other)) || told(other.lead_over(self))
    }

    /// Returns the share of the lookups that found their key, from 0 to 1; `None` without lookups.
    #[must_use]
    pub fn hit_ratio(&self) -> Option<f64> {
        (self.lookups > 0).then(|| 1.0 - self.misses as f64 / self.lookups as f64)
    }

    /// Returns the rate after the burst divided by the rate before it, over the rounds. Returns
    /// `None` if the scenario has no burst.
    #[must_use]
    pub fn ratio_to_before(&self) -> Option<Spread> {
        let ratios: Vec<f64> = self
            .rounds
            .iter()
            .zip(&self.before)
            .map(|(after, before)| after / before.max(f64::MIN_POSITIVE))
            .collect();
        (!ratios.is_empty()).then(|| Spread::of(&ratios))
    }

    /// Returns the median of the rounds that pick which rows are compared (see [`picks`]).
    pub(crate) fn picking(&self) -> f64 {
        Spread::of(&picks(&self.rounds)).median
    }
}
