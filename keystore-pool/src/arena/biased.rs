//! A span's live-block count; the decrement to zero owns the span.
//!
//! Allocating does not touch the count. A span starts with a *bias*, far above the number of blocks
//! that fit, and its thread counts the blocks that it allocates. When the thread leaves the span,
//! it subtracts the bias minus that number. From then on, the count is the number of live blocks.
//!
//! For example, a thread allocates 700 blocks of a span, and 200 of them are freed: the count is
//! the bias minus 200. The thread leaves and subtracts the bias minus 700, so the count is 500.
//! Other allocators and reference counts do the same, under the names *biased* and *deferred*
//! reference counting.

use std::sync::atomic::Ordering::{Acquire, Release};

use crate::primitive::access::Region;
use crate::primitive::atomic::AtomicUsize;

/// More than the number of blocks that fit a span.
const BIAS: usize = 1 << 24;

/// Number of a span's live blocks, plus the bias while a thread is on the span.
#[derive(Debug)]
pub(super) struct BiasedCount {
    count: AtomicUsize,
    span: Region,
}

impl BiasedCount {
    /// Returns the count of a span that a thread starts on.
    pub(super) fn new() -> Self {
        Self { count: AtomicUsize::new(BIAS), span: Region::new() }
    }

    /// Subtracts a block that is freed. Returns true if no block of the span is live any more.
    ///
    /// If it returns true, the caller owns the span. All uses of it, on any thread, happened
    /// before.
    #[inline(always)]
    pub(super) fn decrement(&self) -> bool {
        self.subtract(1)
    }

    /// Removes the bias when the thread that allocated this number of blocks leaves the span.
    /// Returns true in the same case as [`decrement`](Self::decrement).
    #[inline(always)]
    pub(super) fn remove_bias(&self, allocated: usize) -> bool {
        self.subtract(BIAS - allocated)
    }

    #[inline(always)]
    fn subtract(&self, amount: usize) -> bool {
        self.span.access();
        if self.count.fetch_sub(amount, Release) != amount {
            return false;
        }
        // Every use of a block happens before the span's next use. This is a load and not a fence,
        // because ThreadSanitizer does not understand fences. The load reads the value of the last
        // subtraction, and each subtraction continues the release sequence of the earlier ones.
        self.count.load(Acquire);
        self.span.end();
        true
    }
}
