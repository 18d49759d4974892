//! A span of blocks of one size, with a bitmap of the free ones.
//!
//! ```text
//! | span header | links, class, free | bitmap: 1 for each free block | block 0 | block 1 | ...
//! ```
//!
//! A block is *free* here if it is in its span: not allocated, and in no magazine. A span is
//! *exhausted* if none of its blocks is free, *partial* if some are, and *free* if all are.
//!
//! A bitmap has three advantages over a list through the free blocks. Returning a block does not
//! touch it, taking many follows no chain of cache misses, and blocks are taken in the order of
//! their addresses. The lock of the class's depot guards everything in the headers.

use std::ptr::NonNull;

use super::class::{Class, ClassIndex};
use crate::list::{Linked, Links};
use crate::span::{SPAN, SpanHeader, span_of};

/// The start of a slab's span. The bitmap follows it.
#[repr(C)]
#[derive(Debug)]
pub(super) struct SlabSpan {
    header: SpanHeader,
    links: Links<SlabSpan>,
    class: ClassIndex,
    /// Number of free blocks.
    free: usize,
    /// Index into the bitmap: all words before it are 0.
    first_word: usize,
}

// SAFETY: `links` returns the address of the field of that name.
unsafe impl Linked for SlabSpan {
    unsafe fn links(span: NonNull<Self>) -> NonNull<Links<Self>> {
        // SAFETY: the caller promises that the span is initialised, so it has this field.
        unsafe { NonNull::new_unchecked(&raw mut (*span.as_ptr()).links) }
    }
}

// SAFETY: the headers are plain data, and any thread that uses them holds the depot's lock.
unsafe impl Send for SlabSpan {}

/// What returning blocks did to their span.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Transition {
    /// No block was free before. Some are now.
    ExhaustedToPartial,
    /// Some blocks were free before. More are now.
    StaysPartial,
    /// Some blocks were free before. All are now.
    PartialToFree,
    /// No block was free before. All are now.
    ExhaustedToFree,
}

impl SlabSpan {
    /// Initialises a span with free blocks of a class.
    ///
    /// # Safety
    /// `span` came from [`Spans::acquire`](crate::span::Spans::acquire), and only the caller uses
    /// it.
    pub(super) unsafe fn format(
        span: NonNull<u8>,
        // The index of `class`.
        index: ClassIndex,
        class: &Class,
    ) -> NonNull<Self> {
        let slab = span.cast::<Self>();
        let fields = slab.as_ptr();
        // SAFETY: the caller promises exclusive use of a span, which is aligned and longer than its
        // headers. `acquire` has initialised the span header, which stays as it is.
        unsafe {
            (&raw mut (*fields).links).write(Links::UNLINKED);
            (&raw mut (*fields).class).write(index);
            (&raw mut (*fields).free).write(class.blocks);
            (&raw mut (*fields).first_word).write(0);
        }
        for word in 0..class.blocks.div_ceil(64) {
            let blocks = (class.blocks - word * 64).min(64);
            // SAFETY: the class table leaves space for a bitmap of all blocks before the first one.
            unsafe { Self::word(slab, word).write(u64::MAX >> (64 - blocks)) };
        }
        slab
    }

    /// Returns the address of a word of the bitmap.
    ///
    /// # Safety
    /// `span` points to a span, and `index` is that of a word which has a block's bit.
    unsafe fn word(span: NonNull<Self>, index: usize) -> NonNull<u64> {
        // SAFETY: the bitmap lies in the span, behind this header, and the caller promises that the
        // index is within it.
        unsafe { span.add(1).cast::<u64>().add(index) }
    }

    /// Takes up to as many free blocks as `to` has elements, and returns how many it took.
    ///
    /// It fills `to` from the last element to the first, in the order of addresses. The span
    /// may be [exhausted](Self::is_exhausted) afterwards.
    ///
    /// # Safety
    /// `slab` was [formatted](Self::format) for this class, and the caller holds the depot's lock.
    pub(super) unsafe fn take(slab: NonNull<Self>, class: &Class, to: &mut [NonNull<u8>]) -> usize {
        let fields = slab.as_ptr();
        // SAFETY: the caller promises a formatted span, and its lock guards these fields. The first
        // block lies within the span.
        let (first_block, free, mut index) =
            unsafe { (slab.cast::<u8>().add(class.first), (*fields).free, (*fields).first_word) };
        let wanted = to.len().min(free);
        let mut taken = 0;
        while taken < wanted {
            // SAFETY: more blocks are free than were taken, so this index is within the bitmap.
            let word = unsafe { Self::word(slab, index) };
            // SAFETY: the bitmap is initialised, and the lock guards it.
            let mut bits = unsafe { word.read() };
            while bits != 0 && taken < wanted {
                let number = index * 64 + bits.trailing_zeros() as usize;
                taken += 1;
                let last = to.len() - taken;
                // SAFETY: only bits of the class's blocks are set, and these lie within the span.
                to[last] = unsafe { first_block.add(number * class.size) };
                bits &= bits - 1;
            }
            // SAFETY: the lock guards the bitmap.
            unsafe { word.write(bits) };
            if bits == 0 {
                index += 1;
            }
        }
        // SAFETY: the lock guards these fields.
        unsafe {
            (*fields).first_word = index;
            (*fields).free = free - taken;
        }
        taken
    }

    /// Returns true if no block is free.
    ///
    /// # Safety
    /// `span` was [formatted](Self::format), and the caller holds the depot's lock.
    pub(super) unsafe fn is_exhausted(span: NonNull<Self>) -> bool {
        // SAFETY: the caller promises a formatted span, and its lock guards this field.
        unsafe { (*span.as_ptr()).free == 0 }
    }

    /// Returns the span that a block lies in.
    pub(super) fn of(block: NonNull<u8>) -> NonNull<Self> {
        span_of(block).cast()
    }

    /// Returns the first of these blocks to its span, and those after it whose bits are in the same
    /// word of the bitmap.
    ///
    /// Blocks that were allocated or freed one after another often share a word. The result is the
    /// number of blocks returned, and what that did to the span.
    ///
    /// # Safety
    /// There is a block. `span` is the first one's, and was [formatted](Self::format) for this
    /// class. All blocks are of this class, and nothing uses them. The caller holds the depot's
    /// lock.
    pub(super) unsafe fn return_blocks(
        span: NonNull<Self>,
        class: &Class,
        blocks: &[NonNull<u8>],
    ) -> (usize, Transition) {
        let first_block = span.addr().get() + class.first;
        let number = |block: &NonNull<u8>| {
            // For a block of another span the offset is out of range.
            let offset = block.addr().get().wrapping_sub(first_block);
            if offset >= SPAN {
                return usize::MAX;
            }
            ((offset as u64 * class.inverse) >> 32) as usize
        };
        let first = number(&blocks[0]);
        let word = first / 64;
        let mut count = 1;
        let mut bits = 1_u64 << (first % 64);
        for block in &blocks[1..] {
            let number = number(block);
            if number / 64 != word {
                break;
            }
            bits |= 1 << (number % 64);
            count += 1;
        }
        // SAFETY: the caller promises a formatted span whose lock it holds. The first block is of
        // this span and class, so its word is within the bitmap.
        let (free, first_word) = unsafe {
            *Self::word(span, word).as_ptr() |= bits;
            let fields = span.as_ptr();
            (&mut (*fields).free, &mut (*fields).first_word)
        };
        *first_word = (*first_word).min(word);
        let was_exhausted = *free == 0;
        *free += count;
        let transition = match (was_exhausted, *free == class.blocks) {
            (true, true) => Transition::ExhaustedToFree,
            (true, false) => Transition::ExhaustedToPartial,
            (false, true) => Transition::PartialToFree,
            (false, false) => Transition::StaysPartial,
        };
        (count, transition)
    }

    /// Returns the class of a live block's span.
    ///
    /// # Safety
    /// `block` is live.
    #[cfg(debug_assertions)]
    pub(super) unsafe fn class_of_block(block: NonNull<u8>) -> ClassIndex {
        // SAFETY: `format` wrote the class before the block was allocated, and it does not change
        // while a block of the span is live.
        unsafe { (&raw const (*Self::of(block).as_ptr()).class).read() }
    }
}
