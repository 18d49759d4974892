//! Chooses the key of each operation.
//!
//! The Zipfian distribution is [`rand_distr::Zipf`]. It uses rejection inversion (W. Hörmann and G.
//! Derflinger, "Rejection-inversion to generate variates from monotone discrete distributions",
//! 1996), which is exact for every number of keys. The usual approximation (Gray et al. 1994, as in
//! YCSB) is not exact. A random permutation scatters the ranks over the keys. Without it, the most
//! popular keys would be the keys loaded first, whose nodes lie next to each other in memory.

use std::sync::Arc;

use keystore_verify::mix;
use rand::rngs::SmallRng;
use rand::seq::SliceRandom;
use rand::{RngExt, SeedableRng};
use rand_distr::{Distribution, Zipf};
use serde::{Deserialize, Serialize};

use crate::workload::operation::Kind;

/// Skew of [`KeyDistribution::Latest`], as in YCSB (Cooper et al. 2010).
const YCSB_THETA: f64 = 0.99;

/// The distribution of keys over the operations of a scenario.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum KeyDistribution {
    /// Every key is equally likely.
    #[default]
    Uniform,
    /// The probability of the key of rank r is proportional to r to the power of -theta.
    Zipfian {
        /// Skew. 0 is uniform; 0.99 is the usual value since YCSB.
        theta: f64,
    },
    /// Writes (`set`, `insert`) add new keys one after another, and the newest keys are the most
    /// popular. The age of the key that another operation takes, counted in keys, is Zipfian with
    /// theta 0.99. The stream ends when all keys were added.
    Latest,
    /// A few hot keys take most of the operations, in equal shares. The other keys share the rest.
    HotSet {
        /// Share of the hot keys, in percent of all keys.
        keys: u8,
        /// Share of the operations on hot keys, in percent of all operations.
        operations: u8,
    },
    /// All operations take keys from one window of the keys. After as many operations as the window
    /// has keys, it moves on by half its width.
    Bursty {
        /// Width of the window, in percent of all keys.
        recent: u8,
    },
    /// Each thread takes its own share of the keys, one after another. Together, the threads take
    /// every key once before any key is taken again.
    Sequential,
}

impl KeyDistribution {
    /// Returns the invalid value and what it must be, or `None` if the distribution is valid.
    pub(crate) fn fault(self) -> Option<(String, &'static str)> {
        let percent = |value| (1..=100).contains(&value);
        match self {
            Self::Zipfian { theta } if !(0.0..=10.0).contains(&theta) => {
                Some((format!("zipfian with theta {theta}"), "zipfian with theta from 0 to 10"))
            }
            Self::HotSet { keys, operations } if !percent(keys) || !percent(operations) => Some((
                format!("hot-set with keys {keys} and operations {operations}"),
                "hot-set with keys and operations from 1 to 100 percent",
            )),
            Self::Bursty { recent } if !percent(recent) => Some((
                format!("bursty with recent {recent}"),
                "bursty with recent from 1 to 100 percent",
            )),
            _ => None,
        }
    }

    /// Returns a sampler for each of `threads` threads, over `count` keys. The first `loaded` keys
    /// are in the store from the start.
    ///
    /// The same seed gives the same positions. Each thread draws its own sequence, but all threads
    /// agree on which keys are popular.
    pub(crate) fn samplers(
        self,
        count: usize,
        loaded: usize,
        threads: usize,
        seed: u64,
    ) -> Vec<Sampler> {
        let scattered = || -> Arc<[u32]> {
            let mut keys: Vec<u32> = (0..count as u32).collect();
            keys.shuffle(&mut SmallRng::seed_from_u64(seed));
            keys.into()
        };
        let zipf = |theta| {
            Zipf::new(count as f64, theta).expect("a scenario is validated before it is drawn")
        };
        let part = |percent| (count * usize::from(percent)).div_ceil(100).max(1);
        let of_thread = |thread| match self {
            Self::Uniform => Positions::Uniform { count },
            Self::Zipfian { theta } => {
                Positions::Zipfian { ranks: zipf(theta), key_of_rank: Arc::default() }
            }
            Self::Latest => Positions::Latest {
                ages: zipf(YCSB_THETA),
                next: loaded + thread,
                step: threads,
                count,
            },
            Self::HotSet { keys, operations } => Positions::HotSet {
                hot: part(keys),
                percent: operations,
                key_of_rank: Arc::default(),
            },
            Self::Bursty { recent } => Positions::Bursty {
                start: 0,
                width: part(recent),
                left: 0,
                draws: part(recent).div_ceil(threads),
                key_of_rank: Arc::default(),
            },
            Self::Sequential => {
                let (first, end) =
                    (share(count, thread, threads), share(count, thread + 1, threads));
                Positions::Sequential { first, end, next: first }
            }
        };
        let mut samplers: Vec<Sampler> = (0..threads)
            .map(|thread| Sampler {
                rng: SmallRng::seed_from_u64(seed ^ mix(thread as u64)),
                positions: of_thread(thread),
            })
            .collect();
        if matches!(self, Self::Zipfian { .. } | Self::HotSet { .. } | Self::Bursty { .. }) {
            let shared = scattered();
            for sampler in &mut samplers {
                if let Positions::Zipfian { key_of_rank, .. }
                | Positions::HotSet { key_of_rank, .. }
                | Positions::Bursty { key_of_rank, .. } = &mut sampler.positions
                {
                    *key_of_rank = Arc::clone(&shared);
                }
            }
        }
        samplers
    }
}

impl std::fmt::Display for KeyDistribution {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Uniform => f.write_str("uniform"),
            Self::Zipfian { theta } => write!(f, "Zipfian, theta {theta}"),
            Self::Latest => f.write_str("the latest most"),
            Self::HotSet { keys, operations } => {
                write!(f, "{operations} % of the operations on {keys} % of the keys")
            }
            Self::Bursty { recent } => write!(f, "bursts over {recent} % of the keys"),
            Self::Sequential => f.write_str("one after another"),
        }
    }
}

/// Returns the start of the share of `thread` when `total` is divided between `threads`.
pub(crate) const fn share(total: usize, thread: usize, threads: usize) -> usize {
    (total as u128 * thread as u128 / threads as u128) as usize
}

/// Draws the positions of keys.
#[derive(Debug)]
pub(crate) struct Sampler {
    rng: SmallRng,
    positions: Positions,
}

#[derive(Clone, Debug)]
enum Positions {
    Uniform { count: usize },
    Zipfian { ranks: Zipf<f64>, key_of_rank: Arc<[u32]> },
    Latest { ages: Zipf<f64>, next: usize, step: usize, count: usize },
    HotSet { hot: usize, percent: u8, key_of_rank: Arc<[u32]> },
    Bursty { start: usize, width: usize, left: usize, draws: usize, key_of_rank: Arc<[u32]> },
    Sequential { first: usize, end: usize, next: usize },
}

impl Sampler {
    /// Returns the position of the key for the next operation, which is of this kind. Returns
    /// `None` if no key is left.
    pub(crate) fn next_key(&mut self, kind: Kind) -> Option<u32> {
        let rng = &mut self.rng;
        let position = match &mut self.positions {
            Positions::Uniform { count } => rng.random_range(0..*count),
            Positions::Zipfian { ranks, key_of_rank } => {
                // Ranks are whole numbers from 1 to the number of keys.
                let rank = ranks.sample(rng) as usize - 1;
                key_of_rank[rank.min(key_of_rank.len() - 1)] as usize
            }
            Positions::Latest { ages, next, step, count } => {
                if matches!(kind, Kind::Set | Kind::SetMany | Kind::Insert) {
                    let position = *next;
                    if position >= *count {
                        return None;
                    }
                    *next += *step;
                    position
                } else {
                    // The keys before this thread's next new key exist. Keys of other threads may
                    // be missing among them, but only a few, because all threads proceed at about
                    // the same rate.
                    let there = (*next).min(*count).max(1);
                    loop {
                        let age = ages.sample(rng) as usize;
                        if age <= there {
                            break there - age;
                        }
                    }
                }
            }
            Positions::HotSet { hot, percent, key_of_rank } => {
                let is_hot = rng.random_range(0..100) < *percent;
                let ranks = if is_hot || *hot == key_of_rank.len() {
                    0..*hot
                } else {
                    *hot..key_of_rank.len()
                };
                key_of_rank[rng.random_range(ranks)] as usize
            }
            Positions::Bursty { start, width, left, draws, key_of_rank } => {
                if *left == 0 {
                    *left = *draws;
                    *start = (*start + width.div_ceil(2)) % key_of_rank.len();
                }
                *left -= 1;
                key_of_rank[(*start + rng.random_range(0..*width)) % key_of_rank.len()] as usize
            }
            Positions::Sequential { first, end, next } => {
                if first == end {
                    return None;
                }
                let position = *next;
                *next = if position + 1 == *end { *first } else { position + 1 };
                position
            }
        };
        Some(position as u32)
    }

    /// Returns the random number generator, for choices other than the key.
    pub(crate) fn rng(&mut self) -> &mut SmallRng {
        &mut self.rng
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn draws(distribution: KeyDistribution, count: usize, draws: usize) -> Vec<u32> {
        let mut sampler = distribution.samplers(count, count, 1, 7).remove(0);
        let mut times = vec![0; count];
        for _ in 0..draws {
            times[sampler.next_key(Kind::Get).unwrap() as usize] += 1;
        }
        times
    }

    #[test]
    fn uniform_draws_cover_all_keys_alike() {
        let times = draws(KeyDistribution::Uniform, 1000, 200_000);
        // The expected count is 200 with a standard deviation of 14: allow five deviations on each
        // side.
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
    fn a_hot_set_takes_its_share_and_each_of_its_keys_as_much() {
        let mut times = draws(KeyDistribution::HotSet { keys: 10, operations: 90 }, 1000, 200_000);
        assert!(times[..100].iter().any(|&n| n < 1000), "hot keys must be scattered over the keys");
        times.sort_unstable_by(|a, b| b.cmp(a));
        let hot: u32 = times[..100].iter().sum();
        assert!((179_000..181_000).contains(&hot), "{hot}");
        assert!(
            times[..100].iter().all(|n| (1500..2100).contains(n)),
            "1800 expected: {:?}",
            &times[..100]
        );
        assert_eq!(
            draws(KeyDistribution::HotSet { keys: 100, operations: 50 }, 10, 1000)
                .iter()
                .sum::<u32>(),
            1000
        );
    }

    #[test]
    fn a_burst_stays_in_its_part_and_bursts_come_to_all_keys() {
        let mut sampler =
            KeyDistribution::Bursty { recent: 20 }.samplers(1000, 1000, 1, 7).remove(0);
        let mut burst = || -> std::collections::HashSet<u32> {
            (0..200).map(|_| sampler.next_key(Kind::Get).unwrap()).collect()
        };
        let (first, second, third) = (burst(), burst(), burst());
        assert!((100..=200).contains(&first.len()));
        let shared = first.intersection(&second).count();
        assert!((30..100).contains(&shared), "half the part stays: {shared}");
        assert_eq!(first.intersection(&third).count(), 0, "two steps on, nothing does");
        assert!(draws(KeyDistribution::Bursty { recent: 20 }, 1000, 20_000).iter().all(|&n| n > 0));
    }

    #[test]
    fn the_latest_keys_are_asked_for_most_and_each_new_key_comes_once() {
        let mut samplers = KeyDistribution::Latest.samplers(1000, 500, 2, 7);
        let mut fresh: Vec<u32> = Vec::new();
        let mut ages = vec![0; 1000];
        while fresh.len() < 500 {
            for sampler in &mut samplers {
                fresh.push(sampler.next_key(Kind::Insert).unwrap());
                for _ in 0..20 {
                    let position = sampler.next_key(Kind::Get).unwrap() as usize;
                    ages[(500 + fresh.len() + 1).saturating_sub(position)] += 1;
                }
            }
        }
        fresh.sort_unstable();
        assert!(fresh.iter().copied().eq(500..1000), "{fresh:?}");
        assert!(samplers.iter_mut().all(|sampler| sampler.next_key(Kind::Set).is_none()));
        let (young, old): (i32, i32) = (ages[..100].iter().sum(), ages[100..].iter().sum());
        assert!(young > 2 * old, "{young} of the last hundred, {old} older");
    }

    #[test]
    fn threads_agree_on_the_hottest_key_and_draw_differently() {
        let zipfian = KeyDistribution::Zipfian { theta: 0.99 };
        let drawn: Vec<Vec<u32>> = zipfian
            .samplers(500, 500, 2, 3)
            .into_iter()
            .map(|mut sampler| (0..5000).map(|_| sampler.next_key(Kind::Get).unwrap()).collect())
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
        for (thread, mut sampler) in
            KeyDistribution::Sequential.samplers(10, 0, 3, 0).into_iter().enumerate()
        {
            let length = share(10, thread + 1, 3) - share(10, thread, 3);
            let lap: Vec<u32> = (0..length).map(|_| sampler.next_key(Kind::Set).unwrap()).collect();
            assert_eq!(
                sampler.next_key(Kind::Set),
                lap.first().copied(),
                "the next lap takes the same keys"
            );
            all.extend(lap);
        }
        assert_eq!(all, (0..10).collect::<Vec<u32>>());
        assert_eq!(KeyDistribution::Sequential.samplers(1, 0, 2, 0)[0].next_key(Kind::Set), None);
    }
}
