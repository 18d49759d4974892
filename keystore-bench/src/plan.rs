//! Measuring scenarios on every candidate, round by round.
//!
//! A round measures every scenario once, and within it one candidate after another: those that are compared run next to each
//! other, so that a machine which is slow for a while is slow for all of them. Each round begins with another candidate and
//! draws other operations, the same for all. What is reported is the median of the rounds, with its bounds.
//!
//! Every run is checked afterwards ([`Proof`]), outside the time measured. A store whose content a run cannot have changed
//! serves the next number of threads too; every other run gets a new one.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use hdrhistogram::Histogram;
use keystore::{BoxedKeystore, system_memory::check_fits};

use crate::burst;
use crate::candidate::Candidate;
use crate::driver::{ONE_RANGE, Run, Watch, load, run};
use crate::error::{Error, Result};
use crate::keys::Keys;
use crate::limit::{LineRate, line_rates};
use crate::machine::{self, Machine};
use crate::measure::{Latency, Memory, Slice, Spread};
use crate::nothing::Nothing;
use crate::proof::{Proof, Verification};
use crate::results::{Measured, Results, Row, SCHEMA};
use crate::scenario::{Length, Scenario};
use crate::size::Size;
use crate::stream::Stream;
use crate::suite::Suite;
use crate::trace::Trace;
use keystore_verify::latency_histogram;
use keystore_verify::resident::Resident;

/// Seconds that the harness itself is measured for, under each scenario.
const HARNESS_SECONDS: f64 = 0.02;

/// How long each of the rates of memory is measured for.
const LIMIT_TIME: Duration = Duration::from_millis(20);

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

/// A scenario and where its operations come from.
#[derive(Debug)]
struct Entry {
    scenario: Scenario,
    source: Source,
}

#[derive(Clone, Debug)]
enum Source {
    Keys(Arc<Keys>),
    Trace(Arc<Trace>),
}

impl Source {
    fn keys(&self) -> &Keys {
        match self {
            Self::Keys(keys) => keys,
            Self::Trace(trace) => trace.keys(),
        }
    }
}

impl Entry {
    /// The operations of each thread.
    fn streams(&self, threads: usize, round: usize) -> Vec<Stream> {
        match &self.source {
            Source::Keys(keys) => self.scenario.draw(threads, round, keys),
            Source::Trace(trace) => trace.streams(threads, self.scenario.keys),
        }
    }

    /// How often each of its runs takes place in a round.
    fn phases(&self) -> usize {
        if self.scenario.burst.is_some() { 2 } else { 1 }
    }

    fn rounds(&self, at_most: usize) -> usize {
        self.scenario.rounds.map_or(at_most, |rounds| rounds.min(at_most))
    }
}

/// Bursts of threads stay with the process, so all that is measured without them comes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// All scenarios, as they are before any burst.
    First,
    /// The scenarios with a burst of threads, after it.
    AfterBurst,
}

/// What the runs of one row gave so far.
struct Tally {
    /// Operations a second before the burst, if the scenario has one.
    before: Vec<f64>,
    rates: Vec<f64>,
    operations: u64,
    lookups: u64,
    misses: u64,
    latency: Histogram<u64>,
    response: Option<Histogram<u64>>,
    memory: Memory,
    timeline: Vec<Slice>,
    verification: Verification,
}

/// A store, and what the process held before it was opened.
struct Opened {
    store: BoxedKeystore,
    before: Resident,
}

impl Plan {
    /// Makes or reads the keys of every scenario, and checks that all of them can run.
    ///
    /// # Errors
    /// [`Error::Scenario`] for the first scenario that cannot run; those of [`Keys::from_file`] and [`Trace::read`].
    pub fn new(suite: Suite, candidates: Vec<Candidate>) -> Result<Self> {
        for scenario in &suite.scenarios {
            scenario.validate()?;
            check_memory(scenario)?;
        }
        let mut stock = Stock::new(&suite.scenarios)?;
        let mut entries = Vec::with_capacity(suite.scenarios.len());
        for mut scenario in suite.scenarios {
            scenario.keep_as_written();
            scenario.validate()?;
            let source = stock.source(&scenario)?;
            // A file or a trace may have fewer keys than were asked for.
            scenario.set_keys(scenario.keys.min(source.keys().len()));
            scenario.validate()?;
            scenario.tell_changes();
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

    /// How many runs there are, if every round takes place.
    #[must_use]
    pub fn runs(&self) -> usize {
        let runs =
            |entry: &Entry| entry.phases() * entry.scenario.threads.len() * entry.rounds(self.rounds.at_most);
        self.candidates.len() * self.entries.iter().map(runs).sum::<usize>()
    }

    /// How long all rounds take at least: what runs and warming up are said to take, or the budget where that is less.
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
            let runs = entry.phases() * entry.scenario.threads.len() * entry.rounds(self.rounds.at_most);
            run * runs as f64
        };
        let seconds = self.candidates.len() as f64 * self.entries.iter().map(seconds).sum::<f64>();
        let time = Duration::from_secs_f64(seconds);
        self.rounds.budget.map_or(time, |budget| time.min(budget))
    }

    /// Runs everything, telling `observe` before each run what is next. Where [`Watch::stop`] is called, what was measured so
    /// far is the result.
    ///
    /// # Errors
    /// [`Error::Store`] where a store refused an operation. A store whose content is wrong afterwards is not an error here:
    /// its rows say so ([`Results::verify`]).
    pub fn run(&self, watch: &Watch, observe: &mut dyn FnMut(&Progress<'_>)) -> Result<Results> {
        let started_at = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
        let begun = Instant::now();
        let limits = self.limits();
        let scenarios = self.measured(watch)?;
        let mut tallies: HashMap<(usize, usize, usize), Tally> = HashMap::new();
        let mut progress = Done { runs: 0, rounds: self.rounds.at_most.max(1) };
        for phase in [Phase::First, Phase::AfterBurst] {
            progress.rounds = self.run_rounds(phase, &mut tallies, &mut progress, watch, observe)?;
        }
        Ok(Results {
            schema: SCHEMA,
            suite: self.suite.clone(),
            command: String::new(),
            started_at,
            seconds: begun.elapsed().as_secs_f64(),
            interrupted: watch.is_stopped(),
            planned_runs: self.runs(),
            machine: Machine::this(),
            limits,
            scenarios,
            rows: self.rows(measured_once(tallies)),
        })
    }

    /// Runs the rounds of a phase, at most as many as there were in the phase before: how many
    /// there were.
    fn run_rounds(
        &self,
        phase: Phase,
        tallies: &mut HashMap<(usize, usize, usize), Tally>,
        progress: &mut Done,
        watch: &Watch,
        observe: &mut dyn FnMut(&Progress<'_>),
    ) -> Result<usize> {
        let (begun, mut slowest, at_most) = (Instant::now(), Duration::ZERO, progress.rounds);
        let takes_part = |entry: &Entry| phase == Phase::First || entry.scenario.burst.is_some();
        for round in 0..at_most {
            let round_begun = Instant::now();
            let entries = self.entries.iter().enumerate();
            for (number, entry) in entries.filter(|(_, e)| takes_part(e) && round < e.rounds(at_most)) {
                let streams: Vec<Vec<Stream>> =
                    entry.scenario.threads.iter().map(|&threads| entry.streams(threads, round)).collect();
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
                        let tally = tallies.entry((number, threads, index)).or_insert_with(Tally::new);
                        let run = Planned { entry, streams, candidate: self.candidates[index], phase };
                        run.measure(tally, &mut unchanged, watch)?;
                        if watch.is_stopped() {
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

    /// What the memory can do that the largest store takes.
    fn limits(&self) -> Vec<LineRate> {
        let bytes = |entry: &Entry| {
            let keys = entry.scenario.keys;
            // A node with its header, and a slot of the table with room to spare.
            let entry_bytes = entry.source.keys().mean_len(keys) + entry.scenario.value_size.mean() + 24.0;
            (keys as f64 * entry_bytes) as usize
        };
        let most = self.entries.iter().map(bytes).max().unwrap_or(0);
        let processors = machine::processors();
        let mut threads: Vec<usize> = self.entries.iter().flat_map(|e| e.scenario.threads.clone()).collect();
        threads.retain(|&threads| threads <= processors);
        threads.sort_unstable();
        threads.dedup();
        line_rates(most.clamp(1 << 20, 1 << 30), &threads, LIMIT_TIME)
    }

    /// What is known of each scenario besides the rows: its keys, and what the harness takes for it.
    fn measured(&self, watch: &Watch) -> Result<Vec<Measured>> {
        let nothing: BoxedKeystore = Box::new(Nothing);
        self.entries
            .iter()
            .map(|entry| {
                let threads = *entry.scenario.threads.iter().min().expect("a valid scenario has threads");
                let streams = entry.streams(threads, 0);
                let scenario = Scenario {
                    length: Length::Seconds(HARNESS_SECONDS),
                    warm_up: 0.0,
                    rate: None,
                    timeline_ms: None,
                    ..entry.scenario.clone()
                };
                let run = run(&nothing, &scenario, &streams, watch)
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
                    harness_ns: if watch.is_stopped() {
                        0.0
                    } else {
                        busy * 1e9 / run.operations.max(1) as f64
                    },
                })
            })
            .collect()
    }

    /// The rows of the tallies, in the order of the scenarios.
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

/// A run that comes next.
struct Planned<'a> {
    entry: &'a Entry,
    streams: &'a [Stream],
    candidate: Candidate,
    phase: Phase,
}

impl Planned<'_> {
    /// Runs, and adds what came of it to the tally. `unchanged` is the store left over from the run
    /// before.
    fn measure(&self, tally: &mut Tally, unchanged: &mut Option<Opened>, watch: &Watch) -> Result<()> {
        let Self { entry, streams, candidate, phase } = *self;
        let (scenario, keys) = (&entry.scenario, entry.source.keys());
        let refused = |source| refused(&candidate.to_string(), entry, streams.len(), source);
        let opened = match unchanged.take() {
            Some(opened) => opened,
            None => {
                let before = Resident::before();
                let store = candidate.open(&scenario.config).map_err(refused)?;
                load(&*store, scenario, keys, streams, watch).map_err(refused)?;
                if watch.is_stopped() {
                    return Ok(());
                }
                candidate.settle(&*store).map_err(refused)?;
                Opened { store, before }
            }
        };
        if phase == Phase::AfterBurst {
            burst::run(&candidate.to_string(), &*opened.store, scenario, keys)?;
        }
        let outcome: Run = run(&opened.store, scenario, streams, watch).map_err(refused)?;
        if watch.is_stopped() {
            return Ok(()); // cut short: no measurement
        }
        let grown = opened.before.grown();
        let stats = opened.store.stats().map_err(refused)?;
        let memory = Memory { resident_bytes: grown.now, peak_bytes: grown.peak, ..Memory::of(&stats) };
        let proof = Proof { scenario, keys, streams, executed: &outcome.executed };
        let mut verification = proof.check(&*opened.store, watch).map_err(refused)?;
        if watch.is_stopped() {
            return Ok(()); // checked in part: nothing is known of the content
        }
        if scenario.always_hits() {
            verification.missing += outcome.misses;
        }
        if scenario.inserts_each_key_once() {
            verification.wrong += outcome.operations.abs_diff(outcome.inserted);
        }
        tally.verification.add(&verification);
        if scenario.is_read_only() && scenario.burst.is_none() {
            *unchanged = Some(opened);
        }
        if phase == Phase::First && scenario.burst.is_some() {
            tally.before.push(outcome.ops_per_sec());
            return Ok(());
        }
        tally.rates.push(outcome.ops_per_sec());
        tally.operations += outcome.executed.iter().sum::<u64>();
        tally.lookups += outcome.lookups;
        tally.misses += outcome.misses;
        tally.latency.add(&outcome.latency).expect(ONE_RANGE);
        if let Some(response) = &outcome.response {
            tally.response.get_or_insert_with(latency_histogram).add(response).expect(ONE_RANGE);
        }
        tally.memory = memory;
        tally.timeline = outcome.timeline;
        Ok(())
    }
}

impl Tally {
    fn new() -> Self {
        Self {
            before: Vec::new(),
            rates: Vec::new(),
            operations: 0,
            lookups: 0,
            misses: 0,
            latency: latency_histogram(),
            response: None,
            memory: Memory::default(),
            timeline: Vec::new(),
            verification: Verification::default(),
        }
    }
}

/// The tallies of what was measured at least once.
fn measured_once(
    mut tallies: HashMap<(usize, usize, usize), Tally>,
) -> HashMap<(usize, usize, usize), Tally> {
    tallies.retain(|_, tally| !tally.rates.is_empty());
    tallies
}

fn refused(store: &str, entry: &Entry, threads: usize, source: keystore::Error) -> Error {
    let scenario = format!("{}, threads {threads}", entry.scenario.name);
    Error::Store { store: store.to_owned(), scenario, source }
}

/// The keys and traces of all scenarios, each made or read once.
struct Stock {
    /// Of each size as many as any scenario takes.
    made: Vec<(Size, usize, Option<Arc<Keys>>)>,
    files: HashMap<PathBuf, Arc<Keys>>,
    traces: HashMap<PathBuf, Arc<Trace>>,
}

impl Stock {
    fn new(scenarios: &[Scenario]) -> Result<Self> {
        let mut made: Vec<(Size, usize, Option<Arc<Keys>>)> = Vec::new();
        for scenario in scenarios {
            match made.iter_mut().find(|(size, ..)| *size == scenario.key_size) {
                Some((_, count, _)) => *count = scenario.keys.max(*count),
                None => made.push((scenario.key_size.clone(), scenario.keys, None)),
            }
        }
        Ok(Self { made, files: HashMap::new(), traces: HashMap::new() })
    }

    fn source(&mut self, scenario: &Scenario) -> Result<Source> {
        if let Some(path) = &scenario.trace {
            return Ok(Source::Trace(once(&mut self.traces, path, Trace::read)?));
        }
        if let Some(path) = &scenario.keys_from {
            return Ok(Source::Keys(once(&mut self.files, path, Keys::from_file)?));
        }
        let (size, count, keys) = self
            .made
            .iter_mut()
            .find(|(size, ..)| *size == scenario.key_size)
            .expect("every scenario's size was noted");
        let keys = match keys {
            Some(keys) => keys,
            None => {
                // Of several scenarios with such keys, the first is named.
                let made = Keys::make(*count, size).map_err(|error| match error {
                    Error::Scenario { field, value, expected, .. } => {
                        Error::Scenario { scenario: scenario.name.clone(), field, value, expected }
                    }
                    other => other,
                })?;
                keys.insert(Arc::new(made))
            }
        };
        Ok(Source::Keys(Arc::clone(keys)))
    }
}

/// Refuses a scenario whose keys and store the machine can never hold: the made keys, and of what
/// is loaded the nodes. Keys from files are as many as the files have.
fn check_memory(scenario: &Scenario) -> Result<()> {
    if scenario.keys_from.is_some() || scenario.trace.is_some() {
        return Ok(());
    }
    let key = scenario.key_size.mean();
    let made = scenario.keys as f64 * (key + size_of::<usize>() as f64);
    let loaded = scenario.loaded_keys() as f64 * (key + scenario.value_size.mean());
    let bytes = (made + loaded) as usize;
    check_fits(bytes).map_err(|_| Error::Scenario {
        scenario: scenario.name.clone(),
        field: "keys",
        value: scenario.keys.to_string(),
        expected: format!("so few that this machine can have the {bytes} bytes that they and the store take"),
    })
}

/// What `read` makes of a file, kept for whoever asks again.
fn once<T>(kept: &mut HashMap<PathBuf, Arc<T>>, path: &Path, read: fn(&Path) -> Result<T>) -> Result<Arc<T>> {
    if let Some(known) = kept.get(path) {
        return Ok(Arc::clone(known));
    }
    let new = Arc::new(read(path)?);
    kept.insert(path.to_owned(), Arc::clone(&new));
    Ok(new)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keys::KeySource;
    use crate::results::tests::{tiny, tiny_suite};

    #[test]
    fn every_combination_runs_every_scenario_and_holds_what_it_should() {
        let results = tiny();
        results.verify().unwrap();
        assert!(!results.interrupted);
        assert_eq!(results.candidates(), Candidate::ours());
        let runs: usize = results.scenarios.iter().map(|measured| measured.scenario.threads.len()).sum();
        assert_eq!(results.rows.len(), 9 * runs);
        let outline = Plan::new(tiny_suite(), Candidate::ours()).unwrap().outline();
        let named = |results: &Results| -> Vec<(Candidate, String, usize)> {
            results.rows.iter().map(|row| (row.store, row.scenario.clone(), row.threads)).collect()
        };
        assert_eq!(named(&outline), named(&results), "what was planned is what was measured");
        for row in &results.rows {
            let scenario = &results.measured(&row.scenario).unwrap().scenario;
            assert_eq!(row.rounds.len(), scenario.rounds.unwrap_or(2), "{row:?}");
            assert!(row.ops_per_sec.median > 0.0 && row.latency_ns.samples > 0, "{row:?}");
            if scenario.mix.delete == 0 {
                assert_eq!(row.memory.entries, scenario.keys as u64, "{row:?}");
                assert!(row.memory.node_bytes > 0 && row.memory.table_bytes > 0, "{row:?}");
            }
            assert_eq!(row.verification.checked, (row.rounds.len() * scenario.keys) as u64);
            assert_eq!(row.timeline.is_empty(), scenario.timeline_ms.is_none(), "{row:?}");
        }
        assert!(results.scenarios.iter().all(|measured| measured.harness_ns > 0.0));
        assert!(results.limits.iter().any(|limit| limit.in_flight == 16));
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn a_store_that_no_machine_can_hold_is_refused_before_anything_is_measured() {
        let mut suite = tiny_suite();
        // The keys are few, and the values 4 PiB.
        suite.scenarios[0].keys = 1 << 20;
        suite.scenarios[0].value_size = Size::Fixed(keystore::MAX_VALUE_LEN);
        let error = Plan::new(suite, Candidate::ours()).map(drop).unwrap_err().to_string();
        assert!(error.contains("keys is 1048576") && error.contains("45035"), "{error}");
    }

    #[test]
    fn a_budget_ends_the_rounds_and_the_first_always_runs() {
        let mut suite = tiny_suite();
        let candidates = || Candidate::ours()[..1].to_vec();
        suite.rounds = Rounds { at_most: 1000, budget: Some(Duration::ZERO) };
        let plan = Plan::new(suite.clone(), candidates()).unwrap();
        assert_eq!(plan.run(&Watch::default(), &mut |_| {}).unwrap().rounds(), 1);
        suite.rounds = Rounds { at_most: 2, budget: Some(Duration::from_secs(3600)) };
        let plan = Plan::new(suite, candidates()).unwrap();
        let mut seen = Vec::new();
        let results =
            plan.run(&Watch::default(), &mut |progress| seen.push((progress.runs, progress.round))).unwrap();
        assert_eq!(results.rounds(), 2);
        let runs = plan.runs();
        assert_eq!(seen.len(), runs);
        assert_eq!(seen[0], ((0, runs), (1, 2)));
        assert_eq!(seen[runs - 1], ((runs - 1, runs), (2, 2)));
    }

    #[test]
    fn what_was_measured_before_an_interruption_is_kept() {
        let plan = Plan::new(tiny_suite(), Candidate::ours()).unwrap();
        let watch = Watch::default();
        let results = plan
            .run(&watch, &mut |progress| {
                if progress.runs.0 == 4 {
                    watch.stop();
                }
            })
            .unwrap();
        assert!(results.interrupted);
        assert_eq!(results.rows.iter().map(|row| row.rounds.len()).sum::<usize>(), 4);
        results.verify().unwrap();
    }

    #[test]
    fn a_scenario_with_a_burst_is_measured_before_it_and_after_it_and_bursts_come_last() {
        let mut suite = tiny_suite();
        suite.scenarios.truncate(2);
        suite.scenarios[0].burst = Some(20);
        let (burst, plain) = (suite.scenarios[0].name.clone(), suite.scenarios[1].name.clone());
        let plan = Plan::new(suite, Candidate::ours()[..2].to_vec()).unwrap();
        let mut order = Vec::new();
        let results =
            plan.run(&Watch::default(), &mut |progress| order.push(progress.scenario.to_owned())).unwrap();
        results.verify().unwrap();
        assert_eq!(order.len(), plan.runs());
        for row in &results.rows {
            let expected = if row.scenario == burst { 2 } else { 0 };
            assert_eq!((row.rounds.len(), row.before.len()), (2, expected), "{row:?}");
            assert_eq!(row.ratio_to_before().is_some(), row.scenario == burst);
        }
        let last_plain = order.iter().rposition(|name| *name == plain).unwrap();
        let after = order.iter().skip(last_plain + 1).filter(|name| **name == burst).count();
        assert_eq!(after, 2 * 2 * 2, "two stores, two numbers of threads, two rounds, after everything else");
    }

    #[test]
    fn a_trace_of_misses_says_that_nothing_was_found() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let lines: String = (0..500).map(|n| format!("{n},key{n},6,0,1,get,0\n")).collect();
        std::fs::write(file.path(), lines).unwrap();
        let mut suite = tiny_suite();
        suite.scenarios = vec![Scenario {
            name: "misses".to_owned(),
            trace: Some(file.path().to_owned()),
            mix: crate::Mix::default(),
            length: Length::Once,
            preload: 0.0,
            ..Scenario::default()
        }];
        let plan = Plan::new(suite, Candidate::ours()).unwrap();
        let results = plan.run(&Watch::default(), &mut |_| {}).unwrap();
        for row in &results.rows {
            assert_eq!(
                (row.lookups, row.misses, row.hit_ratio()),
                (1000, 1000, Some(0.0)),
                "two rounds of 500"
            );
        }
        assert!(
            crate::report::text(&results)
                .contains("Lookups of misses [500 keys] found their key in 0 % of all cases")
        );
    }

    #[test]
    fn a_trace_is_replayed_on_every_store_and_checked() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let sampled = Scenario {
            mix: crate::Mix { get: 50, set: 20, insert: 10, update: 10, delete: 10, ..Default::default() },
            length: Length::Operations(3000),
            keys: 200,
            ..Scenario::default()
        };
        let keys = Keys::make(200, &16.into()).unwrap();
        Trace::write_sample(file.path(), &sampled, &keys).unwrap();
        let mut suite = tiny_suite();
        suite.scenarios = vec![Scenario {
            name: "replayed".to_owned(),
            trace: Some(file.path().to_owned()),
            mix: crate::Mix::default(),
            length: Length::Once,
            preload: 0.0,
            threads: vec![1, 3],
            ..Scenario::default()
        }];
        let results =
            Plan::new(suite, Candidate::ours()).unwrap().run(&Watch::default(), &mut |_| {}).unwrap();
        results.verify().unwrap();
        assert_eq!(results.rows.len(), 18);
        assert_eq!(results.scenarios[0].keys, KeySource::Trace { path: file.path().to_owned() });
        assert!(results.scenarios[0].scenario.keys <= 200);
    }

    #[test]
    fn a_file_of_keys_gives_what_it_has() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "alpha\nbeta\ngamma\n").unwrap();
        let mut suite = tiny_suite();
        suite.scenarios.truncate(1);
        suite.scenarios[0].keys_from = Some(file.path().to_owned());
        let plan = Plan::new(suite.clone(), Candidate::ours()).unwrap();
        let results = plan.run(&Watch::default(), &mut |_| {}).unwrap();
        results.verify().unwrap();
        assert_eq!(results.scenarios[0].scenario.keys, 3);
        assert_eq!(results.scenarios[0].scenario.name, "get uniform [3 keys]", "50 were asked for");
        assert!(results.rows.iter().all(|row| row.hit_ratio() == Some(1.0)));
        suite.scenarios[0].keys_from = Some("/no/such/words".into());
        let error = Plan::new(suite, Candidate::ours()).unwrap_err();
        assert!(error.is_usage() && error.to_string().starts_with("/no/such/words"), "{error}");
    }
}
