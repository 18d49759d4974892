//! The stress test passes a good store, and finds each fault that is planted in one.

use std::collections::HashMap;
use std::ops::ControlFlow;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use keystore_core::{
    BackendKind, BatchError, Change, Config, Error, Exchange, Global, Keystore, Result, RwLockKeystore,
    Stats, Update,
};
use keystore_pool::PoolKind;

use super::entry::{Family, KeyId};
use super::{Faults, Options, Progress, Step, Verdict, run, run_on};
use crate::combination::Combination;

const SMALL: Options = Options { threads: 8, keys_per_thread: 200, value_size: 32 };

const LOCKED: Combination = Combination { backend: BackendKind::RwLock, pool: PoolKind::System };

/// What a [`FaultyStore`] does wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
    None,
    /// A set says that it created the key, and does nothing.
    SetForgets,
    /// A set of one key removes another.
    SetRemovesAnother,
    /// A set stores a value with one byte changed.
    SetCorrupts,
    SetFails,
    GetReturnsAnother,
    /// A get of a register returns what it held before the last set.
    GetReturnsTheLast,
    GetPanics,
    InsertAlwaysWins,
    UpdateForgets,
    ExchangeForgets,
    ExchangeRefuses,
    DeleteForgets,
    WalkRepeats,
    WalkInvents,
    WalkSkips,
    LenIsOff,
    CallsAreMiscounted,
}

/// A store with a planted fault, which shows now and then.
struct FaultyStore {
    inner: RwLockKeystore,
    fault: Fault,
    calls: AtomicU64,
    replaced: Mutex<HashMap<Vec<u8>, Vec<u8>>>,
}

impl FaultyStore {
    fn new(fault: Fault) -> Self {
        Self {
            inner: RwLockKeystore::open(&Config::default(), Global).unwrap(),
            fault,
            calls: AtomicU64::new(0),
            replaced: Mutex::default(),
        }
    }

    /// Whether this call is one in 50 to go wrong, if this is the fault.
    fn strikes(&self, fault: Fault) -> bool {
        self.fault == fault && self.calls.fetch_add(1, Relaxed) % 50 == 7
    }
}

impl Keystore for FaultyStore {
    fn read<R>(&self, key: &[u8], visit: impl FnOnce(&[u8]) -> R) -> Result<Option<R>> {
        self.inner.read(key, visit)
    }
    fn read_dyn(&self, key: &[u8], visit: &mut dyn FnMut(&[u8])) -> Result<bool> {
        self.inner.read_dyn(key, visit)
    }
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>> {
        assert!(!self.strikes(Fault::GetPanics), "planted");
        if self.strikes(Fault::GetReturnsAnother) {
            return self.inner.get(&KeyId::own(0, 0).encode());
        }
        let got = self.inner.get(key)?;
        if self.fault == Fault::GetReturnsTheLast && key[0] == Family::Register as u8 {
            return Ok(self.replaced.lock().unwrap().get(key).cloned().or(got));
        }
        Ok(got)
    }
    fn contains(&self, key: &[u8]) -> Result<bool> {
        self.inner.contains(key)
    }
    fn set(&self, key: &[u8], value: &[u8]) -> Result<Change> {
        if self.strikes(Fault::SetForgets) {
            return Ok(Change::Created);
        }
        if self.strikes(Fault::SetFails) {
            return Err(Error::OutOfMemory { requested: value.len() });
        }
        if self.strikes(Fault::SetRemovesAnother) {
            self.inner.delete(&KeyId::own(0, 0).encode())?;
        }
        if self.strikes(Fault::SetCorrupts) {
            let mut corrupt = value.to_vec();
            *corrupt.last_mut().unwrap() ^= 1;
            return self.inner.set(key, &corrupt);
        }
        if self.fault == Fault::GetReturnsTheLast
            && let Some(replaced) = self.inner.get(key)?
        {
            self.replaced.lock().unwrap().insert(key.to_vec(), replaced);
        }
        self.inner.set(key, value)
    }
    fn insert(&self, key: &[u8], value: &[u8]) -> Result<bool> {
        let inserted = self.inner.insert(key, value)?;
        Ok(inserted || self.strikes(Fault::InsertAlwaysWins))
    }
    fn update(&self, key: &[u8], mut decide: impl FnMut(Option<&[u8]>) -> Update) -> Result<Change> {
        self.update_dyn(key, &mut decide)
    }
    fn update_dyn(&self, key: &[u8], decide: &mut dyn FnMut(Option<&[u8]>) -> Update) -> Result<Change> {
        let forgets = self.strikes(Fault::UpdateForgets);
        let mut expected = Change::Replaced;
        let change = self.inner.update_dyn(key, &mut |old| {
            expected = if old.is_some() { Change::Replaced } else { Change::Created };
            let update = decide(old);
            if forgets { Update::Keep } else { update }
        })?;
        Ok(if forgets { expected } else { change })
    }
    fn compare_exchange(&self, key: &[u8], expected: Option<&[u8]>, new: Option<&[u8]>) -> Result<Exchange> {
        if self.strikes(Fault::ExchangeForgets) {
            return Ok(Exchange::Exchanged);
        }
        if self.strikes(Fault::ExchangeRefuses) {
            return Ok(Exchange::Differs(expected.map(<[u8]>::to_vec)));
        }
        self.inner.compare_exchange(key, expected, new)
    }
    fn delete(&self, key: &[u8]) -> Result<bool> {
        if self.strikes(Fault::DeleteForgets) {
            return self.inner.contains(key);
        }
        self.inner.delete(key)
    }
    fn take(&self, key: &[u8]) -> Result<Option<Vec<u8>>> {
        self.inner.take(key)
    }
    fn read_many(&self, keys: &[&[u8]], visit: impl FnMut(usize, Option<&[u8]>)) -> Result<(), BatchError> {
        self.inner.read_many(keys, visit)
    }
    fn read_many_dyn(
        &self,
        keys: &[&[u8]],
        visit: &mut dyn FnMut(usize, Option<&[u8]>),
    ) -> Result<(), BatchError> {
        self.inner.read_many_dyn(keys, visit)
    }
    fn set_many(&self, entries: &[(&[u8], &[u8])]) -> Result<usize, BatchError> {
        self.inner.set_many(entries)
    }
    fn delete_many(&self, keys: &[&[u8]]) -> Result<usize, BatchError> {
        self.inner.delete_many(keys)
    }
    fn len(&self) -> Result<usize> {
        Ok(self.inner.len()? + usize::from(self.fault == Fault::LenIsOff))
    }
    fn for_each(&self, mut visit: impl FnMut(&[u8], &[u8]) -> ControlFlow<()>) -> Result<()> {
        self.for_each_dyn(&mut visit)
    }
    fn for_each_dyn(&self, visit: &mut dyn FnMut(&[u8], &[u8]) -> ControlFlow<()>) -> Result<()> {
        if self.fault == Fault::WalkInvents {
            let _ = visit(b"nobody set this", b"");
        }
        self.inner.for_each(|key, value| {
            if self.strikes(Fault::WalkSkips) {
                return ControlFlow::Continue(());
            }
            if self.strikes(Fault::WalkRepeats) {
                visit(key, value)?;
            }
            visit(key, value)
        })
    }
    fn retain(&self, keep: impl FnMut(&[u8], &[u8]) -> bool) -> Result<usize> {
        self.inner.retain(keep)
    }
    fn retain_dyn(&self, keep: &mut dyn FnMut(&[u8], &[u8]) -> bool) -> Result<usize> {
        self.inner.retain_dyn(keep)
    }
    fn clear(&self) -> Result<()> {
        self.inner.clear()
    }
    fn reserve(&self, additional: usize) -> Result<()> {
        self.inner.reserve(additional)
    }
    fn shrink(&self) -> Result<()> {
        self.inner.shrink()
    }
    fn table_bytes(&self) -> Result<u64> {
        self.inner.table_bytes()
    }
    fn stats(&self) -> Result<Stats> {
        let mut stats = self.inner.stats()?;
        stats.operations.finds -= u64::from(self.fault == Fault::CallsAreMiscounted);
        Ok(stats)
    }
}

fn faults(fault: Fault) -> Faults {
    run_on(&FaultyStore::new(fault), &SMALL, &|_| {}).unwrap().faults
}

#[test]
fn a_store_without_a_fault_is_clean() {
    assert_eq!(faults(Fault::None), Faults::default());
}

#[test]
fn every_planted_fault_is_found() {
    type Field = fn(&Faults) -> u64;
    let planted: [(Fault, Field); 16] = [
        (Fault::SetForgets, |faults| faults.missing),
        (Fault::SetRemovesAnother, |faults| faults.missing),
        (Fault::SetCorrupts, |faults| faults.wrong),
        (Fault::SetFails, |faults| faults.errors),
        (Fault::GetReturnsAnother, |faults| faults.wrong),
        (Fault::GetPanics, |faults| faults.errors),
        (Fault::InsertAlwaysWins, |faults| faults.duplicates),
        (Fault::UpdateForgets, |faults| faults.lost_updates),
        (Fault::ExchangeForgets, |faults| faults.lost_updates),
        (Fault::ExchangeRefuses, |faults| faults.wrong),
        (Fault::DeleteForgets, |faults| faults.wrong + faults.miscounted),
        (Fault::WalkRepeats, |faults| faults.duplicates),
        (Fault::WalkInvents, |faults| faults.unexpected),
        (Fault::WalkSkips, |faults| faults.missing),
        (Fault::LenIsOff, |faults| faults.miscounted),
        (Fault::CallsAreMiscounted, |faults| faults.miscounted),
    ];
    for (fault, field) in planted {
        let found = faults(fault);
        assert!(field(&found) > 0, "{fault:?} was not found: {found:?}");
        assert!(!found.is_clean() && !found.examples.is_empty(), "{fault:?}: {found:?}");
    }
}

#[test]
fn a_value_that_its_writer_had_replaced_is_found() {
    // Alone, so that the value before the last is always the thread's own.
    let alone = Options { threads: 1, keys_per_thread: 4000, value_size: 32 };
    let found = run_on(&FaultyStore::new(Fault::GetReturnsTheLast), &alone, &|_| {}).unwrap().faults;
    assert!(found.wrong > 0, "{found:?}");
    assert!(found.examples[0].ends_with("its own writer had replaced or removed"), "{found:?}");
}

#[test]
fn every_combination_passes_and_is_reported() {
    for combination in Combination::all() {
        let Combination { backend, pool } = combination;
        let outcome = run(combination, &Config::default(), &SMALL, &|_| {}).unwrap();
        assert_eq!(outcome.result, Verdict::Pass, "{backend} on {pool}: {:?}", outcome.faults);
        assert_eq!(outcome.latency.samples, 8 * 2 * 25);
        assert!(outcome.ops_per_sec > 0.0 && outcome.latency.p50_ns > 0);
        let json = serde_json::to_value(&outcome).unwrap();
        assert_eq!(json["backend"], backend.name());
        assert_eq!(json["pool"], pool.name());
        assert_eq!(json["missing"], 0);
        assert_eq!(json["result"], "PASS");
    }
}

#[test]
fn values_of_no_bytes_and_a_single_key_work() {
    let tiny = Options { threads: 3, keys_per_thread: 1, value_size: 0 };
    let outcome = run(LOCKED, &Config::default(), &tiny, &|_| {}).unwrap();
    assert_eq!(outcome.result, Verdict::Pass, "{:?}", outcome.faults);
}

#[test]
fn a_store_without_counters_passes_too() {
    let config = Config { counters: false, ..Config::default() };
    let outcome = run(LOCKED, &config, &SMALL, &|_| {}).unwrap();
    assert_eq!(outcome.result, Verdict::Pass, "{:?}", outcome.faults);
}

#[test]
fn progress_adds_up_to_what_each_step_announced() {
    let steps = Mutex::new(Vec::<(Step, u64, u64)>::new());
    let store = FaultyStore::new(Fault::None);
    run_on(&store, &SMALL, &|progress| {
        let mut steps = steps.lock().unwrap();
        match progress {
            Progress::Begin(step, total) => steps.push((step, total, 0)),
            Progress::Advance(done) => steps.last_mut().unwrap().2 += done,
        }
    })
    .unwrap();
    let steps = steps.into_inner().unwrap();
    assert_eq!(steps[0], (Step::OwnKeys, 1600, 1600));
    assert_eq!(steps[1], (Step::SharedKeys, 400, 400));
    // The walk tells of whole lots only, and also shows shared keys.
    assert_eq!((steps[2].0, steps[2].1), (Step::Audit, 3200));
    assert!(steps[2].2.abs_diff(3200) <= 256, "{steps:?}");
}

#[test]
fn options_outside_their_limits_are_named() {
    let wrong = [
        (Options { threads: 0, ..SMALL }, "threads is 0: it must be from 1 to 10000"),
        (Options { threads: 10_001, ..SMALL }, "threads is 10001: it must be from 1 to 10000"),
        (Options { keys_per_thread: 0, ..SMALL }, "keys per thread is 0: it must be from 1 to 10000000"),
        (Options { value_size: 1 << 21, ..SMALL }, "value size is 2097152: it must be at most 1048576 bytes"),
        (
            Options { threads: 10_000, keys_per_thread: 10_000_000, value_size: 32 },
            "threads x keys per thread x (value size + 16) is 4800000000000 bytes: it must be at most \
             68719476736 bytes (64 GiB)",
        ),
    ];
    for (options, message) in wrong {
        let error = run_on(&FaultyStore::new(Fault::None), &options, &|_| {}).unwrap_err();
        assert_eq!(error.to_string(), message);
    }
}
