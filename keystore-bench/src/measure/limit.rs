//! What the machine's memory can do: random cache lines a second.
//!
//! A lookup in a table that is far larger than the caches waits for memory, once or more. So there
//! is a most that any store on a machine can do, and it is worth knowing beside what the stores do:
//! one wait at a time for a lookup that has to know the one line before it can ask for the next,
//! several at a time for a batch, or for as much of several lookups as the processor runs ahead.
//!
//! The measure is the chase of pointers. A buffer of lines is strung into one cycle in random
//! order, each line holding the number of the next. A thread follows one chain, and always waits
//! for a single line; or it follows several in lockstep, started at points of the cycle as far from
//! each other as can be, and has as many lines in flight. Each thread has chains of its own. How
//! often the address of a line has to be looked up too depends on the size of the pages, so all of
//! it is done on small and on huge ones.

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

/// A cache line, as words; the first is the number of the line that comes next.
type Line = [u64; 8];

/// A huge page of x86-64, and of 64-bit ARM with its usual pages. The buffer is made of whole ones.
const HUGE_PAGE: usize = 2 << 20;

/// Lines are numbered in 32 bits while the cycle is made.
const MAX_BYTES: usize =
    (u32::MAX as usize).saturating_mul(size_of::<Line>()) / HUGE_PAGE * HUGE_PAGE;

/// Each rate is the median of so many runs.
const RUNS: usize = 3;

/// Steps of each chain between two looks at the clock: a hundredth of a millisecond or more, so
/// that looking costs nothing.
const STEPS: u64 = 1024;

/// The pages of a buffer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Pages {
    /// The system's ordinary ones, 4 KiB on most machines.
    Small,
    /// Huge ones, 2 MiB, where the system gives them (Linux, unless they are turned off): else the
    /// ordinary ones.
    Huge,
}

impl Pages {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Small, Self::Huge];
}

/// How many random lines a second some threads got.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct LineRate {
    /// The pages of the buffer.
    pub pages: Pages,
    /// Threads at once.
    pub threads: usize,
    /// Lines that each thread waits for at a time.
    pub in_flight: usize,
    /// Cache lines of 64 bytes a second, all threads together.
    pub lines_per_sec: f64,
}

/// The numbers of chains a thread follows at once, and the code for each: the number is known to
/// the compiler, so that the chains' heads are kept in registers, as far as there are so many.
const CHASES: [(usize, Chase); 4] =
    [(1, chase::<1>), (8, chase::<8>), (16, chase::<16>), (32, chase::<32>)];

/// Random lines a second of a buffer of `bytes` bytes: for both kinds of pages, for each number of
/// threads, with 1, 8, 16 and 32 lines in flight to each thread; each is the median of three runs
/// of the length `each`.
///
/// `bytes` is rounded up to whole huge pages; it should be many times the last cache, and no less
/// than the stores it is compared with. A number of threads of 0 counts as 1. Takes `24 × each` for
/// each number of threads, and the time to make the buffers. Where the system refuses the memory
/// there are no rates.
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

/// A buffer whose lines are strung into one cycle.
struct Cycle {
    buffer: MmapMut,
    /// The lines as they follow each other.
    order: Vec<u32>,
    /// Where along the cycle the next run starts: where the last one ended, for the lines just
    /// before it are in the caches.
    begin: usize,
}

impl Cycle {
    /// Returns a cycle through `bytes` bytes, in random order; `None` if memory cannot be had.
    fn new(bytes: usize, pages: Pages) -> Option<Self> {
        let bytes = bytes.clamp(1, MAX_BYTES).next_multiple_of(HUGE_PAGE);
        let mut buffer = MmapMut::map_anon(bytes).ok()?;
        advise(&buffer, pages);
        let lines: &mut [Line] = bytemuck::cast_slice_mut(&mut buffer);
        // Closing a random order of all lines into a ring gives each of the cycles with the same
        // chance, as Sattolo's algorithm does in place; it leaves us the order, and with it points
        // that are evenly spaced along the cycle.
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

    /// Where chain number `chain` of `of` starts.
    fn start(&self, chain: usize, of: usize) -> u64 {
        let lines = self.order.len();
        let apart = (chain as u128 * lines as u128 / of as u128) as usize;
        u64::from(self.order[(self.begin + apart) % lines])
    }

    /// Lines a second of one run.
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

/// What a thread did.
struct Chased {
    /// Lines along each chain.
    steps: u64,
    started: Instant,
    ended: Instant,
}

/// Follows the chains that start at some lines.
type Chase = fn(&[Line], &[u64], Duration) -> Chased;

/// Follows `CHAINS` chains in lockstep for some time.
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

/// Asks the system for the pages. It may not have them, or not know how: then the buffer has the
/// pages that it gives.
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
