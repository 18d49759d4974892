//! keystore-pool: where nodes come from.
mod kind;
pub use kind::{AnyPool, PoolKind};
