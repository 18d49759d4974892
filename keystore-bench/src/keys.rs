//! The keys of a workload, and which of them an operation takes.
//!
//! Keys are made, or are the lines of a file. A made key is its position, spread by a bijection: so made keys are
//! distinct, look random to any hash function, and are the same in every run.
//!
//! Which key an operation takes is drawn from a [`KeyDistribution`]. The Zipfian one is [`rand_distr::Zipf`] (rejection
//! inversion, W. Hörmann and G. Derflinger, "Rejection-inversion to generate variates from monotone discrete
//! distributions", 1996): exact for every number of keys, where the usual approximation (Gray et al. 1994, as in YCSB) is
//! not. The ranks it draws are scattered over the keys by a random permutation, for otherwise the keys asked for most would
//! be those loaded first, whose nodes lie next to each other in memory.

use std::collections::HashSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use keystore_core::MAX_KEY_LEN;
use rand::rngs::SmallRng;
use rand::seq::SliceRandom;
use rand::{RngExt, SeedableRng};
use rand_distr::{Distribution, Zipf};
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};

/// The most keys there can be: an operation names its key in 32 bits.
pub const MAX_KEYS: usize = u32::MAX as usize;

/// Distinct keys, each known by its position.
#[derive(Clone, Debug)]
pub struct Keys {
    bytes: Vec<u8>,
    /// Where in `bytes` each key ends.
    ends: Vec<usize>,
    source: KeySource,
}

/// Where keys come from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum KeySource {
    /// They were made.
    Made {
        /// Bytes of each key.
        size: usize,
    },
    /// They are the lines of a file.
    File {
        /// The file.
        path: PathBuf,
        /// Empty lines, which are no keys.
        blank: usize,
        /// Lines that were there before, and count once.
        repeated: usize,
    },
}

impl Keys {
    /// `count` distinct keys of `size` bytes.
    ///
    /// # Errors
    /// [`Error::Workload`] where there are not that many keys of that size, or a store takes no such key.
    pub fn make(count: usize, size: usize) -> Result<Self> {
        let wrong = |field, value: usize, expected: String| Error::Workload {
            workload: "keys".to_owned(),
            field,
            value: value.to_string(),
            expected,
        };
        if size == 0 || size > MAX_KEY_LEN {
            return Err(wrong("key_size", size, format!("from 1 to {MAX_KEY_LEN} bytes")));
        }
        let most = if size < 4 { 1 << (8 * size) } else { MAX_KEYS };
        if count == 0 || count > most {
            return Err(wrong("keys", count, format!("from 1 to {most}, for keys of {size} bytes")));
        }
        let mut bytes = Vec::new();
        let fits = count.checked_mul(size).is_some_and(|total| bytes.try_reserve_exact(total).is_ok());
        if !fits {
            return Err(wrong("keys", count, format!("as many keys of {size} bytes as fit into memory")));
        }
        for position in 0..count as u64 {
            let end = bytes.len() + size;
            // Below 8 bytes the mixed word would be cut, and no longer be distinct: an odd multiplier is a bijection
            // on the words of any size.
            let first = if size < 8 { position.wrapping_mul(0x9e37_79b9_7f4a_7c15) } else { mix(position) };
            let mut word = first;
            while bytes.len() < end {
                let cut = (end - bytes.len()).min(8);
                bytes.extend_from_slice(&word.to_le_bytes()[..cut]);
                word = mix(word);
            }
        }
        Ok(Self { bytes, ends: (1..=count).map(|n| n * size).collect(), source: KeySource::Made { size } })
    }

    /// The distinct lines of a file, in order, without their line ends. Empty lines are left out.
    ///
    /// # Errors
    /// [`Error::File`] where it cannot be read, [`Error::Line`] for a line that is too long for a key or where there is
    /// no line at all.
    pub fn from_file(path: &Path) -> Result<Self> {
        let content = fs::read(path).map_err(|source| Error::unreadable(path, source))?;
        let mut seen = HashSet::new();
        let (mut bytes, mut ends) = (Vec::with_capacity(content.len()), Vec::new());
        let (mut blank, mut repeated) = (0, 0);
        let mut lines = content.split(|&byte| byte == b'\n').collect::<Vec<_>>();
        if lines.last().is_some_and(|rest| rest.is_empty()) {
            lines.pop(); // what follows the last line end is no line
        }
        for (index, line) in lines.into_iter().enumerate() {
            let key = line.strip_suffix(b"\r").unwrap_or(line);
            let wrong = |reason| Error::Line { path: path.to_owned(), line: index + 1, reason };
            if key.is_empty() {
                blank += 1;
            } else if key.len() > MAX_KEY_LEN {
                return Err(wrong(format!(
                    "a key of {} bytes: keys have 1 to {MAX_KEY_LEN} bytes",
                    key.len()
                )));
            } else if !seen.insert(key) {
                repeated += 1;
            } else if ends.len() == MAX_KEYS {
                return Err(wrong(format!("more than {MAX_KEYS} keys")));
            } else {
                bytes.extend_from_slice(key);
                ends.push(bytes.len());
            }
        }
        if ends.is_empty() {
            let reason = "the file holds no key: every line is one, and at least one is needed".to_owned();
            return Err(Error::Line { path: path.to_owned(), line: 1, reason });
        }
        let source = KeySource::File { path: path.to_owned(), blank, repeated };
        Ok(Self { bytes, ends, source })
    }

    /// How many there are; at least 1.
    #[must_use]
    #[expect(clippy::len_without_is_empty, reason = "there is always a key")]
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// The key at a position.
    ///
    /// # Panics
    /// Where there is none.
    #[must_use]
    pub fn get(&self, position: usize) -> &[u8] {
        let start = if position == 0 { 0 } else { self.ends[position - 1] };
        &self.bytes[start..self.ends[position]]
    }

    /// The mean length of the first `count` keys, bytes.
    #[must_use]
    pub fn mean_len(&self, count: usize) -> f64 {
        self.ends[count - 1] as f64 / count as f64
    }

    /// Where they come from.
    #[must_use]
    pub const fn source(&self) -> &KeySource {
        &self.source
    }
}

/// A bijection on words that leaves no pattern: the finaliser of SplitMix64 (Steele, Lea, Flood 2014).
#[must_use]
pub(crate) const fn mix(word: u64) -> u64 {
    let word = word.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    word ^ (word >> 31)
}

/// Which keys the operations of a workload take.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum KeyDistribution {
    /// Each key as often as any other.
    Uniform,
    /// The key of rank r in proportion to r to the power of -theta.
    Zipfian {
        /// The skew: 0 is uniform; 0.99 is the field's habit, since YCSB.
        theta: f64,
    },
    /// Each thread takes its own share of the keys, one after another: together they take every key once before any
    /// is taken again.
    Sequential,
}

impl KeyDistribution {
    /// A source of positions for each of `threads` threads, over `count` keys. The same seed gives the same positions, and
    /// threads differ; all threads agree on which keys are asked for most.
    #[must_use]
    pub fn samplers(self, count: usize, threads: usize, seed: u64) -> Vec<Sampler> {
        let positions = match self {
            Self::Uniform => Positions::Uniform { count },
            Self::Zipfian { theta } => {
                let mut key_of_rank: Vec<u32> = (0..count as u32).collect();
                key_of_rank.shuffle(&mut SmallRng::seed_from_u64(seed));
                let ranks =
                    Zipf::new(count as f64, theta).expect("a workload is validated before it is drawn");
                Positions::Zipfian { ranks, key_of_rank: key_of_rank.into() }
            }
            Self::Sequential => Positions::Sequential { first: 0, end: count, next: 0 },
        };
        let of_thread = |thread| {
            let mut positions = positions.clone();
            if let Positions::Sequential { first, end, next } = &mut positions {
                (*first, *end) = (share(count, thread, threads), share(count, thread + 1, threads));
                *next = *first;
            }
            Sampler { rng: SmallRng::seed_from_u64(seed ^ mix(thread as u64)), positions }
        };
        (0..threads).map(of_thread).collect()
    }
}

/// Where the share of `thread` begins when `total` is divided between `threads`.
pub(crate) const fn share(total: usize, thread: usize, threads: usize) -> usize {
    (total as u128 * thread as u128 / threads as u128) as usize
}

/// Draws positions of keys.
#[derive(Debug)]
pub struct Sampler {
    rng: SmallRng,
    positions: Positions,
}

#[derive(Clone, Debug)]
enum Positions {
    Uniform { count: usize },
    Zipfian { ranks: Zipf<f64>, key_of_rank: Arc<[u32]> },
    Sequential { first: usize, end: usize, next: usize },
}

impl Sampler {
    /// The next position; `None` where the thread's share of the keys is empty.
    pub fn next_key(&mut self) -> Option<u32> {
        Some(match &mut self.positions {
            Positions::Uniform { count } => self.rng.random_range(0..*count) as u32,
            Positions::Zipfian { ranks, key_of_rank } => {
                // Ranks are whole numbers from 1 to the number of keys.
                let rank = ranks.sample(&mut self.rng) as usize - 1;
                key_of_rank[rank.min(key_of_rank.len() - 1)]
            }
            Positions::Sequential { first, end, next } => {
                if first == end {
                    return None;
                }
                let position = *next;
                *next = if position + 1 == *end { *first } else { position + 1 };
                position as u32
            }
        })
    }

    /// A number below `end`, for choices other than that of the key.
    pub fn below(&mut self, end: u8) -> u8 {
        self.rng.random_range(0..end)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn draws(distribution: KeyDistribution, count: usize, draws: usize) -> Vec<u32> {
        let mut sampler = distribution.samplers(count, 1, 7).remove(0);
        let mut times = vec![0; count];
        for _ in 0..draws {
            times[sampler.next_key().unwrap() as usize] += 1;
        }
        times
    }

    #[test]
    fn made_keys_are_distinct_at_every_size() {
        for (count, size) in [(256, 1), (65_536, 2), (100_000, 3), (100_000, 7), (100_000, 8), (50_000, 29)] {
            let keys = Keys::make(count, size).unwrap();
            let distinct: HashSet<&[u8]> = (0..count).map(|n| keys.get(n)).collect();
            assert_eq!(distinct.len(), count, "{size} bytes");
            assert!(distinct.iter().all(|key| key.len() == size));
        }
    }

    #[test]
    fn more_keys_than_their_size_has_are_refused() {
        let error = Keys::make(257, 1).unwrap_err();
        assert!(error.is_usage());
        assert_eq!(
            error.to_string(),
            "workload \"keys\": keys is 257: it must be from 1 to 256, for keys of 1 bytes"
        );
        assert!(Keys::make(0, 16).is_err());
        assert!(Keys::make(1, 0).is_err());
        assert!(Keys::make(1, MAX_KEY_LEN + 1).is_err());
    }

    fn file(content: &[u8]) -> tempfile::NamedTempFile {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(content).unwrap();
        file
    }

    #[test]
    fn a_files_lines_are_its_keys_once_each() {
        let file = file(b"beta\n\nalpha\r\nbeta\n\r\n\xff\x00\ngamma");
        let keys = Keys::from_file(file.path()).unwrap();
        let lines: Vec<&[u8]> = (0..keys.len()).map(|n| keys.get(n)).collect();
        assert_eq!(lines, [&b"beta"[..], b"alpha", b"\xff\x00", b"gamma"]);
        assert_eq!(*keys.source(), KeySource::File { path: file.path().to_owned(), blank: 2, repeated: 1 });
        assert_eq!(keys.mean_len(2), 4.5);
    }

    #[test]
    fn a_file_that_gives_no_keys_is_named() {
        let empty = file(b"\n\n");
        let error = Keys::from_file(empty.path()).unwrap_err().to_string();
        assert!(error.starts_with(&format!("{}:1: ", empty.path().display())), "{error}");

        let long = file(&[b"short\n".as_slice(), &[b'x'; MAX_KEY_LEN + 1]].concat());
        let error = Keys::from_file(long.path()).unwrap_err().to_string();
        assert!(error.contains(":2: a key of 65536 bytes"), "{error}");

        let error = Keys::from_file(Path::new("/no/such/file")).unwrap_err();
        assert!(!error.is_usage());
        assert!(error.to_string().starts_with("/no/such/file: cannot be read"), "{error}");
    }

    #[test]
    fn uniform_draws_cover_all_keys_alike() {
        let times = draws(KeyDistribution::Uniform, 1000, 200_000);
        // 200 expected, a deviation of 14: five of them either side.
        assert!(times.iter().all(|n| (130..270).contains(n)), "{times:?}");
    }

    #[test]
    fn zipfian_draws_are_as_skewed_as_they_should_be() {
        let (count, total) = (1000, 500_000);
        let mut times = draws(KeyDistribution::Zipfian { theta: 0.99 }, count, total);
        assert!(times[0] < 50_000, "ranks must be scattered over the keys");
        times.sort_unstable_by(|a, b| b.cmp(a));
        let harmonic: f64 = (1..=count).map(|rank| (rank as f64).powf(-0.99)).sum();
        for rank in [1, 2, 3, 10, 100] {
            let expected = (rank as f64).powf(-0.99) / harmonic * total as f64;
            let drawn = f64::from(times[rank - 1]);
            assert!(
                (drawn - expected).abs() < 6.0 * expected.sqrt(),
                "rank {rank}: {drawn} for {expected:.0}"
            );
        }
    }

    #[test]
    fn threads_agree_on_the_hottest_key_and_draw_differently() {
        let zipfian = KeyDistribution::Zipfian { theta: 0.99 };
        let drawn: Vec<Vec<u32>> = zipfian
            .samplers(500, 2, 3)
            .into_iter()
            .map(|mut sampler| (0..5000).map(|_| sampler.next_key().unwrap()).collect())
            .collect();
        let hottest = |keys: &[u32]| {
            (0..500).max_by_key(|key| keys.iter().filter(|drawn| *drawn == key).count()).unwrap()
        };
        assert_eq!(hottest(&drawn[0]), hottest(&drawn[1]));
        assert_ne!(drawn[0], drawn[1]);
    }

    #[test]
    fn sequential_threads_take_every_key_once_together() {
        let mut all = Vec::new();
        for (thread, mut sampler) in KeyDistribution::Sequential.samplers(10, 3, 0).into_iter().enumerate() {
            let length = share(10, thread + 1, 3) - share(10, thread, 3);
            let lap: Vec<u32> = (0..length).map(|_| sampler.next_key().unwrap()).collect();
            assert_eq!(sampler.next_key(), lap.first().copied(), "the next lap takes the same keys");
            all.extend(lap);
        }
        assert_eq!(all, (0..10).collect::<Vec<u32>>());
        assert_eq!(KeyDistribution::Sequential.samplers(1, 2, 0)[0].next_key(), None);
    }
}
