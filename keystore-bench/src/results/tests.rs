use std::fs;
use std::path::Path;
use std::sync::OnceLock;

use super::*;
use crate::measure::control::RunControl;
use crate::measure::limit::Pages;
use crate::measure::metrics::Spread;
use crate::measure::plan::Plan;
use crate::workload::scenario::Length;
use crate::workload::suite::{Rounds, Suite};

/// Returns the results of a real, tiny comparison, which runs once.
pub(crate) fn tiny() -> Results {
    static TINY: OnceLock<Results> = OnceLock::new();
    let compare = || {
        let plan = Plan::new(tiny_suite(), Candidate::ours()).unwrap();
        plan.run(&RunControl::default(), &mut |_| {}).unwrap()
    };
    TINY.get_or_init(compare).clone()
}

/// Returns the default suite, made tiny.
pub(crate) fn tiny_suite() -> Suite {
    let mut suite = Suite::named("quick").unwrap();
    suite.rounds = Rounds { at_most: 2, budget: None };
    for scenario in &mut suite.scenarios {
        scenario.threads.retain(|&threads| threads <= 2);
        scenario.value_size = 16.into();
        scenario.keys /= 2000;
        scenario.rounds = None;
        scenario.timeline_ms = scenario.timeline_ms.map(|_| 1);
        scenario.length = match scenario.length {
            Length::Seconds(_) => Length::Seconds(0.001),
            _ => Length::Operations(scenario.keys as u64),
        };
    }
    suite
}

#[test]
fn results_come_back_as_they_were_saved() {
    let results = tiny();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("results.json");
    results.save(&path).unwrap();
    assert!(Results::load(&path).unwrap() == results);
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "no temporary file is left");
}

#[test]
fn results_of_another_version_are_refused_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("results.json");
    fs::write(&path, "{\"schema\": 99, \"other\": true}").unwrap();
    let error = Results::load(&path).unwrap_err().to_string();
    assert!(error.starts_with(&path.display().to_string()), "{error}");
    assert!(error.ends_with("results of version 99: this version reads 3"), "{error}");
    fs::write(&path, "{\"schema\": 3}").unwrap();
    assert!(Results::load(&path).unwrap_err().to_string().contains("missing field"));
    let missing = folder.path().join("none.json");
    assert!(Results::load(&missing).unwrap_err().to_string().contains("none.json: cannot be read"));
}

#[test]
fn a_file_that_cannot_be_written_is_named() {
    let error = write_whole(Path::new("/no/such/folder/results.json"), b"x").unwrap_err();
    assert!(
        error.to_string().starts_with("/no/such/folder/results.json: cannot be written"),
        "{error}"
    );
    assert!(!error.is_usage());
}

/// Returns results of one scenario on one thread. `rounds` returns the rates of each store's
/// rounds.
fn one_run(rounds: impl Fn(usize) -> Vec<f64>) -> Results {
    let mut results = tiny();
    results.scenarios.truncate(1);
    results.scenarios[0].scenario.threads = vec![1];
    let name = results.scenarios[0].scenario.name.clone();
    results.rows.retain(|row| row.scenario == name && row.threads == 1);
    for (n, row) in results.rows.iter_mut().enumerate() {
        row.rounds = rounds(n);
        row.ops_per_sec = Spread::of(&row.rounds);
    }
    results
}

#[test]
fn the_winner_is_picked_in_some_rounds_and_tested_in_the_others() {
    let results = one_run(|n| {
        let rate = 10.0 * (n + 1) as f64;
        // The whole machine was slow in round 2. The rate of store 7 varies so much that the winner
        // is not significantly ahead of it.
        let swings = if n == 7 { [1.6, 1.0, 0.7, 1.0, 1.3] } else { [1.0, 1.01, 0.99, 1.0, 1.01] };
        (0..5).map(|round| rate * swings[round] * if round == 2 { 0.25 } else { 1.0 }).collect()
    });
    let winners = results.winners();
    assert_eq!(winners.len(), 1);
    let winner = &winners[0];
    assert_eq!(winner.best.store, results.rows[8].store);
    let level: Vec<Candidate> = winner.level().map(|row| row.store).collect();
    assert_eq!(level, [results.rows[7].store]);
    let (last, lead) = winner.others.last().unwrap();
    assert_eq!(last.store, results.rows[0].store);
    assert!((lead.unwrap().ratio - 9.0).abs() < 1e-9 && lead.unwrap().is_significant());
}

#[test]
fn a_map_of_others_that_was_fastest_is_the_winner() {
    let mut results = one_run(|n| vec![10.0 * (n + 1) as f64; 5]);
    results.rows[8].store = Candidate::Peer(crate::peers::PeerKind::Papaya);
    let winners = results.winners();
    assert_eq!(winners[0].best.store.to_string(), "papaya");
    assert_eq!(winners[0].best_of_ours().unwrap().store, results.rows[7].store);
    assert_eq!(results.ratio_to_best_peer(&results.rows[0]), Some(1.0 / 9.0));
}

#[test]
fn one_round_gives_no_ratio_and_no_winner_that_is_ahead() {
    let mut results = one_run(|n| vec![10.0 * (n + 1) as f64]);
    results.rows[0].store = Candidate::Peer(crate::peers::PeerKind::Papaya);
    assert_eq!(results.winners()[0].level().count(), 8);
    assert_eq!(results.ratio_to_best_peer(&results.rows[8]), None);
}

#[test]
fn a_lookup_that_finds_nothing_is_not_held_to_have_fetched_a_node() {
    let mut results = one_run(|_| vec![1e6; 2]);
    results.limits =
        vec![LineRate { pages: Pages::Huge, threads: 1, in_flight: 16, lines_per_sec: 1e8 }];
    let row = &mut results.rows[0];
    (row.operations, row.lookups, row.misses) = (100, 100, 0);
    let found = results.share_of_limit(&results.rows[0]).unwrap();
    results.rows[0].misses = 100;
    assert_eq!(results.rows[0].hit_ratio(), Some(0.0));
    let missed = results.share_of_limit(&results.rows[0]).unwrap();
    assert_eq!(missed, 0.01, "a line of the table");
    assert!(found > missed);
    results.rows[0].lookups = 0;
    assert_eq!(results.rows[0].hit_ratio(), None);
}

#[test]
fn growth_is_the_time_for_many_keys_over_that_for_few() {
    let mut results = tiny();
    for row in &mut results.rows {
        row.ops_per_sec.median = 100.0;
    }
    let growth = results.growth();
    assert_eq!(growth.len(), 9);
    assert_eq!((growth[0].few, growth[0].many), ((50, 0.5), (500, 5.0)));
    assert_eq!(growth[0].ratio(), 10.0);
}

#[test]
fn a_row_that_failed_verification_fails_the_results() {
    let mut results = tiny();
    results.verify().unwrap();
    results.rows[3].verification.wrong = 2;
    results.rows[5].verification.duplicates = 1;
    let error = results.verify().unwrap_err();
    assert!(!error.is_usage());
    let expected = format!("2 of {} rows failed verification; the first is ", results.rows.len());
    assert!(error.to_string().starts_with(&expected), "{error}");
    assert!(error.to_string().contains("2 wrong"), "{error}");
    for row in [3, 5] {
        results.rows[row].store = Candidate::Peer(crate::peers::PeerKind::SccHashIndex);
    }
    results.verify().unwrap();
    assert_eq!(results.peers_faults().len(), 2);
    assert!(
        results.peers_faults()[0].starts_with("scc-hashindex, "),
        "{:?}",
        results.peers_faults()
    );
}

#[test]
fn a_baseline_with_a_rate_that_is_none_or_in_another_encoding_is_refused() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let mut results = tiny();
    results.rows[0].rounds[0] = -1.0;
    results.save(file.path()).unwrap();
    let error = Results::load(file.path()).unwrap_err().to_string();
    assert!(error.contains("a rate of -1: it must be above 0"), "{error}");
    for (content, hint) in [
        (&b"\xff\xfe{\0"[..], "UTF-16"),
        (b"{\0}", "NUL"),
        (b"{\n\xff}", ":2: a byte is not UTF-8"),
    ] {
        fs::write(file.path(), content).unwrap();
        for error in [
            Results::load(file.path()).unwrap_err().to_string(),
            Suite::read(file.path()).unwrap_err().to_string(),
        ] {
            assert!(error.contains(hint), "{error}");
        }
    }
}

#[test]
fn results_that_no_run_can_have_given_are_refused_with_what_contradicts() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("results.json");
    let refused = |change: &dyn Fn(&mut Results), reason: &str| {
        let mut results = tiny();
        change(&mut results);
        results.save(&path).unwrap();
        let error = Results::load(&path).unwrap_err();
        assert!(error.is_usage() && error.to_string().contains(reason), "{reason}: {error}");
    };
    refused(&|r| r.rows[0].misses = r.rows[0].lookups + 1, "misses of");
    refused(&|r| r.rows[0].lookups = r.rows[0].operations + 1, "lookups of");
    refused(&|r| r.scenarios.clear(), "0 scenarios");
    refused(&|r| r.rows.clear(), "0 rows");
    refused(&|r| r.rows[1].rounds.clear(), "it has no rounds");
    refused(&|r| r.rows[1].rounds[0] = 0.0, "a rate of 0: it must be above 0");
    refused(&|r| r.rows[1].before = vec![-1.0], "a rate of -1: it must be above 0");
    refused(&|r| r.rows[2].ops_per_sec.median *= 2.0, "the median of its rounds is");
    refused(&|r| r.rows[2].ops_per_sec.high *= 2.0, "the high of its rounds is");
    refused(&|r| r.rows.push(r.rows[0].clone()), "there are two rows of this name");
    refused(&|r| r.rows[0].threads = 0, "no such number of threads");
    refused(&|r| r.rows[0].scenario = "other".to_owned(), "no scenario of this name");
    refused(&|r| r.rows[0].latency_ns.p50 = r.rows[0].latency_ns.max + 1, "it must not be less");
    refused(&|r| r.scenarios.push(r.scenarios[0].clone()), "two scenarios have the name");
    refused(&|r| r.scenarios[0].scenario.batch = 0, "batch is 0");
    refused(&|r| r.scenarios[0].scenario.name = "a\u{1b}b".to_owned(), "control character");
    refused(&|r| r.machine.processor = "a\u{0}b".to_owned(), "control character");
    refused(&|r| r.machine.processors = 0, "0 processors");
    refused(&|r| r.scenarios[0].harness_ns = -1.0, "harness_ns is -1");
}
