//! Measures scenarios on every candidate, round by round.
//!
//! A round measures every scenario once, and within it one candidate after another: those that are
//! compared run next to each other, so that a machine which is slow for a while is slow for all of
//! them. Each round begins with another candidate and draws other operations, the same for all.
//! What is reported is the median of the rounds, with its bounds.
//!
//! Every run is checked afterwards ([`Proof`]), outside the time measured. A store whose content a
//! run cannot have changed serves the next number of threads too; every other run gets a new one.

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

/// Seconds that the harness itself is measured for, under each scenario.
const HARNESS_SECONDS: f64 = 0.02;

/// How long each of the rates of memory is measured for.
const LIMIT_TIME: Duration = Duration::from_millis(20);

/// What is going on.
#[derive(Clone, Copy, Debug)]
pub struct Progress<'a> {
    /// Runs done, and all there are if every round takes place.
    pub runs: (usize, usize),
    /// The round, from 1, and the most there can be.
    pub round: (usize, usize),
    /// The store that runs next.
    pub store: Candidate,
    /// The scenario that runs next.
    pub scenario: &'a str,
    /// Its threads.
    pub threads: usize,
}

/// What is compared, with the keys of every scenario at hand.
#[derive(Debug)]
pub struct Plan {
    suite: String,
    entries: Vec<Entry>,
    candidates: Vec<Candidate>,
    rounds: Rounds,
}

impl Plan {
    /// Makes or reads the keys of every scenario, and checks that all of them can run.
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
        let mut entries = Vec::with_capacity(suite.scenarios.len());
        for mut scenario in suite.scenarios {
            scenario.keep_as_written();
            scenario.validate()?;
            let source = key_cache.source(&scenario)?;
            // A file or a trace may have fewer keys than were asked for.
            scenario.set_keys(scenario.keys.min(source.keys().len()));
            scenario.validate()?;
            scenario.describe_changes();
            entries.push(Entry { scenario, source });
        }
        Ok(Self { suite: suite.name, entries, candidates, rounds: suite.rounds })
    }

    /// Results of this plan with nothing measured yet: the scenarios, and rows without rounds. What
    /// they can be compared with is known before minutes are spent.
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

    /// Returns how many runs there are, if every round takes place.
    #[must_use]
    pub fn runs(&self) -> usize {
        let runs = |entry: &Entry| {
            entry.phases() * entry.scenario.threads.len() * entry.rounds(self.rounds.at_most)
        };
        self.candidates.len() * self.entries.iter().map(runs).sum::<usize>()
    }

    /// Returns how long all rounds take at least: what runs and warming up are said to take, or the
    /// budget where that is less.
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

    /// Runs everything. Calls `observe` before each run with what is next. If [`RunControl::stop`]
    /// is called, the result is what was measured so far.
    ///
    /// # Errors
    /// [`Error::Store`] if a store refused an operation, and [`Error::Threads`] if a burst failed.
    /// If other runs had been measured, the error is [`Error::Unfinished`], with their results. A
    /// store whose content is wrong afterwards is not an error here: its rows say so
    /// ([`Results::verify`]).
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

    /// Runs the rounds of a phase, at most as many as there were in the phase before: how many
    /// there were.
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

    /// Returns what the memory can do that the largest store takes.
    fn limits(&self) -> Vec<LineRate> {
        let bytes = |entry: &Entry| {
            let keys = entry.scenario.keys;
            // A node with its header, and a slot of the table with room to spare.
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

    /// Returns what is known of each scenario besides the rows: its keys, and what the harness
    /// takes for it.
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
                    // A run that was stopped is too short to tell.
                    harness_ns: if control.is_stopped() {
                        0.0
                    } else {
                        busy * 1e9 / run.operations.max(1) as f64
                    },
                })
            })
            .collect()
    }

    /// Returns the rows of the tallies, in the order of the scenarios.
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

/// How much of a plan is done.
struct Done {
    runs: usize,
    rounds: usize,
}

#[cfg(test)]
mod tests;
