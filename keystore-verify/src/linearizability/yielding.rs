//! A pool that yields the processor now and then.

use std::alloc::Layout;
use std::cell::Cell;
use std::ptr::NonNull;

use keystore::{NodeAllocator, PoolStats, Result};

/// Each thread yields once in this many calls.
const EACH: u32 = 32;

/// A pool that yields the processor now and then, so that calls of other threads come between on a
/// machine with few processors. A write allocates between its lookup in the table and its change,
/// and it frees after the change.
#[derive(Clone, Debug)]
pub(crate) struct Yielding<A>(pub(crate) A);

thread_local! {
    static CALLS: Cell<u32> = const { Cell::new(0) };
}

/// Yields the processor once in a while.
pub(super) fn yield_sometimes() {
    let calls = CALLS.get().wrapping_add(1);
    CALLS.set(calls);
    if calls.is_multiple_of(EACH) {
        std::thread::yield_now();
    }
}

// SAFETY: every call is forwarded to the inner allocator, which keeps the promises; the delay
// changes nothing.
unsafe impl<A: NodeAllocator> NodeAllocator for Yielding<A> {
    fn allocate(&self, layout: Layout) -> Result<NonNull<u8>> {
        yield_sometimes();
        self.0.allocate(layout)
    }

    unsafe fn deallocate(&self, block: NonNull<u8>, layout: Layout) {
        yield_sometimes();
        // SAFETY: the block came from the allocator inside; the rest is the caller's promise.
        unsafe { self.0.deallocate(block, layout) }
    }

    fn stats(&self) -> PoolStats {
        self.0.stats()
    }
}
