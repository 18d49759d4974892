//! Measures one run of a plan: one store under one scenario with one number of threads.

use keystore::BoxedKeystore;
use keystore_verify::latency_histogram;
use keystore_verify::resident::Resident;

use super::entry::{Entry, refused};
use super::tally::Tally;
use crate::error::Result;
use crate::measure::burst;
use crate::measure::candidate::Candidate;
use crate::measure::control::RunControl;
use crate::measure::driver::{ONE_RANGE, Run, load, run};
use crate::measure::metrics::Memory;
use crate::measure::proof::Proof;
use crate::workload::stream::Stream;

/// A phase of a plan. A burst of threads can affect the rest of the process's life, so all
/// measurements without a burst come first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    /// All scenarios, before any burst.
    First,
    /// The scenarios with a burst of threads, after the burst.
    AfterBurst,
}

/// A store, and the resident memory of the process before the store was opened.
pub(super) struct Opened {
    store: BoxedKeystore,
    before: Resident,
}

/// The next run.
pub(super) struct Planned<'a> {
    pub(super) entry: &'a Entry,
    pub(super) streams: &'a [Stream],
    pub(super) candidate: Candidate,
    pub(super) phase: Phase,
}

impl Planned<'_> {
    /// Makes the run and adds its results to the tally. `unchanged` holds the store of the run
    /// before, if that run cannot have changed it.
    pub(super) fn measure(
        &self,
        tally: &mut Tally,
        unchanged: &mut Option<Opened>,
        control: &RunControl,
    ) -> Result<()> {
        let Self { entry, streams, candidate, phase } = *self;
        let (scenario, keys) = (&entry.scenario, entry.source.keys());
        let refused = |source| refused(&candidate.to_string(), entry, streams.len(), source);
        let opened = match unchanged.take() {
            Some(opened) => opened,
            None => {
                let before = Resident::before();
                let store = candidate.open(&scenario.config).map_err(refused)?;
                load(&*store, scenario, keys, streams, control).map_err(refused)?;
                if control.is_stopped() {
                    return Ok(());
                }
                candidate.finish_growing(&*store).map_err(refused)?;
                Opened { store, before }
            }
        };
        if phase == Phase::AfterBurst {
            burst::run(&candidate.to_string(), &*opened.store, scenario, keys)?;
        }
        let outcome: Run = run(&opened.store, scenario, streams, control).map_err(refused)?;
        if control.is_stopped() {
            return Ok(()); // cut short: no measurement
        }
        let grown = opened.before.grown();
        let stats = opened.store.stats().map_err(refused)?;
        let memory =
            Memory { resident_bytes: grown.now, peak_bytes: grown.peak, ..Memory::of(&stats) };
        let proof = Proof { scenario, keys, streams, executed: &outcome.executed };
        let mut verification = proof.check(&*opened.store, control).map_err(refused)?;
        if control.is_stopped() {
            return Ok(()); // checked in part: nothing is known of the content
        }
        if scenario.always_hits() {
            verification.missing += outcome.misses;
        }
        if scenario.inserts_each_key_once() {
            verification.wrong += outcome.operations.abs_diff(outcome.inserted);
        }
        tally.verification.add(&verification);
        if scenario.is_read_only() && scenario.burst.is_none() {
            *unchanged = Some(opened);
        }
        if phase == Phase::First && scenario.burst.is_some() {
            tally.before.push(outcome.ops_per_sec());
            return Ok(());
        }
        tally.rates.push(outcome.ops_per_sec());
        tally.operations += outcome.executed.iter().sum::<u64>();
        tally.lookups += outcome.lookups;
        tally.misses += outcome.misses;
        tally.latency.add(&outcome.latency).expect(ONE_RANGE);
        if let Some(response) = &outcome.response {
            tally.response.get_or_insert_with(latency_histogram).add(response).expect(ONE_RANGE);
        }
        tally.memory = memory;
        tally.timeline = outcome.timeline;
        Ok(())
    }
}
