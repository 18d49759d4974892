use std::ops::ControlFlow;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::Relaxed;

use keystore::Update;
use keystore::{BackendKind, BatchError, Change, Config, Exchange, Global, Result, Stats, open};

use super::*;
use crate::measure::proof::{Proof, Verification};
use crate::workload::distribution::KeyDistribution;
use crate::workload::operation::Mix;
use crate::workload::scenario::Length;
use crate::workload::size::{Between, Size};

const EMPTY: f64 = 0.0;
const LOADED: f64 = 1.0;

fn scenario(mix: Mix, preload: f64, operations: u64) -> Scenario {
    Scenario {
        mix,
        distribution: KeyDistribution::Zipfian { theta: 0.99 },
        preload,
        length: Length::Operations(operations),
        keys: 500,
        value_size: 40.into(),
        batch: 7,
        seed: 11,
        ..Scenario::default()
    }
}

/// Loads `store`, runs the scenario on it with `threads` threads, and checks the content.
fn run_on(store: &BoxedKeystore, scenario: &Scenario, threads: usize) -> (Run, Verification) {
    scenario.validate().unwrap();
    let keys = Keys::make(scenario.keys, &scenario.key_size).unwrap();
    let streams = scenario.draw(threads, 0, &keys);
    load(&**store, scenario, &keys, &streams, &RunControl::default()).unwrap();
    let run = run(store, scenario, &streams, &RunControl::default()).unwrap();
    let proof = Proof { scenario, keys: &keys, streams: &streams, executed: &run.executed };
    let verification = proof.check(&**store, &RunControl::default()).unwrap();
    (run, verification)
}

fn real() -> BoxedKeystore {
    open(BackendKind::RwLock, &Config::default(), Global).unwrap()
}

#[test]
fn as_many_operations_are_done_as_were_asked_for() {
    let mix = Mix {
        get: 30,
        get_many: 10,
        set: 20,
        set_many: 5,
        update: 10,
        insert: 10,
        delete: 10,
        delete_many: 5,
    };
    for (threads, operations) in [(1, 1), (1, 40_000), (3, 40_001), (4, 3)] {
        let (run, verification) = run_on(&real(), &scenario(mix, LOADED, operations), threads);
        assert_eq!(run.operations, operations);
        assert!(verification.passed(), "{verification:?}");
        assert!(!run.latency.is_empty() && run.latency.len() <= operations);
    }
}

#[test]
fn a_store_counts_what_the_driver_says_it_did() {
    let mix = Mix { get: 50, set: 30, delete: 20, ..Mix::default() };
    let scenario = scenario(mix, EMPTY, 25_000);
    let keys = Keys::make(scenario.keys, &16.into()).unwrap();
    let streams = scenario.draw(2, 0, &keys);
    let store = real();
    run(&store, &scenario, &streams, &RunControl::default()).unwrap();
    let stats = store.stats().unwrap().operations;
    let drawn = |kind| {
        streams
            .iter()
            .flat_map(Stream::operations)
            .filter(|operation| operation.kind == kind)
            .count() as u64
    };
    assert_eq!(
        (stats.finds, stats.adds, stats.deletes),
        (drawn(Kind::Get), drawn(Kind::Set), drawn(Kind::Delete))
    );
}

#[test]
fn a_run_of_seconds_takes_them_and_goes_through_its_operations_again() {
    let mut scenario = scenario(Mix { get: 50, set: 50, ..Mix::default() }, LOADED, 1);
    scenario.length = Length::Seconds(0.5);
    scenario.keys = 10;
    let (run, verification) = run_on(&real(), &scenario, 2);
    assert!(run.elapsed >= Duration::from_millis(500), "{:?}", run.elapsed);
    assert!(run.operations > 1000);
    assert!(verification.passed(), "{verification:?}");
}

#[test]
fn what_happens_before_the_clock_runs_is_checked_and_not_counted() {
    let mut scenario = scenario(Mix { get: 50, set: 50, ..Mix::default() }, LOADED, 1);
    (scenario.length, scenario.warm_up) = (Length::Seconds(0.02), 0.2);
    let (run, verification) = run_on(&real(), &scenario, 2);
    let executed: u64 = run.executed.iter().sum();
    assert!(run.operations < executed / 2, "{} of {executed}", run.operations);
    assert!(run.elapsed < Duration::from_millis(150), "{:?}", run.elapsed);
    assert!(verification.passed(), "{verification:?}");
}

#[test]
fn values_of_any_size_are_checked_in_batches_too() {
    let mix = Mix { get: 20, set: 20, set_many: 40, update: 20, ..Mix::default() };
    for preload in [0.0, 0.5, 1.0] {
        let value_size = Size::Between(Between { min: 16, max: 300 });
        let scenario = Scenario { value_size, ..scenario(mix, preload, 20_000) };
        let (_, verification) = run_on(&real(), &scenario, 2);
        assert!(verification.passed(), "{verification:?}");
    }
}

#[test]
fn at_a_fixed_rate_time_goes_by_and_a_stall_is_felt_by_all_that_was_due() {
    let mut scenario = scenario(Mix { get: 100, ..Mix::default() }, LOADED, 300);
    scenario.rate = Some(1000.0);
    let stalling = Broken::boxed(Mistake::StallsOnce);
    let (run, verification) = run_on(&stalling, &scenario, 1);
    assert!(verification.passed(), "{verification:?}");
    assert_eq!(run.operations, 300);
    assert!(run.elapsed >= Duration::from_millis(295), "{:?}", run.elapsed);
    let response = run.response.unwrap();
    assert_eq!((run.latency.len(), response.len()), (300, 300));
    // One call took 100 ms. So about a hundred calls that became due in this time had to wait.
    let slow = |histogram: &Histogram<u64>| histogram.count_between(10_000_000, u64::MAX);
    assert_eq!(slow(&run.latency), 1);
    assert!((80..140).contains(&slow(&response)), "{}", slow(&response));
}

#[test]
fn a_time_line_adds_up_to_the_run_and_shows_the_table_growing() {
    let mut scenario = scenario(Mix { set: 100, ..Mix::default() }, EMPTY, 200_000);
    scenario.distribution = KeyDistribution::Sequential;
    (scenario.keys, scenario.timeline_ms) = (200_000, Some(2));
    let (run, verification) = run_on(&real(), &scenario, 2);
    assert!(verification.passed(), "{verification:?}");
    assert_eq!(run.timeline.iter().map(|slice| slice.operations).sum::<u64>(), 200_000);
    assert!(run.timeline.len() > 2, "{}", run.timeline.len());
    let table = |slice: Option<&Slice>| slice.map_or(0, |slice| slice.table_bytes);
    let largest = run.timeline.iter().map(|slice| slice.table_bytes).max().unwrap_or(0);
    assert!(table(run.timeline.first()) < largest, "{:?}", run.timeline);
}

#[test]
fn a_run_that_is_stopped_ends_soon_and_is_whole() {
    let mut scenario = scenario(Mix { get: 50, set: 50, ..Mix::default() }, LOADED, 1);
    scenario.length = Length::Seconds(600.0);
    let keys = Keys::make(scenario.keys, &scenario.key_size).unwrap();
    let streams = scenario.draw(2, 0, &keys);
    let (store, control) = (real(), RunControl::default());
    load(&*store, &scenario, &keys, &streams, &RunControl::default()).unwrap();
    let run = std::thread::scope(|scope| {
        let handle = scope.spawn(|| run(&store, &scenario, &streams, &control).unwrap());
        while control.operations() == 0 {
            std::thread::sleep(Duration::from_millis(1));
        }
        control.stop();
        handle.join().unwrap()
    });
    assert_eq!(control.operations(), run.operations);
    let proof =
        Proof { scenario: &scenario, keys: &keys, streams: &streams, executed: &run.executed };
    assert!(proof.check(&*store, &RunControl::default()).unwrap().passed());
}

#[test]
fn misses_are_counted() {
    let (run, verification) =
        run_on(&real(), &scenario(Mix { get: 50, get_many: 50, ..Mix::default() }, EMPTY, 900), 1);
    assert_eq!(run.misses, 900);
    assert!(verification.passed(), "an empty store that stays empty is right: {verification:?}");
}

/// A store with one kind of fault. Most faults occur in every fourth call.
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
    /// Iteration visits an entry twice.
    ShowsTwice,
    /// A lookup does not find its key.
    Misses,
    /// The count is too large by one.
    Miscounts,
    /// One lookup takes a tenth of a second, but its result is correct.
    StallsOnce,
}

impl Broken {
    fn boxed(mistake: Mistake) -> BoxedKeystore {
        Box::new(Self { store: real(), mistake, calls: AtomicUsize::new(0) })
    }

    fn errs(&self, mistake: Mistake) -> bool {
        self.mistake == mistake && self.calls.fetch_add(1, Relaxed) % 4 == 3
    }
}

impl Keystore for Broken {
    fn read<R>(&self, key: &[u8], visit: impl FnOnce(&[u8]) -> R) -> Result<Option<R>> {
        self.store.read(key, visit)
    }
    fn read_dyn(&self, key: &[u8], visit: &mut dyn FnMut(&[u8])) -> Result<bool> {
        if self.mistake == Mistake::StallsOnce && self.calls.fetch_add(1, Relaxed) == 50 {
            std::thread::sleep(Duration::from_millis(100));
        }
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
    fn update<'v>(
        &self,
        key: &[u8],
        decide: impl FnMut(Option<&[u8]>) -> Update<'v>,
    ) -> Result<Change> {
        self.store.update(key, decide)
    }
    fn update_dyn<'v>(
        &self,
        key: &[u8],
        decide: &mut dyn FnMut(Option<&[u8]>) -> Update<'v>,
    ) -> Result<Change> {
        self.store.update_dyn(key, decide)
    }
    fn compare_exchange(
        &self,
        key: &[u8],
        old: Option<&[u8]>,
        new: Option<&[u8]>,
    ) -> Result<Exchange> {
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
    fn table_bytes(&self) -> Result<u64> {
        self.store.table_bytes()
    }
    fn stats(&self) -> Result<Stats> {
        self.store.stats()
    }
}

#[test]
fn every_mistake_of_a_store_is_found() {
    let set_only = Mix { set: 100, ..Mix::default() };
    let found = |mistake, mix, start| {
        let (_, verification) = run_on(&Broken::boxed(mistake), &scenario(mix, start, 20_000), 2);
        assert!(!verification.passed(), "{mistake:?} went unnoticed");
        verification
    };
    assert!(found(Mistake::LosesSets, set_only, LOADED).wrong > 0);
    assert!(found(Mistake::LosesSets, set_only, EMPTY).wrong > 0);
    assert!(found(Mistake::TearsValues, set_only, EMPTY).wrong > 0);
    let with_deletes = Mix { set: 50, delete: 50, ..Mix::default() };
    assert!(found(Mistake::LosesDeletes, with_deletes, LOADED).wrong > 0);
    assert_eq!(found(Mistake::ShowsTwice, set_only, LOADED).duplicates, 125);
    assert!(found(Mistake::Misses, set_only, LOADED).missing > 0);
    assert_eq!(found(Mistake::Miscounts, set_only, LOADED).miscounted, 1);
}

#[test]
fn a_set_lost_while_loading_is_a_missing_key() {
    let mix = Mix { get: 100, ..Mix::default() };
    let (run, verification) =
        run_on(&Broken::boxed(Mistake::LosesSets), &scenario(mix, LOADED, 1000), 1);
    assert_eq!(verification.missing, 125);
    assert_eq!(verification.wrong, 0);
    assert!(run.misses > 0);
}

#[test]
fn an_error_of_the_store_is_handed_on() {
    let config = Config { memory_limit: Some(1000), ..Config::default() };
    let store = open(BackendKind::RwLock, &config, Global).unwrap();
    let scenario = scenario(Mix { set: 100, ..Mix::default() }, EMPTY, 1000);
    let keys = Keys::make(scenario.keys, &16.into()).unwrap();
    let error =
        run(&store, &scenario, &scenario.draw(2, 0, &keys), &RunControl::default()).unwrap_err();
    assert_eq!(error.code(), -10);
}

#[test]
fn loading_and_checking_end_when_the_watch_is_stopped() {
    let scenario = Scenario { keys: 10_000, ..Scenario::default() };
    let keys = Keys::make(10_000, &scenario.key_size).unwrap();
    let store = open(BackendKind::RwLock, &Config::default(), Global).unwrap();
    let control = RunControl::default();
    control.stop();
    load(&*store, &scenario, &keys, &[], &control).unwrap();
    assert_eq!(store.len().unwrap(), 0);
    load(&*store, &scenario, &keys, &[], &RunControl::default()).unwrap();
    assert_eq!(store.len().unwrap(), 10_000);
    let proof = Proof { scenario: &scenario, keys: &keys, streams: &[], executed: &[] };
    let before = store.stats().unwrap().operations.finds;
    proof.check(&*store, &control).unwrap();
    assert_eq!(store.stats().unwrap().operations.finds, before, "no key is looked up");
}

/// Calls at 100 a second take a hundredth of a second each, the last one too.
#[test]
fn a_fixed_rate_is_never_reported_as_more_than_was_asked_for() {
    for (rate, length, threads) in [
        (100.0, Length::Seconds(0.05), 1),
        (50.0, Length::Seconds(0.02), 2),
        (1000.0, Length::Operations(3), 1),
    ] {
        let mut scenario = scenario(Mix { get: 100, ..Mix::default() }, LOADED, 1);
        (scenario.rate, scenario.length) = (Some(rate), length);
        let (run, _) = run_on(&real(), &scenario, threads);
        let done = run.ops_per_sec();
        assert!(done <= rate * 1.000_001 && done > 0.0, "{done} of {rate}");
    }
}
