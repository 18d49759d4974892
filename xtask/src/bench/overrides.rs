//! Defines the options that change the scenarios of a suite.

use std::path::{Path, PathBuf};

use keystore_bench::{Error, Length, MAX_KEYS, Mix, Result, Rounds, Scenario, Suite};

/// Options that apply to every scenario.
#[derive(Debug, Default, clap::Args)]
pub(super) struct Overrides {
    /// Read the keys from this file, one per line, instead of generating them
    #[arg(long, value_name = "FILE")]
    keys_from: Option<PathBuf>,
    /// Numbers of threads to measure, as 1,2,8
    #[arg(long, value_name = "N,…", value_delimiter = ',')]
    threads: Vec<usize>,
    /// Number of keys
    #[arg(long, value_name = "N", conflicts_with = "keys_from")]
    keys: Option<usize>,
    /// Size of a value in bytes
    #[arg(long, value_name = "BYTES")]
    value_size: Option<usize>,
    /// Start operations at a fixed rate per second over all threads, so that latencies include
    /// queueing (an open loop)
    #[arg(long, value_name = "N")]
    rate: Option<f64>,
    /// Seconds of each run, for scenarios whose length is a time
    #[arg(long, value_name = "S")]
    seconds: Option<f64>,
    /// Seconds of warm-up, for the same scenarios
    #[arg(long, value_name = "S")]
    warm_up: Option<f64>,
    /// Number of threads in the burst, for scenarios that have one
    #[arg(long, value_name = "N")]
    burst: Option<usize>,
    /// Measure exactly N rounds, without a limit of time
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    rounds: Option<u16>,
    /// Seed of the random numbers
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
}

impl Overrides {
    /// Changes every scenario of the suite. Planning validates the result, and the names of the
    /// scenarios show the changes.
    ///
    /// # Errors
    /// Returns [`Error::NoEffect`] for an option that changes no scenario. Otherwise the user would
    /// believe that the option had an effect.
    pub(super) fn apply(&self, suite: &mut Suite) -> Result<()> {
        let traced = |scenario: &Scenario| scenario.trace.is_some();
        let timed = |scenario: &Scenario| matches!(scenario.length, Length::Seconds(_));
        let any = |fits: &dyn Fn(&Scenario) -> bool| suite.scenarios.iter().any(fits);
        let drawn = any(&|scenario| !traced(scenario));
        let checks = [
            (self.keys_from.is_some(), drawn, "--keys-from", "they replay traces, which have keys"),
            (self.keys.is_some(), drawn, "--keys", "they replay traces, which have keys"),
            (
                self.value_size.is_some(),
                drawn,
                "--value-size",
                "they replay traces, which have values",
            ),
            (self.seed.is_some(), drawn, "--seed", "they replay traces, and draw nothing"),
            (self.seconds.is_some(), any(&timed), "--seconds", "they end with their operations"),
            (self.warm_up.is_some(), any(&timed), "--warm-up", "they end with their operations"),
            (
                self.burst.is_some(),
                any(&|s| s.burst.is_some()),
                "--burst",
                "they have no burst of threads",
            ),
        ];
        if let Some(&(.., option, reason)) =
            checks.iter().find(|&&(given, fits, ..)| given && !fits)
        {
            return Err(Error::NoEffect { option, reason });
        }
        for scenario in &mut suite.scenarios {
            scenario.keep_as_written();
            self.change(scenario);
        }
        if let Some(rounds) = self.rounds {
            suite.rounds = Rounds { at_most: rounds.into(), budget: None };
        }
        Ok(())
    }

    fn change(&self, scenario: &mut Scenario) {
        let traced = scenario.trace.is_some();
        if let Some(file) = &self.keys_from
            && !traced
        {
            scenario.keys_from = Some(file.clone());
            // A loaded store holds all keys of the file. A growing store grows to the number in its
            // scenario, or to the number of keys in the file if that is smaller.
            if !scenario.grows() {
                scenario.set_keys(MAX_KEYS);
            }
        }
        if !self.threads.is_empty() {
            scenario.set_threads(&self.threads);
        }
        if let Some(keys) = self.keys
            && !traced
        {
            scenario.set_keys(keys);
        }
        if let Some(bytes) = self.value_size
            && !traced
        {
            scenario.value_size = bytes.into();
        }
        if let Length::Seconds(seconds) = &mut scenario.length {
            *seconds = self.seconds.unwrap_or(*seconds);
            scenario.warm_up = self.warm_up.unwrap_or(scenario.warm_up);
        }
        if self.rounds.is_some() {
            scenario.rounds = None;
        }
        if scenario.burst.is_some() {
            scenario.burst = self.burst.or(scenario.burst);
        }
        scenario.rate = self.rate.or(scenario.rate);
        scenario.seed = self.seed.unwrap_or(scenario.seed);
    }
}

/// Returns a suite that replays a trace on an empty store.
pub(super) fn replay(trace: &Path) -> Suite {
    let name = keystore_bench::file_name(trace);
    let scenario = Scenario {
        name: name.clone(),
        about: "A recorded trace, replayed from an empty store.".to_owned(),
        mix: Mix::default(),
        preload: 0.0,
        length: Length::Once,
        threads: vec![1, 2],
        keys: MAX_KEYS,
        trace: Some(trace.to_owned()),
        ..Scenario::default()
    };
    Suite {
        name,
        about: scenario.about.clone(),
        rounds: Rounds { at_most: 5, budget: None },
        scenarios: vec![scenario],
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use keystore_bench::{Candidate, Plan, Results, RunControl};

    use super::*;

    fn changed(overrides: &Overrides, scenario: &str) -> Scenario {
        let mut suite = Suite::named("quick").unwrap();
        overrides.apply(&mut suite).unwrap();
        suite.scenarios.into_iter().find(|other| other.name == scenario).unwrap()
    }

    /// Measures some scenarios of a suite on one store.
    fn measured(overrides: &Overrides, suite: &str, scenarios: &[&str]) -> Results {
        let mut suite = Suite::named(suite).unwrap();
        suite.keep(&scenarios.iter().map(ToString::to_string).collect::<Vec<_>>()).unwrap();
        overrides.apply(&mut suite).unwrap();
        let plan = Plan::new(suite, Candidate::ours()[..1].to_vec()).unwrap();
        plan.run(&RunControl::default(), &mut |_| {}).unwrap()
    }

    fn three_words() -> tempfile::NamedTempFile {
        let file = tempfile::Builder::new().suffix("words.txt").tempfile().unwrap();
        fs::write(file.path(), "alpha\nbeta\ngamma\nbeta\n").unwrap();
        file
    }

    #[test]
    fn what_is_not_given_stays() {
        let suite = Suite::named("quick").unwrap();
        let mut same = suite.clone();
        Overrides::default().apply(&mut same).unwrap();
        same.scenarios.iter_mut().for_each(Scenario::describe_changes);
        assert_eq!(same, suite);
    }

    #[test]
    fn a_growing_store_still_gets_every_key_once() {
        let overrides = Overrides { keys: Some(500), ..Overrides::default() };
        assert_eq!(changed(&overrides, "grow to 100k").length, Length::Operations(500));
        assert_eq!(changed(&overrides, "get uniform").keys, 500);
    }

    #[test]
    fn a_file_of_few_keys_is_reported_as_growth_to_so_many_and_each_is_inserted_once() {
        let file = three_words();
        let overrides = Overrides {
            keys_from: Some(file.path().to_owned()),
            rounds: Some(1),
            threads: vec![1, 2],
            ..Overrides::default()
        };
        let results = measured(&overrides, "million", &["grow to 1M", "delete all"]);
        results.verify().unwrap();
        for (measured, name) in results.scenarios.iter().zip(["grow to 1M", "delete all"]) {
            let scenario = &measured.scenario;
            assert!(scenario.name.starts_with(&format!("{name} [3 keys of ")), "{}", scenario.name);
            assert!(scenario.name.ends_with("words.txt]"), "{}", scenario.name);
            assert_eq!((scenario.keys, scenario.length), (3, Length::Operations(3)));
        }
        assert!(
            results
                .rows
                .iter()
                .all(|row| row.operations == 3 && row.scenario.contains("[3 keys of "))
        );
    }

    #[test]
    fn more_threads_than_a_file_has_keys_to_share_out_are_refused() {
        let file = three_words();
        let keys_from = Some(file.path().to_owned());
        let overrides = Overrides { keys_from, threads: vec![8], ..Overrides::default() };
        let mut suite = Suite::named("million").unwrap();
        suite.keep(&["grow to 1M".to_owned()]).unwrap();
        overrides.apply(&mut suite).unwrap();
        let error = Plan::new(suite, Candidate::ours()).unwrap_err();
        assert!(
            error.is_usage() && error.to_string().contains("threads is 8: it must be at most 3"),
            "{error}"
        );
    }

    #[test]
    fn a_file_of_keys_fills_loaded_stores_with_all_of_it() {
        let overrides = Overrides { keys_from: Some("words".into()), ..Overrides::default() };
        assert_eq!(changed(&overrides, "get uniform").keys, MAX_KEYS);
        let growing = changed(&overrides, "grow to 100k");
        assert_eq!((growing.keys, growing.keys_from), (100_000, Some("words".into())));
    }

    #[test]
    fn every_option_that_changes_what_a_name_says_changes_the_name() {
        let overrides = Overrides {
            keys: Some(2000),
            value_size: Some(32),
            rounds: Some(1),
            seconds: Some(0.001),
            ..Overrides::default()
        };
        let results = measured(&overrides, "growth", &["grow to 10k", "get batch at 10k"]);
        let names: Vec<&str> = results.scenarios.iter().map(|m| m.scenario.name.as_str()).collect();
        assert_eq!(
            names,
            [
                "grow to 10k [2,000 keys; values of 32 B]",
                "get batch at 10k [2,000 keys; values of 32 B]"
            ]
        );
        let burst = Overrides {
            burst: Some(20),
            rounds: Some(1),
            seconds: Some(0.001),
            ..Overrides::default()
        };
        let results = measured(&burst, "burst", &["set after many threads"]);
        assert_eq!(results.scenarios[0].scenario.name, "set after many threads [after 20 threads]");
        assert!(results.rows.iter().all(|row| row.before.len() == 1 && row.rounds.len() == 1));
    }

    #[test]
    fn an_option_that_no_scenario_can_follow_is_refused() {
        let refused = |overrides: Overrides, suite: &mut Suite| {
            let error = overrides.apply(suite).unwrap_err();
            assert!(error.is_usage());
            error.to_string()
        };
        let mut trace = replay(Path::new("t.csv"));
        let said = refused(Overrides { value_size: Some(99), ..Overrides::default() }, &mut trace);
        assert_eq!(
            said,
            "--value-size changes none of these scenarios: they replay traces, which have values"
        );
        let said = refused(Overrides { keys: Some(2), ..Overrides::default() }, &mut trace);
        assert_eq!(
            said,
            "--keys changes none of these scenarios: they replay traces, which have keys"
        );
        refused(Overrides { seed: Some(1), ..Overrides::default() }, &mut trace);
        refused(Overrides { seconds: Some(1.0), ..Overrides::default() }, &mut trace);
        let mut quick = Suite::named("quick").unwrap();
        let said = refused(Overrides { burst: Some(9), ..Overrides::default() }, &mut quick);
        assert!(said.starts_with("--burst changes none of these scenarios"), "{said}");
    }

    #[test]
    fn seconds_and_rounds_hold_for_all_that_have_them() {
        let overrides = Overrides {
            seconds: Some(0.5),
            warm_up: Some(0.1),
            rounds: Some(7),
            threads: vec![4, 1, 4],
            ..Overrides::default()
        };
        let scenario = changed(&overrides, "get uniform");
        assert_eq!((scenario.length, scenario.warm_up), (Length::Seconds(0.5), 0.1));
        assert_eq!(scenario.threads, [1, 4]);
        let growing = changed(&overrides, "grow to 1M");
        assert_eq!(
            (growing.length, growing.warm_up, growing.rounds),
            (Length::Operations(1_000_000), 0.0, None)
        );
    }

    #[test]
    fn a_trace_is_a_suite_of_one_valid_scenario() {
        let suite = replay(Path::new("folder/cluster.csv"));
        assert_eq!(suite.name, "cluster.csv");
        suite.scenarios[0].validate().unwrap();
    }
}
