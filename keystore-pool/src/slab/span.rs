//! A span of blocks of one size, and the bitmap of those that are in it.
//!
//! ```text
//! | span header | links, class, free | bitmap: 1 for each block that is here | block 0 | block 1 | ...
//! ```
//!
//! A bitmap and not a list through the free blocks: putting a block back does not touch it, taking many walks no chain
//! of cache misses, and what is taken comes in the order of addresses. All of it is guarded by the lock of the
//! class's depot.

use std::ptr::NonNull;

use super::class::{Class, ClassIndex};
use crate::list::{Linked, Links};
use crate::span::{SPAN, SpanHeader, span_of};

/// What a span of a slab begins with. The bitmap follows.
#[repr(C)]
#[derive(Debug)]
pub(super) struct SlabSpan {
    header: SpanHeader,
    links: Links<SlabSpan>,
    class: ClassIndex,
    /// Blocks that are here.
    free: usize,
    /// Words of the bitmap before this one are 0.
    first_word: usize,
}

// SAFETY: the links are that field.
unsafe impl Linked for SlabSpan {
    unsafe fn links(span: NonNull<Self>) -> NonNull<Links<Self>> {
        // SAFETY: the span is valid, so its field is.
        unsafe { NonNull::new_unchecked(&raw mut (*span.as_ptr()).links) }
    }
}

// SAFETY: plain data, guarded by the lock of the depot.
unsafe impl Send for SlabSpan {}

/// What putting blocks back made of their span.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Transition {
    /// It had none, and belongs among those to take from.
    ExhaustedToPartial,
    /// It had some, and has more.
    StaysPartial,
    /// It had some, and has all its blocks.
    PartialToFree,
    /// It had none, and has all its blocks.
    ExhaustedToFree,
}

impl SlabSpan {
    /// Makes a fresh span one that has all blocks of a class.
    ///
    /// # Safety
    /// `span` is a span, used by nobody else.
    pub(super) unsafe fn format(span: NonNull<u8>, index: ClassIndex, class: &Class) -> NonNull<Self> {
        let slab = span.cast::<Self>();
        // SAFETY: a span is aligned and long enough for its headers and, by the class table, the bitmap behind them.
        // The span header is initialised already, and stays.
        unsafe {
            let fields = slab.as_ptr();
            (&raw mut (*fields).links).write(Links::UNLINKED);
            (&raw mut (*fields).class).write(index);
            (&raw mut (*fields).free).write(class.blocks);
            (&raw mut (*fields).first_word).write(0);
            let bitmap = Self::bitmap(slab);
            for word in 0..class.blocks.div_ceil(64) {
                let blocks = (class.blocks - word * 64).min(64);
                bitmap.add(word).write(u64::MAX >> (64 - blocks));
            }
        }
        slab
    }

    /// # Safety
    /// `span` is valid.
    unsafe fn bitmap(span: NonNull<Self>) -> NonNull<u64> {
        // SAFETY: the bitmap lies in the span, behind this.
        unsafe { span.add(1).cast() }
    }

    /// Takes blocks, up to as many as fit `rounds`, in the order of their addresses from the last place to the first: how
    /// many. Whether the span still has some is left for [`is_exhausted`](Self::is_empty) to tell.
    ///
    /// # Safety
    /// `span` was formatted for this class, and the depot's lock is held.
    pub(super) unsafe fn take(span: NonNull<Self>, class: &Class, rounds: &mut [NonNull<u8>]) -> usize {
        // SAFETY: the caller's promise makes the headers and the bitmap ours. A set bit is below the class's number of
        // blocks, so the block lies within the span.
        unsafe {
            let fields = span.as_ptr();
            let first_block = span.cast::<u8>().add(class.first);
            let bitmap = Self::bitmap(span);
            let wanted = rounds.len().min((*fields).free);
            let mut word = (*fields).first_word;
            let mut taken = 0;
            while taken < wanted {
                let mut bits = bitmap.add(word).read();
                while bits != 0 && taken < wanted {
                    let number = word * 64 + bits.trailing_zeros() as usize;
                    taken += 1;
                    let place = rounds.len() - taken;
                    rounds[place] = first_block.add(number * class.size);
                    bits &= bits - 1;
                }
                bitmap.add(word).write(bits);
                if bits == 0 {
                    word += 1;
                }
            }
            (*fields).first_word = word;
            (*fields).free -= taken;
            taken
        }
    }

    /// Whether there is nothing to take.
    ///
    /// # Safety
    /// `span` was formatted, and the depot's lock is held.
    pub(super) unsafe fn is_exhausted(span: NonNull<Self>) -> bool {
        // SAFETY: the caller's promise.
        unsafe { (*span.as_ptr()).free == 0 }
    }

    /// The span of a block.
    pub(super) fn of(block: NonNull<u8>) -> NonNull<Self> {
        span_of(block).cast()
    }

    /// Puts back the first of these blocks, and those behind it that share its word of the bitmap: how many. Blocks
    /// that were allocated or freed one after another often do.
    ///
    /// # Safety
    /// There is a block; `span` is the first one's, formatted for this class; all blocks are of this class and nobody uses
    /// them; the depot's lock is held.
    pub(super) unsafe fn return_blocks(
        span: NonNull<Self>,
        class: &Class,
        blocks: &[NonNull<u8>],
    ) -> (usize, Transition) {
        let first_block = span.addr().get() + class.first;
        let number = |block: &NonNull<u8>| {
            // Blocks of other spans give numbers that are too large.
            let offset = block.addr().get().wrapping_sub(first_block);
            if offset < SPAN { ((offset as u64 * class.inverse) >> 32) as usize } else { usize::MAX }
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
        // SAFETY: the caller's promise; the numbers are below the class's number of blocks, so their word is in the bitmap.
        unsafe {
            let fields = span.as_ptr();
            let place = Self::bitmap(span).add(word);
            place.write(place.read() | bits);
            (*fields).first_word = (*fields).first_word.min(word);
            let free_before = (*fields).free;
            (*fields).free = free_before + count;
            let transition = match (free_before == 0, free_before + count == class.blocks) {
                (true, true) => Transition::ExhaustedToFree,
                (true, false) => Transition::ExhaustedToPartial,
                (false, true) => Transition::PartialToFree,
                (false, false) => Transition::StaysPartial,
            };
            (count, transition)
        }
    }

    /// The class that the span of a live block has.
    ///
    /// # Safety
    /// `block` is alive, so its span keeps its class.
    #[cfg(debug_assertions)]
    pub(super) unsafe fn class_of_block(block: NonNull<u8>) -> ClassIndex {
        // SAFETY: written before the block was handed out, and not changed while it lives.
        unsafe { (&raw const (*Self::of(block).as_ptr()).class).read() }
    }
}
