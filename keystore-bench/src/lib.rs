//! keystore-bench: the comparison harness of keystore.
//!
//! Somebody who has a load and wants a store has one question: which backend on which pool? This crate answers it by
//! measuring them all, in one process, under the same operations on the same keys, and draws the answer.
//! `cargo xtask bench` is its command; docs/benchmarks.md in the repository describes the workloads and how to read the plots.
//!
//! # How a number comes about
//!
//! 1. A [`Workload`] says what is asked of a store: a mix of operations, a distribution over keys, threads, sizes. It is data
//!    (serde), so it can be kept and run again.
//! 2. [`Workload::draw`] turns it into the operations of each thread, keys and all, before any clock runs.
//! 3. [`run`] lets the threads wait for each other and then go. All but one call in [`SAMPLING`] go by untimed; that one
//!    gives the latencies.
//! 4. A [`Proof`] checks the store's whole content against what the threads did: nothing missing, wrong, or twice. A number
//!    from a store that fails is a number from a broken store, and the command fails with it.
//! 5. A [`Plan`] does this for every [`Combination`] of backend and pool, round by round, so that a machine which
//!    is slow for a while is slow for all. A row's rate is the median of its rounds; two rows whose rounds overlap are
//!    said to show no difference.
//! 6. [`Results`] are written to `results.json`, and [`report`] makes tables, plots and a page of them.
//!
//! ```
//! use keystore_bench::{Combination, Plan, Rounds, Sizes, report, standard};
//!
//! # fn main() -> keystore_bench::Result<()> {
//! let sizes = Sizes {
//!     keys: 1000,
//!     grow_keys: 1000,
//!     grow_far_keys: 10_000,
//!     key_size: 16,
//!     value_size: 64,
//!     seconds: 0.001,
//!     threads: vec![1],
//! };
//! let plan = Plan {
//!     workloads: standard(&sizes),
//!     combinations: Combination::all(),
//!     keys: &sizes.make_keys()?,
//!     rounds: Rounds { at_most: 1, budget: None },
//! };
//! let results = plan.run(&mut |_| {})?;
//! results.verify()?;
//! println!("{}", report::text(&results));
//! # Ok(()) }
//! ```
//!
//! # What the numbers leave out
//!
//! Stores are called as `dyn Keystore`: a call through a pointer, a nanosecond or two, that a program which names its
//! backend does not pay. A thread's next operation waits for its last: under a load that arrives at a fixed rate, waiting
//! would add to the latencies. Values are looked at in place, not copied.
//!
//! # Features
//!
//! `mimalloc` (default): mimalloc is the process's global allocator, for every store alike.
//!
//! # Where things are
//!
//! `workload` what is asked · `keys` of which keys · `combination` of whom · `driver` the threads · `proof` the check ·
//! `measure` what is kept · `stress` very many threads at once · `suite` the standard workloads, and the rounds · `results` the file · `report` and `plot` what
//! people see · `machine` where it ran.

mod combination;
mod driver;
mod error;
mod keys;
mod machine;
mod measure;
pub mod plot;
mod proof;
pub mod report;
mod results;
pub mod stress;
mod suite;
mod workload;

pub use combination::{Combination, Selection};
pub use driver::{Run, SAMPLING, load, run};
pub use error::{Error, Result};
pub use keys::{KeyDistribution, KeySource, Keys, MAX_KEYS, Sampler};
pub use machine::{Machine, processors};
pub use measure::{Latency, Memory, MemoryPart, Spread, latency_histogram};
pub use proof::{MIN_VALUE_SIZE, Proof, Verification};
pub use results::{Growth, Results, Row, SCHEMA, Winner};
pub use suite::{Plan, Progress, Rounds, Sizes, standard};
pub use workload::{Kind, Length, MAX_BATCH, MAX_THREADS, Mix, Operation, Start, Stream, Workload};

#[cfg(feature = "mimalloc")]
#[global_allocator]
static GLOBAL: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// The example of the README, which has to compile and run.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
