//! How many blocks of a span live, told to whoever finds that none does.
//!
//! So that allocating need not touch that number, a span starts with a *bias* far above what fits into it, and its
//! thread counts the blocks it hands out. When the span is used up the thread takes off the bias less its count; from
//! then on the number is that of the live blocks. (Reference counts have been kept so by many, under the name of
//! "biased" or "deferred" counting.)

use std::sync::atomic::Ordering::{Acquire, Release};

use crate::primitive::access::Region;
use crate::primitive::atomic::AtomicUsize;

/// More than the blocks that fit a span.
const BIAS: usize = 1 << 24;

/// The live blocks of a span, plus what is left of the bias.
#[derive(Debug)]
pub(super) struct BiasedCount {
    count: AtomicUsize,
    span: Region,
}

impl BiasedCount {
    /// That of a span which a thread starts on.
    pub(super) fn new() -> Self {
        Self { count: AtomicUsize::new(BIAS), span: Region::new() }
    }

    /// Takes off a block that is given up: whether the span is free by that. It then is the caller's, and all that was done with it
    /// on any thread comes before.
    #[inline(always)]
    pub(super) fn decrement(&self) -> bool {
        self.subtract(1)
    }

    /// Takes off the bias, less the blocks that were `allocated`, when the thread leaves the span: as [`decrement`](Self::decrement).
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
        // The end of every block's use comes before the span's next one. A load and not a fence, which ThreadSanitizer does not
        // understand: it reads what the last of them wrote, each of which goes on with what the others released.
        self.count.load(Acquire);
        self.span.end();
        true
    }
}
