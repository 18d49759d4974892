use super::*;
use crate::results::tests::{tiny, tiny_suite};
use crate::workload::keys::KeySource;
use crate::workload::keys::Keys;
use crate::workload::size::Size;
use crate::workload::trace::Trace;

#[test]
fn every_combination_runs_every_scenario_and_holds_what_it_should() {
    let results = tiny();
    results.verify().unwrap();
    assert!(!results.interrupted);
    assert_eq!(results.candidates(), Candidate::ours());
    let runs: usize =
        results.scenarios.iter().map(|measured| measured.scenario.threads.len()).sum();
    assert_eq!(results.rows.len(), 9 * runs);
    let outline = Plan::new(tiny_suite(), Candidate::ours()).unwrap().outline();
    let named = |results: &Results| -> Vec<(Candidate, String, usize)> {
        results.rows.iter().map(|row| (row.store, row.scenario.clone(), row.threads)).collect()
    };
    assert_eq!(named(&outline), named(&results), "what was planned is what was measured");
    for row in &results.rows {
        let scenario = &results.measured(&row.scenario).unwrap().scenario;
        assert_eq!(row.rounds.len(), scenario.rounds.unwrap_or(2), "{row:?}");
        assert!(row.ops_per_sec.median > 0.0 && row.latency_ns.samples > 0, "{row:?}");
        if scenario.mix.delete == 0 {
            assert_eq!(row.memory.entries, scenario.keys as u64, "{row:?}");
            assert!(row.memory.node_bytes > 0 && row.memory.table_bytes > 0, "{row:?}");
        }
        assert_eq!(row.verification.checked, (row.rounds.len() * scenario.keys) as u64);
        assert_eq!(row.timeline.is_empty(), scenario.timeline_ms.is_none(), "{row:?}");
    }
    assert!(results.scenarios.iter().all(|measured| measured.harness_ns > 0.0));
    assert!(results.limits.iter().any(|limit| limit.in_flight == 16));
}

#[test]
#[cfg(target_os = "linux")]
fn a_store_that_no_machine_can_hold_is_refused_before_anything_is_measured() {
    let mut suite = tiny_suite();
    // The keys are few, but the values take 4 PiB.
    suite.scenarios[0].keys = 1 << 20;
    suite.scenarios[0].value_size = Size::Fixed(keystore::MAX_VALUE_LEN);
    let error = Plan::new(suite, Candidate::ours()).map(drop).unwrap_err().to_string();
    assert!(error.contains("keys is 1048576") && error.contains("45035"), "{error}");
}

#[test]
fn a_budget_ends_the_rounds_and_the_first_always_runs() {
    let mut suite = tiny_suite();
    let candidates = || Candidate::ours()[..1].to_vec();
    suite.rounds = Rounds { at_most: 1000, budget: Some(Duration::ZERO) };
    let plan = Plan::new(suite.clone(), candidates()).unwrap();
    assert_eq!(plan.run(&RunControl::default(), &mut |_| {}).unwrap().rounds(), 1);
    suite.rounds = Rounds { at_most: 2, budget: Some(Duration::from_secs(3600)) };
    let plan = Plan::new(suite, candidates()).unwrap();
    let mut seen = Vec::new();
    let results = plan
        .run(&RunControl::default(), &mut |progress| seen.push((progress.runs, progress.round)))
        .unwrap();
    assert_eq!(results.rounds(), 2);
    let runs = plan.runs();
    assert_eq!(seen.len(), runs);
    assert_eq!(seen[0], ((0, runs), (1, 2)));
    assert_eq!(seen[runs - 1], ((runs - 1, runs), (2, 2)));
}

#[test]
fn what_was_measured_before_an_interruption_is_kept() {
    let plan = Plan::new(tiny_suite(), Candidate::ours()).unwrap();
    let control = RunControl::default();
    let results = plan
        .run(&control, &mut |progress| {
            if progress.runs.0 == 4 {
                control.stop();
            }
        })
        .unwrap();
    assert!(results.interrupted);
    assert_eq!(results.rows.iter().map(|row| row.rounds.len()).sum::<usize>(), 4);
    results.verify().unwrap();
}

#[test]
fn a_scenario_with_a_burst_is_measured_before_it_and_after_it_and_bursts_come_last() {
    let mut suite = tiny_suite();
    suite.scenarios.truncate(2);
    suite.scenarios[0].burst = Some(20);
    let (burst, plain) = (suite.scenarios[0].name.clone(), suite.scenarios[1].name.clone());
    let plan = Plan::new(suite, Candidate::ours()[..2].to_vec()).unwrap();
    let mut order = Vec::new();
    let results = plan
        .run(&RunControl::default(), &mut |progress| order.push(progress.scenario.to_owned()))
        .unwrap();
    results.verify().unwrap();
    assert_eq!(order.len(), plan.runs());
    for row in &results.rows {
        let expected = if row.scenario == burst { 2 } else { 0 };
        assert_eq!((row.rounds.len(), row.before.len()), (2, expected), "{row:?}");
        assert_eq!(row.ratio_to_before().is_some(), row.scenario == burst);
    }
    let last_plain = order.iter().rposition(|name| *name == plain).unwrap();
    let after = order.iter().skip(last_plain + 1).filter(|name| **name == burst).count();
    assert_eq!(
        after,
        2 * 2 * 2,
        "two stores, two numbers of threads, two rounds, after everything else"
    );
}

#[test]
fn a_trace_of_misses_says_that_nothing_was_found() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let lines: String = (0..500).map(|n| format!("{n},key{n},6,0,1,get,0\n")).collect();
    std::fs::write(file.path(), lines).unwrap();
    let mut suite = tiny_suite();
    suite.scenarios = vec![Scenario {
        name: "misses".to_owned(),
        trace: Some(file.path().to_owned()),
        mix: crate::Mix::default(),
        length: Length::Once,
        preload: 0.0,
        ..Scenario::default()
    }];
    let plan = Plan::new(suite, Candidate::ours()).unwrap();
    let results = plan.run(&RunControl::default(), &mut |_| {}).unwrap();
    for row in &results.rows {
        assert_eq!(
            (row.lookups, row.misses, row.hit_ratio()),
            (1000, 1000, Some(0.0)),
            "two rounds of 500"
        );
    }
    assert!(
        crate::report::text(&results)
            .contains("Lookups of misses [500 keys] found their key in 0 % of all cases")
    );
}

#[test]
fn a_trace_is_replayed_on_every_store_and_checked() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let sampled = Scenario {
        mix: crate::Mix {
            get: 50,
            set: 20,
            insert: 10,
            update: 10,
            delete: 10,
            ..Default::default()
        },
        length: Length::Operations(3000),
        keys: 200,
        ..Scenario::default()
    };
    let keys = Keys::make(200, &16.into()).unwrap();
    Trace::write_sample(file.path(), &sampled, &keys).unwrap();
    let mut suite = tiny_suite();
    suite.scenarios = vec![Scenario {
        name: "replayed".to_owned(),
        trace: Some(file.path().to_owned()),
        mix: crate::Mix::default(),
        length: Length::Once,
        preload: 0.0,
        threads: vec![1, 3],
        ..Scenario::default()
    }];
    let results = Plan::new(suite, Candidate::ours())
        .unwrap()
        .run(&RunControl::default(), &mut |_| {})
        .unwrap();
    results.verify().unwrap();
    assert_eq!(results.rows.len(), 18);
    assert_eq!(results.scenarios[0].keys, KeySource::Trace { path: file.path().to_owned() });
    assert!(results.scenarios[0].scenario.keys <= 200);
}

#[test]
fn a_file_of_keys_gives_what_it_has() {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), "alpha\nbeta\ngamma\n").unwrap();
    let mut suite = tiny_suite();
    suite.scenarios.truncate(1);
    suite.scenarios[0].keys_from = Some(file.path().to_owned());
    let plan = Plan::new(suite.clone(), Candidate::ours()).unwrap();
    let results = plan.run(&RunControl::default(), &mut |_| {}).unwrap();
    results.verify().unwrap();
    assert_eq!(results.scenarios[0].scenario.keys, 3);
    assert_eq!(results.scenarios[0].scenario.name, "get uniform [3 keys]", "50 were asked for");
    assert!(results.rows.iter().all(|row| row.hit_ratio() == Some(1.0)));
    suite.scenarios[0].keys_from = Some("/no/such/words".into());
    let error = Plan::new(suite, Candidate::ours()).unwrap_err();
    assert!(error.is_usage() && error.to_string().starts_with("/no/such/words"), "{error}");
}

#[test]
fn what_was_measured_before_a_failure_is_kept() {
    let mut suite = tiny_suite();
    suite.scenarios.truncate(2);
    suite.rounds.at_most = 1;
    suite.scenarios[1].config.memory_limit = Some(300);
    let (first, second) = (suite.scenarios[0].name.clone(), suite.scenarios[1].name.clone());
    let first_only = suite.scenarios[0].threads.len();
    let plan = Plan::new(suite.clone(), Candidate::ours()[..1].to_vec()).unwrap();
    let error = plan.run(&RunControl::default(), &mut |_| {}).unwrap_err();
    assert!(error.to_string().contains(&second) && !error.is_usage(), "{error}");
    let Error::Unfinished { results, source } = error else { panic!("{error}") };
    assert!(matches!(*source, Error::Store { .. }), "{source}");
    assert!(results.interrupted && results.rows.len() == first_only);
    assert!(results.rows.iter().all(|row| row.scenario == first));

    suite.scenarios.remove(0);
    let plan = Plan::new(suite, Candidate::ours()[..1].to_vec()).unwrap();
    let error = plan.run(&RunControl::default(), &mut |_| {}).unwrap_err();
    assert!(matches!(error, Error::Store { .. }), "nothing was measured: {error}");
}

#[test]
fn a_change_cannot_give_two_scenarios_one_name() {
    let mut suite = tiny_suite();
    suite.scenarios.truncate(2);
    suite.scenarios[0].name = "a".to_owned();
    suite.scenarios[1].name = "a [3 keys]".to_owned();
    suite.scenarios[0].keep_as_written();
    suite.scenarios[0].set_keys(3);
    let error = Plan::new(suite, Candidate::ours()).unwrap_err();
    assert!(error.is_usage() && error.to_string().contains("\"a [3 keys]\""), "{error}");
}
