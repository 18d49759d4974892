//! Debug-build check: a freed block must be currently allocated.
//!
//! Safe code cannot free a block twice, or free a block of another allocator. If unsafe code does
//! so, a debug build ends the process at that call, with a message that has the code -52.
//! Continuing would corrupt memory, and a pool's methods do not unwind.

use std::fmt::Display;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use keystore_core::code::POOL_CORRUPT;

use crate::span::SPAN;

/// Ends the process: the caller broke a promise of `deallocate`.
#[cold]
#[inline(never)]
pub(crate) fn corrupt(block: usize, fault: impl Display) -> ! {
    eprintln!("keystore-pool: error {POOL_CORRUPT}: pool corrupt: block {block:#x} {fault}");
    std::process::abort()
}

/// Alignment of every block, bytes.
const GRAIN: usize = 8;

/// Bitmap of a span's allocated blocks: a bit for each address at which a block can start.
#[derive(Debug)]
pub(crate) struct LiveBlocks([AtomicU64; SPAN / GRAIN / 64]);

impl LiveBlocks {
    /// Returns a bitmap without allocated blocks.
    pub(crate) fn new() -> Self {
        Self([const { AtomicU64::new(0) }; SPAN / GRAIN / 64])
    }

    /// Records that the block at `address` is allocated.
    pub(crate) fn add(&self, address: usize) {
        let (word, bit) = Self::locate(address);
        if word.map_or(u64::MAX, |word| self.0[word].fetch_or(bit, Relaxed)) & bit != 0 {
            corrupt(address, "was handed out while it is in use");
        }
    }

    /// Records that the block at `address` is freed.
    pub(crate) fn remove(&self, address: usize) {
        let (word, bit) = Self::locate(address);
        if word.map_or(0, |word| self.0[word].fetch_and(!bit, Relaxed)) & bit == 0 {
            const CAUSES: &str = "freed twice, or not the start of a block";
            corrupt(address, format_args!("is freed, but is not in use: {CAUSES}"));
        }
    }

    /// Returns the index of the word that has the bit of `address`, and the bit. The index is
    /// `None` if no block can start there.
    fn locate(address: usize) -> (Option<usize>, u64) {
        let grain = address % SPAN / GRAIN;
        (address.is_multiple_of(GRAIN).then_some(grain / 64), 1 << (grain % 64))
    }
}
