//! The slab pool: blocks of fixed sizes, cached for each thread.
//!
//! ```text
//! thread     loaded and spare magazine, for each size class     no lock
//! depot      full and empty magazines, one depot a class        the class's lock, once in 63 calls
//! spans      64 KiB of blocks of one size, with a bitmap        the same lock
//! chunks     2 MiB from the system, in huge pages               the pool's lock, once a span
//! ```
//!
//! The design is Bonwick's ("The Slab Allocator", USENIX 1994, and with Adams, "Magazines and
//! Vmem", USENIX 2001), with bitmaps in place of lists through the free blocks.

use std::alloc::Layout;
use std::array;
use std::fmt;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use crossbeam_utils::CachePadded;
use keystore_core::fallible::try_boxed_slice;
use keystore_core::huge_pages::Pages;
use keystore_core::{Config, Error, NodeAllocator, PoolStats, Result};

use crate::per_thread::{ExclusiveSlots, LiveCount, PerThread, current_slot};
use crate::span::{SpanOptions, Spans, check_layout};
use crate::system::SystemPool;

mod aliasable_box;
mod class;
mod depot;
mod magazine;
mod span;
mod thread_exit;

use aliasable_box::AliasableBox;
use class::{CLASSES, ClassIndex, TABLE, class_of, fine_class_of};
use depot::Depot;
use magazine::ClassCache;

/// What a [`SlabPool`] does when it has reached its capacity.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "kebab-case"))]
#[non_exhaustive]
pub enum WhenFull {
    /// Blocks come from the system's allocator, one by one, and count as fallbacks. The capacity
    /// bounds the pool's own memory, not the process's.
    #[default]
    UseSystem,
    /// Allocating fails with [`Error::PoolExhausted`], -51. The capacity bounds all memory for
    /// blocks, also for those that are too large for a size class.
    Refuse,
}

/// Options of a [`SlabPool`].
///
/// Every field has a default: no capacity, nothing preallocated, huge pages. Later versions may add
/// fields, so end with `..SlabOptions::default()`.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize, serde::Deserialize),
    serde(default, deny_unknown_fields)
)]
pub struct SlabOptions {
    /// The most bytes that the pool takes from the system, at least 2 MiB. `None` is no limit. The
    /// pool takes whole chunks of 2 MiB.
    pub capacity: Option<usize>,
    /// What the pool does when it has reached its capacity.
    pub when_full: WhenFull,
    /// Bytes taken from the system when the pool is made, rounded up to chunks of 2 MiB. They serve
    /// all sizes. The pool keeps as many chunks when they become empty, and does not touch them
    /// before they are used.
    pub preallocated_bytes: usize,
    /// True if chunks are to lie in huge pages. It has an effect on Linux only. Huge pages are
    /// faster, but each chunk takes 2 MiB of memory as soon as it is touched.
    pub huge_pages: bool,
}

impl Default for SlabOptions {
    fn default() -> Self {
        let when_full = WhenFull::default();
        Self { capacity: None, when_full, preallocated_bytes: 0, huge_pages: true }
    }
}

/// Fixed size classes, with a cache of free blocks for each thread: the pool to take by default.
///
/// - *Sizes.* Classes are 8 bytes apart up to 256 bytes, and four to a doubling up to 8,192 bytes.
///   Larger layouts come from the system's allocator and count as fallbacks. Alignments up to 64
///   bytes are served. Larger ones, and layouts of 0 bytes, are [`Error::InvalidArgument`].
/// - *Time.* Allocating and freeing take a few instructions, on any thread. Once in 63 calls (fewer
///   for blocks over 128 bytes) a thread locks the size class to trade a whole magazine. A thread
///   calls the system once in 2 MiB.
/// - *Memory.* A free block serves its size class first. 64 KiB that are free as a whole serve any
///   class. A chunk of 2 MiB that is free as a whole goes back to the system, except for one chunk
///   and those preallocated. A thread holds back at most two magazines for each size class, each of
///   63 blocks or 8 KiB (at least two blocks). When it ends, their blocks return to their spans.
///   [`trim`](Self::trim) returns as much as possible. The statistics do not include the pool's own
///   tables: some 150 KiB, and half a KiB for each magazine.
/// - *Dropping the pool* frees its memory, even if blocks in it are live. Live blocks of the
///   system's allocator are leaked.
///
/// ```
/// # fn main() -> keystore_core::Result<()> {
/// use keystore_core::{Config, Keystore, RwLockKeystore};
/// use keystore_pool::{SlabOptions, SlabPool};
///
/// let options = SlabOptions { preallocated_bytes: 4 << 20, ..SlabOptions::default() };
/// let pool = SlabPool::with_options(&options)?;
/// let store = RwLockKeystore::open(&Config::default(), pool)?;
/// store.set(b"key", b"value")?;
/// assert_eq!(store.stats()?.pool.live_nodes, 1);
/// assert_eq!(store.stats()?.pool.held_bytes, 4 << 20);
/// # Ok(()) }
/// ```
pub struct SlabPool {
    /// The address of the exclusive slots in `core.caches`.
    exclusive_caches: ExclusiveSlots<Cache>,
    /// True once a block of a size class came from the system. Until then, no freed block has to be
    /// looked up.
    fell_back: AtomicBool,
    when_full: WhenFull,
    /// The lists of [`thread_exit`] may have its address, so it does not move.
    core: AliasableBox<Core>,
    system: SystemPool,
}

/// The part of a pool that all threads share.
#[derive(Debug)]
struct Core {
    caches: PerThread<Cache>,
    depots: Box<[CachePadded<Depot>; CLASSES]>,
    spans: Spans,
    /// Called before a slot is drained.
    #[cfg(test)]
    before_draining: Option<fn()>,
}

impl Core {
    /// Returns the flag that is true if this pool is on a slot's list of pools.
    fn is_registered(&self, slot: usize) -> &AtomicBool {
        &self.caches.get(slot).is_registered
    }

    /// Returns the blocks in a slot's magazines to their spans. The slot is the calling thread's.
    fn drain_slot(&self, slot: usize) {
        #[cfg(test)]
        if let Some(wait) = self.before_draining {
            wait();
        }
        self.caches.with_slot(slot, |cache| {
            for (depot, cache) in self.depots.iter().zip(&cache.classes) {
                // SAFETY: inside `with_slot` this thread is the only one in the slot, and the spans
                // are the depot's.
                unsafe { depot.drain(cache, &self.spans) };
            }
        });
    }
}

/// The content of a thread's slot.
#[derive(Debug)]
struct Cache {
    /// True if the pool is on this slot's list of pools ([`thread_exit`]).
    is_registered: AtomicBool,
    live: LiveCount,
    classes: [ClassCache; CLASSES],
}

impl Default for Cache {
    fn default() -> Self {
        Self {
            is_registered: AtomicBool::new(false),
            live: LiveCount::default(),
            classes: array::from_fn(|_| ClassCache::default()),
        }
    }
}

impl fmt::Debug for SlabPool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        crate::describe(self, "SlabPool", f)
    }
}

impl SlabPool {
    /// Makes a pool with the default options.
    ///
    /// # Errors
    /// -10 if there is no memory for its tables.
    pub fn new() -> Result<Self> {
        Self::with_options(&SlabOptions::default())
    }

    /// Makes a pool with memory for the nodes that `config` preallocates (see
    /// [`NOMINAL_NODE`](crate::NOMINAL_NODE)).
    ///
    /// # Errors
    /// -21 for a configuration outside its limits, -10 if there is no memory.
    pub fn from_config(config: &Config) -> Result<Self> {
        let preallocated_bytes = crate::preallocated_bytes(config)?;
        let huge_pages = config.huge_pages;
        let options = SlabOptions { preallocated_bytes, huge_pages, ..SlabOptions::default() };
        Self::with_options(&options)
    }

    /// Makes a pool with these options.
    ///
    /// # Errors
    /// -20 for a capacity below 2 MiB or below the bytes to preallocate, -10 if there is no memory.
    pub fn with_options(options: &SlabOptions) -> Result<Self> {
        let spans = Spans::new(&SpanOptions {
            reserved: options.preallocated_bytes,
            capacity: options.capacity,
            pages: Pages::new(options.huge_pages),
            has_registry: options.capacity.is_some() && options.when_full == WhenFull::UseSystem,
        })?;
        let system = SystemPool::new()?;
        let depot = |class| CachePadded::new(Depot::new(class, &TABLE[class]));
        let depots = try_boxed_slice(CLASSES, depot)?;
        let core = AliasableBox::new(Core {
            caches: PerThread::new()?,
            depots: depots.try_into().expect("one for each class"),
            spans,
            #[cfg(test)]
            before_draining: None,
        })?;
        let exclusive_caches = core.caches.exclusive_slots();
        Ok(Self {
            exclusive_caches,
            fell_back: AtomicBool::new(false),
            when_full: options.when_full,
            core,
            system,
        })
    }

    /// Returns free memory to the system.
    ///
    /// It empties the calling thread's magazines and the magazines of all depots. Then it returns
    /// the chunks that have no live block and no block in another thread's magazine, preallocated
    /// ones included. It takes time in proportion to the free blocks. Other threads can use the
    /// pool during that.
    pub fn trim(&self) {
        let core = &*self.core;
        core.caches.with(|cache| {
            for (depot, cache) in core.depots.iter().zip(&cache.classes) {
                // SAFETY: inside `with` this thread is the only one in the slot, and the spans are
                // the depot's.
                unsafe { depot.trim(cache, &core.spans) };
            }
        });
        core.spans.trim();
    }

    /// Returns the calling thread's cache if its slot is exclusive.
    #[inline(always)]
    fn exclusive_cache(&self) -> Option<&Cache> {
        // SAFETY: the caches live as long as `core`, which `self` owns.
        unsafe { self.exclusive_caches.get() }
    }

    /// Does what [`allocate`](NodeAllocator::allocate) does, for all layouts and threads.
    #[inline(never)]
    fn allocate_slow(&self, layout: Layout) -> Result<NonNull<u8>> {
        let Some(class) = class_of(layout) else { return self.allocate_large(layout) };
        let (core, slot) = (&*self.core, current_slot());
        let block = core.caches.with_slot(slot, |cache| {
            let magazines = &cache.classes[class];
            // SAFETY: inside `with_slot` this thread is the only one in the slot. `refill` is
            // called only if the loaded magazine is empty.
            let block = unsafe {
                match magazines.pop() {
                    Some(block) => Ok(block),
                    None => core.depots[class].refill(magazines, &core.spans),
                }
            };
            match block {
                Ok(block) => {
                    self.core.spans.record_allocated(block);
                    cache.live.add(layout);
                    Ok(block)
                }
                Err(Error::PoolExhausted { .. }) if self.when_full == WhenFull::UseSystem => {
                    let block = self.system.allocate_fallback(layout)?;
                    // If another thread frees the block, it sees this store, because the block
                    // passed to it from this thread.
                    self.fell_back.store(true, Relaxed);
                    Ok(block)
                }
                Err(Error::PoolExhausted { capacity, .. }) => {
                    Err(Error::PoolExhausted { requested: layout.size(), capacity })
                }
                Err(error) => Err(error),
            }
        });
        // SAFETY: `core` stays at its address until `drop`, which unregisters it first.
        unsafe { thread_exit::register_thread(core, slot) };
        block
    }

    /// Does what [`deallocate`](NodeAllocator::deallocate) does, for all layouts and threads.
    ///
    /// # Safety
    /// `block` came from this pool with this layout, and nothing uses it from here on.
    #[inline(never)]
    unsafe fn free_slow(&self, block: NonNull<u8>, layout: Layout) {
        let Some(class) = class_of(layout) else {
            // SAFETY: the caller promises that the block came from here with this layout. It has no
            // class, so `allocate_large` took it from `system`.
            unsafe { self.system.deallocate(block, layout) };
            self.uncharge_large(layout);
            return;
        };
        if self.fell_back.load(Relaxed) && !self.core.spans.owns(block) {
            // SAFETY: the caller promises that the block came from here with this layout. It is in
            // no span, so it came from `system`.
            return unsafe { self.system.deallocate(block, layout) };
        }
        self.check_freed(block, class);
        let (core, slot) = (&*self.core, current_slot());
        core.caches.with_slot(slot, |cache| {
            let magazines = &cache.classes[class];
            cache.live.subtract(layout);
            // SAFETY: inside `with_slot` this thread is the only one in the slot, and the caller
            // promises that nothing uses the block. `overflow` is called only if there is no free
            // slot.
            unsafe {
                match magazines.free_slot() {
                    Some(slot) => slot.put(block),
                    None => core.depots[class].overflow(magazines, &core.spans, block),
                }
            }
        });
        // SAFETY: `core` stays at its address until `drop`, which unregisters it first.
        unsafe { thread_exit::register_thread(core, slot) };
    }

    /// Allocates a block for a layout that has no class.
    fn allocate_large(&self, layout: Layout) -> Result<NonNull<u8>> {
        check_layout(layout)?;
        if self.when_full == WhenFull::Refuse {
            self.core.spans.charge(layout.size())?;
        }
        self.system.allocate_fallback(layout).inspect_err(|_| self.uncharge_large(layout))
    }

    /// Undoes the charge for a block without a class, in a pool that charges for such blocks.
    fn uncharge_large(&self, layout: Layout) {
        if self.when_full == WhenFull::Refuse {
            self.core.spans.uncharge(layout.size());
        }
    }

    /// Ends the process in a debug build if the block is not live, or is of another class.
    #[inline]
    fn check_freed(&self, block: NonNull<u8>, class: ClassIndex) {
        self.core.spans.record_freed(block);
        #[cfg(debug_assertions)]
        // SAFETY: `record_freed` ends the process unless the block was live.
        if unsafe { span::SlabSpan::class_of_block(block) } != class {
            crate::debug_check::corrupt(
                block.addr().get(),
                "is freed with another layout than it was allocated with",
            );
        }
        let _ = class;
    }
}

// SAFETY: a block is in one place at a time: its span, a magazine, or with a user. Blocks of a span
// do not overlap, and spans do not. The class table ensures size and alignment. A span goes back
// only if all its blocks are in it. Nothing unwinds: only a broken invariant panics, and a lack of
// memory is an error.
unsafe impl NodeAllocator for SlabPool {
    #[inline(always)]
    fn allocate(&self, layout: Layout) -> Result<NonNull<u8>> {
        if let Some(class) = fine_class_of(layout)
            && let Some(cache) = self.exclusive_cache()
            // SAFETY: no other thread enters an exclusive slot.
            && let Some(block) = unsafe { cache.classes[class].pop() }
        {
            self.core.spans.record_allocated(block);
            cache.live.add(layout);
            return Ok(block);
        }
        self.allocate_slow(layout)
    }

    #[inline(always)]
    unsafe fn deallocate(&self, block: NonNull<u8>, layout: Layout) {
        if let Some(class) = fine_class_of(layout)
            && let Some(cache) = self.exclusive_cache()
            && !self.fell_back.load(Relaxed)
            && let Some(slot) = cache.classes[class].free_slot()
        {
            self.check_freed(block, class);
            cache.live.subtract(layout);
            // SAFETY: no other thread enters an exclusive slot.
            unsafe { slot.put(block) };
            return;
        }
        // SAFETY: the caller promises that the block came from here with this layout, and that
        // nothing uses it.
        unsafe { self.free_slow(block, layout) };
    }

    fn stats(&self) -> PoolStats {
        let mut stats = LiveCount::total(self.core.caches.iter().map(|cache| &cache.live));
        self.core.spans.add_to(&mut stats);
        self.system.add_fallbacks_to(&mut stats);
        stats
    }
}

impl Drop for SlabPool {
    fn drop(&mut self) {
        thread_exit::unregister(&self.core);
        let Core { caches, depots, .. } = self.core.get_mut();
        for (class, depot) in depots.iter_mut().enumerate() {
            depot.free_magazines(caches.iter().map(|cache| &cache.classes[class]));
        }
    }
}

#[cfg(all(test, loom))]
mod models;
#[cfg(all(test, not(loom)))]
mod tests;
