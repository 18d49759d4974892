//! Allocators that a store has to bear: one that keeps the books on every block, one that refuses
//! on demand, one that dawdles.

use std::alloc::Layout;
use std::collections::BTreeMap;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};

use keystore::{AnyPool, Config, Error, NodeAllocator, PoolStats, Result};

use crate::combination::{Combination, Scribbling};

/// Keeps the books on every block of the pool inside: what is live, whether blocks overlap, and
/// whether each comes back once and with its own layout.
#[derive(Debug)]
pub(crate) struct Audit {
    pool: Scribbling<AnyPool>,
    books: Mutex<Books>,
}

#[derive(Debug, Default)]
struct Books {
    /// The layouts of live blocks by address.
    live: BTreeMap<usize, Layout>,
    live_bytes: u64,
    most_live_bytes: u64,
    allocations: u64,
    /// What went against the promises of `NodeAllocator`, on either side. Kept until somebody
    /// asks, for an allocator must not unwind.
    violations: Vec<String>,
}

impl Audit {
    pub(crate) fn new(combination: &Combination, config: &Config) -> Arc<Self> {
        Arc::new(Self { pool: combination.pool(config), books: Mutex::default() })
    }

    fn with_books<R>(&self, look: impl FnOnce(&mut Books) -> R) -> R {
        look(&mut self.books.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Live blocks and their bytes.
    pub(crate) fn live(&self) -> (u64, u64) {
        self.with_books(|books| (books.live.len() as u64, books.live_bytes))
    }

    /// The most bytes that were live at once, ever.
    pub(crate) fn most_live_bytes(&self) -> u64 {
        self.with_books(|books| books.most_live_bytes)
    }

    /// Blocks handed out, ever.
    pub(crate) fn allocations(&self) -> u64 {
        self.with_books(|books| books.allocations)
    }

    /// Checks that every block has come back, and that nothing was ever wrong with one.
    #[track_caller]
    pub(crate) fn assert_all_returned(&self) {
        self.assert_in_order();
        assert_eq!(self.live(), (0, 0), "blocks and bytes that were not returned");
        let pool = self.pool.stats();
        assert_eq!((pool.live_nodes, pool.live_bytes), (0, 0), "what the pool counts as live");
    }

    /// Checks that nothing was ever wrong with a block.
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

    /// Whether the block may go back to the pool.
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

// SAFETY: every block is the pool's, which keeps the promises; one that is returned wrongly is not
// passed on.
unsafe impl NodeAllocator for Audit {
    fn allocate(&self, layout: Layout) -> Result<NonNull<u8>> {
        let block = self.pool.allocate(layout)?;
        self.with_books(|books| books.enter(block.as_ptr().addr(), layout));
        Ok(block)
    }

    unsafe fn deallocate(&self, block: NonNull<u8>, layout: Layout) {
        if self.with_books(|books| books.strike_out(block.as_ptr().addr(), layout)) {
            // SAFETY: the books say that the block is live and has this layout; nobody uses it by
            // the caller's promise.
            unsafe { self.pool.deallocate(block, layout) }
        }
    }

    fn stats(&self) -> PoolStats {
        self.pool.stats()
    }
}

/// Refuses allocations on demand.
#[derive(Debug)]
pub(crate) struct Refusing {
    audit: Arc<Audit>,
    /// Allocations until the next refusal; 0 for none.
    countdown: AtomicU64,
    /// What the countdown starts from again after a refusal.
    again: AtomicU64,
    refusals: AtomicU64,
}

impl Refusing {
    /// Over `audit`, and refusing nothing yet.
    pub(crate) fn over(audit: &Arc<Audit>) -> Arc<Self> {
        Arc::new(Self {
            audit: Arc::clone(audit),
            countdown: AtomicU64::new(0),
            again: AtomicU64::new(0),
            refusals: AtomicU64::new(0),
        })
    }

    /// Refuses the `n`th allocation from now on, and only that. 0: none.
    pub(crate) fn refuse_nth(&self, n: u64) {
        self.again.store(0, Relaxed);
        self.countdown.store(n, Relaxed);
    }

    /// Refuses each `n`th allocation from now on; with `n` = 1 all of them.
    pub(crate) fn refuse_each_nth(&self, n: u64) {
        self.again.store(n, Relaxed);
        self.countdown.store(n, Relaxed);
    }

    /// How many allocations were refused, ever.
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

/// Lets other threads go first, now and then, before it answers: a write that allocates has looked
/// at the table already and has not yet changed it, so this is where another thread's write comes
/// between.
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

// SAFETY: every call goes to the allocator inside, which keeps the promises, sooner or later.
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
