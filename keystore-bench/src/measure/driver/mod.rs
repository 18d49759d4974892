//! Runs a scenario's threads on a store, and takes the time.
//!
//! The operations are drawn before ([`Scenario::draw`]); here the threads wait for each other at a
//! barrier and then do them, and nothing else: a value that is read is looked at, at both ends, and
//! what was seen is kept from being optimised away; values that are written are made some ahead
//! (`values`). One call in [`Scenario::time_every`] is timed by itself, for the clock takes as long
//! as a fast operation, and waits for all that the processor had begun. Where there are no more
//! threads than processors, each thread stays on one.
//!
//! At a fixed [rate](Scenario::rate) every call has a time at which it is due, whether the store
//! has answered the one before or not, and every call is timed twice over: from its start, and from
//! when it was due.

mod values;
mod worker;

use std::sync::Barrier;
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use keystore::{BoxedKeystore, Keystore};
use keystore_verify::latency_histogram;
use keystore_verify::value::{Stamp, write_value};

use self::worker::Worker;
use crate::measure::control::{LOOK_EVERY, RunControl};
use crate::measure::machine;
use crate::measure::metrics::Slice;
use crate::workload::keys::Keys;
use crate::workload::operation::Kind;
use crate::workload::scenario::Scenario;
use crate::workload::stream::{Operation, Stream};

/// What a run did and how long it took.
#[derive(Clone, Debug)]
pub struct Run {
    /// Operations done by each thread, those of the warm-up included. Each key of a batch is one.
    pub executed: Vec<u64>,
    /// Operations done by all threads while the clock ran.
    pub operations: u64,
    /// From the first thread's first of these operations to the last thread's last.
    pub elapsed: Duration,
    /// Nanoseconds of the calls that were timed, from their start; a batch is one call.
    pub latency: Histogram<u64>,
    /// The same from when they were due, at a fixed rate.
    pub response: Option<Histogram<u64>>,
    /// Keys that were looked up, those of the warm-up included.
    pub lookups: u64,
    /// Lookups that did not find their key.
    pub misses: u64,
    /// Inserts that added their key.
    pub inserted: u64,
    /// What was done slice by slice, where the scenario asks for it.
    pub timeline: Vec<Slice>,
}

impl Run {
    /// Returns operations a second, all threads together.
    #[must_use]
    pub fn ops_per_sec(&self) -> f64 {
        self.operations as f64 / self.elapsed.as_secs_f64().max(1e-9)
    }
}

/// Gives `store` the keys that it holds at the start, from this thread, with values of sizes in
/// turn from those that the streams write. If the control is stopped, the store stays as far as it
/// has come.
///
/// # Errors
/// Returns the errors of the store.
pub fn load<K: Keystore + ?Sized>(
    store: &K,
    scenario: &Scenario,
    keys: &Keys,
    streams: &[Stream],
    control: &RunControl,
) -> keystore::Result<()> {
    let sizes = streams.iter().find(|stream| !stream.is_empty());
    let size = |key: usize| match sizes {
        Some(stream) => stream.value_size(key % stream.len()),
        None => scenario.value_size.min(),
    };
    let mut value = Vec::new();
    for key in 0..scenario.loaded_keys() {
        if key % LOOK_EVERY == 0 && control.is_stopped() {
            break;
        }
        value.resize(size(key), 0);
        write_value(&mut value, key as u32, Stamp::LOADED);
        store.set(keys.get(key), &value)?;
    }
    Ok(())
}

/// Runs the threads, one for each stream, on `store`.
///
/// # Errors
/// Returns the first error of an operation in a thread; that thread stops there, the others run to
/// their end.
pub fn run(
    store: &BoxedKeystore,
    scenario: &Scenario,
    streams: &[Stream],
    control: &RunControl,
) -> keystore::Result<Run> {
    let barrier = Barrier::new(streams.len());
    let processors = machine::processors_for(streams.len());
    let outcomes: Vec<_> = std::thread::scope(|scope| {
        let handles: Vec<_> = streams
            .iter()
            .enumerate()
            .map(|(thread, stream)| {
                let (barrier, processor) = (&barrier, processors.get(thread).copied());
                scope.spawn(move || {
                    if let Some(processor) = processor {
                        machine::pin_to_cpu(processor);
                    }
                    let worker =
                        Worker::new(&**store, scenario, stream, thread, streams.len(), control);
                    worker.run(barrier)
                })
            })
            .collect();
        handles
            .into_iter()
            .map(|handle| handle.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
            .collect()
    });

    let mut run = Run {
        executed: Vec::new(),
        operations: 0,
        elapsed: Duration::ZERO,
        latency: latency_histogram(),
        response: scenario.rate.map(|_| latency_histogram()),
        lookups: 0,
        misses: 0,
        inserted: 0,
        timeline: Vec::new(),
    };
    let (mut first, mut last) = (None::<Instant>, None::<Instant>);
    for (outcome, stream) in outcomes.into_iter().zip(streams) {
        let outcome = outcome?;
        run.lookups += lookups(stream, outcome.done);
        run.inserted += outcome.inserted;
        run.executed.push(outcome.done);
        run.operations += outcome.done - outcome.warmed_up;
        run.misses += outcome.misses;
        run.latency.add(&outcome.record.latency).expect(ONE_RANGE);
        if let (Some(all), Some(own)) = (&mut run.response, &outcome.record.response) {
            all.add(own).expect(ONE_RANGE);
        }
        add_slices(&mut run.timeline, &outcome.record.slices);
        first = Some(first.map_or(outcome.started, |first| first.min(outcome.started)));
        last = Some(last.map_or(outcome.ended, |last| last.max(outcome.ended)));
    }
    if let (Some(first), Some(last)) = (first, last) {
        run.elapsed = last - first;
    }
    if let Some(rate) = scenario.rate {
        // The last call has its whole turn: n calls at a rate take n turns, not the n - 1 turns
        // from the first call to the last.
        let turns = Duration::from_secs_f64(run.operations as f64 / rate);
        run.elapsed = run.elapsed.max(turns);
    }
    Ok(run)
}

/// Number of lookups among the first `done` operations of a stream that begins anew at its end.
/// They are counted after the run, so that counting takes none of its time.
fn lookups(stream: &Stream, done: u64) -> u64 {
    let of = |operations: &[Operation]| {
        let lookups = operations.iter().filter(|o| matches!(o.kind, Kind::Get | Kind::GetMany));
        lookups.count() as u64
    };
    let length = stream.len().max(1) as u64;
    let rest = of(&stream.operations()[..(done % length) as usize]);
    if done < length { rest } else { done / length * of(stream.operations()) + rest }
}

/// Why histograms can be added up.
pub(crate) const ONE_RANGE: &str = "all these histograms have one range";

/// Adds a thread's slices to those of the others.
fn add_slices(all: &mut Vec<Slice>, own: &[Slice]) {
    if all.len() < own.len() {
        all.resize(own.len(), Slice::default());
    }
    for (all, own) in all.iter_mut().zip(own) {
        all.operations += own.operations;
        all.max_ns = all.max_ns.max(own.max_ns);
        all.table_bytes = all.table_bytes.max(own.table_bytes);
    }
}

#[cfg(test)]
mod tests;
