//! The system pool: the global allocator, with counters.

use std::alloc::Layout;
use std::fmt;
use std::ptr::NonNull;

use keystore_core::sharded::ShardedCounters;
use keystore_core::{Global, NodeAllocator, PoolStats, Result};

/// The process's global allocator, with the statistics of the other pools.
///
/// It preallocates nothing, has no capacity, and returns memory at once. It does not know what the
/// global allocator holds beyond the live blocks, so `held_bytes` is `live_bytes`.
///
/// Each call costs the global allocator's call, and two additions to counters that threads do not
/// share.
///
/// ```
/// # fn main() -> keystore_core::Result<()> {
/// use keystore_core::NodeAllocator;
/// use keystore_pool::SystemPool;
/// use std::alloc::Layout;
///
/// let pool = SystemPool::new()?;
/// let layout = Layout::new::<[u64; 11]>();
/// let block = pool.allocate(layout)?;
/// assert_eq!((pool.stats().live_nodes, pool.stats().live_bytes), (1, 88));
/// // SAFETY: allocated above with this layout, and not used again.
/// unsafe { pool.deallocate(block, layout) };
/// assert_eq!(pool.stats().live_nodes, 0);
/// # Ok(()) }
/// ```
pub struct SystemPool {
    counters: ShardedCounters<3>,
}

const LIVE_NODES: usize = 0;
const LIVE_BYTES: usize = 1;
#[cfg(any(feature = "slab", feature = "arena"))]
const FALLBACKS: usize = 2;

impl fmt::Debug for SystemPool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        crate::describe(self, "SystemPool", f)
    }
}

impl SystemPool {
    /// Makes a pool with counters of its own.
    ///
    /// # Errors
    /// -10 if there is no memory for the counters.
    pub fn new() -> Result<Self> {
        Ok(Self { counters: ShardedCounters::new()? })
    }

    /// Allocates a block for a pool that cannot serve the layout from its own memory.
    #[cfg(any(feature = "slab", feature = "arena"))]
    #[cold]
    pub(crate) fn allocate_fallback(&self, layout: Layout) -> Result<NonNull<u8>> {
        let block = self.allocate(layout)?;
        self.counters.add(FALLBACKS, 1);
        Ok(block)
    }

    /// Adds the blocks of [`allocate_fallback`](Self::allocate_fallback) to the statistics of the
    /// pool that called it.
    #[cfg(any(feature = "slab", feature = "arena"))]
    pub(crate) fn add_fallbacks_to(&self, stats: &mut PoolStats) {
        let own = self.stats();
        stats.live_nodes += own.live_nodes;
        stats.live_bytes += own.live_bytes;
        stats.held_bytes += own.held_bytes;
        stats.fallbacks += self.count(FALLBACKS);
        stats.fallback_bytes += own.live_bytes;
    }

    /// Returns a counter's total. While threads add, the parts of the sum are read at different
    /// instants. A total that would be negative is reported as 0.
    fn count(&self, counter: usize) -> u64 {
        u64::try_from(self.counters.sum(counter)).unwrap_or(0)
    }
}

// SAFETY: the blocks are the global allocator's, which keeps the trait's promises.
unsafe impl NodeAllocator for SystemPool {
    #[inline]
    fn allocate(&self, layout: Layout) -> Result<NonNull<u8>> {
        let block = Global.allocate(layout)?;
        self.counters.add(LIVE_NODES, 1);
        self.counters.add(LIVE_BYTES, layout.size() as i64);
        Ok(block)
    }

    #[inline]
    unsafe fn deallocate(&self, block: NonNull<u8>, layout: Layout) {
        // SAFETY: the caller promises that the block came from `allocate` above with this layout,
        // so it came from `Global`, and that nothing uses it.
        unsafe { Global.deallocate(block, layout) };
        self.counters.add(LIVE_NODES, -1);
        self.counters.add(LIVE_BYTES, -(layout.size() as i64));
    }

    fn stats(&self) -> PoolStats {
        let mut stats = PoolStats::default();
        stats.live_nodes = self.count(LIVE_NODES);
        stats.live_bytes = self.count(LIVE_BYTES);
        stats.held_bytes = stats.live_bytes;
        stats
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn a_layout_that_no_memory_has_is_refused_and_not_counted() {
        let pool = SystemPool::new().unwrap();
        let layout = Layout::from_size_align(isize::MAX as usize - 4096, 8).unwrap();
        assert_eq!(pool.allocate(layout).unwrap_err().code(), -10);
        assert_eq!(pool.stats(), PoolStats::default());
    }

    #[test]
    fn over_aligned_blocks_are_served_as_the_global_allocator_does() {
        let pool = SystemPool::new().unwrap();
        let layout = Layout::from_size_align(100, 4096).unwrap();
        let block = pool.allocate(layout).unwrap();
        assert_eq!(block.as_ptr().addr() % 4096, 0);
        // SAFETY: it was allocated above with this layout, and is not used again.
        unsafe { pool.deallocate(block, layout) };
    }
}
