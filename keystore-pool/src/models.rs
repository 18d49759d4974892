//! Helpers of the pools' models, which `cargo xtask model` runs.
//!
//! The models are beside the code that they run (`arena/models.rs`, `slab/models.rs`,
//! `registry/models.rs`). They run whole pools, made and used as by any caller;
//! [`crate::primitive`] gives the pools the checker's atomics and locks.
//!
//! Each execution of a model of a pool checks
//!
//! - that no block was allocated while it was in use;
//! - that each use of a block happens after every earlier use of its memory, on any thread;
//! - that a chunk went back to the system after every use of its blocks, and with none in use;
//! - that the pool holds no memory once all blocks are freed and all threads have ended.
//!
//! All models share these bounds: two or three threads, each with an exclusive slot; a few calls by
//! each; blocks of 8 KiB, so that a span has seven and a magazine two. The state of a single slot
//! is not checked (see `primitive`), and neither is how a slot passes to the next thread.

use std::alloc::Layout;
use std::ptr::NonNull;
use std::sync::Arc;

use keystore_core::NodeAllocator;
pub(crate) use keystore_core::loom_model::{Bound::*, explore};
use loom::thread::JoinHandle;

use crate::primitive::{access, set_thread};

/// The layout of every block: the largest that both pools serve.
const LAYOUT: Layout = match Layout::from_size_align(8192, 8) {
    Ok(layout) => layout,
    Err(_) => unreachable!(),
};

/// A block in use.
#[derive(Debug)]
pub(crate) struct Block(NonNull<u8>);

// SAFETY: the block owns its memory, and any thread may use and free it.
unsafe impl Send for Block {}

impl Block {
    pub(crate) fn allocate(pool: &impl NodeAllocator) -> Self {
        let block = pool.allocate(LAYOUT).expect("the system has a chunk");
        access::allocated(block);
        Self(block)
    }

    pub(crate) fn free(self, pool: &impl NodeAllocator) {
        access::freed(self.0);
        // SAFETY: the block was allocated with this layout, and `self` ends here.
        unsafe { pool.deallocate(self.0, LAYOUT) };
    }

    pub(crate) fn address(&self) -> usize {
        self.0.addr().get()
    }
}

/// Allocates `count` blocks.
pub(crate) fn blocks(pool: &impl NodeAllocator, count: usize) -> Vec<Block> {
    (0..count).map(|_| Block::allocate(pool)).collect()
}

/// Frees blocks in their order.
pub(crate) fn free(pool: &impl NodeAllocator, blocks: impl IntoIterator<Item = Block>) {
    blocks.into_iter().for_each(|block| block.free(pool));
}

/// Starts a thread with this index, from 1 on.
pub(crate) fn spawn<P: Send + Sync + 'static, R: 'static>(
    thread: usize,
    pool: &Arc<P>,
    work: impl FnOnce(&P) -> R + 'static,
) -> JoinHandle<R> {
    let pool = Arc::clone(pool);
    loom::thread::spawn(move || {
        set_thread(thread);
        work(&pool)
    })
}

/// Runs `trim` in the slot of each thread, all of which have ended, and checks that no memory is
/// left.
pub(crate) fn finish<P: NodeAllocator>(pool: Arc<P>, threads: usize, trim: impl Fn(&P)) {
    let pool = Arc::into_inner(pool).expect("the threads have ended");
    for thread in (0..threads).rev() {
        set_thread(thread);
        trim(&pool);
    }
    let stats = pool.stats();
    assert_eq!((stats.live_nodes, stats.held_bytes), (0, 0), "memory was lost");
}
