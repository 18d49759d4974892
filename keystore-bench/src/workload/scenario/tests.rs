use super::*;
use crate::workload::size::Between;

fn sample() -> Scenario {
    Scenario {
        name: "sample".to_owned(),
        mix: Mix { get: 50, set: 30, delete: 20, ..Mix::default() },
        ..Scenario::default()
    }
}

#[test]
fn a_mix_that_does_not_add_up_is_named() {
    let mut scenario = sample();
    scenario.validate().unwrap();
    scenario.mix.get = 49;
    let error = scenario.validate().unwrap_err();
    assert_eq!(
        error.to_string(),
        "scenario \"sample\": the sum of the mix is 99: it must be 100 percent"
    );
    assert!(error.is_usage());
}

#[test]
fn a_number_of_threads_that_is_given_twice_counts_once() {
    let text = "name = \"twice\"\nmix = { get = 100 }\nthreads = [2, 1, 2, 1, 1]";
    let mut scenario: Scenario = toml::from_str(text).unwrap();
    assert_eq!(scenario.threads, [2, 1]);
    scenario.set_threads(&[4, 1, 4]);
    assert_eq!(scenario.threads, [1, 4]);
}

#[test]
fn a_field_outside_its_limits_is_named() {
    let named = |change: fn(&mut Scenario), field: &str| {
        let mut scenario = sample();
        change(&mut scenario);
        let error = scenario.validate().unwrap_err().to_string();
        assert!(error.contains(&format!(": {field} is ")), "{error}");
    };
    named(|s| s.name = " ".to_owned(), "name");
    named(|s| s.threads = vec![], "threads");
    named(|s| s.threads = vec![1, 0], "threads");
    named(|s| s.keys = 0, "keys");
    named(|s| s.value_size = 15.into(), "value_size");
    named(|s| s.key_size = 0.into(), "key_size");
    named(|s| s.key_size = Size::Between(Between { min: 4, max: 9 }), "key_size");
    named(|s| s.batch = 0, "batch");
    named(|s| s.preload = 1.5, "preload");
    named(|s| s.rate = Some(0.0), "rate");
    named(|s| s.rounds = Some(0), "rounds");
    named(|s| s.time_every = 0, "time_every");
    named(|s| s.timeline_ms = Some(0), "timeline_ms");
    named(|s| s.warm_up = -1.0, "warm_up");
    named(|s| (s.warm_up, s.length) = (1.0, Length::Operations(10)), "warm_up");
    named(|s| s.length = Length::Seconds(f64::NAN), "seconds");
    named(|s| s.length = Length::Operations(0), "operations");
    named(|s| s.length = Length::Once, "length");
    named(|s| s.distribution = KeyDistribution::Latest, "length");
    named(|s| s.distribution = KeyDistribution::Zipfian { theta: -1.0 }, "distribution");
    named(|s| s.distribution = KeyDistribution::HotSet { keys: 0, operations: 5 }, "distribution");
    named(|s| s.distribution = KeyDistribution::Bursty { recent: 101 }, "distribution");
    named(|s| s.config.initial_buckets = 3, "config");
    named(|s| s.trace = Some("t.csv".into()), "mix");
    named(
        |s| (s.trace, s.mix, s.keys_from) = (Some("t".into()), Mix::default(), Some("k".into())),
        "keys_from",
    );
}

#[test]
fn a_scenario_is_data() {
    let text = serde_json::to_string(&sample()).unwrap();
    assert_eq!(serde_json::from_str::<Scenario>(&text).unwrap(), sample());
    let error =
        serde_json::from_str::<Scenario>(&text.replacen("\"mix\"", "\"mox\"", 1)).unwrap_err();
    assert!(error.to_string().contains("unknown field `mox`"), "{error}");
    assert_eq!(
        serde_json::from_str::<Scenario>("{\"name\": \"default\", \"mix\": {\"get\": 100}}")
            .unwrap(),
        Scenario::default()
    );
}

#[test]
fn what_contradicts_the_number_of_keys_is_refused() {
    let growing = Scenario {
        name: "grow".to_owned(),
        mix: Mix { insert: 100, ..Mix::default() },
        distribution: KeyDistribution::Sequential,
        preload: 0.0,
        length: Length::Operations(1_000_000),
        keys: 3,
        ..Scenario::default()
    };
    let error = growing.validate().unwrap_err().to_string();
    let expected =
        "scenario \"grow\": operations is 1000000: it must be at most 3, the number of keys";
    assert!(error.starts_with(expected), "{error}");
    let crowded = Scenario { length: Length::Operations(3), threads: vec![1, 8], ..growing };
    let error = crowded.validate().unwrap_err().to_string();
    assert!(error.contains("threads is 8: it must be at most 3"), "{error}");
    let nobody = Scenario { burst: Some(9), preload: 0.0, ..sample() };
    assert!(nobody.validate().unwrap_err().to_string().contains("burst is 9"));
    let many = Scenario { burst: Some(MAX_THREADS + 1), ..sample() };
    assert!(many.validate().unwrap_err().to_string().contains("from 1 to 4096 threads"));
}

#[test]
fn a_changed_scenario_says_so_in_its_name_and_its_description() {
    let mut scenario = Scenario { about: "About.".to_owned(), threads: vec![1, 2], ..sample() };
    let same = scenario.clone();
    scenario.keep_as_written();
    scenario.describe_changes();
    assert_eq!(scenario, same, "nothing was changed");

    scenario.keep_as_written();
    scenario.set_keys(1234);
    scenario.keys_from = Some("folder/wo\u{1b}rds.txt".into());
    scenario.value_size = 200.into();
    scenario.batch = 8;
    scenario.threads = vec![4];
    scenario.rate = Some(500.0);
    scenario.keep_as_written();
    scenario.describe_changes();
    assert_eq!(scenario.name, "sample [1,234 keys of wo?rds.txt; values of 200 B; batches of 8]");
    assert_eq!(
        scenario.about,
        "About. Changed: 1,234 keys of wo?rds.txt; values of 200 B; batches of 8; threads 4; \
         500 operations a second."
    );
    assert_eq!(scenario.as_written, None);
}

#[test]
fn a_scenario_that_takes_each_key_once_keeps_doing_so() {
    let mut once = Scenario { length: Length::Operations(100_000), ..sample() };
    once.keep_as_written();
    once.set_keys(3);
    assert_eq!((once.keys, once.length), (3, Length::Operations(3)));
    once.describe_changes();
    assert_eq!(once.name, "sample [3 keys]");
    let mut other = Scenario { length: Length::Operations(7), ..sample() };
    other.set_keys(3);
    assert_eq!(other.length, Length::Operations(7));
}

#[test]
fn a_mix_prints_what_it_holds() {
    assert_eq!(sample().mix.to_string(), "50 % get, 30 % set, 20 % delete");
}
