//! keystore-verify: checks of a keystore.
//!
//! [`stress`] uses one store from thousands of threads and then checks everything that must be true
//! of it. [`linearizability`] checks the answers that threads got for a few hot keys. [`soak`]
//! repeats these checks for a given time, and compares a store's memory with the memory of a fresh
//! one.
//!
//! Other programs can use the parts of these checks too: [`value`] (values that name their writer),
//! [`spawn_together`] (threads that start at the same moment), [`resident`] (the process's memory),
//! [`latency_histogram`] and [`mix`].
//!
//! # Features
//!
//! `mimalloc`: for a program whose global allocator is mimalloc. Memory is then measured without
//! the freed memory that the allocator keeps for reuse.

#![deny(clippy::print_stdout, clippy::print_stderr)]

mod latency;
pub mod linearizability;
mod mix;
pub mod resident;
pub mod soak;
mod spawn_together;
pub mod stress;
pub mod value;

pub use latency::{LONGEST_NS, latency_histogram};
pub use mix::mix;
pub use spawn_together::{SpawnError, Together, spawn_together};

/// The example of the README, which must compile and run.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
