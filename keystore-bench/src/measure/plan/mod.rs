//! Measures scenarios on every candidate, round by round.
//!
//! A round measures every scenario once, and for each scenario one candidate after another. So the
//! runs that are compared lie close together in time, and a slow phase of the machine affects all
//! of them. Each round starts with another candidate and draws new operations, which are the same
//! for all candidates. The reported rate is the median of the rounds, with its bounds.
//!
//! The content of the store is checked after every run ([`Proof`]), outside the measured time. If a
//! run only reads, its store is used again for the next number of threads. Every other run gets a
//! new store.

mod entry;
mod key_cache;
mod planned;
mod tally;

use std::collections::HashMap;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use keystore::BoxedKeystore;

use self::entry::{Entry, refused};
use self::key_cache::{KeyCache, check_memory};
use self::planned::{Phase, Planned};
use self::tally::{Tally, measured_once};
use crate::error::{Error, Result};
use crate::measure::candidate::Candidate;
use crate::measure::control::RunControl;
use crate::measure::driver::run;
use crate::measure::limit::{LineRate, line_rates};
use crate::measure::machine::{self, Machine};
use crate::measure::metrics::{Latency, Spread};
use crate::measure::null_store::NullStore;
use crate::results::{Measured, Results, Row, SCHEMA};
use crate::workload::scenario::{Length, Scenario};
use crate::workload::stream::Stream;
use crate::workload::suite::{Rounds, Suite};

/// Duration in seconds of the measurement of the harness itself, for each scenario.
const HARNESS_SECONDS: f64 = 0.02;

/// Duration of each measurement of the memory.
const LIMIT_TIME: Duration = Duration::from_millis(20);

/// The progress of a plan, reported before each run.
#[derive(Clone, Copy, Debug)]
pub struct Progress<'a> {
    /// Number of runs done, and number of all runs if every round takes place.
    pub runs: (usize, usize),
    /// Number of the round, from 1, and maximum number of rounds.
    pub round: (usize, usize),
    /// The store of the next run.
    pub store: Candidate,
    /// The scenario of the next run.
    pub scenario: &'a str,
    /// Number of threads of the next run.
    pub threads: usize,
}

/// The scenarios and candidates of a comparison, with the keys of every scenario.
#[derive(Debug)]
pub struct Plan {
    suite: String,
    entries: Vec<Entry>,
    candidates: Vec<Candidate>,
    rounds: Rounds,
}

impl Plan {
    /// Makes or reads the keys of every scenario, and checks that every scenario can run.
    ///
    /// # Errors
    /// Returns [`Error::Scenario`](crate::Error::Scenario) for the first scenario that cannot run,
    /// and the errors of reading keys and traces.
    pub fn new(suite: Suite, candidates: Vec<Candidate>) -> Result<Self> {
        for scenario in &suite.scenarios {
            scenario.validate()?;
            check_memory(scenario)?;
        }
        let mut key_cache = KeyCache::new(&suite.scenarios)?;
        let mut entries: Vec<Entry> = Vec::with_capacity(suite.scenarios.len());
        for mut scenario in suite.scenarios {
            scenario.keep_as_written();
            scenario.validate()?;
            let source = key_cache.source(&scenario)?;
            // A file or a trace may have fewer keys than the scenario requests.
            scenario.set_keys(scenario.keys.min(source.keys().len()));
            scenario.validate()?;
            scenario.describe_changes();
            if entries.iter().any(|other| other.scenario.name == scenario.name) {
                return Err(Error::Scenario {
                    scenario: scenario.name.clone(),
                    field: "name",
                    value: format!("{:?}", scenario.name),
                    expected: "different from all others, also after the changes by options"
                        .to_owned(),
                });
            }
            entries.push(Entry { scenario, source });
        }
        Ok(Self { suite: suite.name, entries, candidates, rounds: suite.rounds })
    }

    /// Returns the results of this plan before any measurement: the scenarios, and rows without
    /// rounds. With them, a caller can check whether a baseline is comparable before it spends
    /// minutes on a run.
    #[must_use]
    pub fn outline(&self) -> Results {
        let measured = |entry: &Entry| Measured {
            scenario: entry.scenario.clone(),
            keys: entry.source.keys().source().clone(),
            mean_key_len: entry.source.keys().mean_len(entry.scenario.keys),
            mean_value_len: entry.scenario.value_size.mean(),
            harness_ns: 0.0,
        };
        let planned = self.entries.iter().enumerate().flat_map(|(number, entry)| {
            let threads = entry.scenario.threads.iter();
            threads.flat_map(move |&threads| {
                (0..self.candidates.len()).map(move |index| (number, threads, index))
            })
        });
        let tallies = planned.map(|key| (key, Tally::new())).collect();
        Results {
            schema: SCHEMA,
            suite: self.suite.clone(),
            command: String::new(),
            started_at: 0,
            seconds: 0.0,
            interrupted: false,
            planned_runs: self.runs(),
            machine: Machine::this(),
            limits: Vec::new(),
            scenarios: self.entries.iter().map(measured).collect(),
            rows: self.rows(tallies),
        }
    }

    /// Returns the number of runs if every round takes place.
    #[must_use]
    pub fn runs(&self) -> usize {
        let runs = |entry: &Entry| {
            entry.phases() * entry.scenario.threads.len() * entry.rounds(self.rounds.at_most)
        };
        self.candidates.len() * self.entries.iter().map(runs).sum::<usize>()
    }

    /// Returns the minimum time of all rounds. It is the sum of the times that the scenarios set
    /// for runs and warm-ups, or the budget if that is less.
    #[must_use]
    pub fn least_time(&self) -> Duration {
        let seconds = |entry: &Entry| {
            let run = match entry.scenario.length {
                Length::Seconds(seconds) => seconds + entry.scenario.warm_up,
                Length::Operations(operations) => {
                    entry.scenario.rate.map_or(0.0, |rate| operations as f64 / rate)
                }
                Length::Once => 0.0,
            };
            let runs =
                entry.phases() * entry.scenario.threads.len() * entry.rounds(self.rounds.at_most);
            run * runs as f64
        };
        let seconds = self.candidates.len() as f64 * self.entries.iter().map(seconds).sum::<f64>();
        let time = Duration::from_secs_f64(seconds);
        self.rounds.budget.map_or(time, |budget| time.min(budget))
    }

    /// Runs the whole plan. Calls `observe` before each run. If [`RunControl::stop`] is called, the
    /// result holds what was measured so far.
    ///
    /// # Errors
    /// Returns [`Error::Store`] if a store refuses an operation, and [`Error::Threads`] if a burst
    /// fails. If other runs have been measured before, the error is [`Error::Unfinished`] and holds
    /// their results. A store whose content is wrong after a run does not cause an error here. Its
    /// rows record the fault, and [`Results::verify`] reports it.
    pub fn run(
        &self,
        control: &RunControl,
        observe: &mut dyn FnMut(&Progress<'_>),
    ) -> Result<Results> {
        let started_at =
            SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
        let begun = Instant::now();
        let limits = self.limits();
        let scenarios = self.measured(control)?;
        let mut tallies: HashMap<(usize, usize, usize), Tally> = HashMap::new();
        let mut progress = Done { runs: 0, rounds: self.rounds.at_most.max(1) };
        let mut failure = None;
        for phase in [Phase::First, Phase::AfterBurst] {
            match self.run_rounds(phase, &mut tallies, &mut progress, control, observe) {
                Ok(rounds) => progress.rounds = rounds,
                Err(error) => {
                    failure = Some(error);
                    break;
                }
            }
        }
        let results = Results {
            schema: SCHEMA,
            suite: self.suite.clone(),
            command: String::new(),
            started_at,
            seconds: begun.elapsed().as_secs_f64(),
            interrupted: failure.is_some() || control.is_stopped(),
            planned_runs: self.runs(),
            machine: Machine::this(),
            limits,
            scenarios,
            rows: self.rows(measured_once(tallies)),
        };
        match failure {
            None => Ok(results),
            Some(error) if results.rows.is_empty() => Err(error),
            Some(error) => {
                Err(Error::Unfinished { results: Box::new(results), source: Box::new(error) })
            }
        }
    }

    /// Runs the rounds of a phase, at most as many as in the phase before. Returns the number of
    /// rounds.
    fn run_rounds(
        &self,
        phase: Phase,
        tallies: &mut HashMap<(usize, usize, usize), Tally>,
        progress: &mut Done,
        control: &RunControl,
        observe: &mut dyn FnMut(&Progress<'_>),
    ) -> Result<usize> {
        let (begun, mut slowest, at_most) = (Instant::now(), Duration::ZERO, progress.rounds);
        let takes_part = |entry: &Entry| phase == Phase::First || entry.scenario.burst.is_some();
        for round in 0..at_most {
            let round_begun = Instant::now();
            let entries = self.entries.iter().enumerate();
            for (number, entry) in
                entries.filter(|(_, e)| takes_part(e) && round < e.rounds(at_most))
            {
                let streams: Vec<Vec<Stream>> = entry
                    .scenario
                    .threads
                    .iter()
                    .map(|&threads| entry.streams(threads, round))
                    .collect();
                for turn in 0..self.candidates.len() {
                    let index = (turn + round) % self.candidates.len();
                    let mut unchanged = None;
                    for (&threads, streams) in entry.scenario.threads.iter().zip(&streams) {
                        observe(&Progress {
                            runs: (progress.runs, self.runs()),
                            round: (round + 1, at_most),
                            store: self.candidates[index],
                            scenario: &entry.scenario.name,
                            threads,
                        });
                        let tally =
                            tallies.entry((number, threads, index)).or_insert_with(Tally::new);
                        let run =
                            Planned { entry, streams, candidate: self.candidates[index], phase };
                        run.measure(tally, &mut unchanged, control)?;
                        if control.is_stopped() {
                            return Ok(round);
                        }
                        progress.runs += 1;
                    }
                }
            }
            slowest = slowest.max(round_begun.elapsed());
            if self.rounds.budget.is_some_and(|budget| begun.elapsed() + slowest > budget) {
                return Ok(round + 1);
            }
        }
        Ok(at_most)
    }

    /// Measures the memory's rates for a buffer of about the size of the largest store.
    fn limits(&self) -> Vec<LineRate> {
        let bytes = |entry: &Entry| {
            let keys = entry.scenario.keys;
            // A node with its header, and its share of the table, which is not full.
            let entry_bytes =
                entry.source.keys().mean_len(keys) + entry.scenario.value_size.mean() + 24.0;
            (keys as f64 * entry_bytes) as usize
        };
        let most = self.entries.iter().map(bytes).max().unwrap_or(0);
        let processors = machine::processors();
        let mut threads: Vec<usize> =
            self.entries.iter().flat_map(|e| e.scenario.threads.clone()).collect();
        threads.retain(|&threads| threads <= processors);
        threads.sort_unstable();
        threads.dedup();
        line_rates(most.clamp(1 << 20, 1 << 30), &threads, LIMIT_TIME)
    }

    /// Returns the data of each scenario besides its rows: its keys, and the measured cost of the
    /// harness.
    fn measured(&self, control: &RunControl) -> Result<Vec<Measured>> {
        let nothing: BoxedKeystore = Box::new(NullStore);
        self.entries
            .iter()
            .map(|entry| {
                let threads =
                    *entry.scenario.threads.iter().min().expect("a valid scenario has threads");
                let streams = entry.streams(threads, 0);
                let scenario = Scenario {
                    length: Length::Seconds(HARNESS_SECONDS),
                    warm_up: 0.0,
                    rate: None,
                    timeline_ms: None,
                    ..entry.scenario.clone()
                };
                let run = run(&nothing, &scenario, &streams, control)
                    .map_err(|source| refused("nothing", entry, threads, source))?;
                let busy = run.elapsed.as_secs_f64() * threads.min(machine::processors()) as f64;
                let (mut bytes, mut writes) = (0, 0);
                for stream in &streams {
                    for (n, operation) in stream.operations().iter().enumerate() {
                        if operation.kind.has_value() {
                            (bytes, writes) = (bytes + stream.value_size(n), writes + 1);
                        }
                    }
                }
                let drawn = match writes {
                    // A trace that writes nothing has no values.
                    0 if entry.scenario.trace.is_some() && entry.scenario.loaded_keys() == 0 => 0.0,
                    0 => entry.scenario.value_size.mean(),
                    writes => bytes as f64 / writes as f64,
                };
                Ok(Measured {
                    scenario: entry.scenario.clone(),
                    keys: entry.source.keys().source().clone(),
                    mean_key_len: entry.source.keys().mean_len(entry.scenario.keys),
                    mean_value_len: drawn,
                    // A run that was stopped is too short for a measurement.
                    harness_ns: if control.is_stopped() {
                        0.0
                    } else {
                        busy * 1e9 / run.operations.max(1) as f64
                    },
                })
            })
            .collect()
    }

    /// Returns a row for each tally, in the order of the scenarios.
    fn rows(&self, mut tallies: HashMap<(usize, usize, usize), Tally>) -> Vec<Row> {
        let mut rows = Vec::with_capacity(tallies.len());
        for (number, Entry { scenario, .. }) in self.entries.iter().enumerate() {
            for &threads in &scenario.threads {
                for (index, &store) in self.candidates.iter().enumerate() {
                    let Some(tally) = tallies.remove(&(number, threads, index)) else { continue };
                    rows.push(Row {
                        store,
                        scenario: scenario.name.clone(),
                        threads,
                        ops_per_sec: Spread::of(&tally.rates),
                        rounds: tally.rates,
                        before: tally.before,
                        operations: tally.operations,
                        lookups: tally.lookups,
                        misses: tally.misses,
                        latency_ns: Latency::of(&tally.latency),
                        response_ns: tally.response.as_ref().map(Latency::of),
                        memory: tally.memory,
                        timeline: tally.timeline,
                        verification: tally.verification,
                    });
                }
            }
        }
        rows
    }
}

/// Number of runs done so far, and number of rounds in the last phase.
struct Done {
    runs: usize,
    rounds: usize,
}

#[cfg(test)]
mod tests;
