//! Tests that the check passes good stores, and finds each fault that is planted in one.

use std::time::{Duration, Instant};

use keystore::{AnyPool, Change, Combination, Config, open};

use super::history::{self, Event};
use super::register::{Operation, Value};
use super::{Checked, Options, Yielding, check};
use crate::stress::faulty::{Fault, FaultyStore};
use crate::value::Stamp;

/// Checks a faulty store until the fault is found, or for far longer than finding it takes.
fn found(fault: Fault) -> Checked {
    let options = Options { keys: 2, ..Options::default() };
    check(&FaultyStore::new(fault), &options, Instant::now() + Duration::from_secs(60)).unwrap()
}

fn value(thread: usize, sequence: u64) -> Value {
    Value::Whole(Stamp::new(thread, sequence))
}

/// Returns calls with these numbers, each on a separate thread.
fn events(calls: &[(u64, u64, Operation)]) -> Vec<Event> {
    let event =
        |(thread, &(called, returned, operation))| Event { thread, called, returned, operation };
    calls.iter().enumerate().map(event).collect()
}

fn holds(begin: Value, calls: &[(u64, u64, Operation)]) -> bool {
    history::check(b"key", begin, &events(calls)).violation.is_none()
}

#[test]
fn lost_updates_are_found() {
    for fault in
        [Fault::UpdateRaces, Fault::UpdateForgets, Fault::ExchangeForgets, Fault::SetForgets]
    {
        assert!(!found(fault).violations.is_empty(), "{fault:?}");
    }
}

#[test]
fn stale_reads_are_found() {
    assert!(!found(Fault::ReadsLookAtACopy).violations.is_empty());
}

#[test]
fn double_inserts_are_found() {
    for fault in [Fault::InsertRaces, Fault::InsertAlwaysWins] {
        assert!(!found(fault).violations.is_empty(), "{fault:?}");
    }
}

#[test]
fn resurrected_keys_are_found() {
    for fault in [Fault::MovesRace, Fault::DeleteForgets] {
        assert!(!found(fault).violations.is_empty(), "{fault:?}");
    }
}

#[test]
fn errors_torn_values_and_lost_passers_by_are_found() {
    for fault in [Fault::SetFails, Fault::SetCorrupts, Fault::ExchangeRefuses] {
        assert!(!found(fault).violations.is_empty(), "{fault:?}");
    }
}

#[test]
#[should_panic(expected = "planted")]
fn a_panic_ends_the_check_and_is_passed_on() {
    found(Fault::GetPanics);
}

#[test]
fn every_combination_passes() {
    for combination in Combination::all() {
        let config = Config { initial_buckets: 1, ..Config::default() };
        let pool = AnyPool::new(combination.pool, &config).unwrap();
        let store = open(combination.backend, &config, Yielding(pool)).unwrap();
        let end = Instant::now() + Duration::from_millis(150);
        let checked = check(&*store, &Options::default(), end).unwrap();
        let violations: Vec<_> = checked.violations.iter().map(ToString::to_string).collect();
        assert!(checked.passed(), "{combination}: {} lost, {violations:?}", checked.lost);
        assert_eq!(checked.histories % 4, 0);
        assert!(checked.operations >= 4 * 128, "{checked:?}");
        assert!(checked.resizes > 0 && checked.passers_by > 0, "{combination}: {checked:?}");
    }
}

#[test]
fn calls_that_overlap_may_take_effect_in_either_order() {
    let set = |sequence| Operation::Set { new: value(0, sequence), change: None };
    let both = [(0, 5, set(1)), (1, 4, set(2))];
    for last in [1, 2] {
        assert!(holds(
            Value::Absent,
            &[&both[..], &[(6, 7, Operation::Read(value(0, last)))]].concat()
        ));
    }
    let neither = Operation::Read(Value::Absent);
    assert!(!holds(Value::Absent, &[&both[..], &[(6, 7, neither)]].concat()));
    // If the calls do not overlap, the second write replaces the first value.
    let after = [(0, 1, set(1)), (2, 3, set(2)), (4, 5, Operation::Read(value(0, 1)))];
    assert!(!holds(Value::Absent, &after));
}

#[test]
fn a_read_may_not_go_back_in_time() {
    let set = Operation::Set { new: value(0, 1), change: Some(Change::Created) };
    let [new, old] = [Operation::Read(value(0, 1)), Operation::Read(Value::Absent)];
    assert!(holds(Value::Absent, &[(0, 9, set), (1, 2, old), (3, 4, new)]));
    assert!(!holds(Value::Absent, &[(0, 9, set), (1, 2, new), (3, 4, old)]));
}

#[test]
fn each_verb_is_held_to_its_answer() {
    let (held, other) = (value(1, 1), value(2, 2));
    let right = [
        Operation::Read(held),
        Operation::Contains(true),
        Operation::Set { new: other, change: Some(Change::Replaced) },
        Operation::Insert { new: other, inserted: false },
        Operation::Update { seen: held, new: held, change: Change::Kept },
        Operation::Update { seen: held, new: Value::Absent, change: Change::Deleted },
        Operation::Exchange { expected: held, new: other, differs: None },
        Operation::Exchange { expected: other, new: Value::Absent, differs: Some(held) },
        Operation::Delete { present: Some(true) },
        Operation::Delete { present: None },
        Operation::Take(held),
    ];
    let wrong = [
        Operation::Read(other),
        Operation::Read(Value::Broken),
        Operation::Contains(false),
        Operation::Set { new: other, change: Some(Change::Created) },
        Operation::Insert { new: other, inserted: true },
        Operation::Update { seen: other, new: held, change: Change::Replaced },
        Operation::Update { seen: held, new: Value::Absent, change: Change::Kept },
        Operation::Exchange { expected: other, new: held, differs: None },
        Operation::Exchange { expected: held, new: other, differs: Some(held) },
        Operation::Delete { present: Some(false) },
        Operation::Take(Value::Absent),
        Operation::Failed { verb: "set", code: -10 },
    ];
    for operation in right {
        assert!(holds(held, &[(0, 1, operation)]), "{operation}");
        let left = operation.leaves();
        // The next call finds the value that this one left.
        if let Some(left) = left {
            assert!(
                holds(held, &[(0, 1, operation), (2, 3, Operation::Read(left))]),
                "{operation}"
            );
        }
    }
    for operation in wrong {
        assert!(!holds(held, &[(0, 1, operation)]), "{operation}");
    }
}

#[test]
fn a_history_is_cut_and_no_fault_is_lost_at_a_cut() {
    // Sets that do not overlap, with reads between them: pieces end where the value is known.
    let calls: Vec<(u64, u64, Operation)> = (0..400)
        .map(|n| {
            let operation = match n % 2 {
                0 => Operation::Set { new: value(0, n), change: None },
                _ => Operation::Read(value(0, n - 1)),
            };
            (2 * n, 2 * n + 1, operation)
        })
        .collect();
    let outcome = history::check(b"key", Value::Absent, &events(&calls));
    assert!(outcome.violation.is_none());
    assert!(outcome.longest < 40, "{}", outcome.longest);
    for fault in 0..calls.len() {
        let mut calls = calls.clone();
        calls[fault].2 = Operation::Read(value(7, 7));
        assert!(!holds(Value::Absent, &calls), "call {fault}");
    }
}

#[test]
fn a_violation_is_printed_call_by_call() {
    let calls = [
        (0, 1, Operation::Set { new: value(0, 1), change: Some(Change::Created) }),
        (2, 3, Operation::Read(Value::Absent)),
    ];
    let violation = history::check(b"hot0", Value::Absent, &events(&calls)).violation.unwrap();
    let text = violation.to_string();
    let lines: Vec<&str> = text.lines().map(str::trim).collect();
    assert_eq!(
        lines[0],
        "no order of these calls on the key \"hot0\" explains all answers; before them it holds nothing:"
    );
    assert_eq!(lines[2], "0          1       0  set to value 1 of thread 0: Created");
    assert_eq!(lines[3], "2          3       1  read: nothing");
}

#[test]
fn options_outside_their_limits_are_named() {
    let wrong = [
        (Options { threads: 1, ..Options::default() }, "threads is 1: it must be from 2 to 256"),
        (Options { keys: 0, ..Options::default() }, "keys is 0: it must be from 1 to 64"),
        (Options { calls: 5000, ..Options::default() }, "calls is 5000: it must be from 1 to 4096"),
    ];
    for (options, message) in wrong {
        let error = check(&FaultyStore::new(Fault::None), &options, Instant::now()).unwrap_err();
        assert_eq!(error.to_string(), message);
    }
}
