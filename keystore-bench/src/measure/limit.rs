//! Measures how many random cache lines a second the machine's memory delivers.
//!
//! A lookup in a table that is far larger than the caches waits for memory, once or more. So the
//! memory limits the rate of every store on a machine, and the report shows this limit beside the
//! rates of the stores. A lookup that must read one line before it knows the address of the next
//! has one memory access in flight. A batch has several in flight, and so have consecutive lookups
//! that the processor executes out of order.
//!
//! The method is pointer chasing. The lines of a buffer form one cycle in random order: each line
//! holds the number of the next. A thread that follows one chain always waits for a single line. A
//! thread that follows several chains in lockstep has that many lines in flight. The chains start
//! at evenly spaced points of the cycle, and each thread has its own chains. The page size
//! determines how often an access also misses the TLB, so everything is measured on small pages and
//! on huge pages.

use std::hint::black_box;
use std::sync::Barrier;
use std::time::{Duration, Instant};

use memmap2::MmapMut;
use rand::SeedableRng;
use rand::rngs::SmallRng;
use rand::seq::SliceRandom;
use serde::{Deserialize, Serialize};

use crate::measure::machine;
use crate::measure::metrics::Spread;

/// A cache line as eight words. The first word is the number of the next line in the cycle.
type Line = [u64; 8];

/// Bytes of a huge page on x86-64, and on 64-bit ARM with 4 KiB base pages. The size of the buffer
/// is a multiple of it.
const HUGE_PAGE: usize = 2 << 20;

/// Maximum size of the buffer, because lines are numbered in 32 bits while the cycle is made.
const MAX_BYTES: usize =
    (u32::MAX as usize).saturating_mul(size_of::<Line>()) / HUGE_PAGE * HUGE_PAGE;

/// Number of runs for each rate, which is their median.
const RUNS: usize = 3;

/// Steps of each chain between two readings of the clock. They take 10 µs or more, so the cost of
/// reading the clock is negligible.
const STEPS: u64 = 1024;

/// The page size of a buffer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Pages {
    /// The system's ordinary pages, 4 KiB on most machines.
    Small,
    /// Huge pages of 2 MiB if the system provides them (Linux, unless they are turned off), else
    /// ordinary pages.
    Huge,
}

impl Pages {
    /// Both page sizes.
    pub const ALL: [Self; 2] = [Self::Small, Self::Huge];
}

/// The rate at which a number of threads read random lines.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct LineRate {
    /// The page size of the buffer.
    pub pages: Pages,
    /// Number of concurrent threads.
    pub threads: usize,
    /// Number of lines that each thread waits for at a time.
    pub in_flight: usize,
    /// Cache lines of 64 bytes a second, over all threads.
    pub lines_per_sec: f64,
}

/// The numbers of chains that a thread follows at once, with the function for each. The number is a
/// compile-time constant, so that the compiler keeps the chains' heads in registers as far as the
/// registers suffice.
const CHASES: [(usize, Chase); 4] =
    [(1, chase::<1>), (8, chase::<8>), (16, chase::<16>), (32, chase::<32>)];

/// Measures the random lines a second of a buffer of `bytes` bytes. It measures both page sizes and
/// each number of threads, with 1, 8, 16 and 32 lines in flight per thread. Each rate is the median
/// of three runs of the length `each`.
///
/// `bytes` is rounded up to a multiple of the huge page size. It should be many times the size of
/// the last-level cache, and at least the size of the stores that are compared with it. A thread
/// count of 0 counts as 1. The function takes `24 × each` for each number of threads, plus the time
/// to make the buffers. It returns no rates if the system refuses the memory.
#[must_use]
pub fn line_rates(bytes: usize, threads: &[usize], each: Duration) -> Vec<LineRate> {
    let mut rates = Vec::new();
    for pages in Pages::ALL {
        let Some(mut cycle) = Cycle::new(bytes, pages) else { return Vec::new() };
        for &threads in threads {
            let threads = threads.max(1);
            for (in_flight, chase) in CHASES {
                let runs = [(); RUNS].map(|()| cycle.rate(threads, in_flight, chase, each));
                rates.push(LineRate {
                    pages,
                    threads,
                    in_flight,
                    lines_per_sec: Spread::of(&runs).median,
                });
            }
        }
    }
    rates
}

/// A buffer whose lines form one cycle.
struct Cycle {
    buffer: MmapMut,
    /// The numbers of the lines in the order of the cycle.
    order: Vec<u32>,
    /// The position in `order` at which the next run starts. It is where the last run ended,
    /// because the lines just before that position are in the caches.
    begin: usize,
}

impl Cycle {
    /// Returns a cycle through `bytes` bytes, in random order. Returns `None` if the allocation
    /// fails.
    fn new(bytes: usize, pages: Pages) -> Option<Self> {
        let bytes = bytes.clamp(1, MAX_BYTES).next_multiple_of(HUGE_PAGE);
        let mut buffer = MmapMut::map_anon(bytes).ok()?;
        advise(&buffer, pages);
        let lines: &mut [Line] = bytemuck::cast_slice_mut(&mut buffer);
        // A random permutation of all lines, closed into a ring, yields each possible cycle with
        // the same probability. Sattolo's algorithm does this in place. We keep the permutation,
        // since it gives us evenly spaced points along the cycle.
        let mut order = Vec::new();
        order.try_reserve_exact(lines.len()).ok()?;
        order.extend(0..lines.len() as u32);
        order.shuffle(&mut SmallRng::seed_from_u64(1));
        for (&line, &next) in order.iter().zip(order.iter().cycle().skip(1)) {
            lines[line as usize][0] = u64::from(next);
        }
        Some(Self { buffer, order, begin: 0 })
    }

    fn lines(&self) -> &[Line] {
        bytemuck::cast_slice(&self.buffer)
    }

    /// Returns the line at which chain number `chain` of `of` chains starts.
    fn start(&self, chain: usize, of: usize) -> u64 {
        let lines = self.order.len();
        let apart = (chain as u128 * lines as u128 / of as u128) as usize;
        u64::from(self.order[(self.begin + apart) % lines])
    }

    /// Measures one run and returns its lines a second.
    fn rate(&mut self, threads: usize, in_flight: usize, chase: Chase, each: Duration) -> f64 {
        let barrier = Barrier::new(threads);
        let processors = machine::processors_for(threads);
        let cycle = &*self;
        let runs: Vec<Chased> = std::thread::scope(|scope| {
            let handles: Vec<_> = (0..threads)
                .map(|thread| {
                    let (barrier, processor) = (&barrier, processors.get(thread).copied());
                    scope.spawn(move || {
                        if let Some(processor) = processor {
                            machine::pin_to_cpu(processor);
                        }
                        let starts: Vec<u64> = (0..in_flight)
                            .map(|chain| {
                                cycle.start(thread * in_flight + chain, threads * in_flight)
                            })
                            .collect();
                        barrier.wait();
                        chase(cycle.lines(), &starts, each)
                    })
                })
                .collect();
            handles
                .into_iter()
                .map(|handle| {
                    handle.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
                })
                .collect()
        });
        let steps = runs.iter().map(|run| run.steps).max().unwrap_or(0);
        self.begin = ((self.begin as u64 + steps) % self.order.len() as u64) as usize;
        let lines = runs.iter().map(|run| run.steps).sum::<u64>() * in_flight as u64;
        let (started, ended) =
            (runs.iter().map(|run| run.started).min(), runs.iter().map(|run| run.ended).max());
        let elapsed = started.zip(ended).map_or(Duration::ZERO, |(started, ended)| ended - started);
        lines as f64 / elapsed.as_secs_f64().max(1e-9)
    }
}

/// The result of one thread.
struct Chased {
    /// Number of steps along each chain.
    steps: u64,
    started: Instant,
    ended: Instant,
}

/// A function that follows the chains from the given start lines for the given time.
type Chase = fn(&[Line], &[u64], Duration) -> Chased;

/// Follows `CHAINS` chains in lockstep for at least the time `each`.
fn chase<const CHAINS: usize>(lines: &[Line], starts: &[u64], each: Duration) -> Chased {
    let mut heads: [u64; CHAINS] = std::array::from_fn(|chain| starts[chain]);
    let mut steps = 0;
    let started = Instant::now();
    loop {
        for _ in 0..STEPS {
            for head in &mut heads {
                *head = lines[*head as usize][0];
            }
        }
        steps += STEPS;
        let ended = Instant::now();
        if ended - started >= each {
            black_box(heads);
            return Chased { steps, started, ended };
        }
    }
}

/// Advises the system to use the given page size. If the system ignores the advice or does not
/// support it, the buffer has the system's default pages.
#[cfg(target_os = "linux")]
fn advise(buffer: &MmapMut, pages: Pages) {
    use memmap2::Advice;
    let _ = buffer.advise(match pages {
        Pages::Small => Advice::NoHugePage,
        Pages::Huge => Advice::HugePage,
    });
}

#[cfg(not(target_os = "linux"))]
fn advise(_: &MmapMut, _: Pages) {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cycle_visits_every_line_once() {
        for pages in Pages::ALL {
            let cycle = Cycle::new(3 << 20, pages).unwrap();
            let lines = cycle.lines();
            assert_eq!(size_of_val(lines), 4 << 20, "whole huge pages");
            let mut visited = vec![false; lines.len()];
            let mut head = cycle.start(0, 1);
            let first = head;
            for _ in 0..lines.len() {
                assert!(!std::mem::replace(&mut visited[head as usize], true));
                head = lines[head as usize][0];
            }
            assert_eq!(head, first);
        }
    }

    #[test]
    fn the_order_is_no_pattern_that_a_prefetcher_knows() {
        let cycle = Cycle::new(0, Pages::Small).unwrap();
        let near = cycle.order.windows(2).filter(|pair| pair[0].abs_diff(pair[1]) < 64).count();
        assert!(near < cycle.order.len() / 64, "{near} of {} steps are short", cycle.order.len());
    }

    #[test]
    fn chains_start_evenly_spaced_along_the_cycle() {
        let mut cycle = Cycle::new(0, Pages::Small).unwrap();
        for of in [1, 8, 64] {
            cycle.begin += cycle.order.len() / 3;
            let mut head = cycle.start(0, of);
            for chain in 0..of {
                assert_eq!(head, cycle.start(chain, of));
                for _ in 0..cycle.order.len() / of {
                    head = cycle.lines()[head as usize][0];
                }
            }
        }
    }

    #[test]
    fn a_run_goes_on_where_the_last_one_ended() {
        let mut cycle = Cycle::new(0, Pages::Small).unwrap();
        let (lines, begin) = (cycle.order.len(), cycle.begin);
        cycle.rate(
            1,
            1,
            |_, _, _| Chased { steps: 70_000, started: Instant::now(), ended: Instant::now() },
            Duration::ZERO,
        );
        assert_eq!(cycle.begin, (begin + 70_000) % lines);
        assert_eq!(cycle.start(0, 1), u64::from(cycle.order[cycle.begin]));
    }

    #[test]
    fn every_combination_asked_for_is_measured() {
        let rates = line_rates(0, &[1, 3, 0], Duration::from_millis(1));
        let mut expected = Vec::new();
        for pages in Pages::ALL {
            for threads in [1, 3, 1] {
                expected.extend([1, 8, 16, 32].map(|in_flight| (pages, threads, in_flight)));
            }
        }
        let found: Vec<_> =
            rates.iter().map(|rate| (rate.pages, rate.threads, rate.in_flight)).collect();
        assert_eq!(found, expected);
        assert!(
            rates.iter().all(|rate| rate.lines_per_sec.is_finite() && rate.lines_per_sec > 0.0),
            "{rates:?}"
        );
    }

    #[test]
    fn a_rate_is_stored_as_it_is() {
        let rate = LineRate { pages: Pages::Huge, threads: 2, in_flight: 16, lines_per_sec: 6.5e7 };
        let text = serde_json::to_string(&rate).unwrap();
        assert!(text.contains("\"pages\":\"huge\""), "{text}");
        assert_eq!(serde_json::from_str::<LineRate>(&text).unwrap(), rate);
    }
}
