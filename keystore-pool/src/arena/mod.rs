//! The arena pool: bump allocation. Memory is reused when all blocks in it are dead.
//!
//! A thread has a span of 64 KiB and a pointer to its first unused byte. Allocating moves the
//! pointer. The arena keeps no record of a block. It keeps one number for each span, the count of
//! its live blocks. The thread that decrements this count to 0 frees the span. Allocating does not
//! touch that count: see [`biased`].

use std::alloc::Layout;
use std::fmt;
use std::ptr::{NonNull, null_mut};
use std::sync::atomic::{AtomicI64, AtomicPtr, Ordering::Relaxed};

use keystore_core::huge_pages::Pages;
use keystore_core::{Config, NodeAllocator, PoolStats, Result};

use crate::per_thread::{LiveCount, PerThread};
use crate::span::{MAX_ALIGN, SPAN, SpanHeader, SpanOptions, Spans, check_layout, span_of};
use crate::system::SystemPool;

mod biased;

use biased::BiasedCount;

/// Size of the largest block, bytes. It is an eighth of a span. So if the next block does not fit
/// at the end of a span, less than an eighth of the span is wasted.
const LARGEST: usize = SPAN / 8;

/// Options of an [`ArenaPool`].
///
/// Every field has a default: nothing preallocated, huge pages. Later versions may add fields, so
/// end with `..ArenaOptions::default()`.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize, serde::Deserialize),
    serde(default, deny_unknown_fields)
)]
pub struct ArenaOptions {
    /// Bytes taken from the system when the pool is made, rounded up to chunks of 2 MiB. The pool
    /// keeps as many chunks when they become empty, and does not touch them before they are used.
    pub preallocated_bytes: usize,
    /// True if chunks are to lie in huge pages. It has an effect on Linux only. Huge pages are
    /// faster, but each chunk takes 2 MiB of memory as soon as it is touched.
    pub huge_pages: bool,
}

impl Default for ArenaOptions {
    fn default() -> Self {
        Self { preallocated_bytes: 0, huge_pages: true }
    }
}

/// Bump allocation: each block lies right behind the one allocated before it.
///
/// - *Best for* entries that live and die together: a store that is filled and read, or cleared as
///   a whole ([`reset`](Self::reset) does that at once). Allocating is an addition, and blocks take
///   no more than their bytes, rounded up to 8.
/// - *Wrong for* a load that overwrites or deletes at random. A span of 64 KiB is reused only when
///   its last block dies, so one long-lived block in each span keeps all of them. A store whose
///   entries are replaced at random comes to hold many times its content.
/// - *Sizes.* Layouts over 8,192 bytes come from the system's allocator and count as fallbacks.
///   Alignments up to 64 bytes are served. Larger ones, and layouts of 0 bytes, are
///   [`Error::InvalidArgument`](keystore_core::Error::InvalidArgument).
/// - *Time.* Allocating takes a few instructions, and the pool's lock once in 64 KiB. Freeing takes
///   one atomic subtraction, on any thread.
/// - *Memory.* A span whose blocks are all dead serves any thread again. A chunk of 2 MiB that is
///   unused as a whole goes back to the system, except for one chunk and those preallocated. Each
///   of the first 64 live threads that allocate has its own span, and the others share 16. The rest
///   of a thread's span passes to the next thread.
/// - *Dropping the pool* frees its memory, even if blocks in it are live. Live blocks of the
///   system's allocator are leaked.
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

/// The start of an arena's span. Blocks follow at the next cache line.
#[repr(C)]
#[derive(Debug)]
struct ArenaSpan {
    header: SpanHeader,
    live: BiasedCount,
}

const FIRST_BLOCK: usize = size_of::<ArenaSpan>().next_multiple_of(MAX_ALIGN);

/// The content of a thread's slot: its span, and its counts. Only the thread in the slot writes
/// here. Others read the counts.
#[derive(Debug, Default)]
struct Bump {
    /// Address of the first unused byte of the span, or of its end if it is full. It is null
    /// without a span. A span ends at a multiple of its size, so the address also gives the number
    /// of unused bytes.
    next: AtomicPtr<u8>,
    live: LiveCount,
    /// Number of blocks ever allocated here when the thread started on its span.
    start_count: AtomicI64,
}

impl Bump {
    /// Allocates the next block of the span, if the layout fits.
    #[inline(always)]
    fn bump(&self, layout: Layout) -> Option<NonNull<u8>> {
        let next = self.next.load(Relaxed);
        let left = next.addr().wrapping_neg() & (SPAN - 1);
        let padding = match layout.align() {
            ..=8 => 0,
            align => next.addr().wrapping_neg() & (align - 1),
        };
        let size = padding + layout.size().next_multiple_of(8);
        if size > left {
            return None;
        }
        self.next.store(next.wrapping_add(size), Relaxed);
        self.live.add(layout);
        NonNull::new(next.wrapping_add(padding))
    }

    /// Starts to allocate from a span.
    fn start(&self, span: NonNull<u8>) {
        self.next.store(span.as_ptr().wrapping_add(FIRST_BLOCK), Relaxed);
        self.start_count.store(self.live.allocated(), Relaxed);
    }

    /// Returns the number of blocks allocated from the span.
    fn allocated(&self) -> usize {
        (self.live.allocated() - self.start_count.load(Relaxed)) as usize
    }

    /// Stops allocating from the span and returns it, if there is one.
    fn leave(&self) -> Option<NonNull<u8>> {
        let next = NonNull::new(self.next.swap(null_mut(), Relaxed))?;
        // Subtract one byte, because the end of a full span is the start of the next one.
        Some(span_of(NonNull::new(next.as_ptr().wrapping_sub(1))?))
    }
}

/// Returns the live-block count of a span.
///
/// # Safety
/// A thread has started on `span`, and it was not released since. This holds for all of `'a`.
#[inline]
unsafe fn live_of<'a>(span: NonNull<u8>) -> &'a BiasedCount {
    // SAFETY: the caller promises that a thread has started on the span, which initialised the
    // count (`change_span`). It is atomic, so it may be shared.
    unsafe { &(*span.cast::<ArenaSpan>().as_ptr()).live }
}

impl fmt::Debug for ArenaPool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        crate::describe(self, "ArenaPool", f)
    }
}

impl ArenaPool {
    /// Makes a pool with the default options.
    ///
    /// # Errors
    /// -10 if there is no memory for its tables.
    pub fn new() -> Result<Self> {
        Self::with_options(&ArenaOptions::default())
    }

    /// Makes a pool with memory for the nodes that `config` preallocates (see
    /// [`NOMINAL_NODE`](crate::NOMINAL_NODE)).
    ///
    /// # Errors
    /// -21 for a configuration outside its limits, -10 if there is no memory.
    pub fn from_config(config: &Config) -> Result<Self> {
        let preallocated_bytes = crate::preallocated_bytes(config)?;
        let huge_pages = config.huge_pages;
        Self::with_options(&ArenaOptions { preallocated_bytes, huge_pages })
    }

    /// Makes a pool with these options.
    ///
    /// # Errors
    /// -10 if there is no memory.
    pub fn with_options(options: &ArenaOptions) -> Result<Self> {
        let spans = Spans::new(&SpanOptions {
            reserved: options.preallocated_bytes,
            capacity: None,
            pages: Pages::new(options.huge_pages),
            has_registry: false,
        })?;
        Ok(Self { caches: PerThread::new()?, spans, system: SystemPool::new()? })
    }

    /// Frees all blocks at once, except those over 8,192 bytes, which must be freed one by one. It
    /// takes time in proportion to the chunks held, not to the blocks.
    ///
    /// # Safety
    /// No block of up to 8,192 bytes that was allocated before this call is used or freed after it,
    /// and no other thread uses the pool during the call. A store over the pool must have been
    /// forgotten, or be empty without removed entries whose memory is not freed yet.
    pub unsafe fn reset(&self) {
        for bump in self.caches.iter() {
            bump.leave();
            bump.live.clear();
        }
        // SAFETY: the caller promises that no block of a span is used any more, and the loop above
        // has taken all threads off their spans.
        unsafe { self.spans.release_all() };
    }

    /// Returns to the system all chunks that have neither a live block nor a thread's span,
    /// preallocated ones included.
    pub fn trim(&self) {
        self.caches.with(|bump| {
            if let Some(span) = self.seal(bump) {
                // SAFETY: `seal` returns a span without live blocks that no thread is on.
                unsafe { self.spans.release(span) };
            }
        });
        self.spans.trim();
    }

    /// Takes the thread off its span. Returns the span if it has no live blocks: the caller owns it
    /// then. Otherwise the thread that frees the last block owns it.
    fn seal(&self, bump: &Bump) -> Option<NonNull<u8>> {
        let allocated = bump.allocated();
        let span = bump.leave()?;
        // SAFETY: the thread had started on the span, which is not released before its bias is
        // removed.
        let live = unsafe { live_of(span) };
        live.remove_bias(allocated).then_some(span)
    }

    /// Does what [`allocate`](NodeAllocator::allocate) does, for all layouts and threads.
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
                    bump.bump(layout).expect("an unused span fits the largest block")
                }
            };
            self.spans.record_allocated(block);
            Ok(block)
        })
    }

    /// Puts a thread on an unused span.
    fn change_span(&self, bump: &Bump) -> Result<()> {
        // If all blocks of the old span are dead already, use it again: it is in the cache.
        let span = match self.seal(bump) {
            Some(old) => old,
            None => self.spans.acquire()?,
        };
        // SAFETY: `seal` and `acquire` return a span that no other thread uses, and it is longer
        // than its header.
        unsafe { (&raw mut (*span.cast::<ArenaSpan>().as_ptr()).live).write(BiasedCount::new()) };
        bump.start(span);
        Ok(())
    }

    /// Does what [`deallocate`](NodeAllocator::deallocate) does, for all layouts and threads.
    ///
    /// # Safety
    /// `block` came from this pool with this layout, and nothing uses it from here on.
    #[inline(never)]
    unsafe fn free_slow(&self, block: NonNull<u8>, layout: Layout) {
        if !is_small(layout) {
            // SAFETY: the caller promises that the block came from here with this layout. It is not
            // small, so `allocate_slow` took it from `system`.
            return unsafe { self.system.deallocate(block, layout) };
        }
        self.caches.with(|bump| bump.live.subtract(layout));
        // SAFETY: the caller promises that the block came from here, and it is small.
        unsafe { self.free_block(block) };
    }

    /// Subtracts a block from its span's live blocks, and releases the span if it was the last one.
    ///
    /// # Safety
    /// `block` came from a span of this pool, and nothing uses it from here on.
    #[inline]
    unsafe fn free_block(&self, block: NonNull<u8>) {
        self.spans.record_freed(block);
        let span = span_of(block);
        // SAFETY: the block counts as live, so a thread has started on its span, which was not
        // released since. The decrement that returns true owns the span.
        unsafe {
            if live_of(span).decrement() {
                self.free_span(span);
            }
        }
    }

    /// Releases a span.
    ///
    /// # Safety
    /// All of its blocks are dead, no thread is on it, and the caller owns it.
    #[cold]
    #[inline(never)]
    unsafe fn free_span(&self, span: NonNull<u8>) {
        // SAFETY: the span came from `acquire`, and the caller promises that nothing uses it.
        unsafe { self.spans.release(span) };
    }
}

/// Returns true if blocks of this layout lie in spans.
#[inline]
fn is_small(layout: Layout) -> bool {
    layout.size().wrapping_sub(1) < LARGEST && layout.align() <= MAX_ALIGN
}

// SAFETY: between two starts on a span, each of its bytes is handed out at most once. A thread
// starts on a span again only when all of its blocks have been freed: its count cannot be 0
// earlier, because each live block counts one, and a thread that is on the span keeps the bias.
// Nothing unwinds: the `expect` states that an unused span fits the largest small layout.
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
                // SAFETY: the caller promises that the block came from here with this layout, which
                // is small, and that nothing uses it.
                unsafe { self.free_block(block) };
            }
            // SAFETY: the caller promises that the block came from here with this layout, and that
            // nothing uses it.
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
