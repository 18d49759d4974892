//! A pool that lets other threads go first now and then.

use std::alloc::Layout;
use std::cell::Cell;
use std::ptr::NonNull;

use keystore::{NodeAllocator, PoolStats, Result};

/// One call in so many, of each thread.
const EACH: u32 = 32;

/// A pool that lets other threads go first now and then: a write allocates between its look at the
/// table and its change, and frees after it, so this is where another thread's call comes between
/// on a machine of few processors.
#[derive(Clone, Debug)]
pub(crate) struct Yielding<A>(pub(crate) A);

thread_local! {
    static CALLS: Cell<u32> = const { Cell::new(0) };
}

/// Lets other threads go first, once in a while.
pub(super) fn yield_sometimes() {
    let calls = CALLS.get().wrapping_add(1);
    CALLS.set(calls);
    if calls.is_multiple_of(EACH) {
        std::thread::yield_now();
    }
}

// SAFETY: every call goes to the allocator inside, which keeps the promises, sooner or later.
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
