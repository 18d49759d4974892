//! The memory of nodes: the trait that every pool implements, and [`Global`], the trivial pool.

use std::alloc::Layout;
use std::ptr::NonNull;
use std::sync::Arc;

use crate::error::{Error, Result};
use crate::stats::PoolStats;

/// Allocates and frees the memory of nodes. Any backend runs on any implementation.
///
/// A node is freed with the layout it was allocated with, so a pool needs no header to know a
/// block's size. If threads share a store, one thread frees what another allocated.
///
/// No method may call a store: a backend with locks allocates and frees while it holds a lock.
///
/// # Safety
/// An implementation promises that
/// - a block that [`allocate`](Self::allocate) returned has the layout's size and alignment,
///   overlaps no other live block, and stays valid at its address until it is deallocated, also if
///   the allocator itself is moved;
/// - only the end of the allocator and of its last clone may invalidate live blocks;
/// - no method unwinds.
pub unsafe trait NodeAllocator {
    /// A block of at least `layout.size()` bytes at `layout.align()`. Its content is undefined.
    ///
    /// # Errors
    /// [`Error::OutOfMemory`] or [`Error::PoolExhausted`] if there is no memory, and
    /// [`Error::InvalidArgument`] for a layout of no bytes or with an alignment that the pool does
    /// not offer. Nothing is lost: a later call may succeed.
    fn allocate(&self, layout: Layout) -> Result<NonNull<u8>>;

    /// Frees a block.
    ///
    /// # Safety
    /// `block` came from [`allocate`](Self::allocate) of this allocator (or a clone that shares its
    /// memory) with this same `layout`, has not been deallocated since, and nobody uses it from
    /// here on.
    unsafe fn deallocate(&self, block: NonNull<u8>, layout: Layout);

    /// Returns what the pool holds and has handed out. Exact while no other thread allocates or
    /// frees.
    fn stats(&self) -> PoolStats;
}

/// The process's global allocator. It has no state and no size, and does not count: its
/// [`stats`](NodeAllocator::stats) are all zero. `SystemPool` of keystore-pool counts.
#[derive(Clone, Copy, Debug, Default)]
pub struct Global;

// SAFETY: the global allocator keeps the promises of `NodeAllocator` for every layout with a size.
unsafe impl NodeAllocator for Global {
    #[inline]
    fn allocate(&self, layout: Layout) -> Result<NonNull<u8>> {
        if layout.size() == 0 {
            return Err(Error::invalid_argument("layout size", 0, "at least 1 byte"));
        }
        // SAFETY: the layout has a size.
        NonNull::new(unsafe { std::alloc::alloc(layout) })
            .ok_or(Error::OutOfMemory { requested: layout.size() })
    }

    #[inline]
    unsafe fn deallocate(&self, block: NonNull<u8>, layout: Layout) {
        // SAFETY: the caller promises that `allocate` returned this block for this layout, and
        // `allocate` got it from the global allocator.
        unsafe { std::alloc::dealloc(block.as_ptr(), layout) }
    }

    fn stats(&self) -> PoolStats {
        PoolStats::default()
    }
}

/// A pool behind a pointer is the same pool, so several stores can share one.
macro_rules! forward_node_allocator {
    ($($shared:ty),*) => {$(
        // SAFETY: every call goes to the allocator behind the pointer, which keeps the promises.
        unsafe impl<A: NodeAllocator + ?Sized> NodeAllocator for $shared {
            #[inline]
            fn allocate(&self, layout: Layout) -> Result<NonNull<u8>> {
                (**self).allocate(layout)
            }

            #[inline]
            unsafe fn deallocate(&self, block: NonNull<u8>, layout: Layout) {
                // SAFETY: the caller promises that the allocator behind the pointer allocated the
                // block with this layout, and that nobody uses it any more.
                unsafe { (**self).deallocate(block, layout) }
            }

            fn stats(&self) -> PoolStats {
                (**self).stats()
            }
        }
    )*};
}

forward_node_allocator!(&A, Arc<A>, Box<A>);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn global_refuses_a_layout_of_no_bytes() {
        let error = Global.allocate(Layout::new::<()>()).unwrap_err();
        assert_eq!(error.code(), -20);
    }

    #[test]
    fn a_shared_allocator_is_the_same_allocator() {
        let shared = Arc::new(Global);
        let layout = Layout::from_size_align(88, 8).unwrap();
        let block = shared.allocate(layout).unwrap();
        // SAFETY: `shared` is `Global` and allocated the block with this layout; it is not used
        // again.
        unsafe { Global.deallocate(block, layout) };
    }
}
