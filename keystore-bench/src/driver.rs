//! Runs a workload's threads on a store, and takes the time.
//!
//! The operations are drawn before ([`Workload::draw`]); here the threads wait for each other at a barrier and then do
//! them, and nothing else: a value that is read is looked at, at both ends, and what was seen is kept from being optimised
//! away; a value that is written is made in place. One call in [`SAMPLING`] is timed by itself, for the clock takes as long
//! as a fast operation. Where there are no more threads than processors, each thread stays on one.

use std::hint::black_box;
use std::sync::Barrier;
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use keystore_core::{BoxedKeystore, Keystore, Update};

use crate::keys::Keys;
use crate::machine;
use crate::measure::latency_histogram;
use crate::proof::{Stamp, write_value};
use crate::workload::{Kind, Length, Stream, Workload};

/// One call in so many is timed by itself.
pub const SAMPLING: u32 = 32;

/// What a run did and how long it took.
#[derive(Clone, Debug)]
pub struct Run {
    /// Operations done by each thread. Each key of a batch is one.
    pub executed: Vec<u64>,
    /// From the first thread's first operation to the last thread's last.
    pub elapsed: Duration,
    /// Nanoseconds of the calls that were timed; a batch is one call.
    pub latency: Histogram<u64>,
    /// Keys that a get did not find.
    pub misses: u64,
}

impl Run {
    /// Operations done by all threads.
    #[must_use]
    pub fn operations(&self) -> u64 {
        self.executed.iter().sum()
    }

    /// Operations a second, all threads together.
    #[must_use]
    pub fn ops_per_sec(&self) -> f64 {
        self.operations() as f64 / self.elapsed.as_secs_f64().max(1e-9)
    }
}

/// Gives `store` every key of the workload, from this thread.
///
/// # Errors
/// Those of the store.
pub fn load<K: Keystore + ?Sized>(store: &K, workload: &Workload, keys: &Keys) -> keystore_core::Result<()> {
    let mut value = vec![0; workload.value_size];
    for key in 0..workload.keys {
        write_value(&mut value, key as u32, Stamp::LOADED);
        store.set(keys.get(key), &value)?;
    }
    Ok(())
}

/// Runs the threads, one for each stream, on `store`.
///
/// # Errors
/// The first error that a verb returned to a thread; that thread stops there, the others run to their end.
pub fn run(store: &BoxedKeystore, workload: &Workload, streams: &[Stream]) -> keystore_core::Result<Run> {
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
                        machine::stay_on(processor);
                    }
                    let worker = Worker::new(&**store, workload, stream, thread);
                    let quota = workload.quota(thread, streams.len());
                    barrier.wait();
                    worker.run(quota, workload.length)
                })
            })
            .collect();
        handles
            .into_iter()
            .map(|handle| handle.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
            .collect()
    });

    let mut run =
        Run { executed: Vec::new(), elapsed: Duration::ZERO, latency: latency_histogram(), misses: 0 };
    let (mut first, mut last) = (None::<Instant>, None::<Instant>);
    for outcome in outcomes {
        let outcome = outcome?;
        run.executed.push(outcome.done);
        run.misses += outcome.misses;
        run.latency.add(&outcome.latency).expect("all these histograms have one range");
        first = Some(first.map_or(outcome.started, |first| first.min(outcome.started)));
        last = Some(last.map_or(outcome.ended, |last| last.max(outcome.ended)));
    }
    if let (Some(first), Some(last)) = (first, last) {
        run.elapsed = last - first;
    }
    Ok(run)
}

/// What a thread has to tell.
struct Outcome {
    done: u64,
    misses: u64,
    started: Instant,
    ended: Instant,
    latency: Histogram<u64>,
}

/// A thread at work: where it stands in its stream.
struct Worker<'a> {
    store: &'a (dyn Keystore + Send + Sync),
    stream: &'a Stream,
    thread: usize,
    batch: usize,
    /// Operations done.
    done: u64,
    /// The next operation in the stream, and where its key begins.
    next: usize,
    key_at: usize,
    /// The value being written.
    value: Vec<u8>,
    batch_keys: Vec<&'a [u8]>,
    misses: u64,
    /// What was read, folded into a word.
    seen: u64,
}

impl<'a> Worker<'a> {
    fn new(
        store: &'a (dyn Keystore + Send + Sync),
        workload: &Workload,
        stream: &'a Stream,
        thread: usize,
    ) -> Self {
        Self {
            store,
            stream,
            thread,
            batch: workload.batch,
            done: 0,
            next: 0,
            key_at: 0,
            value: vec![0; workload.value_size],
            batch_keys: Vec::with_capacity(workload.batch),
            misses: 0,
            seen: 0,
        }
    }

    /// Works until the quota is done or the time is over.
    fn run(mut self, quota: u64, length: Length) -> keystore_core::Result<Outcome> {
        let mut latency = latency_histogram();
        let quota = if self.stream.is_empty() { 0 } else { quota };
        let started = Instant::now();
        let deadline = match length {
            Length::Seconds(seconds) => Some(started + Duration::from_secs_f64(seconds)),
            Length::Operations(_) => None,
        };
        while self.done < quota {
            let before = Instant::now();
            self.call(quota)?;
            let after = Instant::now();
            latency.saturating_record(u64::try_from((after - before).as_nanos()).unwrap_or(u64::MAX));
            if deadline.is_some_and(|deadline| after >= deadline) {
                break;
            }
            for _ in 1..SAMPLING {
                if self.done == quota {
                    break;
                }
                self.call(quota)?;
            }
        }
        let ended = Instant::now();
        black_box(self.seen);
        Ok(Outcome { done: self.done, misses: self.misses, started, ended, latency })
    }

    /// The next key of the stream.
    #[inline]
    fn take_key(&mut self, length: usize) -> &'a [u8] {
        let key = &self.stream.key_bytes()[self.key_at..self.key_at + length];
        self.key_at += length;
        self.next += 1;
        self.done += 1;
        key
    }

    /// The next call. There is one, and it takes no more than `quota` allows.
    #[inline]
    fn call(&mut self, quota: u64) -> keystore_core::Result<()> {
        if self.next == self.stream.len() {
            (self.next, self.key_at) = (0, 0);
        }
        let operation = self.stream.operations()[self.next];
        if operation.kind == Kind::GetMany {
            return self.get_many(quota);
        }
        let stamp = Stamp::new(self.thread, self.done);
        let key = self.take_key(operation.key_len());
        match operation.kind {
            Kind::Get => {
                let seen = &mut self.seen;
                let found = self.store.read_dyn(key, &mut |value| *seen ^= look_at(value))?;
                self.misses += u64::from(!found);
            }
            Kind::Set => {
                write_value(&mut self.value, operation.key, stamp);
                self.store.set(key, &self.value)?;
            }
            Kind::Insert => {
                write_value(&mut self.value, operation.key, stamp);
                self.store.insert(key, &self.value)?;
            }
            Kind::Update => {
                write_value(&mut self.value, operation.key, stamp);
                let (seen, value) = (&mut self.seen, &self.value);
                self.store.update_dyn(key, &mut |old| {
                    *seen ^= old.map_or(0, look_at);
                    Update::Set(value.clone())
                })?;
            }
            Kind::Delete => {
                self.store.delete(key)?;
            }
            Kind::GetMany => unreachable!("done above"),
        }
        Ok(())
    }

    /// A batch: the rest of it that is in the stream, at most.
    fn get_many(&mut self, quota: u64) -> keystore_core::Result<()> {
        self.batch_keys.clear();
        while self.batch_keys.len() < self.batch && self.done < quota {
            let Some(operation) = self.stream.operations().get(self.next) else { break };
            if operation.kind != Kind::GetMany {
                break;
            }
            let key = self.take_key(operation.key_len());
            self.batch_keys.push(key);
        }
        let (seen, misses) = (&mut self.seen, &mut self.misses);
        self.store.read_many_dyn(&self.batch_keys, &mut |_, value| match value {
            Some(value) => *seen ^= look_at(value),
            None => *misses += 1,
        })?;
        Ok(())
    }
}

/// Looks at a value: at both its ends, so that all its cache lines but those in the middle of a long one are waited for.
#[inline]
fn look_at(value: &[u8]) -> u64 {
    let word =
        |bytes: Option<&[u8]>| bytes.and_then(|bytes| bytes.try_into().ok()).map_or(0, u64::from_le_bytes);
    word(value.get(..8)) ^ word(value.get(value.len().saturating_sub(8)..))
}

#[cfg(test)]
mod tests {
    use std::ops::ControlFlow;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use keystore_core::{BackendKind, BatchError, Change, Config, Exchange, Global, Result, Stats, open};

    use super::*;
    use crate::keys::KeyDistribution;
    use crate::proof::{Proof, Verification};
    use crate::workload::{Mix, Start};

    fn workload(mix: Mix, start: Start, operations: u64) -> Workload {
        Workload {
            name: "test".to_owned(),
            about: String::new(),
            mix,
            distribution: KeyDistribution::Zipfian { theta: 0.99 },
            start,
            length: Length::Operations(operations),
            threads: vec![1],
            keys: 500,
            value_size: 40,
            batch: 7,
            config: Config::default(),
            seed: 11,
        }
    }

    /// Runs and checks the workload with `threads` threads on `store`.
    fn run_on(store: &BoxedKeystore, workload: &Workload, threads: usize) -> (Run, Verification) {
        workload.validate().unwrap();
        let keys = Keys::make(workload.keys, 16).unwrap();
        let streams = workload.draw(threads, &keys);
        if workload.start == Start::Loaded {
            load(&**store, workload, &keys).unwrap();
        }
        let run = run(store, workload, &streams).unwrap();
        let proof = Proof { workload, keys: &keys, streams: &streams, executed: &run.executed };
        let verification = proof.check(&**store).unwrap();
        (run, verification)
    }

    fn real() -> BoxedKeystore {
        open(BackendKind::RwLock, &Config::default(), Global).unwrap()
    }

    #[test]
    fn as_many_operations_are_done_as_were_asked_for() {
        let mix = Mix { get: 40, get_many: 10, set: 20, update: 10, insert: 10, delete: 10 };
        for (threads, operations) in [(1, 1), (1, 40_000), (3, 40_001), (4, 3)] {
            let (run, verification) = run_on(&real(), &workload(mix, Start::Loaded, operations), threads);
            assert_eq!(run.operations(), operations);
            assert!(verification.passed(), "{verification:?}");
            assert!(!run.latency.is_empty() && run.latency.len() <= operations);
        }
    }

    #[test]
    fn a_store_counts_what_the_driver_says_it_did() {
        let mix = Mix { get: 50, set: 30, delete: 20, ..Mix::default() };
        let workload = workload(mix, Start::Empty, 25_000);
        let keys = Keys::make(workload.keys, 16).unwrap();
        let streams = workload.draw(2, &keys);
        let store = real();
        run(&store, &workload, &streams).unwrap();
        let stats = store.stats().unwrap().operations;
        let drawn = |kind| {
            streams.iter().flat_map(Stream::operations).filter(|operation| operation.kind == kind).count()
                as u64
        };
        assert_eq!(
            (stats.finds, stats.adds, stats.deletes),
            (drawn(Kind::Get), drawn(Kind::Set), drawn(Kind::Delete))
        );
    }

    #[test]
    fn a_run_of_seconds_takes_them_and_goes_through_its_operations_again() {
        let mut workload = workload(Mix { get: 50, set: 50, ..Mix::default() }, Start::Loaded, 1);
        workload.length = Length::Seconds(0.5);
        workload.keys = 10;
        let (run, verification) = run_on(&real(), &workload, 2);
        assert!(run.elapsed >= Duration::from_millis(500), "{:?}", run.elapsed);
        assert!(run.operations() > 1000);
        assert!(verification.passed(), "{verification:?}");
    }

    #[test]
    fn misses_are_counted() {
        let (run, verification) =
            run_on(&real(), &workload(Mix { get: 50, get_many: 50, ..Mix::default() }, Start::Empty, 900), 1);
        assert_eq!(run.misses, 900);
        assert!(verification.passed(), "an empty store that stays empty is right: {verification:?}");
    }

    /// A store that makes one mistake, in one call out of four.
    struct Broken {
        store: BoxedKeystore,
        mistake: Mistake,
        calls: AtomicUsize,
    }

    #[derive(Clone, Copy, Debug, PartialEq)]
    enum Mistake {
        /// A set does nothing.
        LosesSets,
        /// A set leaves the second half of the value as it was.
        TearsValues,
        /// A delete does nothing.
        LosesDeletes,
        /// Iterating shows an entry twice.
        ShowsTwice,
        /// A lookup does not find its key.
        Misses,
        /// The count is one too many.
        Miscounts,
    }

    impl Broken {
        fn boxed(mistake: Mistake) -> BoxedKeystore {
            Box::new(Self { store: real(), mistake, calls: AtomicUsize::new(0) })
        }

        fn errs(&self, mistake: Mistake) -> bool {
            self.mistake == mistake && self.calls.fetch_add(1, Ordering::Relaxed) % 4 == 3
        }
    }

    impl Keystore for Broken {
        fn read<R>(&self, key: &[u8], visit: impl FnOnce(&[u8]) -> R) -> Result<Option<R>> {
            self.store.read(key, visit)
        }
        fn read_dyn(&self, key: &[u8], visit: &mut dyn FnMut(&[u8])) -> Result<bool> {
            if self.errs(Mistake::Misses) { Ok(false) } else { self.store.read_dyn(key, visit) }
        }
        fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>> {
            self.store.get(key)
        }
        fn contains(&self, key: &[u8]) -> Result<bool> {
            self.store.contains(key)
        }
        fn set(&self, key: &[u8], value: &[u8]) -> Result<Change> {
            if self.errs(Mistake::LosesSets) {
                return Ok(Change::Replaced);
            }
            if self.errs(Mistake::TearsValues)
                && let Some(old) = self.store.get(key)?
            {
                let middle = value.len() / 2;
                return self.store.set(key, &[&value[..middle], &old[middle..]].concat());
            }
            self.store.set(key, value)
        }
        fn insert(&self, key: &[u8], value: &[u8]) -> Result<bool> {
            self.store.insert(key, value)
        }
        fn update(&self, key: &[u8], decide: impl FnMut(Option<&[u8]>) -> Update) -> Result<Change> {
            self.store.update(key, decide)
        }
        fn update_dyn(&self, key: &[u8], decide: &mut dyn FnMut(Option<&[u8]>) -> Update) -> Result<Change> {
            self.store.update_dyn(key, decide)
        }
        fn compare_exchange(&self, key: &[u8], old: Option<&[u8]>, new: Option<&[u8]>) -> Result<Exchange> {
            self.store.compare_exchange(key, old, new)
        }
        fn delete(&self, key: &[u8]) -> Result<bool> {
            if self.errs(Mistake::LosesDeletes) { Ok(true) } else { self.store.delete(key) }
        }
        fn take(&self, key: &[u8]) -> Result<Option<Vec<u8>>> {
            self.store.take(key)
        }
        fn read_many(
            &self,
            keys: &[&[u8]],
            visit: impl FnMut(usize, Option<&[u8]>),
        ) -> Result<(), BatchError> {
            self.store.read_many(keys, visit)
        }
        fn read_many_dyn(
            &self,
            keys: &[&[u8]],
            visit: &mut dyn FnMut(usize, Option<&[u8]>),
        ) -> Result<(), BatchError> {
            self.store.read_many_dyn(keys, visit)
        }
        fn set_many(&self, entries: &[(&[u8], &[u8])]) -> Result<usize, BatchError> {
            self.store.set_many(entries)
        }
        fn delete_many(&self, keys: &[&[u8]]) -> Result<usize, BatchError> {
            self.store.delete_many(keys)
        }
        fn len(&self) -> Result<usize> {
            Ok(self.store.len()? + usize::from(self.mistake == Mistake::Miscounts))
        }
        fn for_each(&self, visit: impl FnMut(&[u8], &[u8]) -> ControlFlow<()>) -> Result<()> {
            self.store.for_each(visit)
        }
        fn for_each_dyn(&self, visit: &mut dyn FnMut(&[u8], &[u8]) -> ControlFlow<()>) -> Result<()> {
            self.store.for_each_dyn(&mut |key, value| {
                if self.errs(Mistake::ShowsTwice) {
                    visit(key, value)?;
                }
                visit(key, value)
            })
        }
        fn retain(&self, keep: impl FnMut(&[u8], &[u8]) -> bool) -> Result<usize> {
            self.store.retain(keep)
        }
        fn retain_dyn(&self, keep: &mut dyn FnMut(&[u8], &[u8]) -> bool) -> Result<usize> {
            self.store.retain_dyn(keep)
        }
        fn clear(&self) -> Result<()> {
            self.store.clear()
        }
        fn reserve(&self, additional: usize) -> Result<()> {
            self.store.reserve(additional)
        }
        fn shrink(&self) -> Result<()> {
            self.store.shrink()
        }
        fn stats(&self) -> Result<Stats> {
            self.store.stats()
        }
    }

    #[test]
    fn every_mistake_of_a_store_is_found() {
        let set_only = Mix { set: 100, ..Mix::default() };
        let found = |mistake, mix, start| {
            let (_, verification) = run_on(&Broken::boxed(mistake), &workload(mix, start, 20_000), 2);
            assert!(!verification.passed(), "{mistake:?} went unnoticed");
            verification
        };
        assert!(found(Mistake::LosesSets, set_only, Start::Loaded).wrong > 0);
        assert!(found(Mistake::LosesSets, set_only, Start::Empty).wrong > 0);
        assert!(found(Mistake::TearsValues, set_only, Start::Empty).wrong > 0);
        let with_deletes = Mix { set: 50, delete: 50, ..Mix::default() };
        assert!(found(Mistake::LosesDeletes, with_deletes, Start::Loaded).wrong > 0);
        assert_eq!(found(Mistake::ShowsTwice, set_only, Start::Loaded).duplicates, 125);
        assert!(found(Mistake::Misses, set_only, Start::Loaded).missing > 0);
        assert_eq!(found(Mistake::Miscounts, set_only, Start::Loaded).miscounted, 1);
    }

    #[test]
    fn a_set_lost_while_loading_is_a_missing_key() {
        let mix = Mix { get: 100, ..Mix::default() };
        let (run, verification) =
            run_on(&Broken::boxed(Mistake::LosesSets), &workload(mix, Start::Loaded, 1000), 1);
        assert_eq!(verification.missing, 125);
        assert_eq!(verification.wrong, 0);
        assert!(run.misses > 0);
    }

    #[test]
    fn an_error_of_the_store_is_handed_on() {
        let config = Config { memory_limit: Some(1000), ..Config::default() };
        let store = open(BackendKind::RwLock, &config, Global).unwrap();
        let workload = workload(Mix { set: 100, ..Mix::default() }, Start::Empty, 1000);
        let keys = Keys::make(workload.keys, 16).unwrap();
        let error = run(&store, &workload, &workload.draw(2, &keys)).unwrap_err();
        assert_eq!(error.code(), -10);
    }
}
