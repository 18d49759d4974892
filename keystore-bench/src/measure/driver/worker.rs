//! Executes one thread's stream of operations, and records its latencies and slices.

use std::hint::{black_box, spin_loop};
use std::sync::Barrier;
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use keystore::{BatchError, Keystore, Update};
use keystore_verify::latency_histogram;
use keystore_verify::value::{Stamp, write_value};

use super::values::{Values, writes_alone};
use crate::measure::control::RunControl;
use crate::measure::machine;
use crate::measure::metrics::Slice;
use crate::workload::distribution::KeyDistribution;
use crate::workload::operation::Kind;
use crate::workload::scenario::{Length, Scenario};
use crate::workload::stream::{Operation, Stream};

/// Time between two reports of a thread to [`RunControl`].
const REPORT_EVERY: Duration = Duration::from_millis(50);

/// Typical delay of a wake-up after a sleep. A thread sleeps until this long before the due time
/// and then polls the clock.
const SLEEP_SLACK: Duration = Duration::from_micros(80);

/// The result of one thread.
pub(super) struct Outcome {
    pub(super) done: u64,
    pub(super) warmed_up: u64,
    pub(super) misses: u64,
    pub(super) inserted: u64,
    pub(super) started: Instant,
    pub(super) ended: Instant,
    pub(super) record: Record,
}

/// The measurements of one thread, made while the clock runs.
pub(super) struct Record {
    pub(super) latency: Histogram<u64>,
    pub(super) response: Option<Histogram<u64>>,
    pub(super) slices: Vec<Slice>,
    slice: Option<Duration>,
    /// Time at which the current slice ends.
    slice_end: Instant,
    /// Time of the next report to [`RunControl`].
    report_at: Instant,
    /// The earlier of these two times.
    next_event: Instant,
    /// Numbers of operations done at the start of the current slice, and at the last report.
    slice_from: u64,
    reported: u64,
    max_ns: u64,
}

impl Record {
    fn new(scenario: &Scenario) -> Self {
        let now = Instant::now();
        let slice = scenario.timeline_ms.map(|ms| Duration::from_millis(ms.into()));
        Self {
            latency: latency_histogram(),
            response: scenario.rate.map(|_| latency_histogram()),
            slices: Vec::with_capacity(if slice.is_some() { 1024 } else { 0 }),
            slice,
            slice_end: now,
            report_at: now,
            next_event: now,
            slice_from: 0,
            reported: 0,
            max_ns: 0,
        }
    }

    /// Starts the measurement at `now`, after `done` operations of warm-up.
    fn begin(&mut self, now: Instant, done: u64) {
        self.slice_end = now + self.slice.unwrap_or(REPORT_EVERY);
        self.report_at = now + REPORT_EVERY;
        self.next_event = self.slice_end.min(self.report_at);
        (self.slice_from, self.reported) = (done, done);
    }

    /// Records a timed call that took `took` and ended at `now`.
    #[inline]
    fn timed(&mut self, took: Duration, now: Instant, worker: &Worker<'_>) {
        let nanoseconds = nanoseconds(took);
        self.latency.saturating_record(nanoseconds);
        self.max_ns = self.max_ns.max(nanoseconds);
        if now >= self.next_event {
            self.event(now, worker);
        }
    }

    #[cold]
    fn event(&mut self, now: Instant, worker: &Worker<'_>) {
        if now >= self.report_at {
            worker.control.report(worker.done - self.reported);
            self.reported = worker.done;
            self.report_at = now + REPORT_EVERY;
        }
        if let Some(slice) = self.slice {
            while now >= self.slice_end {
                self.end_slice(worker);
                self.slice_end += slice;
            }
            self.next_event = self.slice_end.min(self.report_at);
        } else {
            self.next_event = self.report_at;
        }
    }

    fn end_slice(&mut self, worker: &Worker<'_>) {
        // Only one thread reads the table's size, because all threads would get the same answer.
        let table_bytes =
            if worker.thread == 0 { worker.store.table_bytes().unwrap_or(0) } else { 0 };
        let operations = worker.done - self.slice_from;
        self.slices.push(Slice { operations, max_ns: self.max_ns, table_bytes });
        (self.slice_from, self.max_ns) = (worker.done, 0);
    }

    fn end(&mut self, worker: &Worker<'_>) {
        worker.control.report(worker.done - self.reported);
        if self.slice.is_some() && worker.done > self.slice_from {
            self.end_slice(worker);
        }
    }
}

fn nanoseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

/// A thread of a run, with its position in its stream.
pub(super) struct Worker<'a> {
    store: &'a (dyn Keystore + Send + Sync),
    scenario: &'a Scenario,
    stream: &'a Stream,
    thread: usize,
    threads: usize,
    control: &'a RunControl,
    /// Number of operations done, and number of operations to do.
    done: u64,
    quota: u64,
    /// Index of the next operation in the stream, and the bytes of the keys from there on.
    next: usize,
    keys: &'a [u8],
    /// The values of the next writes.
    values: Values,
    /// The values of a batch.
    batch_values: Vec<u8>,
    batch_keys: Vec<&'a [u8]>,
    misses: u64,
    inserted: u64,
    /// XOR of all that was read, so that the compiler cannot remove the reads.
    seen: u64,
}

impl<'a> Worker<'a> {
    pub(super) fn new(
        store: &'a (dyn Keystore + Send + Sync),
        scenario: &'a Scenario,
        stream: &'a Stream,
        thread: usize,
        threads: usize,
        control: &'a RunControl,
    ) -> Self {
        let batches = stream.operations().iter().any(|operation| operation.kind == Kind::SetMany);
        let batch = if batches { scenario.batch } else { 0 };
        // A stream that cannot be repeated ends the run at its end.
        let once =
            scenario.length == Length::Once || scenario.distribution == KeyDistribution::Latest;
        let quota = scenario.quota(thread, threads);
        Self {
            store,
            scenario,
            stream,
            thread,
            threads,
            control,
            done: 0,
            quota: if once || stream.is_empty() { quota.min(stream.len() as u64) } else { quota },
            next: 0,
            keys: stream.key_bytes(),
            values: Values::new(stream.largest_value()),
            batch_values: vec![0; stream.largest_value() * batch],
            batch_keys: Vec::with_capacity(scenario.batch),
            misses: 0,
            inserted: 0,
            seen: 0,
        }
    }

    /// Executes operations until the quota is reached, the time is over, or the run is stopped.
    pub(super) fn run(mut self, barrier: &Barrier) -> keystore::Result<Outcome> {
        let mut record = Record::new(self.scenario);
        barrier.wait();
        let warmed = if self.scenario.warm_up > 0.0 {
            let warmed =
                self.warm_up(Instant::now() + Duration::from_secs_f64(self.scenario.warm_up));
            barrier.wait(); // also after an error, or the others would wait without end
            warmed
        } else {
            Ok(())
        };
        warmed?;
        let warmed_up = self.done;
        let started = Instant::now();
        record.begin(started, warmed_up);
        let deadline = match self.scenario.length {
            Length::Seconds(seconds) => Some(started + Duration::from_secs_f64(seconds)),
            Length::Operations(_) | Length::Once => None,
        };
        match self.scenario.rate {
            None => self.closed_loop(deadline, &mut record)?,
            Some(rate) => self.fixed_rate(rate, started, deadline, &mut record)?,
        }
        let ended = Instant::now();
        record.end(&self);
        black_box(self.seen);
        let Self { done, misses, inserted, .. } = self;
        Ok(Outcome { done, warmed_up, misses, inserted, started, ended, record })
    }

    fn warm_up(&mut self, deadline: Instant) -> keystore::Result<()> {
        while self.done < self.quota && Instant::now() < deadline && !self.control.is_stopped() {
            self.calls(32)?;
        }
        Ok(())
    }

    /// Executes the operations one after another without a pause.
    fn closed_loop(
        &mut self,
        deadline: Option<Instant>,
        record: &mut Record,
    ) -> keystore::Result<()> {
        while self.done < self.quota {
            self.make_values();
            let before = Instant::now();
            self.calls(1)?;
            let after = Instant::now();
            record.timed(after - before, after, self);
            if deadline.is_some_and(|deadline| after >= deadline) || self.control.is_stopped() {
                break;
            }
            self.calls(self.scenario.time_every - 1)?;
        }
        Ok(())
    }

    /// Executes each operation at its due time. The due times of the threads are interleaved, so
    /// that all threads together keep the rate.
    fn fixed_rate(
        &mut self,
        rate: f64,
        started: Instant,
        deadline: Option<Instant>,
        record: &mut Record,
    ) -> keystore::Result<()> {
        let first = self.done;
        let crowded = self.threads > machine::processors();
        while self.done < self.quota {
            let number = (self.done - first) as f64 * self.threads as f64 + self.thread as f64;
            let due = started + Duration::from_secs_f64(number / rate);
            if deadline.is_some_and(|deadline| due >= deadline) || self.control.is_stopped() {
                break;
            }
            self.make_values();
            let before = wait_until(due, crowded);
            self.calls(1)?;
            let after = Instant::now();
            record.timed(after - before, after, self);
            if let Some(response) = &mut record.response {
                response.saturating_record(nanoseconds(after - due));
            }
        }
        Ok(())
    }

    /// Makes the values of the next writes, if the next operation is a single write and its value
    /// has not been made.
    fn make_values(&mut self) {
        let next = self.next % self.stream.len().max(1);
        let writes = self.stream.operations().get(next).is_some_and(|next| writes_alone(next.kind));
        if writes && self.values.of(next).is_none() {
            self.values.make(self.stream, next, self.thread, self.done);
        }
    }

    /// Makes the next `count` calls, or fewer if the quota is reached. State is kept in local
    /// variables, because the cost of this loop adds to every measured operation.
    fn calls(&mut self, mut count: u32) -> keystore::Result<()> {
        while count > 0 && self.done < self.quota {
            if self.next == self.stream.len() {
                (self.next, self.keys) = (0, self.stream.key_bytes());
            }
            let most = u64::from(count).min(self.quota - self.done);
            let (first, before) = (self.next, self.done);
            let single = self.stream.operations()[first..].iter().take(most as usize);
            let (mut keys, mut seen) = (self.keys, self.seen);
            let mut taken = 0;
            for operation in single.take_while(|operation| !operation.kind.is_batch()) {
                let (key, rest) = keys.split_at(operation.key_len());
                keys = rest;
                if operation.kind == Kind::Get {
                    let found = self.store.read_dyn(key, &mut |value| seen ^= look_at(value))?;
                    self.misses += u64::from(!found);
                } else {
                    seen ^= self.change(*operation, key, first + taken, before + taken as u64)?;
                }
                taken += 1;
            }
            (self.keys, self.seen) = (keys, seen);
            (self.next, self.done) = (first + taken, before + taken as u64);
            count -= taken as u32;
            let batch = self
                .stream
                .operations()
                .get(self.next)
                .filter(|operation| operation.kind.is_batch());
            if let Some(batch) = batch.filter(|_| count > 0 && self.done < self.quota) {
                self.call_batch(batch.kind)?;
                count -= 1;
            }
        }
        Ok(())
    }

    /// Makes a call that changes a key: the operation at `index` in the stream, which is this
    /// thread's operation number `number`. Returns what an update read of the old value, or 0.
    #[inline]
    fn change(
        &mut self,
        operation: Operation,
        key: &[u8],
        index: usize,
        number: u64,
    ) -> keystore::Result<u64> {
        let mut seen = 0;
        if operation.kind == Kind::Delete {
            self.store.delete(key)?;
            return Ok(seen);
        }
        let size = self.stream.value_size(index);
        let value = match self.values.of(index) {
            Some(value) => value,
            None => self.values.make(self.stream, index, self.thread, number),
        };
        let value = &value[..size];
        match operation.kind {
            Kind::Set => {
                self.store.set(key, value)?;
            }
            Kind::Insert => self.inserted += u64::from(self.store.insert(key, value)?),
            _ => {
                self.store.update_dyn(key, &mut |old| {
                    seen ^= old.map_or(0, look_at);
                    Update::set(value)
                })?;
            }
        }
        Ok(seen)
    }

    /// Makes one batch call with the operations of the same kind that come next in the stream, up
    /// to the scenario's batch size.
    fn call_batch(&mut self, kind: Kind) -> keystore::Result<()> {
        self.batch_keys.clear();
        let mut values_end = 0;
        while self.batch_keys.len() < self.scenario.batch && self.done < self.quota {
            let Some(&operation) = self.stream.operations().get(self.next) else { break };
            if operation.kind != kind {
                break;
            }
            if kind == Kind::SetMany {
                let end = values_end + self.stream.value_size(self.next);
                let stamp = Stamp::new(self.thread, self.done);
                write_value(&mut self.batch_values[values_end..end], operation.key, stamp);
                values_end = end;
            }
            let (key, rest) = self.keys.split_at(operation.key_len());
            self.keys = rest;
            self.next += 1;
            self.done += 1;
            self.batch_keys.push(key);
        }
        match kind {
            Kind::GetMany => {
                let (seen, misses) = (&mut self.seen, &mut self.misses);
                self.store.read_many_dyn(&self.batch_keys, &mut |_, value| match value {
                    Some(value) => *seen ^= look_at(value),
                    None => *misses += 1,
                })?;
            }
            Kind::SetMany => self.set_many()?,
            _ => {
                self.store.delete_many(&self.batch_keys)?;
            }
        }
        Ok(())
    }

    /// Sets the keys of the batch. Their values lie one after another in `batch_values`.
    fn set_many(&self) -> Result<(), BatchError> {
        let first = self.next - self.batch_keys.len();
        let mut values = self.batch_values.as_slice();
        let entries: Vec<(&[u8], &[u8])> = self
            .batch_keys
            .iter()
            .enumerate()
            .map(|(n, &key)| {
                let (value, rest) = values.split_at(self.stream.value_size(first + n));
                values = rest;
                (key, value)
            })
            .collect();
        self.store.set_many(&entries).map(|_| ())
    }
}

/// Waits until `due` and returns the time at the end of the wait. If the machine is `crowded` (has
/// more threads than processors), the thread yields its processor while it polls the clock.
fn wait_until(due: Instant, crowded: bool) -> Instant {
    loop {
        let now = Instant::now();
        if now >= due {
            return now;
        }
        let left = due - now;
        if left > 2 * SLEEP_SLACK {
            std::thread::sleep(left - SLEEP_SLACK);
        } else if crowded {
            std::thread::yield_now();
        } else {
            spin_loop();
        }
    }
}

/// Reads the first and the last eight bytes of a value. The caller thus waits for all of its cache
/// lines, except those in the middle of a long value.
#[inline]
fn look_at(value: &[u8]) -> u64 {
    let word = |bytes: Option<&[u8]>| {
        bytes.and_then(|bytes| bytes.try_into().ok()).map_or(0, u64::from_le_bytes)
    };
    word(value.get(..8)) ^ word(value.get(value.len().saturating_sub(8)..))
}
