//! What is asked of a store: a mix of operations over a key distribution, for so many threads, keys and bytes.
//!
//! A scenario is data: it is read from a TOML file, and kept with the results, so whoever has either can run it again.
//! [`Suite`](crate::Suite) reads files of them; [`Scenario::draw`] turns one into the operations of each thread.

use std::path::{Path, PathBuf};

use keystore::{Config, MAX_KEY_LEN, MAX_VALUE_LEN};
use serde::{Deserialize, Serialize};

use crate::distribution::KeyDistribution;
use crate::error::{Error, Result};
use crate::keys::{Keys, MAX_KEYS};
use crate::size::Size;
use keystore_verify::value::MIN_VALUE_SIZE;

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
    /// Number of threads that use the store once, all alive at the same time, and end. The scenario
    /// is measured before them and after them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub burst: Option<usize>,
    /// What the store is opened with.
    #[serde(default)]
    pub config: Config,
    /// Where the random numbers begin. One seed, one sequence of operations.
    #[serde(default = "default_seed")]
    pub seed: u64,
    /// The scenario as its suite has it, if something was changed since. [`Plan`](crate::Plan) says
    /// the difference in the name, see [`tell_changes`](Self::tell_changes).
    #[serde(skip)]
    pub as_written: Option<Box<Self>>,
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
    32
}

const fn default_time_every() -> u32 {
    128
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
            burst: None,
            config: Config::default(),
            seed: default_seed(),
            as_written: None,
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

    /// Whether any of the calls takes several keys.
    pub(crate) fn has_batches(self) -> bool {
        self.shares().iter().any(|&(kind, share)| kind.is_batch() && share > 0)
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
        if self.name.trim().is_empty() || self.name.chars().any(char::is_control) {
            return fault("name", format!("{:?}", self.name), "some text, without control characters");
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
        let most = Keys::most(&self.key_size);
        if self.keys_from.is_none() && self.trace.is_none() && self.keys > most {
            let expected = format!("from 1 to {most}, for keys of {}", self.key_size);
            return fault("keys", self.keys.to_string(), &expected);
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
        if let Some((field, value, expected)) = self.contradiction() {
            return fault(field, value, &expected);
        }
        let config = self.config.validate().err()?;
        fault("config", config.to_string(), "a configuration that a store can be opened with")
    }

    /// The first two fields that contradict each other: a report would state what did not happen.
    fn contradiction(&self) -> Option<(&'static str, String, String)> {
        let shared_out = self.trace.is_some() || self.distribution == KeyDistribution::Sequential;
        let most = self.threads.iter().copied().max().unwrap_or(0);
        if shared_out && most > self.keys {
            let fewer = self.threads.iter().filter(|&&threads| threads <= self.keys);
            let fewer: Vec<String> = fewer.map(usize::to_string).collect();
            let fewer = if fewer.is_empty() { self.keys.to_string() } else { fewer.join(",") };
            let expected = format!(
                "at most {}, the number of keys, which threads share out (--threads {fewer})",
                self.keys
            );
            return Some(("threads", most.to_string(), expected));
        }
        let fills = self.trace.is_none()
            && self.preload == 0.0
            && self.mix.insert == 100
            && self.distribution == KeyDistribution::Sequential;
        if let Length::Operations(operations) = self.length
            && fills
            && operations > self.keys as u64
        {
            let expected =
                format!("at most {}, the number of keys: no insert after that adds one", self.keys);
            return Some(("operations", operations.to_string(), expected));
        }
        if let Some(threads) = self.burst {
            if threads == 0 || threads > MAX_THREADS {
                return Some(("burst", threads.to_string(), format!("from 1 to {MAX_THREADS} threads")));
            }
            if self.trace.is_some() || self.loaded_keys() == 0 {
                let expected =
                    "left out where the store is empty at the start: its threads use keys that are there";
                return Some(("burst", threads.to_string(), expected.to_owned()));
            }
        }
        None
    }

    /// Changes the number of keys. A scenario that takes each key once still does.
    pub fn set_keys(&mut self, keys: usize) {
        if self.length == Length::Operations(self.keys as u64) {
            self.length = Length::Operations(keys as u64);
        }
        self.keys = keys;
    }

    /// Remembers the scenario as its suite has it, before the first change.
    pub fn keep_as_written(&mut self) {
        if self.as_written.is_none() {
            self.as_written = Some(Box::new(self.clone()));
        }
    }

    /// Says in the name and in the description what was changed since
    /// [`keep_as_written`](Self::keep_as_written), and forgets how the scenario was written.
    ///
    /// A name such as `grow to 1M` promises something. If the keys, their number, the sizes, the
    /// batch or the operations are others, the name ends with what they are: `grow to 1M [3 keys of
    /// words.txt]`.
    pub fn tell_changes(&mut self) {
        let Some(written) = self.as_written.take() else { return };
        let mut named = Vec::new();
        // A scenario that asks for as many keys as there can be takes all of a file or a trace.
        let fewer = written.keys != self.keys && written.keys != MAX_KEYS;
        let file = self.keys_from.as_ref().filter(|_| self.keys_from != written.keys_from);
        let keys = digits_grouped(self.keys as u64);
        match (fewer, file.map(|path| file_name(path))) {
            (true, Some(file)) => named.push(format!("{keys} keys of {file}")),
            (true, None) => named.push(format!("{keys} keys")),
            (false, Some(file)) => named.push(format!("keys of {file}")),
            (false, None) => {}
        }
        if self.key_size != written.key_size {
            named.push(format!("keys of {}", self.key_size));
        }
        if self.value_size != written.value_size {
            named.push(format!("values of {}", self.value_size));
        }
        if self.batch != written.batch {
            named.push(format!("batches of {}", self.batch));
        }
        let once = |scenario: &Self| scenario.length == Length::Operations(scenario.keys as u64);
        if let Length::Operations(operations) = self.length
            && self.length != written.length
            && !(once(self) && once(&written))
        {
            named.push(format!("{} operations", digits_grouped(operations)));
        }
        if let Some(threads) = self.burst
            && self.burst != written.burst
        {
            named.push(format!("after {} threads", digits_grouped(threads as u64)));
        }
        let mut told = named.clone();
        if self.threads != written.threads {
            let list: Vec<String> = self.threads.iter().map(usize::to_string).collect();
            told.push(format!("threads {}", list.join(", ")));
        }
        if let Length::Seconds(seconds) = self.length
            && self.length != written.length
        {
            told.push(format!("{seconds} s"));
        }
        if self.rate != written.rate {
            told.push(
                self.rate.map_or("no fixed rate".to_owned(), |rate| format!("{rate} operations a second")),
            );
        }
        if !named.is_empty() {
            self.name = format!("{} [{}]", self.name, named.join("; "));
        }
        if !told.is_empty() {
            let space = if self.about.is_empty() { "" } else { " " };
            self.about = format!("{}{space}Changed: {}.", self.about, told.join("; "));
        }
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

    /// Whether an empty store is given each of its keys once, one after another, and nothing else.
    #[must_use]
    pub fn grows(&self) -> bool {
        self.trace.is_none()
            && self.preload == 0.0
            && self.distribution == KeyDistribution::Sequential
            && self.mix.insert + self.mix.set == 100
            && self.length == Length::Operations(self.keys as u64)
    }

    /// Whether each operation inserts a key that is not there yet.
    pub(crate) fn inserts_each_key_once(&self) -> bool {
        self.grows() && self.mix.insert == 100
    }

    /// Whether any operation looks a key up. A trace may.
    #[must_use]
    pub fn looks_up(&self) -> bool {
        self.trace.is_some() || self.mix.get + self.mix.get_many > 0
    }
}

/// A whole number with a comma after each three digits.
pub(crate) fn digits_grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut grouped = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

/// The last part of a path, with nothing in it that a terminal would obey.
#[must_use]
pub fn file_name(path: &Path) -> String {
    let name = path.file_name().unwrap_or(path.as_os_str()).to_string_lossy();
    name.chars()
        .map(|c| if c.is_alphanumeric() || c.is_ascii_graphic() || c == ' ' { c } else { '?' })
        .collect()
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
        let expected = "scenario \"grow\": operations is 1000000: it must be at most 3, the number of keys";
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
        scenario.tell_changes();
        assert_eq!(scenario, same, "nothing was changed");

        scenario.keep_as_written();
        scenario.set_keys(1234);
        scenario.keys_from = Some("folder/wo\u{1b}rds.txt".into());
        scenario.value_size = 200.into();
        scenario.batch = 8;
        scenario.threads = vec![4];
        scenario.rate = Some(500.0);
        scenario.keep_as_written();
        scenario.tell_changes();
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
        once.tell_changes();
        assert_eq!(once.name, "sample [3 keys]");
        let mut other = Scenario { length: Length::Operations(7), ..sample() };
        other.set_keys(3);
        assert_eq!(other.length, Length::Operations(7));
    }

    #[test]
    fn a_mix_prints_what_it_holds() {
        assert_eq!(sample().mix.to_string(), "50 % get, 30 % set, 20 % delete");
    }
}
