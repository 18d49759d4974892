//! Measuring stores under a workload.
//!
//! `plan` measures every `candidate` under every scenario, round by round. `driver` runs the
//! threads of one run; `control` watches and stops it. `burst` starts many more threads. `proof`
//! checks the content afterwards. `metrics` is what a run gives. `machine` describes the machine,
//! `limit` measures its memory, and `null_store` measures the harness itself.

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
