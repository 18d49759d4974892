//! Tests of the whole table.

mod collisions;
pub(super) mod failpoints;
#[cfg(loom)]
mod models;
mod table;
