//! Spans: chunks cut into 64 KiB pieces, each of which serves one purpose at a time.
//!
//! ```text
//! chunk, 2 MiB   | span 0 | span 1 | span 2 |  ...  | span 31 |
//! span, 64 KiB   | header | what the pool makes of it         |
//! ```
//!
//! A pool that gave every size class, or every thread, a whole chunk would hold mostly air. It takes a span instead, and the
//! chunk's huge page is shared. A block's span is found by rounding its address down; so is its chunk. A chunk whose
//! spans are all vacant goes back to the system, except for one (and those reserved up front), so that a pool at the
//! boundary does not map and unmap in turns.

use std::ptr::NonNull;
#[cfg(test)]
use std::sync::atomic::AtomicBool;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use keystore_core::system_memory::check_fits;
use keystore_core::{Error, PoolStats, Result};

use crate::chunk::{self, CHUNK, Reserve};
use crate::list::{Linked, Links, List};
use crate::primitive::Mutex;
use crate::registry::Registry;
use keystore_core::huge_pages::Pages;

/// Bytes of a span, and its alignment.
pub(crate) const SPAN: usize = 64 << 10;

const SPANS: u32 = (CHUNK / SPAN) as u32;
const ALL_VACANT: u32 = u32::MAX;
const _: () = assert!(SPANS == u32::BITS);

/// The largest alignment of a block, bytes: a cache line.
pub(crate) const MAX_ALIGN: usize = 64;

/// How every span begins. A pool's own header comes behind it.
#[repr(C, align(64))]
#[derive(Debug)]
pub(crate) struct SpanHeader {
    /// Of the chunk, in its first span; unused in the others.
    chunk: ChunkHeader,
    #[cfg(debug_assertions)]
    live: crate::debug_check::LiveBlocks,
}

#[derive(Debug)]
struct ChunkHeader {
    links: Links<ChunkHeader>,
    /// One bit for each span that nobody has.
    vacant: u32,
}

// SAFETY: the links are that field.
unsafe impl Linked for ChunkHeader {
    unsafe fn links(chunk: NonNull<Self>) -> NonNull<Links<Self>> {
        // SAFETY: the chunk is valid, so its field is.
        unsafe { NonNull::new_unchecked(&raw mut (*chunk.as_ptr()).links) }
    }
}

// SAFETY: a header is plain data; the lock of `Spans` guards it.
unsafe impl Send for ChunkHeader {}

/// The start of the span that `block` lies in.
#[inline]
pub(crate) fn span_of(block: NonNull<u8>) -> NonNull<u8> {
    let start = block.as_ptr().map_addr(|address| address & !(SPAN - 1));
    // SAFETY: spans lie in chunks, which the system does not map at address 0.
    unsafe { NonNull::new_unchecked(start) }
}

/// Checks that pools can serve a layout by its size and alignment.
pub(crate) fn check_layout(layout: std::alloc::Layout) -> Result<()> {
    if layout.size() == 0 {
        return Err(Error::invalid_argument("layout size", 0, "at least 1 byte"));
    }
    if layout.align() > MAX_ALIGN {
        return Err(Error::invalid_argument("layout alignment", layout.align(), "at most 64 bytes"));
    }
    Ok(())
}

/// How a pool of spans is made.
#[derive(Clone, Debug)]
pub(crate) struct SpanOptions {
    /// Bytes to have from the start, rounded up to chunks.
    pub(crate) reserved: usize,
    /// The most bytes to take from the system.
    pub(crate) capacity: Option<usize>,
    pub(crate) pages: Pages,
    /// Whether [`Spans::owns`] will be asked.
    pub(crate) registered: bool,
}

/// Where a pool gets its spans.
#[derive(Debug)]
pub(crate) struct Spans {
    chunks: Mutex<Chunks>,
    /// Bytes taken from the system, and those charged by the pool for blocks outside of spans.
    charged: AtomicUsize,
    held: AtomicUsize,
    capacity: usize,
    pages: Pages,
    registry: Option<Registry>,
    /// Makes the system refuse, for tests.
    #[cfg(test)]
    pub(crate) refuse: AtomicBool,
}

/// Every chunk is in one of the lists or in the reserve.
#[derive(Debug)]
struct Chunks {
    /// Chunks with vacant spans and others.
    partial: List<ChunkHeader>,
    /// Chunks without vacant spans.
    full: List<ChunkHeader>,
    /// Chunks whose spans are all vacant, and how many these are.
    empty: List<ChunkHeader>,
    empty_count: usize,
    /// How many empty chunks are kept.
    keep: usize,
    reserve: Reserve,
}

impl Spans {
    /// # Errors
    /// -20 for a capacity under one chunk or under what is to be reserved, -10 where that cannot be
    /// had: the machine can never hold so much, or the system refuses.
    pub(crate) fn new(options: &SpanOptions) -> Result<Self> {
        let capacity = options.capacity.unwrap_or(usize::MAX);
        if capacity < CHUNK {
            return Err(Error::invalid_argument("pool capacity", capacity, "at least 2097152 bytes (2 MiB)"));
        }
        let reserved_chunks = options.reserved.div_ceil(CHUNK);
        let reserved = reserved_chunks.saturating_mul(CHUNK);
        if reserved > capacity {
            return Err(Error::invalid_argument(
                "bytes to preallocate",
                reserved,
                "at most the pool's capacity",
            ));
        }
        check_fits(reserved)?;
        let registry = if options.registered || cfg!(all(debug_assertions, not(loom))) {
            Some(Registry::new()?)
        } else {
            None
        };
        let chunks = Chunks {
            partial: List::EMPTY,
            full: List::EMPTY,
            empty: List::EMPTY,
            empty_count: 0,
            keep: reserved_chunks.max(1),
            reserve: Reserve::new(reserved_chunks)?,
        };
        Ok(Self {
            chunks: Mutex::new(chunks),
            charged: AtomicUsize::new(reserved),
            held: AtomicUsize::new(reserved),
            capacity,
            pages: options.pages,
            registry,
            #[cfg(test)]
            refuse: AtomicBool::new(false),
        })
    }

    /// Bytes of chunks.
    pub(crate) fn held_bytes(&self) -> usize {
        self.held.load(Relaxed)
    }

    /// Puts the bytes of chunks in a pool's statistics.
    pub(crate) fn add_to(&self, stats: &mut PoolStats) {
        stats.held_bytes += self.held_bytes() as u64;
        if self.pages == Pages::Huge {
            stats.huge_page_bytes += self.held_bytes() as u64;
        }
    }

    /// Counts `bytes` against the capacity, or -51.
    pub(crate) fn charge(&self, bytes: usize) -> Result<()> {
        let within = |charged: usize| charged.checked_add(bytes).filter(|sum| *sum <= self.capacity);
        match self.charged.fetch_update(Relaxed, Relaxed, within) {
            Ok(_) => Ok(()),
            Err(_) => Err(Error::PoolExhausted { requested: bytes, capacity: self.capacity }),
        }
    }

    /// Takes back a [`charge`](Self::charge).
    pub(crate) fn discharge(&self, bytes: usize) {
        self.charged.fetch_sub(bytes, Relaxed);
    }

    /// Whether `block`, a live block of this pool, lies in a span and not in memory that the pool got elsewhere. To be
    /// asked only of a pool made with `registered`, or in debug builds.
    #[inline]
    pub(crate) fn owns(&self, block: NonNull<u8>) -> bool {
        self.registry.as_ref().is_none_or(|registry| registry.contains(block.addr().get()))
    }

    /// A span, whose content behind its [`SpanHeader`] is undefined.
    ///
    /// # Errors
    /// -51 where the capacity is reached, -10 where the system refuses. The pool is as before then.
    pub(crate) fn acquire(&self) -> Result<NonNull<u8>> {
        let mut chunks = self.chunks.lock();
        let chunk = match chunks.partial.first() {
            Some(chunk) => chunk,
            None => self.open_chunk(&mut chunks)?,
        };
        // SAFETY: a chunk of the list `partial` is ours, its header is guarded by the lock, and has a bit set.
        let span = unsafe {
            let vacant = &raw mut (*chunk.as_ptr()).vacant;
            let span = vacant.read().trailing_zeros();
            vacant.write(vacant.read() & (vacant.read() - 1));
            if vacant.read() == 0 {
                chunks.partial.remove(chunk);
                chunks.full.push(chunk);
            }
            chunk.cast::<u8>().add(span as usize * SPAN)
        };
        #[cfg(debug_assertions)]
        // SAFETY: the span is ours alone until it is handed out.
        unsafe {
            let header = span.cast::<SpanHeader>().as_ptr();
            (&raw mut (*header).live).write(crate::debug_check::LiveBlocks::new());
        }
        Ok(span)
    }

    /// Puts a chunk in front of the list `partial`.
    fn open_chunk(&self, chunks: &mut Chunks) -> Result<NonNull<ChunkHeader>> {
        let chunk = match chunks.empty.pop() {
            Some(chunk) => {
                chunks.empty_count -= 1;
                chunk
            }
            None => {
                let memory = match chunks.reserve.take(self.pages) {
                    Some(memory) => memory,
                    None => self.map_chunk()?,
                };
                if let Some(registry) = &self.registry
                    && let Err(error) = registry.insert(memory)
                {
                    // SAFETY: nobody has seen the chunk.
                    unsafe { self.unmap_chunk(memory) };
                    return Err(error);
                }
                let chunk = memory.cast::<ChunkHeader>();
                // SAFETY: the chunk is ours alone, aligned, and longer than its header.
                unsafe { chunk.write(ChunkHeader { links: Links::UNLINKED, vacant: ALL_VACANT }) };
                chunk
            }
        };
        // SAFETY: a chunk of ours, in no list.
        unsafe { chunks.partial.push(chunk) };
        Ok(chunk)
    }

    fn map_chunk(&self) -> Result<NonNull<u8>> {
        #[cfg(test)]
        if self.refuse.load(Relaxed) {
            return Err(Error::OutOfMemory { requested: CHUNK });
        }
        self.charge(CHUNK)?;
        let chunk = Reserve::new(1).map(|mut one| one.take(self.pages));
        match chunk {
            Ok(Some(chunk)) => {
                self.held.fetch_add(CHUNK, Relaxed);
                Ok(chunk)
            }
            Ok(None) | Err(_) => {
                self.discharge(CHUNK);
                Err(Error::OutOfMemory { requested: CHUNK })
            }
        }
    }

    /// # Safety
    /// The chunk is ours, in no list, and nobody uses it from here on.
    unsafe fn unmap_chunk(&self, chunk: NonNull<u8>) {
        self.held.fetch_sub(CHUNK, Relaxed);
        self.discharge(CHUNK);
        // SAFETY: the caller's promise.
        unsafe { chunk::release(chunk) };
    }

    /// Takes a span back.
    ///
    /// # Safety
    /// `span` came from [`acquire`](Self::acquire), and nobody uses it from here on.
    pub(crate) unsafe fn release(&self, span: NonNull<u8>) {
        let memory = span.as_ptr().map_addr(|address| address & !(CHUNK - 1));
        let number = (span.as_ptr().addr() - memory.addr()) / SPAN;
        // SAFETY: chunks do not lie at address 0.
        let memory = unsafe { NonNull::new_unchecked(memory) };
        let chunk = memory.cast::<ChunkHeader>();
        let mut chunks = self.chunks.lock();
        // SAFETY: the span is ours, so its chunk is; the lock guards the header. The chunk is in the list that its
        // vacant spans tell.
        unsafe {
            let vacant = &raw mut (*chunk.as_ptr()).vacant;
            if vacant.read() == 0 {
                chunks.full.remove(chunk);
                chunks.partial.push(chunk);
            }
            vacant.write(vacant.read() | 1 << number);
            if vacant.read() != ALL_VACANT {
                return;
            }
            chunks.partial.remove(chunk);
            if chunks.empty_count < chunks.keep {
                chunks.empty_count += 1;
                chunks.empty.push(chunk);
                return;
            }
            if let Some(registry) = &self.registry {
                registry.remove(memory);
            }
            drop(chunks);
            self.unmap_chunk(memory);
        }
    }

    /// Gives the empty chunks back to the system, also those that were reserved.
    pub(crate) fn trim(&self) {
        let mut chunks = self.chunks.lock();
        while let Some(chunk) = chunks.empty.pop() {
            chunks.empty_count -= 1;
            let memory = chunk.cast();
            if let Some(registry) = &self.registry {
                registry.remove(memory);
            }
            // SAFETY: an empty chunk, just taken out of its list; none of its spans is out.
            unsafe { self.unmap_chunk(memory) };
        }
    }

    /// Takes all spans back at once.
    ///
    /// # Safety
    /// Nobody uses a span of this pool from here on.
    #[cfg(feature = "arena")]
    pub(crate) unsafe fn release_all(&self) {
        let mut chunks = self.chunks.lock();
        let chunks = &mut *chunks;
        while let Some(chunk) = chunks.partial.pop().or_else(|| chunks.full.pop()) {
            // SAFETY: a chunk of ours, just taken out of its list, whose spans nobody uses.
            unsafe {
                if chunks.empty_count < chunks.keep {
                    (&raw mut (*chunk.as_ptr()).vacant).write(ALL_VACANT);
                    chunks.empty_count += 1;
                    chunks.empty.push(chunk);
                } else {
                    if let Some(registry) = &self.registry {
                        registry.remove(chunk.cast());
                    }
                    self.unmap_chunk(chunk.cast());
                }
            }
        }
    }

    /// Notes in a debug build that `block` is handed out.
    #[inline]
    pub(crate) fn note_allocated(&self, block: NonNull<u8>) {
        #[cfg(debug_assertions)]
        // SAFETY: the block lies in a span of ours, whose header is initialised.
        unsafe {
            let header = span_of(block).cast::<SpanHeader>().as_ptr();
            (*header).live.add(block.addr().get());
        }
        let _ = block;
    }

    /// Checks in a debug build that `block` was out, and notes that it is back.
    #[inline]
    pub(crate) fn note_freed(&self, block: NonNull<u8>) {
        #[cfg(debug_assertions)]
        {
            let address = block.addr().get();
            if !self.owns(block) {
                crate::debug_check::corrupt(address, "is not of this pool");
            }
            // SAFETY: the registry knows the chunk. Its spans that were never used have a header of undefined content,
            // which may let a wrong address pass: a check that finds less, not one that does harm.
            unsafe {
                let header = span_of(block).cast::<SpanHeader>().as_ptr();
                (*header).live.remove(address);
            }
        }
        let _ = block;
    }
}

impl Drop for Spans {
    fn drop(&mut self) {
        let chunks = self.chunks.get_mut();
        for list in [&mut chunks.partial, &mut chunks.full, &mut chunks.empty] {
            while let Some(chunk) = list.pop() {
                // SAFETY: the pool ends, and with it the use of its memory; the chunk is in no list any more.
                unsafe { chunk::release(chunk.cast()) };
            }
        }
    }
}
