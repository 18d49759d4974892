//! What is asked of a store: a mix of operations over a key distribution, for so many threads, keys and bytes.
//!
//! A scenario is data: it is read from a TOML file, and kept with the results, so whoever has either can run it again.
//! [`Suite`](crate::Suite) reads files of them; [`Scenario::draw`] turns one into the operations of each thread.

use std::path::PathBuf;

use keystore_core::{Config, MAX_KEY_LEN, MAX_VALUE_LEN};
use serde::{Deserialize, Serialize};

use crate::distribution::KeyDistribution;
use crate::error::{Error, Result};
use crate::keys::MAX_KEYS;
use crate::proof::MIN_VALUE_SIZE;
use crate::size::Size;

/// The most threads of a scenario.
pub const MAX_THREADS: usize = 4096;

/// The most keys of one batch.
pub const MAX_BATCH: usize = 4096;

/// The most operations that a scenario draws where it cannot go through them again.
pub(crate) const MAX_DRAWN: u64 = 1 << 28;

/// A scenario.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scenario {
    /// Its name, by which reports and the command line know it.
    pub name: String,
    /// One sentence on what it stands for.
    #[serde(default)]
    pub about: String,
    /// The shares of the operations. A [`trace`](Self::trace) has its own.
    #[serde(default)]
    pub mix: Mix,
    /// Which keys they take.
    #[serde(default)]
    pub distribution: KeyDistribution,
    /// The share of the keys that the store holds at the start, from 0 (it is empty) to 1 (it holds all).
    #[serde(default = "whole")]
    pub preload: f64,
    /// How long it runs.
    #[serde(default)]
    pub length: Length,
    /// Seconds that the threads run before the clock does, on the same operations.
    #[serde(default)]
    pub warm_up: f64,
    /// Operations a second, over all threads, where they come at a fixed rate. Without it, each follows upon the last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rate: Option<f64>,
    /// The numbers of threads to run it with, one run for each.
    #[serde(default = "one_thread")]
    pub threads: Vec<usize>,
    /// The number of distinct keys. A file or a trace that has fewer gives what it has.
    #[serde(default = "default_keys")]
    pub keys: usize,
    /// Bytes of each key that is made.
    #[serde(default = "default_key_size")]
    pub key_size: Size,
    /// A file whose lines are the keys, in place of made ones.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keys_from: Option<PathBuf>,
    /// A file of recorded operations, which are replayed: it gives operations, keys and the sizes of values.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trace: Option<PathBuf>,
    /// Bytes of each value.
    #[serde(default = "default_value_size")]
    pub value_size: Size,
    /// Keys of one batch.
    #[serde(default = "default_batch")]
    pub batch: usize,
    /// One call in so many is timed by itself.
    #[serde(default = "default_time_every")]
    pub time_every: u32,
    /// Milliseconds of each slice of a time line; no time line is kept without it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeline_ms: Option<u32>,
    /// How often it is measured; as often as everything else where it does not say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rounds: Option<usize>,
    /// What the store is opened with.
    #[serde(default)]
    pub config: Config,
    /// Where the random numbers begin. One seed, one sequence of operations.
    #[serde(default = "default_seed")]
    pub seed: u64,
}

const fn whole() -> f64 {
    1.0
}

fn one_thread() -> Vec<usize> {
    vec![1]
}

const fn default_keys() -> usize {
    100_000
}

const fn default_key_size() -> Size {
    Size::Fixed(16)
}

const fn default_value_size() -> Size {
    Size::Fixed(64)
}

const fn default_batch() -> usize {
    128
}

const fn default_time_every() -> u32 {
    32
}

const fn default_seed() -> u64 {
    42
}

impl Default for Scenario {
    /// Lookups of 100,000 keys, each as often as any other, on one thread.
    fn default() -> Self {
        Self {
            name: "default".to_owned(),
            about: String::new(),
            mix: Mix { get: 100, ..Mix::default() },
            distribution: KeyDistribution::default(),
            preload: whole(),
            length: Length::default(),
            warm_up: 0.0,
            rate: None,
            threads: one_thread(),
            keys: default_keys(),
            key_size: default_key_size(),
            keys_from: None,
            trace: None,
            value_size: default_value_size(),
            batch: default_batch(),
            time_every: default_time_every(),
            timeline_ms: None,
            rounds: None,
            config: Config::default(),
            seed: default_seed(),
        }
    }
}

/// The shares of the operations, in percent of all calls; they add up to 100.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Mix {
    /// Looks a key up and looks at its value in place.
    pub get: u8,
    /// Looks up a batch of keys at once.
    pub get_many: u8,
    /// Gives a key a value, present or not.
    pub set: u8,
    /// Gives each key of a batch a value.
    pub set_many: u8,
    /// Gives a key a value if it is absent.
    pub insert: u8,
    /// Reads a key's value and replaces it, as one step.
    pub update: u8,
    /// Removes a key.
    pub delete: u8,
    /// Removes a batch of keys.
    pub delete_many: u8,
}

impl Mix {
    fn shares(self) -> [(Kind, u8); 8] {
        [
            (Kind::Get, self.get),
            (Kind::GetMany, self.get_many),
            (Kind::Set, self.set),
            (Kind::SetMany, self.set_many),
            (Kind::Insert, self.insert),
            (Kind::Update, self.update),
            (Kind::Delete, self.delete),
            (Kind::DeleteMany, self.delete_many),
        ]
    }

    /// The shares added up, percent.
    fn sum(self) -> u32 {
        self.shares().iter().map(|&(_, share)| u32::from(share)).sum()
    }

    /// The operation that `percentile`, 0 to 99, falls on.
    pub(crate) fn pick(self, percentile: u8) -> Kind {
        let mut end = 0;
        for (kind, share) in self.shares() {
            end += share;
            if percentile < end {
                return kind;
            }
        }
        unreachable!("the shares of a validated mix add up to 100")
    }
}

impl std::fmt::Display for Mix {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut separator = "";
        for (kind, share) in self.shares().into_iter().filter(|&(_, share)| share > 0) {
            write!(f, "{separator}{share} % {}", kind.name())?;
            separator = ", ";
        }
        Ok(())
    }
}

/// What an operation does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// See [`Mix::get`].
    Get,
    /// See [`Mix::get_many`]. Each key of a batch is an operation of its own.
    GetMany,
    /// See [`Mix::set`].
    Set,
    /// See [`Mix::set_many`].
    SetMany,
    /// See [`Mix::insert`].
    Insert,
    /// See [`Mix::update`].
    Update,
    /// See [`Mix::delete`].
    Delete,
    /// See [`Mix::delete_many`].
    DeleteMany,
}

impl Kind {
    /// Whether it may change what the store holds.
    #[must_use]
    pub const fn is_write(self) -> bool {
        !matches!(self, Self::Get | Self::GetMany)
    }

    /// Whether it removes its key.
    #[must_use]
    pub const fn is_delete(self) -> bool {
        matches!(self, Self::Delete | Self::DeleteMany)
    }

    /// Whether it takes several keys in one call.
    #[must_use]
    pub const fn is_batch(self) -> bool {
        matches!(self, Self::GetMany | Self::SetMany | Self::DeleteMany)
    }

    /// Whether it carries a value.
    #[must_use]
    pub const fn has_value(self) -> bool {
        matches!(self, Self::Set | Self::SetMany | Self::Insert | Self::Update)
    }

    /// Its name, as the fields of [`Mix`] have it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Get => "get",
            Self::GetMany => "get_many",
            Self::Set => "set",
            Self::SetMany => "set_many",
            Self::Insert => "insert",
            Self::Update => "update",
            Self::Delete => "delete",
            Self::DeleteMany => "delete_many",
        }
    }
}

/// How long a run takes. In a file: `{ seconds = 0.5 }` or `{ operations = 100000 }`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Length {
    /// This many operations, over all threads.
    Operations(u64),
    /// This many seconds.
    Seconds(f64),
    /// Every operation of the trace, once.
    Once,
}

impl Default for Length {
    /// A second.
    fn default() -> Self {
        Self::Seconds(1.0)
    }
}

impl Scenario {
    /// Checks every field.
    ///
    /// # Errors
    /// [`Error::Scenario`] names the first field that is outside its limits, its value and the limit.
    pub fn validate(&self) -> Result<()> {
        match self.fault() {
            None => Ok(()),
            Some((field, value, expected)) => {
                Err(Error::Scenario { scenario: self.name.clone(), field, value, expected })
            }
        }
    }

    /// The first field that is wrong, what it is, and what it must be.
    fn fault(&self) -> Option<(&'static str, String, String)> {
        let fault = |field, value: String, expected: &str| Some((field, value, expected.to_owned()));
        if self.name.trim().is_empty() {
            return fault("name", format!("{:?}", self.name), "some text");
        }
        let total = self.mix.sum();
        if self.trace.is_some() && total != 0 {
            return fault("mix", self.mix.to_string(), "left out, for the trace has the operations");
        }
        if self.trace.is_none() && total != 100 {
            return fault("the sum of the mix", total.to_string(), "100 percent");
        }
        if let Some((value, expected)) = self.distribution.fault() {
            return fault("distribution", value, expected);
        }
        if !(0.0..=1.0).contains(&self.preload) {
            return fault("preload", self.preload.to_string(), "from 0 to 1");
        }
        match self.length {
            Length::Seconds(seconds) if !(seconds > 0.0 && seconds <= 3600.0) => {
                return fault("seconds", seconds.to_string(), "over 0 and at most 3600");
            }
            Length::Operations(operations) if operations == 0 || operations > 1 << 39 => {
                return fault("operations", operations.to_string(), "from 1 to 549755813888");
            }
            Length::Once if self.trace.is_none() => {
                return fault("length", "once".to_owned(), "seconds or operations where there is no trace");
            }
            _ => {}
        }
        if self.distribution == KeyDistribution::Latest
            && !matches!(self.length, Length::Operations(operations) if operations <= MAX_DRAWN)
        {
            return fault(
                "length",
                format!("{:?}", self.length),
                &format!("at most {MAX_DRAWN} operations where new keys come in one after another"),
            );
        }
        if !(0.0..=3600.0).contains(&self.warm_up) {
            return fault("warm_up", self.warm_up.to_string(), "from 0 to 3600 seconds");
        }
        if self.warm_up > 0.0 && !matches!(self.length, Length::Seconds(_)) {
            return fault(
                "warm_up",
                self.warm_up.to_string(),
                "0 where the length is a number of operations",
            );
        }
        if let Some(rate) = self.rate
            && !(1.0..=1e9).contains(&rate)
        {
            return fault("rate", rate.to_string(), "from 1 to 1000000000 operations a second");
        }
        if self.threads.is_empty() {
            return fault("threads", "empty".to_owned(), "at least one number of threads");
        }
        if let Some(threads) = self.threads.iter().find(|&&n| n == 0 || n > MAX_THREADS) {
            return fault("threads", threads.to_string(), &format!("from 1 to {MAX_THREADS}"));
        }
        if self.keys == 0 || self.keys > MAX_KEYS {
            return fault("keys", self.keys.to_string(), &format!("from 1 to {MAX_KEYS}"));
        }
        if let Some((value, expected)) = self.key_size.fault(1, MAX_KEY_LEN) {
            return fault("key_size", value, &expected);
        }
        if self.key_size.fixed().is_none() && self.key_size.min() < 8 {
            return fault("key_size", self.key_size.to_string(), "at least 8 bytes where sizes differ");
        }
        if self.keys_from.is_some() && self.trace.is_some() {
            return fault("keys_from", "given".to_owned(), "left out, for the trace has the keys");
        }
        if let Some((value, expected)) = self.value_size.fault(MIN_VALUE_SIZE, MAX_VALUE_LEN) {
            return fault(
                "value_size",
                value,
                &format!("{expected} (a value carries the proof of who wrote it)"),
            );
        }
        if self.batch == 0 || self.batch > MAX_BATCH {
            return fault("batch", self.batch.to_string(), &format!("from 1 to {MAX_BATCH}"));
        }
        if self.time_every == 0 {
            return fault("time_every", "0".to_owned(), "at least 1");
        }
        if let Some(milliseconds) = self.timeline_ms
            && !(1..=60_000).contains(&milliseconds)
        {
            return fault("timeline_ms", milliseconds.to_string(), "from 1 to 60000");
        }
        if self.rounds == Some(0) {
            return fault("rounds", "0".to_owned(), "at least 1");
        }
        let config = self.config.validate().err()?;
        fault("config", config.to_string(), "a configuration that a store can be opened with")
    }

    /// How many of the keys the store holds at the start: the first ones.
    #[must_use]
    pub fn loaded_keys(&self) -> usize {
        (self.keys as f64 * self.preload).round() as usize
    }

    /// Whether the store keeps what it held at the start.
    #[must_use]
    pub fn is_read_only(&self) -> bool {
        let Mix { get, get_many, set: _, set_many: _, insert: _, update: _, delete: _, delete_many: _ } =
            self.mix;
        u32::from(get) + u32::from(get_many) == 100
    }

    /// Whether every get must find its key: all are there from the start, and none is ever removed.
    #[must_use]
    pub fn always_hits(&self) -> bool {
        self.trace.is_none() && self.preload == 1.0 && self.mix.delete == 0 && self.mix.delete_many == 0
    }

    /// Whether an empty store is given its keys one after another.
    #[must_use]
    pub fn grows(&self) -> bool {
        self.trace.is_none() && self.preload == 0.0 && self.distribution == KeyDistribution::Sequential
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::size::Between;

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
        let error = serde_json::from_str::<Scenario>(&text.replacen("\"mix\"", "\"mox\"", 1)).unwrap_err();
        assert!(error.to_string().contains("unknown field `mox`"), "{error}");
        assert_eq!(
            serde_json::from_str::<Scenario>("{\"name\": \"default\", \"mix\": {\"get\": 100}}").unwrap(),
            Scenario::default()
        );
    }

    #[test]
    fn a_mix_prints_what_it_holds() {
        assert_eq!(sample().mix.to_string(), "50 % get, 30 % set, 20 % delete");
    }
}
