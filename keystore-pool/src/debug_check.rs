//! What debug builds check: that a block which comes back is one that is out.
//!
//! Freeing a block twice, or one that is not the pool's, cannot happen from safe code. Where unsafe code is wrong, a
//! debug build ends the process at the fault, with a message that bears the code -52: going on would corrupt memory,
//! and a pool's methods do not unwind.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use keystore_core::code::POOL_CORRUPT;

use crate::span::SPAN;

/// Ends the process: the caller broke a promise of `deallocate`, and memory can no longer be trusted.
#[cold]
#[inline(never)]
pub(crate) fn corrupt(block: usize, fault: &str) -> ! {
    eprintln!("keystore-pool: error {POOL_CORRUPT}: pool corrupt: block {block:#x} {fault}");
    std::process::abort()
}

/// Blocks start at multiples of this.
const GRAIN: usize = 8;

/// The blocks of a span that are out, by where they start.
#[derive(Debug)]
pub(crate) struct LiveBlocks([AtomicU64; SPAN / GRAIN / 64]);

impl LiveBlocks {
    /// None.
    pub(crate) fn new() -> Self {
        Self([const { AtomicU64::new(0) }; SPAN / GRAIN / 64])
    }

    /// Notes that the block at `address` is handed out.
    pub(crate) fn add(&self, address: usize) {
        let (word, bit) = Self::place(address);
        if word.map_or(u64::MAX, |word| self.0[word].fetch_or(bit, Relaxed)) & bit != 0 {
            corrupt(address, "was handed out while it is in use");
        }
    }

    /// Notes that the block at `address` came back.
    pub(crate) fn remove(&self, address: usize) {
        let (word, bit) = Self::place(address);
        if word.map_or(0, |word| self.0[word].fetch_and(!bit, Relaxed)) & bit == 0 {
            corrupt(address, "is freed, but is not in use: freed twice, or not the start of a block");
        }
    }

    /// The word of an address that a block can start at, and the bit in it.
    fn place(address: usize) -> (Option<usize>, u64) {
        let grain = address % SPAN / GRAIN;
        (address.is_multiple_of(GRAIN).then_some(grain / 64), 1 << (grain % 64))
    }
}
