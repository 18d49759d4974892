//! Tests of every pool.

#[cfg(not(miri))]
mod faults;
mod model;
mod threads;

use std::alloc::Layout;
use std::ptr::NonNull;

use keystore_core::{Config, NodeAllocator, Result};

use crate::{AnyPool, PoolKind};

/// Makes a pool of each kind.
fn pools() -> impl Iterator<Item = AnyPool> {
    PoolKind::ALL.into_iter().map(|kind| AnyPool::new(kind, &Config::default()).unwrap())
}

pub(crate) fn layout(size: usize) -> Layout {
    Layout::from_size_align(size, 8).unwrap()
}

/// A live block, filled with a pattern. If two blocks overlap, one of them loses its pattern.
pub(crate) struct Block {
    start: NonNull<u8>,
    layout: Layout,
    pattern: u8,
}

// SAFETY: the block owns its memory, and any thread may use and free it.
unsafe impl Send for Block {}

impl Block {
    pub(crate) fn allocate(pool: &impl NodeAllocator, layout: Layout, pattern: u8) -> Result<Self> {
        let start = pool.allocate(layout)?;
        assert!(start.addr().get().is_multiple_of(layout.align()));
        // SAFETY: the block was just allocated, and has the layout's size.
        unsafe { start.write_bytes(pattern, layout.size()) };
        Ok(Self { start, layout, pattern })
    }

    pub(crate) fn free(self, pool: &impl NodeAllocator) {
        // SAFETY: the block was allocated with this layout from this pool, and `self` ends here.
        unsafe {
            let bytes = std::slice::from_raw_parts(self.start.as_ptr(), self.layout.size());
            let is_kept = bytes.iter().all(|byte| *byte == self.pattern);
            assert!(is_kept, "another block lies in this one");
            pool.deallocate(self.start, self.layout);
        }
    }

    pub(crate) fn address(&self) -> usize {
        self.start.addr().get()
    }
}

/// Runs one test of this program in another process, with a variable in its environment.
#[cfg(not(miri))]
fn run_in_own_process(test: &str, variable: &str, value: &str) -> std::process::Output {
    std::process::Command::new(std::env::current_exe().unwrap())
        .args(["--exact", test, "--nocapture"])
        .env(variable, value)
        .output()
        .unwrap()
}

#[test]
fn layouts_that_no_pool_serves_are_named() {
    for pool in pools() {
        let error = pool.allocate(Layout::new::<()>()).unwrap_err();
        assert_eq!(error.code(), -20, "{error}");
        if pool.kind() != PoolKind::System {
            let error = pool.allocate(Layout::from_size_align(8, 128).unwrap()).unwrap_err();
            assert_eq!(error.to_string(), "layout alignment is 128: it must be at most 64 bytes");
        }
        let error = pool.allocate(layout(isize::MAX as usize - 4096)).unwrap_err();
        assert_eq!(error.code(), -10, "{error}");
        assert_eq!(pool.stats(), Default::default(), "{} counts what it refused", pool.kind());
    }
}

#[test]
fn every_size_and_alignment_gets_a_block_of_its_own() {
    for pool in pools() {
        let sizes = (1..300).chain([512, 1000, 4096, 8191, 8192, 8193, 65_536, 1 << 20]);
        let mut blocks = Vec::new();
        let mut bytes = 0;
        for (number, size) in sizes.enumerate() {
            for align in [1, 8, 16, 64] {
                let layout = Layout::from_size_align(size, align).unwrap();
                blocks.push(Block::allocate(&pool, layout, number as u8).unwrap());
                bytes += size as u64;
            }
        }
        let stats = pool.stats();
        let kind = pool.kind();
        assert_eq!((stats.live_nodes, stats.live_bytes), (blocks.len() as u64, bytes), "{kind}");
        assert!(stats.held_bytes >= stats.live_bytes);
        if pool.kind() != PoolKind::System {
            assert_eq!(stats.fallbacks, 3 * 4, "{}: those over 8192 bytes", pool.kind());
            assert_eq!(stats.fallback_bytes, 4 * (8193 + 65_536 + (1 << 20)));
        }
        blocks.into_iter().for_each(|block| block.free(&pool));
        let stats = pool.stats();
        let live = (stats.live_nodes, stats.live_bytes, stats.fallback_bytes);
        assert_eq!(live, (0, 0, 0), "{kind}");
    }
}

#[test]
fn preallocated_memory_is_held_from_the_start_and_used_first() {
    let config = Config { initial_buckets: 1 << 16, preallocation: 0.5, ..Config::default() };
    for kind in [PoolKind::Slab, PoolKind::Arena] {
        let pool = AnyPool::new(kind, &config).unwrap();
        let held = pool.stats().held_bytes;
        assert_eq!(held, 4 << 20, "2^15 nodes of 96 bytes are two chunks");
        let nodes = if cfg!(miri) { 100 } else { 1 << 15 };
        let allocate = |number| Block::allocate(&pool, layout(88), number as u8).unwrap();
        let blocks: Vec<_> = (0..nodes).map(allocate).collect();
        assert_eq!(pool.stats().held_bytes, held, "{kind}");
        blocks.into_iter().for_each(|block| block.free(&pool));
        assert_eq!(pool.stats().held_bytes, held, "{kind}: what was preallocated is kept");
    }
}

#[cfg(target_pointer_width = "64")]
#[test]
fn preallocating_more_than_there_is_makes_no_pool() {
    use crate::{SlabOptions, SlabPool};
    let options = SlabOptions { preallocated_bytes: 1 << 60, ..SlabOptions::default() };
    assert_eq!(SlabPool::with_options(&options).unwrap_err().code(), -10);
}

/// Returns the bytes of address space that the process has mapped.
#[cfg(all(target_os = "linux", not(miri)))]
fn mapped_bytes() -> usize {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap();
    statm.split(' ').next().unwrap().parse::<usize>().unwrap() * 4096
}

#[cfg(all(target_os = "linux", not(miri)))]
#[test]
fn a_pool_that_is_dropped_returns_all_its_memory() {
    const ALONE: &str = "KEYSTORE_POOL_TEST_ALONE";
    // Other tests map and unmap memory, so this one runs in another process.
    if std::env::var_os(ALONE).is_none() {
        const TEST: &str = "tests::a_pool_that_is_dropped_returns_all_its_memory";
        let output = run_in_own_process(TEST, ALONE, "1");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        return;
    }
    let config = Config { initial_buckets: 1 << 16, preallocation: 1.0, ..Config::default() };
    let fill_and_drop = || {
        for kind in [PoolKind::Slab, PoolKind::Arena] {
            let pool = AnyPool::new(kind, &config).unwrap();
            for number in 0..100_000 {
                let block = Block::allocate(&pool, layout(88), number as u8).unwrap();
                // Two of three blocks stay live. Dropping the pool frees their memory.
                if number % 3 == 0 {
                    block.free(&pool);
                }
            }
            assert!(pool.stats().held_bytes >= 6 << 20);
        }
    };
    fill_and_drop();
    let before = mapped_bytes();
    (0..20).for_each(|_| fill_and_drop());
    assert!(mapped_bytes() < before + (2 << 20), "{before} bytes became {}", mapped_bytes());
}
