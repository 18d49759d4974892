//! The combination that a check runs on: a backend over a pool, for several threads or for one.

use std::alloc::Layout;
use std::fmt;
use std::ops::Deref;
use std::ptr::NonNull;

use keystore::{
    AnyPool, BackendKind, Concurrency, Config, Keystore, NodeAllocator, PoolStats, Result, open,
    open_local,
};

/// The threads that may use a store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sharing {
    Shared,
    OneThread,
}

/// A backend on a pool, for several threads or for one. It dereferences to its backend and pool.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Combination {
    kinds: keystore::Combination,
    pub(crate) sharing: Sharing,
}

impl Combination {
    /// Returns every backend on every pool, and the locked backend without its locks on every pool.
    /// (The other backends run the same code on one thread as on many.)
    pub(crate) fn all() -> Vec<Self> {
        let shared = keystore::Combination::all();
        let local = shared.clone().into_iter().filter(|kinds| kinds.backend == BackendKind::RwLock);
        let with = |sharing| move |kinds| Self { kinds, sharing };
        let local = local.map(with(Sharing::OneThread)).collect::<Vec<_>>();
        shared.into_iter().map(with(Sharing::Shared)).chain(local).collect()
    }

    /// Returns a pool of this combination's kind, wrapped in [`Scribbling`].
    pub(crate) fn pool(&self, config: &Config) -> Scribbling<AnyPool> {
        Scribbling(AnyPool::new(self.pool, config).expect("the pool opens"))
    }

    /// Opens a store of this combination.
    pub(crate) fn open(&self, config: &Config) -> Box<dyn Keystore> {
        self.open_over(config, self.pool(config)).expect("the store opens")
    }

    /// Opens a store of this combination over the allocator of a check.
    pub(crate) fn open_over<A>(&self, config: &Config, allocator: A) -> Result<Box<dyn Keystore>>
    where
        A: NodeAllocator + Send + Sync + 'static,
    {
        match self.sharing {
            Sharing::Shared => {
                open(self.backend, config, allocator).map(|store| store as Box<dyn Keystore>)
            }
            Sharing::OneThread => {
                let config = Config { concurrency: Concurrency::SingleThreaded, ..config.clone() };
                open_local(self.backend, &config, allocator)
            }
        }
    }
}

impl Deref for Combination {
    type Target = keystore::Combination;

    fn deref(&self) -> &keystore::Combination {
        &self.kinds
    }
}

impl fmt::Display for Combination {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let local = if self.sharing == Sharing::OneThread { "_local" } else { "" };
        write!(f, "{}{local}_{}", self.backend, self.pool)
    }
}

/// An allocator that fills each block with a pattern when it is allocated and when it is freed. If
/// a store reads a block before it has written it, or after it has freed it, it reads the pattern,
/// which no check accepts.
#[derive(Clone, Debug)]
pub(crate) struct Scribbling<A>(pub(crate) A);

// SAFETY: every call goes to the allocator inside, which keeps the promises. A block is written to
// only while nothing else uses it: before it is handed out, and after it was given back.
unsafe impl<A: NodeAllocator> NodeAllocator for Scribbling<A> {
    fn allocate(&self, layout: Layout) -> Result<NonNull<u8>> {
        let block = self.0.allocate(layout)?;
        // SAFETY: the block has the layout's size and is not handed out yet.
        unsafe { block.as_ptr().write_bytes(0xA5, layout.size()) };
        Ok(block)
    }

    unsafe fn deallocate(&self, block: NonNull<u8>, layout: Layout) {
        // SAFETY: the caller gives the block up, so its bytes are ours until the allocator inside
        // has them; the rest is the caller's promise.
        unsafe {
            block.as_ptr().write_bytes(0x5A, layout.size());
            self.0.deallocate(block, layout);
        }
    }

    fn stats(&self) -> PoolStats {
        self.0.stats()
    }
}
