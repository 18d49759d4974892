//! keystore-bench: the comparison harness of keystore.
//!
//! Somebody who has a load and wants a store has one question: which backend on which pool? This crate answers it by
//! measuring them all, in one process, under the same operations on the same keys, and draws the answer.
//! `cargo xtask bench` is its command; docs/benchmarks.md in the repository describes the workloads and how to read the plots.
//!
//! # How a number comes about
//!
//! 1. A [`Scenario`] says what is asked of a store: a mix of operations, a distribution over keys, threads, sizes. It is data,
//!    from a file of a [`Suite`], so it can be kept and run again.
//! 2. [`Scenario::draw`] turns it into the operations of each thread, keys and all, before any clock runs; or a [`Trace`] has
//!    them.
//! 3. [`run`] lets the threads wait for each other and then go. Most calls go by untimed; one in 128, or as many as the scenario
//!    says, gives the latencies.
//! 4. A [`Proof`] checks the store's whole content against what the threads did: nothing missing, wrong, or twice. A number
//!    from a store that fails is a number from a broken store, and the command fails with it.
//! 5. A [`Plan`] does this for every [`Candidate`], round by round, so that a machine which is slow
//!    for a while is slow for all. A row's rate is the median of its rounds, with the bounds that
//!    hold it. Half of the rounds pick the fastest store, the other half say by how much it is
//!    ahead ([`lead`]); what lies within the bounds is not told apart.
//! 6. [`advice`] says which store to take, going by all runs. [`Results`] are written to
//!    `results.json`, [`report`] makes tables, plots and a page of them, and [`Comparison`] holds
//!    them against those of another day.
//!
//! ```
//! use keystore_bench::{Candidate, Plan, Suite, Watch, report};
//!
//! # fn main() -> keystore_bench::Result<()> {
//! let suite = Suite::named("smoke")?;
//! let plan = Plan::new(suite, Candidate::ours())?;
//! let results = plan.run(&Watch::default(), &mut |progress| println!("{} runs", progress.scenario))?;
//! results.verify()?;
//! println!("{}", report::text(&results));
//! # Ok(()) }
//! ```
//!
//! # What the numbers leave out
//!
//! Stores are called as `dyn Keystore`: a call through a pointer, a nanosecond or two, that a program which names its
//! backend does not pay. Without a fixed rate, a thread's next operation waits for its last. Values are looked at in place, not
//! copied.
//!
//! # Features
//!
//! `mimalloc` (default): mimalloc is the process's global allocator, for every store alike.
//!
//! `peers`: other people's maps (papaya, scc, dashmap, flurry, and a map in locked shards) as stores that can be measured
//! beside ours.
//!
//! # Where things are
//!
//! What is asked: `scenario`, `size`, `distribution`, `keys`, `trace`, `suite` (the files),
//! `stream` (the operations drawn). Of whom: `combination`, `peers`, `nothing`, `candidate`.
//! Measuring: `driver` (the threads), `burst` (many more of them), `proof` (the check), `measure`
//! (what is kept), `limit` (what memory can do), `machine`, `plan` (the rounds). What comes of it:
//! `results` (the file), `lead` and `advice` (who is ahead), `compare` (two of them), `report` and
//! `plot` (what people see). `stress` is a test of its own, with very many threads at once. `input`
//! reads the texts of others, and `console` prints for the commands.

#![deny(clippy::print_stdout, clippy::print_stderr)]

pub mod advice;
mod burst;
mod candidate;
mod compare;
mod distribution;
mod driver;
mod error;
mod keys;
pub mod lead;
mod limit;
mod machine;
mod measure;
mod nothing;
pub mod peers;
mod plan;
pub mod plot;
mod proof;
pub mod report;
mod results;
mod scenario;
mod size;
mod stream;
mod suite;
mod trace;

pub use advice::{Advice, Standing};
pub use candidate::{Candidate, Selection};
pub use compare::{Compared, Comparison, Verdict};
pub use distribution::KeyDistribution;
pub use driver::{Run, Watch, load, run};
pub use error::{Error, Result};
pub use keys::{KeySource, Keys, MAX_KEYS};
pub use lead::Lead;
pub use limit::{LineRate, Pages, line_rates};
pub use machine::{Machine, processors};
pub use measure::{Latency, Memory, MemoryPart, Slice, Spread};
pub use nothing::Nothing;
pub use plan::{Plan, Progress, Rounds};
pub use proof::{Proof, Verification};
pub use results::{Growth, Measured, Results, Row, SCHEMA, Winner, write_whole};
pub use scenario::{Kind, Length, MAX_BATCH, MAX_THREADS, Mix, Scenario, file_name};
pub use size::{Between, Share, Size};
pub use stream::{Operation, Stream};
pub use suite::Suite;
pub use trace::Trace;

#[cfg(feature = "mimalloc")]
#[global_allocator]
static GLOBAL: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// The example of the README, which has to compile and run.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
