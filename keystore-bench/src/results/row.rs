//! One line of the results.

use serde::{Deserialize, Serialize};

use super::lead::{Lead, picks};
use crate::measure::candidate::Candidate;
use crate::measure::metrics::{Latency, Memory, Slice, Spread};
use crate::measure::proof::Verification;

/// One candidate under one scenario with one number of threads.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Row {
    /// The store: a backend on a pool, or a peer.
    pub store: Candidate,
    /// The scenario's name.
    pub scenario: String,
    /// Threads.
    pub threads: usize,
    /// Operations a second in each round, in order.
    pub rounds: Vec<f64>,
    /// Operations a second in each round before the burst of threads, if the scenario has one. What
    /// `rounds` has was then measured after the burst.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub before: Vec<f64>,
    /// Operations over all rounds, those of the warm-up included.
    pub operations: u64,
    /// Operations that looked a key up.
    pub lookups: u64,
    /// Lookups that did not find their key.
    pub misses: u64,
    /// Their median and its bounds.
    pub ops_per_sec: Spread,
    /// Latency of a call, from its start to its end, over all rounds.
    pub latency_ns: Latency,
    /// Latency of a call from when it was due to its end, at a fixed rate: what those wait who do
    /// not know that the store is busy. Without it, a store that stops for a second hides all that
    /// would have arrived meanwhile (G. Tene, "How not to measure latency": coordinated omission).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub response_ns: Option<Latency>,
    /// Memory at the end of the last round.
    pub memory: Memory,
    /// The last round, a slice of time after another, where the scenario asks for it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub timeline: Vec<Slice>,
    /// What checking the content after every round found, added up.
    pub verification: Verification,
}

impl Row {
    /// Returns how far it is ahead of another row of the same scenario and number of threads.
    /// `None` if there are fewer than three rounds.
    #[must_use]
    pub fn lead_over(&self, other: &Self) -> Option<Lead> {
        Lead::of(&self.rounds, &other.rounds)
    }

    /// Returns whether a difference between the two was measured, in either direction.
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

    /// Returns its rate over the rate before the burst, if the scenario has a burst: round by
    /// round.
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

    /// Returns the median of the rounds that say who is compared with whom.
    pub(crate) fn picking(&self) -> f64 {
        Spread::of(&picks(&self.rounds)).median
    }
}
