//! Allocators that help to test a store: one records every block, one refuses on demand, and one
//! lets other threads run first.

use std::alloc::Layout;
use std::collections::BTreeMap;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};

use keystore::{AnyPool, Config, Error, NodeAllocator, PoolStats, Result};

use crate::combination::{Combination, Scribbling};

/// An allocator that records every block of the pool inside. It checks that live blocks do not
/// overlap, and that each block is returned once, with its own layout.
#[derive(Debug)]
pub(crate) struct Audit {
    pool: Scribbling<AnyPool>,
    books: Mutex<Books>,
}

#[derive(Debug, Default)]
struct Books {
    /// Layouts of the live blocks, by address.
    live: BTreeMap<usize, Layout>,
    live_bytes: u64,
    most_live_bytes: u64,
    allocations: u64,
    /// Broken promises of `NodeAllocator`, by the pool or by the store. They are kept until a check
    /// reads them, because an allocator must not unwind.
    violations: Vec<String>,
}

impl Audit {
    pub(crate) fn new(combination: &Combination, config: &Config) -> Arc<Self> {
        Arc::new(Self { pool: combination.pool(config), books: Mutex::default() })
    }

    fn with_books<R>(&self, look: impl FnOnce(&mut Books) -> R) -> R {
        look(&mut self.books.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Returns the number of live blocks, and of their bytes.
    pub(crate) fn live(&self) -> (u64, u64) {
        self.with_books(|books| (books.live.len() as u64, books.live_bytes))
    }

    /// Returns the most bytes that were ever live at once.
    pub(crate) fn most_live_bytes(&self) -> u64 {
        self.with_books(|books| books.most_live_bytes)
    }

    /// Returns the number of blocks ever allocated.
    pub(crate) fn allocations(&self) -> u64 {
        self.with_books(|books| books.allocations)
    }

    /// Checks that every block was returned, and that no promise was broken.
    #[track_caller]
    pub(crate) fn assert_all_returned(&self) {
        self.assert_in_order();
        assert_eq!(self.live(), (0, 0), "blocks and bytes that were not returned");
        let pool = self.pool.stats();
        assert_eq!((pool.live_nodes, pool.live_bytes), (0, 0), "what the pool counts as live");
    }

    /// Checks that no promise was broken.
    #[track_caller]
    pub(crate) fn assert_in_order(&self) {
        let violations = self.with_books(|books| std::mem::take(&mut books.violations));
        assert!(violations.is_empty(), "{}", violations.join("; "));
    }
}

impl Books {
    fn enter(&mut self, address: usize, layout: Layout) {
        let before = self.live.range(..=address).next_back();
        if before.is_some_and(|(&start, before)| start + before.size() > address) {
            self.violations
                .push(format!("a block of {layout:?} starts in the live block {before:?}"));
        }
        let after = self.live.range(address + 1..).next();
        if after.is_some_and(|(&start, _)| address + layout.size() > start) {
            self.violations
                .push(format!("a block of {layout:?} reaches into the live block {after:?}"));
        }
        if !address.is_multiple_of(layout.align()) {
            self.violations.push(format!("a block of {layout:?} at {address:#x} is not aligned"));
        }
        self.live.insert(address, layout);
        self.live_bytes += layout.size() as u64;
        self.most_live_bytes = self.most_live_bytes.max(self.live_bytes);
        self.allocations += 1;
    }

    /// Removes a block from the live ones. Returns true if the block may go back to the pool.
    fn strike_out(&mut self, address: usize, layout: Layout) -> bool {
        let Some(entered) = self.live.remove(&address) else {
            self.violations.push(format!("a block of {layout:?} is returned that is not live"));
            return false;
        };
        self.live_bytes -= entered.size() as u64;
        if entered != layout {
            self.violations
                .push(format!("a block of {entered:?} is returned as one of {layout:?}"));
        }
        entered == layout
    }
}

// SAFETY: every block is the pool's, which keeps the promises. A block that is returned with a
// wrong address or layout is not passed on.
unsafe impl NodeAllocator for Audit {
    fn allocate(&self, layout: Layout) -> Result<NonNull<u8>> {
        let block = self.pool.allocate(layout)?;
        self.with_books(|books| books.enter(block.as_ptr().addr(), layout));
        Ok(block)
    }

    unsafe fn deallocate(&self, block: NonNull<u8>, layout: Layout) {
        if self.with_books(|books| books.strike_out(block.as_ptr().addr(), layout)) {
            // SAFETY: the record says that the block is live and has this layout. The caller
            // promises that nothing uses it.
            unsafe { self.pool.deallocate(block, layout) }
        }
    }

    fn stats(&self) -> PoolStats {
        self.pool.stats()
    }
}

/// An allocator that refuses allocations on demand.
#[derive(Debug)]
pub(crate) struct Refusing {
    audit: Arc<Audit>,
    /// Number of allocations up to and including the next refused one; 0 to refuse none.
    countdown: AtomicU64,
    /// Value that the countdown starts again from after a refusal.
    again: AtomicU64,
    refusals: AtomicU64,
}

impl Refusing {
    /// Makes an allocator over `audit`, which refuses nothing yet.
    pub(crate) fn over(audit: &Arc<Audit>) -> Arc<Self> {
        Arc::new(Self {
            audit: Arc::clone(audit),
            countdown: AtomicU64::new(0),
            again: AtomicU64::new(0),
            refusals: AtomicU64::new(0),
        })
    }

    /// Refuses only the `n`th allocation from now on. If `n` is 0, it refuses none.
    pub(crate) fn refuse_nth(&self, n: u64) {
        self.again.store(0, Relaxed);
        self.countdown.store(n, Relaxed);
    }

    /// Refuses each `n`th allocation from now on. If `n` is 1, it refuses all.
    pub(crate) fn refuse_each_nth(&self, n: u64) {
        self.again.store(n, Relaxed);
        self.countdown.store(n, Relaxed);
    }

    /// Returns the number of allocations ever refused.
    pub(crate) fn refusals(&self) -> u64 {
        self.refusals.load(Relaxed)
    }
}

// SAFETY: every call goes to the allocator inside, which keeps the promises, or is refused.
unsafe impl NodeAllocator for Refusing {
    fn allocate(&self, layout: Layout) -> Result<NonNull<u8>> {
        let again = self.again.load(Relaxed);
        let step = |left: u64| match left {
            0 => None,
            1 => Some(again),
            left => Some(left - 1),
        };
        if self.countdown.fetch_update(Relaxed, Relaxed, step) == Ok(1) {
            self.refusals.fetch_add(1, Relaxed);
            return Err(Error::OutOfMemory { requested: layout.size() });
        }
        self.audit.allocate(layout)
    }

    unsafe fn deallocate(&self, block: NonNull<u8>, layout: Layout) {
        // SAFETY: the block came from the allocator inside; the rest is the caller's promise.
        unsafe { self.audit.deallocate(block, layout) }
    }

    fn stats(&self) -> PoolStats {
        self.audit.stats()
    }
}

/// An allocator that lets other threads run first now and then. A write that allocates has looked
/// at the table already and has not yet changed it. So another thread's write can now come between
/// the two.
#[derive(Debug)]
pub(crate) struct Dawdling {
    pool: Scribbling<AnyPool>,
    calls: AtomicU64,
}

impl Dawdling {
    pub(crate) fn new(combination: &Combination, config: &Config) -> Self {
        Self { pool: combination.pool(config), calls: AtomicU64::new(0) }
    }

    fn dawdle(&self) {
        if self.calls.fetch_add(1, Relaxed).is_multiple_of(16) {
            std::thread::yield_now();
        }
    }
}

// SAFETY: every call goes to the allocator inside, which keeps the promises. It goes there at once
// or after other threads have run.
unsafe impl NodeAllocator for Dawdling {
    fn allocate(&self, layout: Layout) -> Result<NonNull<u8>> {
        self.dawdle();
        self.pool.allocate(layout)
    }

    unsafe fn deallocate(&self, block: NonNull<u8>, layout: Layout) {
        self.dawdle();
        // SAFETY: the block came from the allocator inside; the rest is the caller's promise.
        unsafe { self.pool.deallocate(block, layout) }
    }

    fn stats(&self) -> PoolStats {
        self.pool.stats()
    }
}
