//! What the models of the pools share: `cargo xtask model`.
//!
//! The models are beside the code they run (`arena/models.rs`, `slab/models.rs`, `registry/models.rs`), and what they run is
//! the pools themselves, made and used as everybody does; [`crate::primitive`] gives them the checker's atomics and locks.
//!
//! After each execution of a model of a pool it is checked
//!
//! - that no block was handed out while it was in use;
//! - that each use of a block comes after every earlier use of its memory, on whatever thread;
//! - that a chunk went back to the system when none of its blocks was in use, and after every use of them;
//! - that with all blocks freed and all threads gone the pool holds no memory: none was lost.
//!
//! Bounds that all models share: two or three threads, each with a place of its own, a few calls each; blocks of 8 KiB, so that a span
//! has seven and a magazine two. What a thread keeps for itself is not looked at (see `primitive`), nor how its place passes to
//! the next thread.

use std::alloc::Layout;
use std::ptr::NonNull;
use std::sync::Arc;

use keystore_core::NodeAllocator;
pub(crate) use keystore_core::loom_model::{Bound::*, explore};
use loom::thread::JoinHandle;

use crate::primitive::{enter, watch};

/// Of every block: the largest that both pools serve.
const LAYOUT: Layout = match Layout::from_size_align(8192, 8) {
    Ok(layout) => layout,
    Err(_) => unreachable!(),
};

/// A block in use.
#[derive(Debug)]
pub(crate) struct Block(NonNull<u8>);

// SAFETY: a block is memory of its own.
unsafe impl Send for Block {}

impl Block {
    pub(crate) fn allocate(pool: &impl NodeAllocator) -> Self {
        let block = pool.allocate(LAYOUT).expect("the system has a chunk");
        watch::handed_out(block);
        Self(block)
    }

    pub(crate) fn free(self, pool: &impl NodeAllocator) {
        watch::given_up(self.0);
        // SAFETY: the block was allocated with this layout, and is given up here.
        unsafe { pool.deallocate(self.0, LAYOUT) };
    }

    pub(crate) fn address(&self) -> usize {
        self.0.addr().get()
    }
}

/// Blocks of a pool.
pub(crate) fn blocks(pool: &impl NodeAllocator, count: usize) -> Vec<Block> {
    (0..count).map(|_| Block::allocate(pool)).collect()
}

/// Frees blocks in their order.
pub(crate) fn free(pool: &impl NodeAllocator, blocks: impl IntoIterator<Item = Block>) {
    blocks.into_iter().for_each(|block| block.free(pool));
}

/// Starts a thread that has this number, from 1 on.
pub(crate) fn spawn<P: Send + Sync + 'static, R: 'static>(
    thread: usize,
    pool: &Arc<P>,
    work: impl FnOnce(&P) -> R + 'static,
) -> JoinHandle<R> {
    let pool = Arc::clone(pool);
    loom::thread::spawn(move || {
        enter(thread);
        work(&pool)
    })
}

/// Runs `trim` in the place of each thread, all of which have ended, and looks whether all memory is back.
pub(crate) fn finish<P: NodeAllocator>(pool: Arc<P>, threads: usize, trim: impl Fn(&P)) {
    let pool = Arc::into_inner(pool).expect("the threads have ended");
    for thread in (0..threads).rev() {
        enter(thread);
        trim(&pool);
    }
    let stats = pool.stats();
    assert_eq!((stats.live_nodes, stats.held_bytes), (0, 0), "memory was lost");
}
