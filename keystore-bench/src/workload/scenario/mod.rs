//! Defines a scenario: a mix of operations over a key distribution, for a number of threads and
//! keys and for given sizes.
//!
//! A scenario is data. It is read from a TOML file and stored with the results, so anyone who has
//! either can run it again. The built-in scenarios are in `keystore-bench/suites/*.toml`.
//! [`Suite`](crate::Suite) reads files of scenarios. [`Scenario::draw`] turns a scenario into the
//! operations of each thread.

mod changes;
mod validate;

use std::collections::HashSet;
use std::fmt;
use std::path::{Path, PathBuf};

use keystore::Config;
use serde::{Deserialize, Deserializer, Serialize};

use crate::workload::distribution::KeyDistribution;
use crate::workload::operation::Mix;
use crate::workload::size::Size;

/// Maximum number of threads in a scenario.
pub const MAX_THREADS: usize = 4096;

/// Maximum number of keys in a batch.
pub const MAX_BATCH: usize = 4096;

/// Maximum number of operations in a scenario that cannot repeat its drawn operations.
pub(crate) const MAX_DRAWN: u64 = 1 << 28;

/// A load on a store, as described by a suite.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scenario {
    /// Name of the scenario in reports and on the command line.
    pub name: String,
    /// One sentence that describes the scenario.
    #[serde(default)]
    pub about: String,
    /// Shares of the operations. A [`trace`](Self::trace) contains its own operations.
    #[serde(default)]
    pub mix: Mix,
    /// Distribution of keys over the operations.
    #[serde(default)]
    pub distribution: KeyDistribution,
    /// Share of the keys that the store holds at the start, from 0 (empty) to 1 (all keys).
    #[serde(default = "whole")]
    pub preload: f64,
    /// Length of a run.
    #[serde(default)]
    pub length: Length,
    /// Warm-up time in seconds. The threads run the same operations before the clock starts.
    #[serde(default)]
    pub warm_up: f64,
    /// Fixed rate in operations per second, over all threads. Without it, each operation starts
    /// when the last one has ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rate: Option<f64>,
    /// Numbers of threads. The scenario runs once with each. A number that is given twice counts
    /// once.
    #[serde(default = "one_thread", deserialize_with = "each_once")]
    pub threads: Vec<usize>,
    /// Number of distinct keys. A file or a trace with fewer keys supplies all that it has.
    #[serde(default = "default_keys")]
    pub keys: usize,
    /// Size of each generated key in bytes.
    #[serde(default = "default_key_size")]
    pub key_size: Size,
    /// File whose lines are the keys. Without it, keys are generated.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        serialize_with = "crate::workload::path::text_if_some"
    )]
    pub keys_from: Option<PathBuf>,
    /// File of recorded operations to replay. It supplies the operations, the keys and the sizes of
    /// values.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        serialize_with = "crate::workload::path::text_if_some"
    )]
    pub trace: Option<PathBuf>,
    /// Size of each value in bytes.
    #[serde(default = "default_value_size")]
    pub value_size: Size,
    /// Number of keys in a batch.
    #[serde(default = "default_batch")]
    pub batch: usize,
    /// Sampling interval of latency: one call in this many is timed individually.
    #[serde(default = "default_time_every")]
    pub time_every: u32,
    /// Length of a time slice in milliseconds. Without it, no time line is recorded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeline_ms: Option<u32>,
    /// Number of rounds. Without it, the number of the suite applies.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rounds: Option<usize>,
    /// Number of threads that use the store once, all alive at the same time, and end. The scenario
    /// is measured before and after this burst.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub burst: Option<usize>,
    /// Configuration of the store.
    #[serde(default)]
    pub config: Config,
    /// Seed of the random numbers. The same seed gives the same operations.
    #[serde(default = "default_seed")]
    pub seed: u64,
    /// The scenario as written in its suite, if it was changed since. [`Plan`](crate::Plan) adds
    /// the changes to the name, see [`describe_changes`](Self::describe_changes).
    #[serde(skip)]
    pub as_written: Option<Box<Self>>,
}

const fn whole() -> f64 {
    1.0
}

fn one_thread() -> Vec<usize> {
    vec![1]
}

fn each_once<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<usize>, D::Error> {
    let mut threads = Vec::deserialize(deserializer)?;
    keep_each_once(&mut threads);
    Ok(threads)
}

/// Removes the numbers of threads that occur earlier in the list. Each number has one row.
fn keep_each_once(threads: &mut Vec<usize>) {
    let mut seen = HashSet::new();
    threads.retain(|&number| seen.insert(number));
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
    /// Returns a scenario of uniform lookups in 100,000 keys, on one thread.
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

/// The length of a run. In a file: `{ seconds = 0.5 }` or `{ operations = 100000 }`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Length {
    /// Number of operations, over all threads.
    Operations(u64),
    /// Number of seconds.
    Seconds(f64),
    /// Every operation of the trace, once.
    Once,
}

impl fmt::Display for Length {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Operations(operations) => write!(f, "{operations} operations"),
            Self::Seconds(seconds) => write!(f, "{seconds} seconds"),
            Self::Once => write!(f, "once"),
        }
    }
}

impl Default for Length {
    /// Returns one second.
    fn default() -> Self {
        Self::Seconds(1.0)
    }
}

impl Scenario {
    /// Changes the numbers of threads. They are sorted, and each counts once.
    pub fn set_threads(&mut self, threads: &[usize]) {
        self.threads = threads.to_vec();
        self.threads.sort_unstable();
        keep_each_once(&mut self.threads);
    }

    /// Changes the number of keys. A scenario that takes each key once still does so afterwards.
    pub fn set_keys(&mut self, keys: usize) {
        if self.length == Length::Operations(self.keys as u64) {
            self.length = Length::Operations(keys as u64);
        }
        self.keys = keys;
    }

    /// Returns the number of keys that the store holds at the start. These are the first keys.
    #[must_use]
    pub fn loaded_keys(&self) -> usize {
        (self.keys as f64 * self.preload).round() as usize
    }

    /// Returns whether no operation changes the content of the store.
    #[must_use]
    pub fn is_read_only(&self) -> bool {
        let Mix {
            get,
            get_many,
            set: _,
            set_many: _,
            insert: _,
            update: _,
            delete: _,
            delete_many: _,
        } = self.mix;
        u32::from(get) + u32::from(get_many) == 100
    }

    /// Returns whether every lookup must find its key, because all keys are loaded at the start and
    /// none is removed.
    #[must_use]
    pub fn always_hits(&self) -> bool {
        self.trace.is_none()
            && self.preload == 1.0
            && self.mix.delete == 0
            && self.mix.delete_many == 0
    }

    /// Returns whether the scenario writes each key once to an empty store, one after another, and
    /// does nothing else.
    #[must_use]
    pub fn grows(&self) -> bool {
        self.trace.is_none()
            && self.preload == 0.0
            && self.distribution == KeyDistribution::Sequential
            && self.mix.insert + self.mix.set == 100
            && self.length == Length::Operations(self.keys as u64)
    }

    /// Returns whether each operation inserts a key that is absent.
    pub(crate) fn inserts_each_key_once(&self) -> bool {
        self.grows() && self.mix.insert == 100
    }

    /// Returns whether any operation may look up a key. A trace may contain lookups.
    #[must_use]
    pub fn looks_up(&self) -> bool {
        self.trace.is_some() || self.mix.get + self.mix.get_many > 0
    }
}

/// Returns the last part of a path, with characters escaped that could control a terminal.
#[must_use]
pub fn file_name(path: &Path) -> String {
    let name = path.file_name().unwrap_or(path.as_os_str()).to_string_lossy();
    name.chars()
        .map(|c| if c.is_alphanumeric() || c.is_ascii_graphic() || c == ' ' { c } else { '?' })
        .collect()
}

#[cfg(test)]
mod tests;
