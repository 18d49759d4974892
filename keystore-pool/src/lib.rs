//! keystore-pool: where the nodes of a store come from.
//!
//! # The idea
//!
//! A store allocates one block for each entry and frees it when the entry goes or is replaced. The blocks are small, of a few
//! sizes, are freed with the layout that they were allocated with, and often on another thread. A general allocator cannot
//! count on any of that; a pool can. Each pool here implements [`NodeAllocator`], so that every backend of keystore-core runs
//! on every pool.
//!
//! # Choosing a pool
//!
//! | | [`SlabPool`] | [`ArenaPool`] | [`SystemPool`] |
//! |---|---|---|---|
//! | a block comes from | a free list of its size, in the thread's cache | the next bytes of the thread's span | the global allocator |
//! | a freed block | is used again at once, for its size | is used again when all of its 64 KiB are dead | as the global allocator does |
//! | best for | stores whose entries come, change and go | entries that live and die together | little memory, odd sizes, comparison |
//! | wrong for | rare, huge values | random overwriting and deleting | |
//!
//! Take [`SlabPool`] unless you know that your entries die together. [`AnyPool`] chooses at run time, by a [`PoolKind`].
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
//! A pool may also be shared by several stores: a reference, an [`Arc`](std::sync::Arc) or a clone of [`AnyPool`] is an
//! allocator too.
//!
//! # Statistics
//!
//! [`NodeAllocator::stats`] tells the nodes and bytes that are live, the bytes held of the system, and what had to be
//! taken from the system's allocator. The numbers are exact while no thread allocates or frees, and cost the other calls
//! next to nothing: each thread counts for itself.
//!
//! # Faults
//!
//! Running out of memory is an error of the call that asked, and nothing is lost by it. Freeing a block twice, with another
//! layout, or to a pool that it did not come from cannot happen from safe code; in debug builds slab and arena end the process
//! at the call, with a message that bears the code -52.
//!
//! # Features
//!
//! `slab`, `arena`: the pools, on by default; a build without one does not compile it. `serde`: `Serialize` and `Deserialize` for
//! [`PoolKind`] and the options.
//!
//! # Where things are
//!
//! `chunk` memory from the system · `span` chunks cut into spans, for slab and arena · `slab` and
//! its parts: `class` sizes, `span` blocks of one size, `magazine` what threads cache, `depot`
//! where they trade · `arena` · `system` · `any_pool` the choice at run time · `per_thread` places of
//! one's own · `registry` whose an address is · `primitive` what
//! threads share, or a model checker's · `list` links within elements
//! · `shared` one with several owners · `debug_check` the checks of debug builds.
//!
//! [`NodeAllocator`]: keystore_core::NodeAllocator
//! [`NodeAllocator::stats`]: keystore_core::NodeAllocator::stats

// On docs.rs: which feature brings an item.
#![cfg_attr(docsrs, feature(doc_cfg))]

use std::fmt;

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

/// Writes a line about a pool: what it holds and has handed out, and no address.
fn describe(pool: &impl keystore_core::NodeAllocator, name: &str, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let stats = pool.stats();
    f.debug_struct(name)
        .field("live_nodes", &stats.live_nodes)
        .field("live_bytes", &stats.live_bytes)
        .field("held_bytes", &stats.held_bytes)
        .finish_non_exhaustive()
}

/// Bytes that a pool reserves for each node which [`Config::preallocation`](keystore_core::Config::preallocation) asks for: a
/// node of a 16-byte key and a 64-byte value takes 88, and the rest is for the pool's own headers. Stores of larger
/// nodes reserve for fewer of them.
pub const NOMINAL_NODE: usize = 96;

/// The bytes that `config` wants reserved: its preallocation factor times its initial buckets, in nominal nodes.
#[cfg(any(feature = "slab", feature = "arena"))]
fn preallocated_bytes(config: &keystore_core::Config) -> keystore_core::Result<usize> {
    config.validate()?;
    let nodes = (config.initial_buckets as f64 * config.preallocation).ceil() as usize;
    Ok(nodes.saturating_mul(NOMINAL_NODE))
}
