//! What is asked of a store: a mix of operations over a key distribution, for so many threads, keys and bytes.
//!
//! A workload is data: it can be written to a file and read back, and whoever has it can run it again. [`Workload::draw`]
//! turns it into the operations themselves, before any clock runs, so that measuring does not measure the drawing; a
//! thread finds its operations and the bytes of their keys one after another in memory, where the processor fetches them
//! ahead, and so the waits for memory that remain are the store's.

use keystore_core::{Config, MAX_VALUE_LEN};
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::keys::{KeyDistribution, Keys, MAX_KEYS, share};
use crate::proof::MIN_VALUE_SIZE;

/// The most threads of a workload.
pub const MAX_THREADS: usize = 4096;

/// The most keys of one batch.
pub const MAX_BATCH: usize = 4096;

/// Operations are drawn up to this many, over all threads; a longer run goes through them again.
const DRAWN: usize = 1 << 20;

/// A workload.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Workload {
    /// Its name, by which reports and the command line know it.
    pub name: String,
    /// One sentence on what it stands for.
    #[serde(default)]
    pub about: String,
    /// The shares of the operations.
    pub mix: Mix,
    /// Which keys they take.
    pub distribution: KeyDistribution,
    /// What the store holds at the start.
    pub start: Start,
    /// How long it runs.
    pub length: Length,
    /// The numbers of threads to run it with, one run for each.
    pub threads: Vec<usize>,
    /// The number of distinct keys.
    pub keys: usize,
    /// Bytes of each value.
    pub value_size: usize,
    /// Keys of one `get_many`.
    #[serde(default = "default_batch")]
    pub batch: usize,
    /// What the store is opened with.
    #[serde(default)]
    pub config: Config,
    /// Where the random numbers begin. One seed, one sequence of operations.
    #[serde(default)]
    pub seed: u64,
}

const fn default_batch() -> usize {
    32
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
    /// Gives a key a value if it is absent.
    pub insert: u8,
    /// Reads a key's value and replaces it, as one step.
    pub update: u8,
    /// Removes a key.
    pub delete: u8,
}

impl Mix {
    fn shares(self) -> [(Kind, u8); 6] {
        [
            (Kind::Get, self.get),
            (Kind::GetMany, self.get_many),
            (Kind::Set, self.set),
            (Kind::Insert, self.insert),
            (Kind::Update, self.update),
            (Kind::Delete, self.delete),
        ]
    }

    /// Whether nothing is changed.
    #[must_use]
    pub const fn is_read_only(self) -> bool {
        self.set == 0 && self.insert == 0 && self.update == 0 && self.delete == 0
    }
}

/// What the store holds at the start of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Start {
    /// Nothing.
    Empty,
    /// Every key.
    Loaded,
}

/// How long a run takes.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Length {
    /// This many operations, over all threads.
    Operations(u64),
    /// This many seconds.
    Seconds(f64),
}

impl Workload {
    /// Checks every field.
    ///
    /// # Errors
    /// [`Error::Workload`] names the first field that is outside its limits, its value and the limit.
    pub fn validate(&self) -> Result<()> {
        let wrong = |field, value: String, expected: String| {
            Err(Error::Workload { workload: self.name.clone(), field, value, expected })
        };
        let total: u32 = self.mix.shares().iter().map(|&(_, share)| u32::from(share)).sum();
        if total != 100 {
            return wrong("the sum of the mix", total.to_string(), "100 percent".to_owned());
        }
        if let KeyDistribution::Zipfian { theta } = self.distribution
            && !(0.0..=10.0).contains(&theta)
        {
            return wrong("theta", theta.to_string(), "from 0 to 10".to_owned());
        }
        match self.length {
            Length::Seconds(seconds) if !(seconds > 0.0 && seconds <= 3600.0) => {
                return wrong("seconds", seconds.to_string(), "over 0 and at most 3600".to_owned());
            }
            Length::Operations(operations) if operations == 0 || operations > 1 << 39 => {
                return wrong("operations", operations.to_string(), "from 1 to 549755813888".to_owned());
            }
            _ => {}
        }
        if self.threads.is_empty() {
            return wrong("threads", "empty".to_owned(), "at least one number of threads".to_owned());
        }
        if let Some(threads) = self.threads.iter().find(|&&n| n == 0 || n > MAX_THREADS) {
            return wrong("threads", threads.to_string(), format!("from 1 to {MAX_THREADS}"));
        }
        if self.keys == 0 || self.keys > MAX_KEYS {
            return wrong("keys", self.keys.to_string(), format!("from 1 to {MAX_KEYS}"));
        }
        if !(MIN_VALUE_SIZE..=MAX_VALUE_LEN).contains(&self.value_size) {
            return wrong(
                "value_size",
                self.value_size.to_string(),
                format!(
                    "from {MIN_VALUE_SIZE} to {MAX_VALUE_LEN} bytes (a value carries the proof of who wrote it)"
                ),
            );
        }
        if self.batch == 0 || self.batch > MAX_BATCH {
            return wrong("batch", self.batch.to_string(), format!("from 1 to {MAX_BATCH}"));
        }
        self.config.validate().or_else(|error| {
            wrong("config", error.to_string(), "a configuration that a store can be opened with".to_owned())
        })
    }

    /// Whether every get must find its key: all are there from the start, and none is ever removed.
    #[must_use]
    pub fn always_hits(&self) -> bool {
        self.start == Start::Loaded && self.mix.delete == 0
    }

    /// Draws the operations of each of `threads` threads over the first [`keys`](Self::keys) of `keys`.
    #[must_use]
    pub fn draw(&self, threads: usize, keys: &Keys) -> Vec<Stream> {
        let samplers = self.distribution.samplers(self.keys, threads, self.seed);
        samplers
            .into_iter()
            .enumerate()
            .map(|(thread, mut sampler)| {
                let quota = self.quota(thread, threads);
                // As many as the run takes, or enough for the keys to be taken as often as they should be.
                let target = quota.min((DRAWN.max(2 * self.keys) / threads).max(1024) as u64) as usize;
                let mut stream = Stream::with_capacity(target);
                while stream.len() < target {
                    let kind = self.mix.pick(sampler.below(100));
                    let keys_of_call = if kind == Kind::GetMany { self.batch } else { 1 };
                    for _ in 0..keys_of_call.min(target - stream.len()) {
                        let Some(key) = sampler.next_key() else { return stream };
                        stream.push(kind, key, keys.get(key as usize));
                    }
                }
                stream
            })
            .collect()
    }

    /// How many operations thread `thread` of `threads` does at the most.
    pub(crate) fn quota(&self, thread: usize, threads: usize) -> u64 {
        match self.length {
            Length::Seconds(_) => u64::MAX,
            Length::Operations(total) => {
                (share(total as usize, thread + 1, threads) - share(total as usize, thread, threads)) as u64
            }
        }
    }
}

impl Mix {
    /// The operation that `percentile`, 0 to 99, falls on.
    fn pick(self, percentile: u8) -> Kind {
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

/// What an operation does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// See [`Mix::get`].
    Get,
    /// See [`Mix::get_many`]. Each key of the batch is an operation of its own.
    GetMany,
    /// See [`Mix::set`].
    Set,
    /// See [`Mix::insert`].
    Insert,
    /// See [`Mix::update`].
    Update,
    /// See [`Mix::delete`].
    Delete,
}

impl Kind {
    /// Whether it may change what the store holds.
    #[must_use]
    pub const fn is_write(self) -> bool {
        !matches!(self, Self::Get | Self::GetMany)
    }
}

/// An operation: what it does to which key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Operation {
    /// The key's position among the keys.
    pub key: u32,
    /// The key's length, bytes.
    key_len: u16,
    /// What is done.
    pub kind: Kind,
}

impl Operation {
    /// The key's length, bytes.
    #[inline]
    #[must_use]
    pub const fn key_len(self) -> usize {
        self.key_len as usize
    }
}

/// One thread's operations, with the bytes of their keys in the same order.
#[derive(Debug, Default)]
pub struct Stream {
    operations: Vec<Operation>,
    key_bytes: Vec<u8>,
}

impl Stream {
    fn with_capacity(operations: usize) -> Self {
        Self { operations: Vec::with_capacity(operations), key_bytes: Vec::new() }
    }

    fn push(&mut self, kind: Kind, key: u32, bytes: &[u8]) {
        let key_len = u16::try_from(bytes.len()).expect("keys are at most 65,535 bytes");
        self.operations.push(Operation { key, key_len, kind });
        self.key_bytes.extend_from_slice(bytes);
    }

    /// The operations, in order.
    #[must_use]
    pub fn operations(&self) -> &[Operation] {
        &self.operations
    }

    /// The keys of the operations, one after another.
    #[must_use]
    pub fn key_bytes(&self) -> &[u8] {
        &self.key_bytes
    }

    /// How many operations were drawn.
    #[must_use]
    pub fn len(&self) -> usize {
        self.operations.len()
    }

    /// Whether the thread has nothing to do.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.operations.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    pub(crate) fn sample() -> Workload {
        Workload {
            name: "sample".to_owned(),
            about: String::new(),
            mix: Mix { get: 50, set: 30, delete: 20, ..Mix::default() },
            distribution: KeyDistribution::Zipfian { theta: 0.99 },
            start: Start::Loaded,
            length: Length::Operations(10_000),
            threads: vec![2],
            keys: 1000,
            value_size: 64,
            batch: 32,
            config: Config::default(),
            seed: 1,
        }
    }

    #[test]
    fn a_mix_that_does_not_add_up_is_named() {
        let mut workload = sample();
        workload.validate().unwrap();
        workload.mix.get = 49;
        let error = workload.validate().unwrap_err();
        assert_eq!(
            error.to_string(),
            "workload \"sample\": the sum of the mix is 99: it must be 100 percent"
        );
        assert!(error.is_usage());
    }

    #[test]
    fn a_field_outside_its_limits_is_named() {
        let named = |change: fn(&mut Workload), field: &str| {
            let mut workload = sample();
            change(&mut workload);
            let error = workload.validate().unwrap_err().to_string();
            assert!(error.contains(&format!(": {field} is ")), "{error}");
        };
        named(|w| w.threads = vec![], "threads");
        named(|w| w.threads = vec![1, 0], "threads");
        named(|w| w.keys = 0, "keys");
        named(|w| w.value_size = 15, "value_size");
        named(|w| w.batch = 0, "batch");
        named(|w| w.length = Length::Seconds(f64::NAN), "seconds");
        named(|w| w.length = Length::Operations(0), "operations");
        named(|w| w.distribution = KeyDistribution::Zipfian { theta: -1.0 }, "theta");
        named(|w| w.config.initial_buckets = 3, "config");
    }

    #[test]
    fn operations_are_drawn_in_the_shares_of_the_mix() {
        let mut workload = sample();
        workload.length = Length::Operations(100_000);
        let keys = Keys::make(1000, 16).unwrap();
        let streams = workload.draw(3, &keys);
        assert_eq!(streams.iter().map(Stream::len).sum::<usize>(), 100_000);
        let of = |kind| {
            streams.iter().flat_map(Stream::operations).filter(|operation| operation.kind == kind).count()
        };
        for (kind, expected) in [(Kind::Get, 50_000_i64), (Kind::Set, 30_000), (Kind::Delete, 20_000)] {
            assert!((of(kind) as i64 - expected).abs() < 1000, "{kind:?}: {}", of(kind));
        }
        assert_eq!(of(Kind::Insert) + of(Kind::Update) + of(Kind::GetMany), 0);
    }

    #[test]
    fn the_bytes_of_the_keys_lie_in_the_order_of_the_operations() {
        let keys = Keys::make(1000, 10).unwrap();
        for stream in sample().draw(2, &keys) {
            let mut rest = stream.key_bytes();
            for operation in stream.operations() {
                let (key, after) = rest.split_at(operation.key_len());
                assert_eq!(key, keys.get(operation.key as usize));
                rest = after;
            }
            assert!(rest.is_empty());
        }
    }

    #[test]
    fn the_same_seed_draws_the_same_operations() {
        let keys = Keys::make(1000, 16).unwrap();
        let drawn = |seed| Workload { seed, ..sample() }.draw(1, &keys)[0].operations().to_vec();
        assert_eq!(drawn(5), drawn(5));
        assert_ne!(drawn(5), drawn(6));
    }

    #[test]
    fn a_workload_is_data() {
        let text = serde_json::to_string(&sample()).unwrap();
        assert_eq!(serde_json::from_str::<Workload>(&text).unwrap(), sample());
        let error = serde_json::from_str::<Workload>(&text.replacen("\"mix\"", "\"mox\"", 1)).unwrap_err();
        assert!(error.to_string().contains("unknown field `mox`"), "{error}");
    }
}
