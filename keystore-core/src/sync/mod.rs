//! What threads need of each other: atomics, slots, ends, and calls within calls.

#[cfg(loom)]
pub mod loom_model;
pub(crate) mod primitive;
pub(crate) mod reentrancy;
pub mod thread_exit;
pub mod thread_slot;
