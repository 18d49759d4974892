//! keystore-verify: checks of a keystore.
//!
//! [`stress`] has thousands of threads use one store and then checks all that must be true of it.
//! [`linearizability`] checks what threads saw of a few hot keys. [`soak`] repeats these checks for
//! a given time, and compares a store's memory with that of a fresh one.
//!
//! The pieces that these checks are made of serve other harnesses too: [`value`] (values that say
//! who wrote them), [`spawn_together`] (threads that begin at one instant), [`resident`] (the
//! process's memory), [`latency_histogram`] and [`mix`].
//!
//! # Features
//!
//! `mimalloc`: for a program whose global allocator is mimalloc. Memory is then measured without
//! what the allocator keeps for later.

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

/// The example of the README, which has to compile and run.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
