//! The comparison harness.
mod combination;
mod driver;
mod error;
mod keys;
mod machine;
mod measure;
mod plot;
mod proof;
mod results;
mod suite;
mod workload;

#[cfg(feature = "mimalloc")]
#[global_allocator]
static GLOBAL: mimalloc::MiMalloc = mimalloc::MiMalloc;
