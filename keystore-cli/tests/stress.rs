//! Tests of `keystore stress`, run as a user runs it.

mod common;

use std::collections::BTreeSet;

use common::keystore;
use serde_json::Value;

const SMALL: [&str; 5] = ["stress", "--threads", "20", "--keys", "50"];

#[test]
fn json_has_one_object_a_line_for_each_of_the_nine() {
    let ran = keystore(&[&SMALL[..], &["--json"]].concat());
    assert_eq!((ran.code, ran.err.as_str()), (Some(0), ""), "{ran:?}");
    let objects: Vec<Value> =
        ran.out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let combinations: BTreeSet<_> = objects
        .iter()
        .map(|object| (object["backend"].as_str().unwrap(), object["pool"].as_str().unwrap()))
        .collect();
    assert_eq!((objects.len(), combinations.len()), (9, 9));
    for object in &objects {
        assert_eq!(object["threads"], 20);
        assert_eq!(object["keys_per_thread"], 50);
        assert_eq!(object["value_size"], 32);
        for fault in ["missing", "wrong", "duplicates", "leaked_nodes", "miscounted"] {
            assert_eq!(object[fault], 0, "{fault}: {object}");
        }
        assert!(object["ops_per_sec"].as_f64().unwrap() > 0.0);
        assert!(object["latency"]["p99_ns"].as_u64() >= object["latency"]["p50_ns"].as_u64());
        assert!(object["stats"]["entries"]["count"].as_u64().unwrap() > 1000);
        assert_eq!(object["result"], "PASS");
    }
}

#[test]
fn the_report_has_what_the_predecessor_printed_and_more() {
    let ran = keystore(
        &[&SMALL[..], &["--backend", "epoch", "--pool", "arena", "--value-size", "100"]].concat(),
    );
    assert_eq!(ran.code, Some(0), "{ran:?}");
    for line in [
        "Starting concurrency stress test: backend epoch, pool arena",
        "Total threads: 20",
        "Number of keys per thread: 50",
        "Value size: 100 bytes",
        "Key missing after set: 0",
        "Wrong values: 0",
        "Duplicate keys: 0",
        "Keys",
        "Buckets",
        "Pool",
        "Operations",
        "Result: PASS",
    ] {
        assert!(ran.out.lines().any(|printed| printed == line), "{line:?} is not in\n{}", ran.out);
    }
    for part in ["Operations per second: ", "Latency: average ", ", p50 ", ", p95 ", ", p99 "] {
        assert!(ran.out.contains(part), "{part:?} is not in\n{}", ran.out);
    }
    assert!(!ran.out.contains("combinations"), "one combination needs no summary");
}

#[test]
fn all_pools_of_one_backend_are_summarised() {
    let ran = keystore(&[&SMALL[..], &["--backend", "rwlock"]].concat());
    assert_eq!(ran.code, Some(0), "{ran:?}");
    // One line for each combination, then the table.
    let lines: Vec<&str> = ran.out.lines().collect();
    for (line, pool) in lines.iter().zip(["slab", "arena", "system"]) {
        assert_eq!(*line, format!("rwlock on {pool}: PASS"));
        let row = lines.iter().rev().find(|row| row.contains(pool)).unwrap();
        assert!(row.trim_start().starts_with("rwlock") && row.contains("PASS"), "{row}");
    }
    assert!(lines.len() < 16 && ran.out.contains("Mops/s"), "{}", ran.out);
    assert!(ran.out.ends_with("3 of 3 combinations passed\n"), "{}", ran.out);
}

#[test]
fn everything_is_told_of_each_combination_if_that_is_asked_for() {
    let ran = keystore(&[&SMALL[..], &["--pool", "arena", "--verbose"]].concat());
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert_eq!(ran.out.matches("Result: PASS").count(), 3);
    assert_eq!(ran.out.matches("Operations per second: ").count(), 3);
    assert!(
        ran.out.contains("Mops/s") && ran.out.ends_with("3 of 3 combinations passed\n"),
        "{}",
        ran.out
    );
}

#[test]
fn a_store_can_be_opened_small_and_preallocated() {
    let sizes =
        ["--backend", "dashmap", "--pool", "slab", "--buckets", "1", "--preallocation", "1"];
    let ran = keystore(&[&SMALL[..], &sizes].concat());
    assert_eq!(ran.code, Some(0), "{ran:?}");
}

/// Checks for an error message: without the check in the command, the system would kill the process
/// when a thread cannot allocate its signal stack.
#[cfg(target_os = "linux")]
#[test]
fn threads_that_the_address_space_has_no_room_for_are_refused() {
    for kilobytes in [150_000, 300_000, 400_000, 500_000] {
        let script = format!(
            "ulimit -v {kilobytes}; exec \"$0\" stress --threads 2000 --keys 10 --backend epoch --pool slab"
        );
        let mut command = std::process::Command::new("bash");
        command.args(["-c", &script, env!("CARGO_BIN_EXE_keystore")]);
        command.stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped());
        let ran = common::run(command, b"");
        assert_eq!(ran.code, Some(1), "{ran:?}");
        let limit = format!("limited to {} bytes", kilobytes * 1024);
        // The smallest limit is below the minimum of the command.
        let reason =
            if kilobytes == 150_000 { "this command needs" } else { "2000 threads do not fit" };
        assert!(ran.err.contains(reason) && ran.err.contains(&limit), "{}", ran.err);
    }
}

/// What the allocator has reserved at the start differs from limit to limit. A thread needs little.
#[cfg(target_os = "linux")]
#[test]
fn fifty_threads_fit_any_address_space_that_the_command_fits() {
    for kilobytes in [200_000, 300_000, 350_000, 500_000, 700_000, 1_000_000, 2_000_000] {
        let script = format!(
            "ulimit -v {kilobytes}; exec \"$0\" stress --threads 50 --keys 10 --backend epoch --pool slab"
        );
        let mut command = std::process::Command::new("bash");
        command.args(["-c", &script, env!("CARGO_BIN_EXE_keystore")]);
        command.stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped());
        let ran = common::run(command, b"");
        assert_eq!(ran.code, Some(0), "{kilobytes}: {ran:?}");
    }
}

#[test]
fn wrong_arguments_are_named_and_exit_with_2() {
    let wrong: [(&[&str], &[&str]); 12] = [
        (&["--backend", "btree"], &["btree", "rwlock", "epoch", "dashmap", "all"]),
        (&["--pool", "heap"], &["heap", "slab", "arena", "system", "all"]),
        (&["--threads", "0"], &["0", "1..=10000"]),
        (&["--threads", "10001"], &["10001", "1..=10000"]),
        (&["--threads", "many"], &["many"]),
        (&["--keys", "0"], &["0", "1..=10000000"]),
        (&["--value-size", "2000000"], &["2000000", "0..=1048576"]),
        (&["--buckets", "3"], &["'3'", "a power of two from 1 to"]),
        (&["--preallocation", "1.5"], &["1.5", "from 0 to 1"]),
        (&["--threads", "10000", "--keys", "10000000"], &["4800000000000 bytes", "64 GiB"]),
        (&["--colour"], &["--colour"]),
        (&["epoch"], &["epoch"]),
    ];
    for (arguments, named) in wrong {
        let ran = keystore(&[&["stress"], arguments].concat());
        assert_eq!((ran.code, ran.out.as_str()), (Some(2), ""), "{arguments:?}: {ran:?}");
        for name in named {
            assert!(ran.err.contains(name), "{arguments:?} must name {name}: {}", ran.err);
        }
    }
}

#[test]
fn no_command_at_all_shows_the_help() {
    let ran = keystore(&[]);
    assert_eq!(ran.code, Some(2));
    assert!(
        ["stress", "load", "shell"].iter().all(|command| ran.err.contains(command)),
        "{}",
        ran.err
    );
}
