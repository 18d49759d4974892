//! The account of a store: its node heap, its counters and its hasher.
//!
//! The memory limit is enforced in `node_heap.rs`: `NodeHeap::charge` refuses a node that would
//! exceed it. The calls are counted in `counters.rs`.

use std::fmt;
use std::hash::BuildHasher;

use crate::allocator::NodeAllocator;
use crate::config::Config;
use crate::error::Result;
use crate::hash::hash_key;
#[cfg(any(feature = "rwlock", feature = "dashmap"))]
use crate::{
    node::{Node, NodeRef},
    sync::reentrancy,
    update::Source,
};

pub(crate) mod counters;
pub(crate) mod node_heap;
pub mod sharded;

use self::counters::EventCounters;
use self::node_heap::NodeHeap;

/// A store's node heap, counters and hasher.
pub(crate) struct Account<A, S> {
    /// Allocator of the nodes, with the memory limit.
    pub(crate) heap: NodeHeap<A>,
    /// Counters of the calls and the entries.
    pub(crate) counters: EventCounters,
    hasher: S,
}

/// Does not print the hasher, which may print its seed.
impl<A, S> fmt::Debug for Account<A, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Account").field("heap", &self.heap).finish_non_exhaustive()
    }
}

impl<A: NodeAllocator, S: BuildHasher> Account<A, S> {
    /// Creates the account of a store with this configuration.
    ///
    /// # Errors
    /// Returns -21 if the configuration is not valid, and -10 if there is no memory for the
    /// counters.
    pub(crate) fn new(config: &Config, allocator: A, hasher: S) -> Result<Self> {
        config.validate()?;
        Ok(Self {
            heap: NodeHeap::new(config, allocator),
            counters: EventCounters::new(config)?,
            hasher,
        })
    }

    /// Makes a node of a new value, under a lock. `old` is the node that it replaces. A function
    /// that writes the value is the user's code. If it calls a store, that call must not wait.
    #[inline]
    #[cfg(any(feature = "rwlock", feature = "dashmap"))]
    pub(crate) fn create_node(
        &self,
        key: &[u8],
        value: Source<'_>,
        old: Option<NodeRef<'_>>,
    ) -> Result<Node> {
        let replaced = old.map_or(0, NodeRef::size);
        match value {
            Source::Bytes(bytes) => self.heap.create_node(key, bytes, replaced),
            Source::Filled { length, fill } => reentrancy::inside(|| {
                let fill = |new: &mut [u8]| fill(old.map(NodeRef::value), new);
                self.heap.create_filled_node(key, length, replaced, fill)
            }),
        }
    }

    /// Returns the hash of `key`.
    #[inline]
    pub(crate) fn hash(&self, key: &[u8]) -> u64 {
        hash_key(&self.hasher, key)
    }
}
