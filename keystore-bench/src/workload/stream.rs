//! Draws the operations of each thread before the clock starts, so that drawing is not measured.
//!
//! The operations of a thread, and the bytes of their keys, lie one after another in memory. The
//! processor prefetches them, so the remaining waits for memory are caused by the store.

use crate::workload::distribution::share;
use crate::workload::keys::Keys;
use crate::workload::operation::Kind;
use crate::workload::scenario::{Length, MAX_DRAWN, Scenario};
use crate::workload::size::Size;

/// Target number of drawn operations, over all threads. A longer run repeats them. The number is
/// small, so that reading the operations takes little memory bandwidth.
const DRAWN: usize = 1 << 18;

/// Limit of the bytes of drawn keys, over all threads. If keys are long, fewer operations are
/// drawn, and a run repeats them more often.
const DRAWN_KEY_BYTES: f64 = (512 << 20) as f64;

/// An operation: its kind and its key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Operation {
    /// Position of the key among all keys.
    pub key: u32,
    /// Length of the key in bytes.
    key_len: u16,
    /// Kind of the operation.
    pub kind: Kind,
}

impl Operation {
    /// Returns the length of the key in bytes.
    #[inline]
    #[must_use]
    pub const fn key_len(self) -> usize {
        self.key_len as usize
    }
}

/// Sizes of the values that a thread writes.
#[derive(Clone, Debug)]
enum ValueSizes {
    /// One size for all values.
    Fixed(usize),
    /// One size for each operation, even if the operation writes no value.
    Each(Vec<u32>),
}

/// The operations of one thread, and the bytes of their keys in the same order.
#[derive(Clone, Debug)]
pub struct Stream {
    operations: Vec<Operation>,
    key_bytes: Vec<u8>,
    value_sizes: ValueSizes,
    largest_value: usize,
}

impl Stream {
    /// Returns an empty stream. All values have the size `fixed`; if it is `None`, each has its
    /// own.
    pub(crate) fn new(fixed: Option<usize>) -> Self {
        let value_sizes = fixed.map_or(ValueSizes::Each(Vec::new()), ValueSizes::Fixed);
        Self {
            operations: Vec::new(),
            key_bytes: Vec::new(),
            value_sizes,
            largest_value: fixed.unwrap_or(0),
        }
    }

    /// Appends an operation. `value_size` is the size of its value; it is ignored if the size is
    /// fixed.
    pub(crate) fn push(&mut self, kind: Kind, key: u32, bytes: &[u8], value_size: usize) {
        let key_len = u16::try_from(bytes.len()).expect("keys are at most 65,535 bytes");
        self.operations.push(Operation { key, key_len, kind });
        self.key_bytes.extend_from_slice(bytes);
        if let ValueSizes::Each(sizes) = &mut self.value_sizes {
            sizes.push(u32::try_from(value_size).expect("values are at most 4 GiB - 1"));
            self.largest_value = self.largest_value.max(value_size);
        }
    }

    /// Returns the operations in order.
    #[must_use]
    pub fn operations(&self) -> &[Operation] {
        &self.operations
    }

    /// Returns the concatenated keys of the operations.
    #[must_use]
    pub fn key_bytes(&self) -> &[u8] {
        &self.key_bytes
    }

    /// Returns the size in bytes of the value that the operation at `index` writes.
    #[inline]
    #[must_use]
    pub fn value_size(&self, index: usize) -> usize {
        match &self.value_sizes {
            ValueSizes::Fixed(size) => *size,
            ValueSizes::Each(sizes) => sizes[index] as usize,
        }
    }

    /// Returns the size in bytes of the largest value.
    #[must_use]
    pub const fn largest_value(&self) -> usize {
        self.largest_value
    }

    /// Returns the number of drawn operations.
    #[must_use]
    pub fn len(&self) -> usize {
        self.operations.len()
    }

    /// Returns whether the stream has no operations.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.operations.is_empty()
    }
}

impl Scenario {
    /// Draws the operations of each of `threads` threads over the first [`keys`](Self::keys) of
    /// `keys`. Rounds count from 0. Each round has its own operations, which are the same for every
    /// store.
    #[must_use]
    pub fn draw(&self, threads: usize, round: usize, keys: &Keys) -> Vec<Stream> {
        let seed = self.seed.wrapping_add(round as u64);
        let samplers = self.distribution.samplers(self.keys, self.loaded_keys(), threads, seed);
        samplers
            .into_iter()
            .enumerate()
            .map(|(thread, mut sampler)| {
                let target =
                    self.drawn(self.quota(thread, threads), threads, keys.mean_len(self.keys));
                let mut stream = Stream::new(self.value_size.fixed());
                stream.operations.reserve_exact(target);
                while stream.len() < target {
                    let kind = self.mix.pick(rand::RngExt::random_range(sampler.rng(), 0..100));
                    let keys_of_call = if kind.is_batch() { self.batch } else { 1 };
                    for _ in 0..keys_of_call.min(target - stream.len()) {
                        let Some(key) = sampler.next_key(kind) else { return stream };
                        let value_size = self.draw_value_size(sampler.rng());
                        stream.push(kind, key, keys.get(key as usize), value_size);
                    }
                }
                stream
            })
            .collect()
    }

    fn draw_value_size(&self, rng: &mut rand::rngs::SmallRng) -> usize {
        if let Size::Fixed(size) = self.value_size { size } else { self.value_size.draw(rng) }
    }

    /// Returns the number of operations to draw for a thread that executes at most `quota`. A run
    /// that needs more repeats them, so there must be enough to sample the key distribution well.
    fn drawn(&self, quota: u64, threads: usize, mean_key_len: f64) -> usize {
        let in_memory = (DRAWN_KEY_BYTES / mean_key_len) as usize;
        let repeated = (DRAWN.max(2 * self.keys).min(in_memory) / threads).max(1024) as u64;
        let most =
            if self.distribution == crate::KeyDistribution::Latest { MAX_DRAWN } else { repeated };
        quota.min(most) as usize
    }

    /// Returns the maximum number of operations of thread `thread` of `threads`.
    pub(crate) fn quota(&self, thread: usize, threads: usize) -> u64 {
        match self.length {
            Length::Seconds(_) | Length::Once => u64::MAX,
            Length::Operations(total) => {
                (share(total as usize, thread + 1, threads)
                    - share(total as usize, thread, threads)) as u64
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workload::distribution::KeyDistribution;
    use crate::workload::operation::Mix;
    use crate::workload::size::Between;

    fn sample() -> Scenario {
        Scenario {
            mix: Mix { get: 50, set: 30, delete: 20, ..Mix::default() },
            distribution: KeyDistribution::Zipfian { theta: 0.99 },
            length: Length::Operations(10_000),
            keys: 1000,
            ..Scenario::default()
        }
    }

    fn keys() -> Keys {
        Keys::make(1000, &16.into()).unwrap()
    }

    #[test]
    fn operations_are_drawn_in_the_shares_of_the_mix() {
        let scenario = Scenario { length: Length::Operations(100_000), ..sample() };
        let streams = scenario.draw(3, 0, &keys());
        assert_eq!(streams.iter().map(Stream::len).sum::<usize>(), 100_000);
        let of = |kind| {
            streams
                .iter()
                .flat_map(Stream::operations)
                .filter(|operation| operation.kind == kind)
                .count()
        };
        for (kind, expected) in
            [(Kind::Get, 50_000_i64), (Kind::Set, 30_000), (Kind::Delete, 20_000)]
        {
            assert!((of(kind) as i64 - expected).abs() < 1000, "{kind:?}: {}", of(kind));
        }
        assert_eq!(of(Kind::Insert) + of(Kind::Update) + of(Kind::GetMany), 0);
    }

    #[test]
    fn the_bytes_of_the_keys_lie_in_the_order_of_the_operations() {
        let keys = keys();
        for stream in sample().draw(2, 0, &keys) {
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
    fn long_keys_are_drawn_less_often_and_take_bounded_memory() {
        let keys = Keys::make(2, &60_000.into()).unwrap();
        let scenario = Scenario { keys: 2, length: Length::Seconds(1.0), ..sample() };
        let streams = scenario.draw(2, 0, &keys);
        let bytes: usize = streams.iter().map(|stream| stream.key_bytes().len()).sum();
        assert!(bytes as f64 <= 1.01 * DRAWN_KEY_BYTES, "{bytes} bytes");
        assert!(streams.iter().all(|stream| stream.len() >= 1024));
    }

    #[test]
    fn the_same_seed_and_round_draw_the_same_operations() {
        let keys = keys();
        let drawn = |seed, round| {
            Scenario { seed, ..sample() }.draw(1, round, &keys)[0].operations().to_vec()
        };
        assert_eq!(drawn(5, 0), drawn(5, 0));
        assert_ne!(drawn(5, 0), drawn(7, 0));
        assert_ne!(drawn(5, 0), drawn(5, 1));
    }

    #[test]
    fn sizes_of_values_are_drawn_where_they_differ() {
        let value_size = Size::Between(Between { min: 16, max: 80 });
        let stream = Scenario { value_size, ..sample() }.draw(1, 0, &keys()).remove(0);
        let mean = (0..stream.len()).map(|n| stream.value_size(n)).sum::<usize>() as f64
            / stream.len() as f64;
        assert!((46.0..50.0).contains(&mean), "{mean}");
        assert_eq!(stream.largest_value(), 80);
        assert_eq!(sample().draw(1, 0, &keys())[0].value_size(3), 64);
    }

    #[test]
    fn new_keys_come_once_and_then_the_stream_ends() {
        let scenario = Scenario {
            mix: Mix { get: 50, insert: 50, ..Mix::default() },
            distribution: KeyDistribution::Latest,
            preload: 0.5,
            length: Length::Operations(1 << 20),
            ..sample()
        };
        let streams = scenario.draw(2, 0, &keys());
        let inserted = streams
            .iter()
            .flat_map(Stream::operations)
            .filter(|op| op.kind == Kind::Insert)
            .count();
        assert_eq!(inserted, 500);
    }
}
