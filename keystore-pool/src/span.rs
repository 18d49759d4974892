//! Spans: pieces of 64 KiB of a chunk, each of which serves one purpose at a time.
//!
//! ```text
//! chunk, 2 MiB   | span 0 | span 1 | span 2 |  ...  | span 31 |
//! span, 64 KiB   | header | content, as the pool defines it   |
//! ```
//!
//! If each size class, or each thread, had a whole chunk, a pool would hold mostly unused memory.
//! So it takes a span instead, and many spans share the chunk's huge page. Rounding a block's
//! address down gives its span and its chunk.
//!
//! A chunk whose spans are all vacant goes back to the system. The pool keeps one such chunk, and
//! as many as were preallocated, so that it does not map and unmap in turns at a boundary.

use std::alloc::Layout;
use std::ptr::NonNull;
#[cfg(test)]
use std::sync::atomic::AtomicBool;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use keystore_core::huge_pages::Pages;
use keystore_core::system_memory::check_fits;
use keystore_core::{Error, PoolStats, Result};

use crate::chunk::{self, CHUNK, Reserve};
use crate::list::{Linked, Links, List};
use crate::primitive::Mutex;
use crate::registry::Registry;

/// Size and alignment of a span, bytes.
pub(crate) const SPAN: usize = 64 << 10;

const SPANS: u32 = (CHUNK / SPAN) as u32;
const ALL_VACANT: u32 = u32::MAX;
const _: () = assert!(SPANS == u32::BITS);

/// Largest alignment of a block, bytes. It is a cache line.
pub(crate) const MAX_ALIGN: usize = 64;

/// The start of every span. A pool's own header follows it.
#[repr(C, align(64))]
#[derive(Debug)]
pub(crate) struct SpanHeader {
    /// Header of the chunk, in its first span. The other spans do not use it.
    chunk: ChunkHeader,
    #[cfg(debug_assertions)]
    live: crate::debug_check::LiveBlocks,
}

/// The start of every chunk. The lock of [`Spans`] guards it.
#[derive(Debug)]
struct ChunkHeader {
    links: Links<ChunkHeader>,
    /// Bitmap of the vacant spans.
    vacant: u32,
}

// SAFETY: `links` returns the address of the field of that name.
unsafe impl Linked for ChunkHeader {
    unsafe fn links(chunk: NonNull<Self>) -> NonNull<Links<Self>> {
        // SAFETY: the caller promises that the header is initialised, so it has this field.
        unsafe { NonNull::new_unchecked(&raw mut (*chunk.as_ptr()).links) }
    }
}

// SAFETY: the header is plain data, and any thread that uses it holds the lock of `Spans`.
unsafe impl Send for ChunkHeader {}

/// Returns the start of the span that `block` lies in.
#[inline]
pub(crate) fn span_of(block: NonNull<u8>) -> NonNull<u8> {
    let start = block.as_ptr().map_addr(|address| address & !(SPAN - 1));
    // SAFETY: spans lie in chunks, which the system does not map at address 0.
    unsafe { NonNull::new_unchecked(start) }
}

/// Refuses a layout that no pool of spans serves.
pub(crate) fn check_layout(layout: Layout) -> Result<()> {
    if layout.size() == 0 {
        return Err(Error::invalid_argument("layout size", 0, "at least 1 byte"));
    }
    if layout.align() > MAX_ALIGN {
        return Err(Error::invalid_argument(
            "layout alignment",
            layout.align(),
            "at most 64 bytes",
        ));
    }
    Ok(())
}

/// Options of [`Spans`].
#[derive(Clone, Debug)]
pub(crate) struct SpanOptions {
    /// Bytes to map from the start, rounded up to chunks.
    pub(crate) reserved: usize,
    /// The most bytes to take from the system.
    pub(crate) capacity: Option<usize>,
    pub(crate) pages: Pages,
    /// True if [`Spans::owns`] must work.
    pub(crate) has_registry: bool,
}

/// A pool's allocator of spans.
#[derive(Debug)]
pub(crate) struct Spans {
    chunks: Mutex<Chunks>,
    /// Bytes counted against the capacity: chunks, and what the pool charges for other blocks.
    charged: AtomicUsize,
    /// Bytes of chunks.
    held: AtomicUsize,
    capacity: usize,
    pages: Pages,
    registry: Option<Registry>,
    /// Flag by which tests make the system refuse memory.
    #[cfg(test)]
    pub(crate) refuse: AtomicBool,
}

/// The chunks of a pool. Each is in one of the lists or in the reserve.
#[derive(Debug)]
struct Chunks {
    /// Chunks with some vacant spans.
    partial: List<ChunkHeader>,
    /// Chunks without vacant spans.
    full: List<ChunkHeader>,
    /// Chunks whose spans are all vacant.
    empty: List<ChunkHeader>,
    /// Length of `empty`.
    empty_count: usize,
    /// Number of empty chunks that the pool keeps.
    keep: usize,
    reserve: Reserve,
}

impl Chunks {
    /// Removes a vacant span from a chunk.
    ///
    /// # Safety
    /// The chunk is in the list `partial`.
    unsafe fn take_span(&mut self, chunk: NonNull<ChunkHeader>) -> NonNull<u8> {
        // SAFETY: a chunk in a list has an initialised header, which `self` guards.
        let vacant = unsafe { &mut (*chunk.as_ptr()).vacant };
        let number = vacant.trailing_zeros() as usize;
        *vacant &= *vacant - 1;
        if *vacant == 0 {
            // SAFETY: the caller promises that the chunk is in `partial`, so it is in no other
            // list.
            unsafe {
                self.partial.remove(chunk);
                self.full.push(chunk);
            }
        }
        // SAFETY: a partial chunk has a bit set, so the number is below `SPANS` and the span within
        // the chunk.
        unsafe { chunk.cast::<u8>().add(number * SPAN) }
    }

    /// Makes a span vacant. Returns its chunk if that is empty now, and in no list.
    ///
    /// # Safety
    /// The span is not vacant, and nothing uses it.
    unsafe fn return_span(&mut self, span: NonNull<u8>) -> Option<NonNull<ChunkHeader>> {
        let start = span.as_ptr().map_addr(|address| address & !(CHUNK - 1));
        let number = (span.addr().get() - start.addr()) / SPAN;
        // SAFETY: chunks do not lie at address 0.
        let chunk = unsafe { NonNull::new_unchecked(start) }.cast::<ChunkHeader>();
        // SAFETY: the span is not vacant, so its chunk is in a list and has an initialised header,
        // which `self` guards.
        let vacant = unsafe { &mut (*chunk.as_ptr()).vacant };
        let was_full = *vacant == 0;
        *vacant |= 1 << number;
        let is_empty = *vacant == ALL_VACANT;
        // SAFETY: a chunk without vacant spans is in `full`, and one with some is in `partial`.
        unsafe {
            if was_full {
                self.full.remove(chunk);
                self.partial.push(chunk);
            }
            if is_empty {
                self.partial.remove(chunk);
            }
        }
        is_empty.then_some(chunk)
    }

    /// Adds an empty chunk to the list `empty`, unless the pool has as many as it keeps. Returns
    /// true if it was added.
    ///
    /// # Safety
    /// The chunk is in no list, and all of its spans are vacant.
    unsafe fn keep_empty(&mut self, chunk: NonNull<ChunkHeader>) -> bool {
        if self.empty_count >= self.keep {
            return false;
        }
        self.empty_count += 1;
        // SAFETY: the caller promises that the chunk is in no list. It stays mapped while in this
        // one.
        unsafe { self.empty.push(chunk) };
        true
    }
}

impl Spans {
    /// Makes an allocator of spans, and maps what is to be reserved.
    ///
    /// # Errors
    /// -20 if the capacity is below one chunk, or below what is to be reserved. -10 if the machine
    /// can never hold so much, or if the system refuses it.
    pub(crate) fn new(options: &SpanOptions) -> Result<Self> {
        let capacity = options.capacity.unwrap_or(usize::MAX);
        if capacity < CHUNK {
            const EXPECTED: &str = "at least 2097152 bytes (2 MiB)";
            return Err(Error::invalid_argument("pool capacity", capacity, EXPECTED));
        }
        let reserved_chunks = options.reserved.div_ceil(CHUNK);
        let reserved = reserved_chunks.saturating_mul(CHUNK);
        if reserved > capacity {
            const EXPECTED: &str = "at most the pool's capacity";
            return Err(Error::invalid_argument("bytes to preallocate", reserved, EXPECTED));
        }
        check_fits(reserved)?;
        let has_registry = options.has_registry || cfg!(all(debug_assertions, not(loom)));
        let registry = if has_registry { Some(Registry::new()?) } else { None };
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

    /// Returns the bytes of all chunks.
    pub(crate) fn held_bytes(&self) -> usize {
        self.held.load(Relaxed)
    }

    /// Adds the bytes of chunks to a pool's statistics.
    pub(crate) fn add_to(&self, stats: &mut PoolStats) {
        stats.held_bytes += self.held_bytes() as u64;
        if self.pages == Pages::Huge {
            stats.huge_page_bytes += self.held_bytes() as u64;
        }
    }

    /// Counts `bytes` against the capacity.
    ///
    /// # Errors
    /// -51 if they exceed it. Nothing is counted then.
    pub(crate) fn charge(&self, bytes: usize) -> Result<()> {
        let fits = |sum: &usize| *sum <= self.capacity;
        let within = |charged: usize| charged.checked_add(bytes).filter(fits);
        match self.charged.fetch_update(Relaxed, Relaxed, within) {
            Ok(_) => Ok(()),
            Err(_) => Err(Error::PoolExhausted { requested: bytes, capacity: self.capacity }),
        }
    }

    /// Undoes a [`charge`](Self::charge).
    pub(crate) fn uncharge(&self, bytes: usize) {
        self.charged.fetch_sub(bytes, Relaxed);
    }

    /// Returns true if a live block of the pool lies in a span, and false if the pool got its
    /// memory elsewhere. Without a registry the result is always true.
    #[inline]
    pub(crate) fn owns(&self, block: NonNull<u8>) -> bool {
        self.registry.as_ref().is_none_or(|registry| registry.contains(block.addr().get()))
    }

    /// Takes a vacant span. Its content behind the [`SpanHeader`] is undefined.
    ///
    /// # Errors
    /// -51 if the capacity is reached, -10 if the system refuses memory. Nothing has changed then.
    pub(crate) fn acquire(&self) -> Result<NonNull<u8>> {
        let mut chunks = self.chunks.lock();
        let chunk = match chunks.partial.first() {
            Some(chunk) => chunk,
            None => self.open_chunk(&mut chunks)?,
        };
        // SAFETY: the chunk is in the list `partial`.
        let span = unsafe { chunks.take_span(chunk) };
        #[cfg(debug_assertions)]
        // SAFETY: the span was vacant, so only this call uses its header.
        unsafe {
            let header = span.cast::<SpanHeader>().as_ptr();
            (&raw mut (*header).live).write(crate::debug_check::LiveBlocks::new());
        }
        Ok(span)
    }

    /// Adds an empty chunk to the list `partial`, and returns it.
    fn open_chunk(&self, chunks: &mut Chunks) -> Result<NonNull<ChunkHeader>> {
        let chunk = match chunks.empty.pop() {
            Some(chunk) => {
                chunks.empty_count -= 1;
                chunk
            }
            None => self.new_chunk(&mut chunks.reserve)?,
        };
        // SAFETY: the chunk is in no list, and stays mapped while it is in this one.
        unsafe { chunks.partial.push(chunk) };
        Ok(chunk)
    }

    /// Takes a chunk from the reserve or from the system, registers it, and writes its header.
    fn new_chunk(&self, reserve: &mut Reserve) -> Result<NonNull<ChunkHeader>> {
        let memory = match reserve.take(self.pages) {
            Some(memory) => memory,
            None => self.map_chunk()?,
        };
        if let Some(registry) = &self.registry
            && let Err(error) = registry.insert(memory)
        {
            // SAFETY: the chunk was taken just above, and only this call has its address.
            unsafe { self.unmap_chunk(memory) };
            return Err(error);
        }
        let chunk = memory.cast::<ChunkHeader>();
        // SAFETY: only this call has the chunk's address. It is aligned, and longer than its
        // header.
        unsafe { chunk.write(ChunkHeader { links: Links::UNLINKED, vacant: ALL_VACANT }) };
        Ok(chunk)
    }

    /// Maps a chunk, and counts it against the capacity.
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
                self.uncharge(CHUNK);
                Err(Error::OutOfMemory { requested: CHUNK })
            }
        }
    }

    /// Unmaps a chunk.
    ///
    /// # Safety
    /// The chunk came from this pool, is in no list, and nothing uses it from here on.
    unsafe fn unmap_chunk(&self, chunk: NonNull<u8>) {
        self.held.fetch_sub(CHUNK, Relaxed);
        self.uncharge(CHUNK);
        // SAFETY: the caller promises that the chunk is the pool's and is not used any more.
        unsafe { chunk::release(chunk) };
    }

    /// Removes a chunk from the registry, if there is one.
    fn forget_chunk(&self, chunk: NonNull<ChunkHeader>) {
        if let Some(registry) = &self.registry {
            registry.remove(chunk.cast());
        }
    }

    /// Makes a span vacant.
    ///
    /// # Safety
    /// `span` came from [`acquire`](Self::acquire), and nothing uses it from here on.
    pub(crate) unsafe fn release(&self, span: NonNull<u8>) {
        let mut chunks = self.chunks.lock();
        // SAFETY: the caller promises that `acquire` returned the span and that nothing uses it.
        let Some(chunk) = (unsafe { chunks.return_span(span) }) else { return };
        // SAFETY: `return_span` returns a chunk that is empty and in no list.
        if unsafe { chunks.keep_empty(chunk) } {
            return;
        }
        self.forget_chunk(chunk);
        drop(chunks);
        // SAFETY: the chunk is in no list, and all of its spans are vacant.
        unsafe { self.unmap_chunk(chunk.cast()) };
    }

    /// Returns the empty chunks to the system, those that were reserved included.
    pub(crate) fn trim(&self) {
        let mut chunks = self.chunks.lock();
        while let Some(chunk) = chunks.empty.pop() {
            chunks.empty_count -= 1;
            self.forget_chunk(chunk);
            // SAFETY: the chunk was just removed from the list `empty`, so its spans are vacant.
            unsafe { self.unmap_chunk(chunk.cast()) };
        }
    }

    /// Makes all spans vacant at once.
    ///
    /// # Safety
    /// Nothing uses a span of this pool from here on.
    #[cfg(feature = "arena")]
    pub(crate) unsafe fn release_all(&self) {
        let mut chunks = self.chunks.lock();
        let chunks = &mut *chunks;
        while let Some(chunk) = chunks.partial.pop().or_else(|| chunks.full.pop()) {
            // SAFETY: the chunk was in a list, so its header is initialised; the lock guards it.
            unsafe { (*chunk.as_ptr()).vacant = ALL_VACANT };
            // SAFETY: the chunk was just removed from its list, and its spans are vacant now.
            if unsafe { chunks.keep_empty(chunk) } {
                continue;
            }
            self.forget_chunk(chunk);
            // SAFETY: the chunk is in no list, and the caller promises that nothing uses its spans.
            unsafe { self.unmap_chunk(chunk.cast()) };
        }
    }

    /// Records in a debug build that `block` is allocated.
    #[inline]
    pub(crate) fn record_allocated(&self, block: NonNull<u8>) {
        #[cfg(debug_assertions)]
        // SAFETY: the block lies in a span of this pool, whose header `acquire` has initialised.
        unsafe {
            let header = span_of(block).cast::<SpanHeader>().as_ptr();
            (*header).live.add(block.addr().get());
        }
        let _ = block;
    }

    /// Checks in a debug build that `block` is allocated, and records that it is freed.
    #[inline]
    pub(crate) fn record_freed(&self, block: NonNull<u8>) {
        #[cfg(debug_assertions)]
        {
            let address = block.addr().get();
            if !self.owns(block) {
                crate::debug_check::corrupt(address, "is not of this pool");
            }
            // SAFETY: the registry has the chunk, so it is mapped. A span that was never used has a
            // header of undefined content. A wrong address may then pass the check, and the harm is
            // the same as without the check.
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
                // SAFETY: blocks may be used as long as the pool lives, which ends here. The chunk
                // was just removed from its list.
                unsafe { chunk::release(chunk.cast()) };
            }
        }
    }
}
