//! keystore-bench: the comparison harness of keystore.
//!
//! Somebody who has a load and wants a store has one question: which backend on which pool? This
//! crate answers it by measuring them all, in one process, under the same operations on the same
//! keys, and draws the answer. `cargo xtask bench` is its command; docs/benchmarks.md in the
//! repository describes the workloads and how to read the plots.
//!
//! # How a number comes about
//!
//! 1. A [`Scenario`] says what is asked of a store: a mix of operations, a distribution over keys,
//!    threads, sizes. It is data, from a file of a [`Suite`], so it can be kept and run again.
//! 2. [`Scenario::draw`] turns it into the operations of each thread, keys and all, before any
//!    clock runs; or a [`Trace`] has them.
//! 3. [`run`] lets the threads wait for each other and then go. Most calls go by untimed; one in
//!    128, or as many as the scenario says, gives the latencies.
//! 4. A [`Proof`] checks the store's whole content against what the threads did: nothing missing,
//!    wrong, or twice. A number from a store that fails is a number from a broken store, and the
//!    command fails with it.
//! 5. A [`Plan`] does this for every [`Candidate`], round by round, so that a machine which is slow
//!    for a while is slow for all. A row's rate is the median of its rounds, with the bounds that
//!    hold it. Half of the rounds pick the fastest store, the other half say by how much it is
//!    ahead ([`lead`]); what lies within the bounds is not told apart.
//! 6. [`advice`] says which store to take, going by all runs. [`Results`] are written to
//!    `results.json`, [`report`] makes tables, plots and a page of them, and [`Comparison`] holds
//!    them against those of another day.
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
//! Stores are called as `dyn Keystore`: a call through a pointer, a nanosecond or two, that a
//! program which names its backend does not pay. Without a fixed rate, a thread's next operation
//! waits for its last. Values are looked at in place, not copied.
//!
//! # Features
//!
//! `mimalloc` (default): mimalloc is the process's global allocator, for every store alike.
//!
//! `peers`: other people's maps (papaya, scc, dashmap, flurry, and a map in locked shards) as
//! stores that can be measured beside ours.
//!
//! # Where things are
//!
//! `workload`: what is asked of a store. `measure`: running it and checking the content. `peers`:
//! the maps of others. `results`: the file, who is ahead, and the comparison of two files. `report`
//! and `plot`: what people see. `format`: numbers as text.

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

/// The example of the README, which has to compile and run.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
