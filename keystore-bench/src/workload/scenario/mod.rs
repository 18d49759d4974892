//! What is asked of a store: a mix of operations over a key distribution, for so many threads, keys
//! and bytes.
//!
//! A scenario is data: it is read from a TOML file, and kept with the results, so anyone who has
//! either can run it again. [`Suite`](crate::Suite) reads files of them; [`Scenario::draw`] turns
//! one into the operations of each thread.

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
    /// The share of the keys that the store holds at the start, from 0 (it is empty) to 1 (it holds
    /// all).
    #[serde(default = "whole")]
    pub preload: f64,
    /// How long it runs.
    #[serde(default)]
    pub length: Length,
    /// Seconds that the threads run before the clock does, on the same operations.
    #[serde(default)]
    pub warm_up: f64,
    /// Operations a second, over all threads, where they come at a fixed rate. Without it, each
    /// follows upon the last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rate: Option<f64>,
    /// The numbers of threads to run it with, one run for each. A number that is given twice counts
    /// once.
    #[serde(default = "one_thread", deserialize_with = "each_once")]
    pub threads: Vec<usize>,
    /// The number of distinct keys. A file or a trace that has fewer gives what it has.
    #[serde(default = "default_keys")]
    pub keys: usize,
    /// Bytes of each key that is made.
    #[serde(default = "default_key_size")]
    pub key_size: Size,
    /// A file whose lines are the keys, in place of made ones.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        serialize_with = "crate::workload::path::text_if_some"
    )]
    pub keys_from: Option<PathBuf>,
    /// A file of recorded operations, which are replayed: it gives operations, keys and the sizes
    /// of values.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        serialize_with = "crate::workload::path::text_if_some"
    )]
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
    /// the difference in the name, see [`describe_changes`](Self::describe_changes).
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
    /// Changes the numbers of threads: rising, each once.
    pub fn set_threads(&mut self, threads: &[usize]) {
        self.threads = threads.to_vec();
        self.threads.sort_unstable();
        keep_each_once(&mut self.threads);
    }

    /// Changes the number of keys. A scenario that takes each key once still does.
    pub fn set_keys(&mut self, keys: usize) {
        if self.length == Length::Operations(self.keys as u64) {
            self.length = Length::Operations(keys as u64);
        }
        self.keys = keys;
    }

    /// Returns how many of the keys the store holds at the start: the first ones.
    #[must_use]
    pub fn loaded_keys(&self) -> usize {
        (self.keys as f64 * self.preload).round() as usize
    }

    /// Returns whether the store keeps what it held at the start.
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

    /// Returns whether every get must find its key: all are there from the start, and none is ever
    /// removed.
    #[must_use]
    pub fn always_hits(&self) -> bool {
        self.trace.is_none()
            && self.preload == 1.0
            && self.mix.delete == 0
            && self.mix.delete_many == 0
    }

    /// Returns whether an empty store is given each of its keys once, one after another, and
    /// nothing else.
    #[must_use]
    pub fn grows(&self) -> bool {
        self.trace.is_none()
            && self.preload == 0.0
            && self.distribution == KeyDistribution::Sequential
            && self.mix.insert + self.mix.set == 100
            && self.length == Length::Operations(self.keys as u64)
    }

    /// Returns whether each operation inserts a key that is not there yet.
    pub(crate) fn inserts_each_key_once(&self) -> bool {
        self.grows() && self.mix.insert == 100
    }

    /// Returns whether any operation looks a key up. A trace may.
    #[must_use]
    pub fn looks_up(&self) -> bool {
        self.trace.is_some() || self.mix.get + self.mix.get_many > 0
    }
}

/// Returns the last part of a path, with nothing in it that a terminal would obey.
#[must_use]
pub fn file_name(path: &Path) -> String {
    let name = path.file_name().unwrap_or(path.as_os_str()).to_string_lossy();
    name.chars()
        .map(|c| if c.is_alphanumeric() || c.is_ascii_graphic() || c == ' ' { c } else { '?' })
        .collect()
}

#[cfg(test)]
mod tests;
