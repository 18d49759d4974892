//! What the command line changes in the scenarios of a suite.

use std::path::{Path, PathBuf};

use keystore_bench::{Length, MAX_KEYS, Mix, Rounds, Scenario, Suite};

/// Options that hold for every scenario.
#[derive(Debug, Default, clap::Args)]
pub(super) struct Overrides {
    /// Take the keys from this file, one a line, instead of making them
    #[arg(long, value_name = "FILE")]
    keys_from: Option<PathBuf>,
    /// Numbers of threads, as 1,2,8
    #[arg(long, value_name = "N,…", value_delimiter = ',')]
    threads: Vec<usize>,
    /// The number of keys
    #[arg(long, value_name = "N", conflicts_with = "keys_from")]
    keys: Option<usize>,
    /// Bytes of a value
    #[arg(long, value_name = "BYTES")]
    value_size: Option<usize>,
    /// Operations a second, at a fixed rate, over all threads: latencies then tell what those wait who do not wait for each
    /// other
    #[arg(long, value_name = "N")]
    rate: Option<f64>,
    /// Seconds of each run that is not over when its operations are
    #[arg(long, value_name = "S")]
    seconds: Option<f64>,
    /// Seconds of warming up, likewise
    #[arg(long, value_name = "S")]
    warm_up: Option<f64>,
    /// Measure exactly so many rounds, however long they take
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    rounds: Option<u16>,
    /// Where the random numbers begin
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
}

impl Overrides {
    /// Changes every scenario of the suite. What comes of it is checked when it is planned.
    pub(super) fn apply(&self, suite: &mut Suite) {
        for scenario in &mut suite.scenarios {
            self.change(scenario);
        }
        if let Some(rounds) = self.rounds {
            suite.rounds = Rounds { at_most: rounds.into(), budget: None };
        }
    }

    fn change(&self, scenario: &mut Scenario) {
        if let Some(file) = &self.keys_from
            && scenario.trace.is_none()
        {
            scenario.keys_from = Some(file.clone());
            // A loaded store holds all of the file; a growing one grows to what it says.
            if !scenario.grows() {
                scenario.keys = MAX_KEYS;
            }
        }
        if !self.threads.is_empty() {
            scenario.threads.clone_from(&self.threads);
            scenario.threads.sort_unstable();
            scenario.threads.dedup();
        }
        if let Some(keys) = self.keys {
            if scenario.length == Length::Operations(scenario.keys as u64) {
                scenario.length = Length::Operations(keys as u64);
            }
            scenario.keys = keys;
        }
        if let Some(bytes) = self.value_size {
            scenario.value_size = bytes.into();
        }
        if let Length::Seconds(seconds) = &mut scenario.length {
            *seconds = self.seconds.unwrap_or(*seconds);
            scenario.warm_up = self.warm_up.unwrap_or(scenario.warm_up);
        }
        if self.rounds.is_some() {
            scenario.rounds = None;
        }
        scenario.rate = self.rate.or(scenario.rate);
        scenario.seed = self.seed.unwrap_or(scenario.seed);
    }
}

/// The suite that replays a trace, from an empty store.
pub(super) fn replay(trace: &Path) -> Suite {
    let name = trace.file_name().unwrap_or(trace.as_os_str()).to_string_lossy().into_owned();
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
    use super::*;

    fn changed(overrides: &Overrides, scenario: &str) -> Scenario {
        let mut suite = Suite::named("quick").unwrap();
        overrides.apply(&mut suite);
        suite.scenarios.into_iter().find(|other| other.name == scenario).unwrap()
    }

    #[test]
    fn what_is_not_given_stays() {
        let suite = Suite::named("quick").unwrap();
        let mut same = suite.clone();
        Overrides::default().apply(&mut same);
        assert_eq!(same, suite);
    }

    #[test]
    fn a_growing_store_still_gets_every_key_once() {
        let overrides = Overrides { keys: Some(500), ..Overrides::default() };
        assert_eq!(changed(&overrides, "grow to 100k").length, Length::Operations(500));
        assert_eq!(changed(&overrides, "get uniform").keys, 500);
    }

    #[test]
    fn a_file_of_keys_fills_loaded_stores_with_all_of_it() {
        let overrides = Overrides { keys_from: Some("words".into()), ..Overrides::default() };
        assert_eq!(changed(&overrides, "get uniform").keys, MAX_KEYS);
        let growing = changed(&overrides, "grow to 100k");
        assert_eq!((growing.keys, growing.keys_from), (100_000, Some("words".into())));
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
