//! The arena pool: blocks one behind another, memory reused when all that lies in it is dead.
//!
//! A thread has a span of 64 KiB and a pointer to its first unused byte; allocating moves the pointer. Nothing is kept for
//! a block but one number for the span: how many of its blocks live. The block that makes it 0 frees the span.
//! Allocating does not touch that number: see [`biased`].

use std::alloc::Layout;
use std::fmt;
use std::ptr::{NonNull, null_mut};
use std::sync::atomic::{AtomicI64, AtomicPtr, Ordering::Relaxed};

use keystore_core::{Config, NodeAllocator, PoolStats, Result};

use crate::per_thread::{LiveCount, PerThread};
use crate::span::{MAX_ALIGN, SPAN, SpanHeader, SpanOptions, Spans, check_layout, span_of};
use crate::system::SystemPool;
use keystore_core::huge_pages::Pages;

mod biased;

use biased::BiasedCount;

/// The largest block, bytes: an eighth of a span, so that the end of a span that it does not fit wastes no more.
const LARGEST: usize = SPAN / 8;

/// How an [`ArenaPool`] is made. Every field has a default: nothing preallocated, huge pages. Later
/// versions may add fields: end with `..ArenaOptions::default()`.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize, serde::Deserialize),
    serde(default, deny_unknown_fields)
)]
pub struct ArenaOptions {
    /// Bytes taken from the system when the pool is made, rounded up to chunks of 2 MiB. The pool keeps as many chunks when
    /// they become empty, and does not touch them before they are used.
    pub preallocated_bytes: usize,
    /// Whether chunks lie in huge pages, where the system has them (Linux; elsewhere it makes no difference). Faster, but
    /// each chunk takes 2 MiB of memory as soon as it is touched.
    pub huge_pages: bool,
}

impl Default for ArenaOptions {
    fn default() -> Self {
        Self { preallocated_bytes: 0, huge_pages: true }
    }
}

/// Bump allocation: blocks lie in the order of their allocation, each right behind the one before.
///
/// - *Where it is best.* Entries that live and die together: a store that is filled and read, or cleared as a whole
///   ([`reset`](Self::reset) does that at once). Allocating is an addition, and blocks take no more than their bytes,
///   rounded up to 8.
/// - *Where it is wrong.* Under a load that overwrites or deletes at random. A span of 64 KiB is reused when its last block dies,
///   and not before: one long-lived block in each keeps all of them. A store whose entries are replaced at random
///   comes to hold many times its content.
/// - *Sizes.* Layouts over 8,192 bytes are the system allocator's and count as fallbacks. Alignments up to 64 bytes are
///   served; larger ones, and layouts of no bytes, are [`Error::InvalidArgument`](keystore_core::Error::InvalidArgument).
/// - *Time.* Allocating takes a few instructions, and the pool's lock once in 64 KiB; freeing takes one atomic subtraction, on
///   whatever thread.
/// - *Memory.* A span whose blocks are all dead serves any thread again; chunks of 2 MiB that are unused as a whole go back to
///   the system, all but one and those preallocated. Each of the first 64 live threads that allocate has a span of its own, and
///   16 are shared by the others; what is left in a thread's span passes with it to the next thread.
/// - *Freeing the pool* frees its memory, whatever blocks are live in it, except for those from the system's allocator.
///
/// ```
/// # fn main() -> keystore_core::Result<()> {
/// use keystore_core::{Config, Keystore, RwLockKeystore};
/// use keystore_pool::ArenaPool;
///
/// let store = RwLockKeystore::open(&Config::default(), ArenaPool::new()?)?;
/// store.set(b"key", b"value")?;
/// assert_eq!(store.stats()?.pool.live_bytes, 8 + 3 + 5);
/// # Ok(()) }
/// ```
pub struct ArenaPool {
    caches: PerThread<Bump>,
    spans: Spans,
    system: SystemPool,
}

/// What a span of an arena begins with. Blocks follow at the next cache line.
#[repr(C)]
#[derive(Debug)]
struct ArenaSpan {
    header: SpanHeader,
    /// How many of its blocks live.
    live: BiasedCount,
}

const FIRST_BLOCK: usize = size_of::<ArenaSpan>().next_multiple_of(MAX_ALIGN);

/// A thread's span, and its counts. Only the thread writes; others read the counts.
#[derive(Debug, Default)]
struct Bump {
    /// The first unused byte of the span, its end where there is none; null where there is no span. How many bytes are left
    /// follows from it, because a span ends at a multiple of its size.
    next: AtomicPtr<u8>,
    /// Blocks allocated here less those freed here, and the bytes that they asked for.
    live: LiveCount,
    /// Blocks that had ever been allocated here when the thread started on its span.
    start_count: AtomicI64,
}

impl Bump {
    /// The next block of the span, if the layout fits.
    #[inline(always)]
    fn bump(&self, layout: Layout) -> Option<NonNull<u8>> {
        let next = self.next.load(Relaxed);
        let left = next.addr().wrapping_neg() & (SPAN - 1);
        let padding = if layout.align() <= 8 { 0 } else { next.addr().wrapping_neg() & (layout.align() - 1) };
        let size = padding + layout.size().next_multiple_of(8);
        if size > left {
            return None;
        }
        self.next.store(next.wrapping_add(size), Relaxed);
        self.live.add(layout);
        NonNull::new(next.wrapping_add(padding))
    }

    /// Starts on a span.
    fn start(&self, span: NonNull<u8>) {
        self.next.store(span.as_ptr().wrapping_add(FIRST_BLOCK), Relaxed);
        self.start_count.store(self.live.allocated(), Relaxed);
    }

    /// Blocks handed out of the span.
    fn allocated(&self) -> usize {
        (self.live.allocated() - self.start_count.load(Relaxed)) as usize
    }

    /// Leaves the span, if there is one.
    fn leave(&self) -> Option<NonNull<u8>> {
        let next = NonNull::new(self.next.swap(null_mut(), Relaxed))?;
        // One byte back, because a span that is full to the end has its next byte in the span behind.
        Some(span_of(NonNull::new(next.as_ptr().wrapping_sub(1))?))
    }
}

/// The number of live blocks of a span.
///
/// # Safety
/// `span` is a span that an arena has started on.
#[inline]
unsafe fn live_of<'a>(span: NonNull<u8>) -> &'a BiasedCount {
    // SAFETY: the caller's promise; the number is atomic, so it may be shared.
    unsafe { &(*span.cast::<ArenaSpan>().as_ptr()).live }
}

impl fmt::Debug for ArenaPool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        crate::describe(self, "ArenaPool", f)
    }
}

impl ArenaPool {
    /// A pool with the default options.
    ///
    /// # Errors
    /// -10 where its tables cannot be allocated.
    pub fn new() -> Result<Self> {
        Self::with_options(&ArenaOptions::default())
    }

    /// A pool that has room from the start for the nodes that `config` wants preallocated (see
    /// [`NOMINAL_NODE`](crate::NOMINAL_NODE)).
    ///
    /// # Errors
    /// -21 for a configuration outside its limits, -10 where the memory cannot be had.
    pub fn from_config(config: &Config) -> Result<Self> {
        let preallocated_bytes = crate::preallocated_bytes(config)?;
        let huge_pages = config.huge_pages;
        Self::with_options(&ArenaOptions { preallocated_bytes, huge_pages })
    }

    /// A pool with these options.
    ///
    /// # Errors
    /// -10 where memory cannot be had.
    pub fn with_options(options: &ArenaOptions) -> Result<Self> {
        let spans = Spans::new(&SpanOptions {
            reserved: options.preallocated_bytes,
            capacity: None,
            pages: Pages::new(options.huge_pages),
            has_registry: false,
        })?;
        Ok(Self { caches: PerThread::new()?, spans, system: SystemPool::new()? })
    }

    /// Frees all blocks at once, except those over 8,192 bytes, which stay live until they are freed one by one. Takes time in
    /// proportion to the chunks held, and no look at the blocks.
    ///
    /// # Safety
    /// No block of this pool that was allocated before (of up to 8,192 bytes) is used or freed from here on, and no other
    /// thread uses the pool during the call. A store over the pool must have been forgotten, or be empty and
    /// have no removed entries whose freeing is pending.
    pub unsafe fn reset(&self) {
        for bump in self.caches.iter() {
            bump.leave();
            bump.live.clear();
        }
        // SAFETY: no block is used any more, and no thread is on a span.
        unsafe { self.spans.release_all() };
    }

    /// Returns the chunks to the system in which there is neither a live block nor a thread's span, preallocated ones
    /// included.
    pub fn trim(&self) {
        self.caches.with(|bump| {
            if let Some(span) = self.seal(bump) {
                // SAFETY: the span is unused.
                unsafe { self.spans.release(span) };
            }
        });
        self.spans.trim();
    }

    /// Leaves the thread's span to its live blocks, or returns it where it has none.
    fn seal(&self, bump: &Bump) -> Option<NonNull<u8>> {
        let allocated = bump.allocated();
        let span = bump.leave()?;
        // SAFETY: the thread was on the span.
        let live = unsafe { live_of(span) };
        live.remove_bias(allocated).then_some(span)
    }

    /// [`allocate`](NodeAllocator::allocate) in full, for all layouts and threads.
    #[inline(never)]
    fn allocate_slow(&self, layout: Layout) -> Result<NonNull<u8>> {
        if !is_small(layout) {
            check_layout(layout)?;
            return self.system.allocate_fallback(layout);
        }
        self.caches.with(|bump| {
            let block = match bump.bump(layout) {
                Some(block) => block,
                None => {
                    self.change_span(bump)?;
                    bump.bump(layout).expect("a fresh span has room for the largest block")
                }
            };
            self.spans.record_allocated(block);
            Ok(block)
        })
    }

    /// Puts a thread on a span that has all its room.
    fn change_span(&self, bump: &Bump) -> Result<()> {
        // Where all blocks of the old span are dead already it is used again, still warm.
        let span = match self.seal(bump) {
            Some(old) => old,
            None => self.spans.acquire()?,
        };
        // SAFETY: the span is this thread's alone, and long enough for its header.
        unsafe { (&raw mut (*span.cast::<ArenaSpan>().as_ptr()).live).write(BiasedCount::new()) };
        bump.start(span);
        Ok(())
    }

    /// [`deallocate`](NodeAllocator::deallocate) for layouts and threads that are not on the fast path.
    ///
    /// # Safety
    /// That of `deallocate`.
    #[inline(never)]
    unsafe fn free_slow(&self, block: NonNull<u8>, layout: Layout) {
        // SAFETY: the caller's promise; layouts that are not small were allocated of the system.
        unsafe {
            if !is_small(layout) {
                return self.system.deallocate(block, layout);
            }
            self.caches.with(|bump| bump.live.subtract(layout));
            self.free_block(block);
        }
    }

    /// Takes a block off its span's live ones.
    ///
    /// # Safety
    /// The block is live, and given up.
    #[inline]
    unsafe fn free_block(&self, block: NonNull<u8>) {
        self.spans.record_freed(block);
        let span = span_of(block);
        // SAFETY: the block is live, so its span is one that the arena started on; where the count says that it is free, it
        // is this call's.
        unsafe {
            if live_of(span).decrement() {
                self.free_span(span);
            }
        }
    }

    #[cold]
    #[inline(never)]
    unsafe fn free_span(&self, span: NonNull<u8>) {
        // SAFETY: the caller's promise: all blocks are dead, and the thread that was on the span has left it.
        unsafe { self.spans.release(span) };
    }
}

/// Whether a layout's block lies in a span.
#[inline]
fn is_small(layout: Layout) -> bool {
    layout.size().wrapping_sub(1) < LARGEST && layout.align() <= MAX_ALIGN
}

// SAFETY: a block is handed out once between two starts on its span, and a span is started on again only when all its
// blocks have been freed: `live` cannot be 0 before, because each block that is out counts one and a thread that is on
// the span keeps the bias. Nothing unwinds: the one `expect` states that a fresh span has room for the largest layout.
unsafe impl NodeAllocator for ArenaPool {
    #[inline(always)]
    fn allocate(&self, layout: Layout) -> Result<NonNull<u8>> {
        if is_small(layout)
            && let Some(bump) = self.caches.exclusive()
            && let Some(block) = bump.bump(layout)
        {
            self.spans.record_allocated(block);
            return Ok(block);
        }
        self.allocate_slow(layout)
    }

    #[inline(always)]
    unsafe fn deallocate(&self, block: NonNull<u8>, layout: Layout) {
        match self.caches.exclusive() {
            Some(bump) if is_small(layout) => {
                bump.live.subtract(layout);
                // SAFETY: the caller's promises.
                unsafe { self.free_block(block) };
            }
            // SAFETY: the caller's promises.
            _ => unsafe { self.free_slow(block, layout) },
        }
    }

    fn stats(&self) -> PoolStats {
        let mut stats = LiveCount::total(self.caches.iter().map(|bump| &bump.live));
        self.spans.add_to(&mut stats);
        self.system.add_fallbacks_to(&mut stats);
        stats
    }
}

#[cfg(all(test, loom))]
mod models;
#[cfg(all(test, not(loom)))]
mod tests;
