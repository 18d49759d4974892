//! keystore-pool: allocators for the nodes of a store.
//!
//! # The idea
//!
//! A store allocates one block for each entry, and frees it when the entry is removed or replaced.
//! The blocks are small and have few sizes. They are freed with the layout that they were allocated
//! with, and often on another thread. A pool can rely on all of that, and a general allocator
//! cannot. Each pool here implements [`NodeAllocator`], so every backend of keystore-core runs on
//! every pool.
//!
//! # Choosing a pool
//!
//! | | [`SlabPool`] | [`ArenaPool`] | [`SystemPool`] |
//! |---|---|---|---|
//! | a block comes from | the thread's cache | the thread's span | the global allocator |
//! | a freed block serves | its size, at once | any, once its 64 KiB are dead | any |
//! | best for | entries that change | entries that die together | odd sizes, little memory |
//! | wrong for | rare, huge values | random overwriting | |
//!
//! Take [`SlabPool`] unless you know that your entries die together. [`AnyPool`] chooses at run
//! time, by a [`PoolKind`].
//!
//! ```
//! # #[cfg(feature = "slab")] fn main() -> keystore_core::Result<()> {
//! use keystore_core::{Config, Keystore, RwLockKeystore};
//! use keystore_pool::SlabPool;
//!
//! let config = Config { initial_buckets: 1 << 16, preallocation: 1.0, ..Config::default() };
//! let store = RwLockKeystore::open(&config, SlabPool::from_config(&config)?)?;
//! store.set(b"key", b"value")?;
//! println!("{:?}", store.stats()?.pool);
//! # Ok(()) }
//! # #[cfg(not(feature = "slab"))] fn main() {}
//! ```
//!
//! Several stores can share a pool: a reference, an [`Arc`](std::sync::Arc) and a clone of
//! [`AnyPool`] are allocators, too.
//!
//! # Statistics
//!
//! [`NodeAllocator::stats`] returns the live nodes and bytes, the bytes held from the system, and
//! the blocks that the system's allocator had to serve. The numbers are exact while no thread
//! allocates or frees. Counting costs the other calls little, because each thread counts in its own
//! slot.
//!
//! # Faults
//!
//! If there is no memory, the call that needed it returns an error, and nothing else changes. Safe
//! code cannot free a block twice, with another layout, or to another pool. In debug builds slab
//! and arena detect this, and end the process at the call with a message that has the code -52.
//!
//! # Features
//!
//! `slab` and `arena` are the pools, on by default. A build without one of them does not compile
//! it. `serde` adds `Serialize` and `Deserialize` to [`PoolKind`] and the options.
//!
//! # Modules
//!
//! - `any_pool`: the pool that is chosen at run time; `shared`: one with several owners
//! - `slab`: size classes (`class`), spans of one size (`span`), the threads' caches (`magazine`),
//!   where threads trade blocks (`depot`), what happens when a thread ends (`thread_exit`)
//! - `arena`: bump allocation, and a span's live-block count (`biased`)
//! - `system`: the global allocator with counters
//! - `chunk`: memory from the system; `span`: chunks cut into spans, for slab and arena
//! - `registry`: the set of a pool's chunks; `list`: intrusive lists
//! - `per_thread`: a slot for each thread; `primitive`: atomics and locks, or a model checker's
//! - `debug_check`: the checks of debug builds
//!
//! [`NodeAllocator::stats`]: keystore_core::NodeAllocator::stats

// On docs.rs, show which feature each item needs.
#![cfg_attr(docsrs, feature(doc_cfg))]

use std::fmt;

use keystore_core::NodeAllocator;

mod any_pool;
#[cfg(feature = "arena")]
mod arena;
#[cfg(any(feature = "slab", feature = "arena"))]
mod chunk;
#[cfg(all(debug_assertions, any(feature = "slab", feature = "arena")))]
mod debug_check;
#[cfg(any(feature = "slab", feature = "arena"))]
mod list;
#[cfg(all(test, loom, feature = "slab", feature = "arena"))]
mod models;
#[cfg(any(feature = "slab", feature = "arena"))]
mod per_thread;
#[cfg(any(feature = "slab", feature = "arena"))]
mod primitive;
#[cfg(any(feature = "slab", feature = "arena"))]
mod registry;
mod shared;
#[cfg(feature = "slab")]
mod slab;
#[cfg(any(feature = "slab", feature = "arena"))]
mod span;
mod system;
#[cfg(all(test, not(loom), feature = "slab", feature = "arena"))]
mod tests;

pub use any_pool::{AnyPool, PoolKind};
#[cfg(feature = "arena")]
pub use arena::{ArenaOptions, ArenaPool};
pub use shared::Shared;
#[cfg(feature = "slab")]
pub use slab::{SlabOptions, SlabPool, WhenFull};
pub use system::SystemPool;

/// Formats a pool for debugging. The output has what the pool holds and has allocated, and no
/// addresses.
fn describe(pool: &impl NodeAllocator, name: &str, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let stats = pool.stats();
    f.debug_struct(name)
        .field("live_nodes", &stats.live_nodes)
        .field("live_bytes", &stats.live_bytes)
        .field("held_bytes", &stats.held_bytes)
        .finish_non_exhaustive()
}

/// Bytes that a pool preallocates for each node of
/// [`Config::preallocation`](keystore_core::Config::preallocation).
///
/// A node of a 16-byte key and a 64-byte value takes 88 bytes, and the rest is for the pool's
/// headers. For larger nodes the preallocated memory holds fewer.
pub const NOMINAL_NODE: usize = 96;

/// Returns the bytes that `config` preallocates: the factor times the initial buckets, in nominal
/// nodes.
#[cfg(any(feature = "slab", feature = "arena"))]
fn preallocated_bytes(config: &keystore_core::Config) -> keystore_core::Result<usize> {
    config.validate()?;
    let nodes = (config.initial_buckets as f64 * config.preallocation).ceil() as usize;
    Ok(nodes.saturating_mul(NOMINAL_NODE))
}
