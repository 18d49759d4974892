//! keystore-bench: the comparison harness of keystore.
//!
//! A user who has a workload and wants a store has one question: which backend on which pool? This
//! crate answers it. It measures all combinations in one process, under the same operations on the
//! same keys, and plots the results. The command is `cargo xtask bench`. The page
//! docs/benchmarks.md in the repository describes the workloads and how to read the plots.
//!
//! # How a number comes about
//!
//! 1. A [`Scenario`] describes a workload: a mix of operations, a distribution over keys, numbers
//!    of threads, and sizes. It is data, read from the file of a [`Suite`], so it can be kept and
//!    run again.
//! 2. [`Scenario::draw`] draws the operations of each thread, with their keys, before the clock
//!    starts. Alternatively, a [`Trace`] supplies the operations.
//! 3. [`run`] starts the threads together at a barrier. Most calls are not timed. One call in 128,
//!    or in the number that the scenario sets, is timed for the latencies.
//! 4. A [`Proof`] compares the store's whole content with what the threads did: no entry may be
//!    missing, wrong or duplicated. If the check fails, the store is broken and its numbers mean
//!    nothing, so the command fails too.
//! 5. A [`Plan`] does this for every [`Candidate`], round by round, so that a slow phase of the
//!    machine affects all candidates alike. A row's rate is the median of its rounds, with
//!    confidence bounds. Half of the rounds pick the fastest store. The other half measure its lead
//!    ([`lead`]). A difference within the bounds does not count.
//! 6. [`advice`] recommends a store on the basis of all runs. [`Results`] are written to
//!    `results.json`, [`report`] makes tables, plots and a page from them, and [`Comparison`]
//!    compares them with results of another day.
//!
//! ```
//! use keystore_bench::{Candidate, Plan, Suite, RunControl, report};
//!
//! # fn main() -> keystore_bench::Result<()> {
//! let suite = Suite::named("smoke")?;
//! let plan = Plan::new(suite, Candidate::ours())?;
//! let control = RunControl::default();
//! let results = plan.run(&control, &mut |progress| println!("{}", progress.scenario))?;
//! results.verify()?;
//! println!("{}", report::text(&results));
//! # Ok(()) }
//! ```
//!
//! # What the numbers leave out
//!
//! - Stores are called as `dyn Keystore`. Such a virtual call costs a nanosecond or two. A program
//!   that names its backend's type does not pay for it.
//! - Unless the scenario sets a rate, a thread starts its next operation only after the last one
//!   has returned.
//! - Values are read in place, not copied.
//!
//! # Features
//!
//! `mimalloc` (default): makes mimalloc the global allocator of the process, for every store alike.
//!
//! `peers`: adds third-party maps (papaya, scc, dashmap, flurry, and a map in locked shards) as
//! stores that can be measured beside ours.
//!
//! # Where things are
//!
//! - `workload` holds the scenarios, their keys and their operations.
//! - `measure` runs the workloads and checks the content of the stores.
//! - `peers` adapts third-party maps.
//! - `results` holds the results file, the leads, and the comparison of two files.
//! - `report` and `plot` make the tables, the plots and the page.
//! - `format` formats numbers as text.

#![deny(clippy::print_stdout, clippy::print_stderr)]

mod error;
mod format;
mod measure;
pub mod peers;
pub mod plot;
pub mod report;
mod results;
mod workload;

pub use error::{Error, Result};
pub use measure::candidate::{Candidate, Selection};
pub use measure::control::RunControl;
pub use measure::driver::{Run, load, run};
pub use measure::limit::{LineRate, Pages, line_rates};
pub use measure::machine::{Machine, processors};
pub use measure::metrics::{Latency, Memory, MemoryPart, Slice, Spread};
pub use measure::null_store::NullStore;
pub use measure::plan::{Plan, Progress};
pub use measure::proof::{Proof, Verification};
pub use results::advice::{self, Advice, Standing};
pub use results::compare::{Compared, Comparison, Verdict};
pub use results::lead::{self, Lead};
pub use results::{Growth, Measured, Results, Row, SCHEMA, Winner, write_whole};
pub use workload::distribution::KeyDistribution;
pub use workload::keys::{KeySource, Keys, MAX_KEYS};
pub use workload::operation::{Kind, Mix};
pub use workload::scenario::{Length, MAX_BATCH, MAX_THREADS, Scenario, file_name};
pub use workload::size::{Between, Share, Size};
pub use workload::stream::{Operation, Stream};
pub use workload::suite::{Rounds, Suite};
pub use workload::trace::Trace;

#[cfg(feature = "mimalloc")]
#[global_allocator]
static GLOBAL: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// The example in the README, which must compile and run.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
