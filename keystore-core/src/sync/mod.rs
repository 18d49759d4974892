//! Coordination between threads: atomics that a model checker can replace ([`primitive`]), a small
//! number for each thread ([`thread_slot`]), code that runs when a thread ends ([`thread_exit`]),
//! and closures that call a store ([`reentrancy`]).

#[cfg(loom)]
pub mod loom_model;
pub(crate) mod primitive;
pub(crate) mod reentrancy;
pub mod thread_exit;
pub mod thread_slot;
