//! The account of a store: its node heap, its counters and its hasher, beside its buckets.

use std::fmt;
use std::hash::BuildHasher;

use crate::allocator::NodeAllocator;
use crate::config::Config;
use crate::error::Result;
use crate::hash::hash_key;

pub(crate) mod counters;
pub(crate) mod node_heap;
pub mod sharded;

use self::counters::Counters;
use self::node_heap::NodeHeap;

/// A store's node heap, counters and hasher.
pub(crate) struct Account<A, S> {
    /// Allocator of the nodes, with the memory limit.
    pub(crate) heap: NodeHeap<A>,
    /// Counters of the calls and the entries.
    pub(crate) counters: Counters,
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
            counters: Counters::new(config)?,
            hasher,
        })
    }

    /// Returns the hash of `key`.
    #[inline]
    pub(crate) fn hash(&self, key: &[u8]) -> u64 {
        hash_key(&self.hasher, key)
    }
}
