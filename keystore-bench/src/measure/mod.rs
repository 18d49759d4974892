//! Measures stores under a workload.
//!
//! - `plan` measures every candidate (`candidate`) under every scenario, round by round.
//! - `driver` runs the threads of one run, and `control` observes and stops them.
//! - `burst` starts a burst of additional threads.
//! - `proof` checks the content of the store after a run.
//! - `metrics` defines the results of a run.
//! - `machine` describes the machine, and `limit` measures its memory.
//! - `null_store` is a store that measures the cost of the harness itself.

pub(crate) mod burst;
pub(crate) mod candidate;
pub(crate) mod control;
pub(crate) mod driver;
pub(crate) mod limit;
pub(crate) mod machine;
pub(crate) mod metrics;
pub(crate) mod null_store;
pub(crate) mod plan;
pub(crate) mod proof;
