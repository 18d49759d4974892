//! Runs a scenario's threads on a store and measures the time.
//!
//! The operations are drawn before the run ([`Scenario::draw`]). In the run, the threads meet at a
//! barrier and then only execute the operations:
//!
//! - A read loads both ends of the value, and the result is kept so that the compiler cannot
//!   optimise the read away.
//! - Values to be written are made some operations ahead (`values`).
//! - Only one call in [`Scenario::time_every`] is timed. Reading the clock takes as long as a fast
//!   operation, and it waits until the processor has completed all earlier instructions.
//! - If there are no more threads than processors, each thread is pinned to one.
//!
//! At a fixed [rate](Scenario::rate), every call has a due time that does not depend on whether the
//! call before has returned. Every call is then timed twice: from its start, and from its due time.

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

/// The result of a run.
#[derive(Clone, Debug)]
pub struct Run {
    /// Number of operations done by each thread, including the warm-up. Each key of a batch counts
    /// as one operation.
    pub executed: Vec<u64>,
    /// Number of operations done by all threads while the clock ran.
    pub operations: u64,
    /// Time from the first start of a thread's measured operations to the last end of a thread's.
    pub elapsed: Duration,
    /// Durations of the timed calls in nanoseconds, from the start of each call. A batch is one
    /// call.
    pub latency: Histogram<u64>,
    /// Durations of the same calls from their due times, at a fixed rate.
    pub response: Option<Histogram<u64>>,
    /// Number of keys that were looked up, including the warm-up.
    pub lookups: u64,
    /// Number of lookups that did not find their key.
    pub misses: u64,
    /// Number of inserts that added their key.
    pub inserted: u64,
    /// The time slices of the run, if the scenario requests a time line.
    pub timeline: Vec<Slice>,
}

impl Run {
    /// Returns the operations a second over all threads.
    #[must_use]
    pub fn ops_per_sec(&self) -> f64 {
        self.operations as f64 / self.elapsed.as_secs_f64().max(1e-9)
    }
}

/// Sets the initial keys in `store`, on the calling thread. The sizes of the values are taken in
/// turn from those that the streams write. If the control is stopped, the store keeps the keys that
/// were loaded so far.
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

/// Runs one thread for each stream on `store`.
///
/// # Errors
/// Returns an error if an operation of a thread fails. That thread then stops, and the others run
/// to their end.
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

/// Returns the number of lookups among the first `done` operations of a stream that is repeated
/// from the start at its end. The lookups are counted after the run, so that counting takes none of
/// its time.
fn lookups(stream: &Stream, done: u64) -> u64 {
    let of = |operations: &[Operation]| {
        let lookups = operations.iter().filter(|o| matches!(o.kind, Kind::Get | Kind::GetMany));
        lookups.count() as u64
    };
    let length = stream.len().max(1) as u64;
    let rest = of(&stream.operations()[..(done % length) as usize]);
    if done < length { rest } else { done / length * of(stream.operations()) + rest }
}

/// The reason why adding histograms cannot fail, as a panic message.
pub(crate) const ONE_RANGE: &str = "all these histograms have one range";

/// Adds a thread's slices to the slices of the other threads.
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
