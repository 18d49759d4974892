//! Every thread sets its own keys and gets each one back at once. This is the step that is timed.

use std::time::{Duration, Instant};

use keystore::{Keystore, Result};

use super::entry::{KeyId, is_value, own_stamp, write};
use super::outcome::Latency;
use super::tally::Tally;
use super::{ADVANCE_EVERY, Options, Progress, Step, StressError};
use crate::latency::latency_histogram;
use crate::spawn_together::spawn_together;

/// One in this many operations is timed, because reading the clock costs about as much as a small
/// operation.
pub(super) const SAMPLE_EVERY: usize = 8;

/// The result of this step.
pub(super) struct OwnKeys {
    pub(super) tally: Tally,
    pub(super) wall: Duration,
    pub(super) latency: Latency,
}

/// The result of one thread.
struct Visit {
    tally: Tally,
    /// Nanoseconds of each timed operation.
    samples: Vec<u64>,
}

pub(super) fn run<K: Keystore + Sync>(
    store: &K,
    options: &Options,
    progress: &(dyn Fn(Progress) + Sync),
) -> Result<OwnKeys, StressError> {
    progress(Progress::Begin(Step::OwnKeys, options.entries() as u64));
    let together =
        spawn_together(options.threads, |thread| visit(store, options, thread, progress))?;
    let mut tally = Tally::default();
    let mut histogram = latency_histogram();
    for (thread, result) in together.results.into_iter().enumerate() {
        match result {
            Ok(visit) => {
                tally.merge(visit.tally);
                visit
                    .samples
                    .into_iter()
                    .for_each(|nanoseconds| histogram.saturating_record(nanoseconds));
            }
            Err(message) => tally.error(format_args!("thread {thread} on its own keys {message}")),
        }
    }
    Ok(OwnKeys { tally, wall: together.wall, latency: Latency::from(&histogram) })
}

fn visit<K: Keystore>(
    store: &K,
    options: &Options,
    thread: usize,
    progress: &(dyn Fn(Progress) + Sync),
) -> Visit {
    let mut tally = Tally::default();
    let mut samples = Vec::with_capacity(2 * options.keys_per_thread.div_ceil(SAMPLE_EVERY));
    let mut value = vec![0; options.value_size];
    for index in 0..options.keys_per_thread {
        let id = KeyId::own(thread, index);
        let key = id.encode();
        write(id, own_stamp(id), &mut value);
        let (set, got) = if index % SAMPLE_EVERY == 0 {
            let begin = Instant::now();
            let set = store.set(&key, &value);
            let middle = Instant::now();
            let got = store.get(&key);
            let end = Instant::now();
            samples.push(nanoseconds(begin, middle));
            samples.push(nanoseconds(middle, end));
            (set, got)
        } else {
            (store.set(&key, &value), store.get(&key))
        };
        tally.add(id, "set", set);
        match tally.find(id, "get", got) {
            Some(Some(got)) if got == value => {}
            Some(Some(got)) if is_value(id, own_stamp(id), &got) => {
                tally.wrong(id, format_args!("{} bytes instead of {}", got.len(), value.len()));
            }
            Some(Some(_)) => tally.wrong(id, "another value than the one just set"),
            Some(None) => tally.missing(id, "after set"),
            None => {}
        }
        if index % ADVANCE_EVERY == ADVANCE_EVERY - 1 {
            progress(Progress::Advance(ADVANCE_EVERY as u64));
        }
    }
    progress(Progress::Advance((options.keys_per_thread % ADVANCE_EVERY) as u64));
    Visit { tally, samples }
}

fn nanoseconds(begin: Instant, end: Instant) -> u64 {
    u64::try_from((end - begin).as_nanos()).unwrap_or(u64::MAX)
}
