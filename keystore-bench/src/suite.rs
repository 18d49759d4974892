//! The workloads that are compared by default, and running them on every combination, round by round.
//!
//! A round measures every combination once under every workload, and rounds follow each other: a machine that slows down for
//! a while slows all combinations, not one. Each round begins with another combination, so none is always the first.
//! What is reported is the median of the rounds, with the least and the greatest beside it.
//!
//! Every run is checked afterwards ([`Proof`]), outside the time measured. A store whose content a run cannot have
//! changed serves the next run too; every other run gets a new one.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use hdrhistogram::Histogram;
use keystore_core::{BoxedKeystore, Config};

use crate::combination::Combination;
use crate::driver::{Run, load, run};
use crate::error::{Error, Result};
use crate::keys::{KeyDistribution, Keys};
use crate::machine::Machine;
use crate::measure::{Latency, Memory, Spread, latency_histogram};
use crate::proof::{Proof, Verification};
use crate::results::{Results, Row, SCHEMA};
use crate::workload::{Length, Mix, Start, Stream, Workload};

/// How large the standard workloads are.
#[derive(Clone, Debug, PartialEq)]
pub struct Sizes {
    /// Keys of the workloads that begin with a loaded store.
    pub keys: usize,
    /// Keys that an empty store grows to.
    pub grow_keys: usize,
    /// Keys that it grows to on one thread, to see what growing further costs.
    pub grow_far_keys: usize,
    /// Bytes of a made key.
    pub key_size: usize,
    /// Bytes of a value.
    pub value_size: usize,
    /// Seconds of each run that is not over when its keys are.
    pub seconds: f64,
    /// Numbers of threads.
    pub threads: Vec<usize>,
}

impl Sizes {
    /// As many keys as the largest of the workloads takes.
    ///
    /// # Errors
    /// Those of [`Keys::make`].
    pub fn make_keys(&self) -> Result<Keys> {
        Keys::make(self.keys.max(self.grow_keys).max(self.grow_far_keys), self.key_size)
    }
}

/// The standard workloads: what `docs/benchmarks.md` describes.
#[must_use]
pub fn standard(sizes: &Sizes) -> Vec<Workload> {
    let zipfian = KeyDistribution::Zipfian { theta: 0.99 };
    let of = |name: &str, about: &str, mix, distribution| Workload {
        name: name.to_owned(),
        about: about.to_owned(),
        mix,
        distribution,
        start: Start::Loaded,
        length: Length::Seconds(sizes.seconds),
        threads: sizes.threads.clone(),
        keys: sizes.keys,
        value_size: sizes.value_size,
        batch: 32,
        config: Config::default(),
        seed: 42,
    };
    let get = |get| Mix { get, set: 100 - get, ..Mix::default() };
    let batches = Mix { get_many: 100, ..Mix::default() };
    let grow = |keys: usize, threads: Vec<usize>| Workload {
        start: Start::Empty,
        length: Length::Operations(keys as u64),
        keys,
        threads,
        ..of(
            &format!("grow to {}", short_count(keys)),
            "An empty store with the default configuration is given every key once.",
            get(0),
            KeyDistribution::Sequential,
        )
    };
    let mut workloads = vec![
        of("get uniform", "Lookups; every key as often as any other.", get(100), KeyDistribution::Uniform),
        of("get Zipf", "Lookups; few keys are asked for often.", get(100), zipfian),
        of(
            "get batch",
            "Lookups in batches of 32; every key as often as any other.",
            batches,
            KeyDistribution::Uniform,
        ),
        of("95/5 Zipf", "95 lookups to 5 overwrites; few keys are asked for often.", get(95), zipfian),
        of("50/50 Zipf", "As many overwrites as lookups; few keys are asked for often.", get(50), zipfian),
        of("set uniform", "Overwrites; every key as often as any other.", get(0), KeyDistribution::Uniform),
    ];
    workloads.push(grow(sizes.grow_keys, sizes.threads.clone()));
    if sizes.grow_far_keys != sizes.grow_keys {
        workloads.push(grow(sizes.grow_far_keys, vec![1]));
    }
    workloads
}

/// A number of keys as people say it: `950`, `100k`, `1.5M`.
fn short_count(count: usize) -> String {
    let scaled = |unit: f64, name| {
        let text = format!("{:.1}", count as f64 / unit);
        format!("{}{name}", text.strip_suffix(".0").unwrap_or(&text))
    };
    match count {
        0..1000 => count.to_string(),
        1000..999_950 => scaled(1e3, "k"),
        _ => scaled(1e6, "M"),
    }
}

/// How often everything is measured.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rounds {
    /// Rounds at the most; at least 1.
    pub at_most: usize,
    /// The time that all rounds may take: no round begins that would not be over by then, going by the slowest so far.
    pub budget: Option<Duration>,
}

/// What is going on.
#[derive(Clone, Copy, Debug)]
pub struct Progress<'a> {
    /// Runs done, and all there are if every round takes place.
    pub runs: (usize, usize),
    /// The round, from 1, and the most there can be.
    pub round: (usize, usize),
    /// The combination that runs next.
    pub combination: Combination,
    /// The workload that runs next.
    pub workload: &'a str,
    /// Its threads.
    pub threads: usize,
    /// Operations a second of the last run.
    pub last_rate: Option<f64>,
}

/// What is compared.
#[derive(Debug)]
pub struct Plan<'a> {
    /// The workloads, each with its own numbers of threads.
    pub workloads: Vec<Workload>,
    /// Who is compared.
    pub combinations: Vec<Combination>,
    /// The keys, at least as many as the largest workload takes.
    pub keys: &'a Keys,
    /// How often.
    pub rounds: Rounds,
}

/// A workload with one number of threads, drawn, and what its runs gave for each combination.
struct Drawn<'a> {
    workload: &'a Workload,
    threads: usize,
    streams: Vec<Stream>,
    measured: Vec<Measured>,
}

/// What the runs of one row gave so far.
#[derive(Clone)]
struct Measured {
    rates: Vec<f64>,
    latency: Histogram<u64>,
    memory: Memory,
    verification: Verification,
}

impl Plan<'_> {
    /// Checks that everything can run.
    ///
    /// # Errors
    /// [`Error::Workload`] for the first workload that cannot.
    pub fn validate(&self) -> Result<()> {
        for workload in &self.workloads {
            workload.validate()?;
            if workload.keys > self.keys.len() {
                return Err(Error::Workload {
                    workload: workload.name.clone(),
                    field: "keys",
                    value: workload.keys.to_string(),
                    expected: format!("at most {}, the keys there are", self.keys.len()),
                });
            }
        }
        Ok(())
    }

    /// Runs everything, telling `observe` before each run what is next.
    ///
    /// # Errors
    /// Those of [`validate`](Self::validate), and [`Error::Store`] where a store refused an operation. A store whose content
    /// is wrong afterwards is not an error here: its rows say so ([`Results::verify`]).
    pub fn run(&self, observe: &mut dyn FnMut(&Progress<'_>)) -> Result<Results> {
        self.validate()?;
        let started_at = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
        let begun = Instant::now();
        let mut drawn = self.draw();
        let at_most = self.rounds.at_most.max(1);
        let runs = drawn.len() * self.combinations.len() * at_most;
        let (mut done, mut last_rate, mut rounds) = (0, None, 0);
        let mut slowest = Duration::ZERO;
        while rounds < at_most {
            let round_begun = Instant::now();
            for turn in 0..self.combinations.len() {
                let index = (turn + rounds) % self.combinations.len();
                let combination = self.combinations[index];
                let mut unchanged = None;
                for drawn in &mut drawn {
                    observe(&Progress {
                        runs: (done, runs),
                        round: (rounds + 1, at_most),
                        combination,
                        workload: &drawn.workload.name,
                        threads: drawn.threads,
                        last_rate,
                    });
                    last_rate = Some(self.measure(drawn, index, &mut unchanged)?);
                    done += 1;
                }
            }
            rounds += 1;
            slowest = slowest.max(round_begun.elapsed());
            if self.rounds.budget.is_some_and(|budget| begun.elapsed() + slowest > budget) {
                break;
            }
        }
        let most_keys = self.workloads.iter().map(|workload| workload.keys).max().unwrap_or(1);
        Ok(Results {
            schema: SCHEMA,
            started_at,
            seconds: begun.elapsed().as_secs_f64(),
            machine: Machine::this(),
            keys: self.keys.source().clone(),
            mean_key_len: self.keys.mean_len(most_keys),
            rounds,
            workloads: self.workloads.clone(),
            rows: self.rows(drawn),
        })
    }

    fn draw(&self) -> Vec<Drawn<'_>> {
        let nothing = Measured {
            rates: Vec::new(),
            latency: latency_histogram(),
            memory: Memory::default(),
            verification: Verification::default(),
        };
        let mut drawn = Vec::new();
        for workload in &self.workloads {
            for &threads in &workload.threads {
                let streams = workload.draw(threads, self.keys);
                let measured = vec![nothing.clone(); self.combinations.len()];
                drawn.push(Drawn { workload, threads, streams, measured });
            }
        }
        drawn
    }

    /// One run of the combination at `index`: operations a second. `unchanged` is a store left over from the run before,
    /// with the workload it was loaded for.
    fn measure<'a>(
        &self,
        drawn: &mut Drawn<'a>,
        index: usize,
        unchanged: &mut Option<(&'a Workload, BoxedKeystore)>,
    ) -> Result<f64> {
        let (combination, workload) = (self.combinations[index], drawn.workload);
        let refused = |source| Error::Store {
            combination: combination.to_string(),
            workload: format!("{}, threads {}", workload.name, drawn.threads),
            source,
        };
        let store = match unchanged.take() {
            Some((other, store)) if loads_the_same(other, workload) => store,
            left_over => {
                drop(left_over); // before the next store takes memory
                let store = combination.open(&workload.config).map_err(refused)?;
                if workload.start == Start::Loaded {
                    load(&*store, workload, self.keys).map_err(refused)?;
                }
                store
            }
        };
        let outcome: Run = run(&store, workload, &drawn.streams).map_err(refused)?;
        let rate = outcome.ops_per_sec();
        let memory = Memory::of(&store.stats().map_err(refused)?);
        let proof = Proof { workload, keys: self.keys, streams: &drawn.streams, executed: &outcome.executed };
        let mut verification = proof.check(&*store).map_err(refused)?;
        if workload.always_hits() {
            verification.missing += outcome.misses;
        }
        if workload.mix.is_read_only() {
            *unchanged = Some((workload, store));
        }
        let measured = &mut drawn.measured[index];
        measured.rates.push(rate);
        measured.latency.add(&outcome.latency).expect("all these histograms have one range");
        measured.memory = memory;
        measured.verification.add(&verification);
        Ok(rate)
    }

    fn rows(&self, drawn: Vec<Drawn<'_>>) -> Vec<Row> {
        drawn
            .into_iter()
            .flat_map(|Drawn { workload, threads, measured, .. }| {
                self.combinations.iter().zip(measured).map(move |(&combination, measured)| Row {
                    combination,
                    workload: workload.name.clone(),
                    threads,
                    ops_per_sec: Spread::of(&measured.rates),
                    rounds: measured.rates,
                    latency_ns: Latency::of(&measured.latency),
                    memory: measured.memory,
                    verification: measured.verification,
                })
            })
            .collect()
    }
}

/// Whether a store loaded for one workload is loaded for the other.
fn loads_the_same(one: &Workload, other: &Workload) -> bool {
    let loaded =
        |workload: &Workload| (workload.start, workload.keys, workload.value_size, workload.config.clone());
    loaded(one) == loaded(other)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::results::tests::tiny;

    #[test]
    fn every_combination_runs_every_workload_and_holds_what_it_should() {
        let results = tiny();
        results.verify().unwrap();
        assert_eq!(results.combinations(), Combination::all());
        let runs: usize = results.workloads.iter().map(|workload| workload.threads.len()).sum();
        assert_eq!(results.rows.len(), 9 * runs);
        for row in &results.rows {
            assert_eq!(row.rounds.len(), 2);
            assert!(row.ops_per_sec.median > 0.0 && row.latency_ns.samples > 0, "{row:?}");
            let workload = results.workloads.iter().find(|workload| workload.name == row.workload).unwrap();
            assert_eq!(row.memory.entries, workload.keys as u64, "{row:?}");
            assert!(row.memory.node_bytes > 0 && row.memory.table_bytes > 0, "{row:?}");
            assert_eq!(row.verification.checked, 2 * workload.keys as u64);
        }
    }

    #[test]
    fn a_budget_ends_the_rounds_and_the_first_always_runs() {
        let sizes = Sizes {
            keys: 50,
            grow_keys: 50,
            grow_far_keys: 500,
            key_size: 8,
            value_size: 16,
            seconds: 0.002,
            threads: vec![1],
        };
        let keys = sizes.make_keys().unwrap();
        let mut plan = Plan {
            workloads: standard(&sizes),
            combinations: Combination::all()[..1].to_vec(),
            keys: &keys,
            rounds: Rounds { at_most: 1000, budget: Some(Duration::ZERO) },
        };
        assert_eq!(plan.run(&mut |_| {}).unwrap().rounds, 1);
        plan.rounds = Rounds { at_most: 2, budget: Some(Duration::from_secs(3600)) };
        let mut seen = Vec::new();
        let results = plan.run(&mut |progress| seen.push((progress.runs, progress.round))).unwrap();
        assert_eq!(results.rounds, 2);
        let runs = results.rows.len() * 2;
        assert_eq!(seen.len(), runs);
        assert_eq!(seen[0], ((0, runs), (1, 2)));
        assert_eq!(seen[runs - 1], ((runs - 1, runs), (2, 2)));
    }

    #[test]
    fn a_workload_of_more_keys_than_there_are_is_refused() {
        let sizes = Sizes {
            keys: 50,
            grow_keys: 50,
            grow_far_keys: 500,
            key_size: 8,
            value_size: 16,
            seconds: 0.1,
            threads: vec![1],
        };
        let keys = Keys::make(10, 8).unwrap();
        let rounds = Rounds { at_most: 1, budget: None };
        let plan =
            Plan { workloads: standard(&sizes), combinations: Combination::all(), keys: &keys, rounds };
        let error = plan.run(&mut |_| {}).unwrap_err();
        assert!(error.is_usage());
        assert!(error.to_string().contains("keys is 50: it must be at most 10"), "{error}");
    }

    #[test]
    fn counts_are_short() {
        let short = [7, 999, 1000, 1500, 346_200, 999_960, 1_000_000, 2_500_000].map(short_count);
        assert_eq!(short, ["7", "999", "1k", "1.5k", "346.2k", "1M", "1M", "2.5M"]);
    }
}
