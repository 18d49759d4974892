//! Tests that the stress test passes a good store, and finds each fault that is planted in one.

use std::sync::Mutex;

use keystore::{BackendKind, Combination, Config, PoolKind};

use super::faulty::{Fault, FaultyStore};
use super::{Faults, Options, Progress, Step, Verdict, run, run_on};

const SMALL: Options = Options { threads: 8, keys_per_thread: 200, value_size: 32 };

const LOCKED: Combination = Combination { backend: BackendKind::RwLock, pool: PoolKind::System };

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
    // One thread, so that the value before the last is always the thread's own.
    let alone = Options { threads: 1, keys_per_thread: 4000, value_size: 32 };
    let found =
        run_on(&FaultyStore::new(Fault::GetReturnsTheLast), &alone, &|_| {}).unwrap().faults;
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
    // The scan reports progress only in full lots, and also shows shared keys.
    assert_eq!((steps[2].0, steps[2].1), (Step::Audit, 3200));
    assert!(steps[2].2.abs_diff(3200) <= 256, "{steps:?}");
}

#[test]
fn options_outside_their_limits_are_named() {
    let wrong = [
        (Options { threads: 0, ..SMALL }, "threads is 0: it must be from 1 to 10000"),
        (Options { threads: 10_001, ..SMALL }, "threads is 10001: it must be from 1 to 10000"),
        (
            Options { keys_per_thread: 0, ..SMALL },
            "keys per thread is 0: it must be from 1 to 10000000",
        ),
        (
            Options { value_size: 1 << 21, ..SMALL },
            "value size is 2097152: it must be at most 1048576 bytes",
        ),
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
