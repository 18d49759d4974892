//! Size classes: which block a layout gets.
//!
//! Classes are 8 bytes apart up to 256 bytes, so that a node wastes under 8; above, four to a doubling, so that it wastes under a
//! fifth. A layout over [`LARGEST`] has no class.
//!
//! Blocks of a span start at a cache line, and every class over 256 bytes is a multiple of one, as is every class that is one of an
//! alignment up to 64: a layout's size rounded up to its alignment picks a class whose blocks are all aligned.

use std::alloc::Layout;

use super::magazine::MAX_ROUNDS;
use super::span::SlabSpan;
use crate::span::{MAX_ALIGN, SPAN};

/// The largest block, bytes. A span holds 8 of them less the headers.
pub(crate) const LARGEST: usize = 8192;

/// The largest class of those that are 8 bytes apart, bytes.
const FINE: usize = 256;
const FINE_CLASSES: usize = FINE / 8;
/// Classes to each doubling above.
const STEPS: usize = 4;
pub(super) const CLASSES: usize = FINE_CLASSES + STEPS * (LARGEST / FINE).ilog2() as usize;

/// Bytes that a full magazine refers to at most.
const MAGAZINE_BYTES: usize = 8192;

/// The number of a size class, below [`CLASSES`].
pub(super) type ClassIndex = usize;

/// What there is to know about a class.
#[derive(Clone, Copy, Debug)]
pub(super) struct Class {
    /// Bytes of a block.
    pub(super) size: usize,
    /// Blocks of a span.
    pub(super) blocks: usize,
    /// Where the first block of a span starts.
    pub(super) first: usize,
    /// 2^32 over the size, rounded up: a block's number is its offset times this, over 2^32. Exact for offsets within a span.
    pub(super) inverse: u64,
    /// Blocks of a full magazine.
    pub(super) rounds: u32,
}

pub(super) static TABLE: [Class; CLASSES] = {
    let mut table = [Class { size: 0, blocks: 0, first: 0, inverse: 0, rounds: 0 }; CLASSES];
    let mut index = 0;
    while index < CLASSES {
        let size = size_of_class(index);
        // The bitmap is as long as blocks without any header would need.
        let bitmap_words = (SPAN / size).div_ceil(64);
        let first = (size_of::<SlabSpan>() + bitmap_words * 8).next_multiple_of(MAX_ALIGN);
        let rounds = MAGAZINE_BYTES / size;
        table[index] = Class {
            size,
            blocks: (SPAN - first) / size,
            first,
            inverse: (1_u64 << 32).div_ceil(size as u64),
            rounds: if rounds > MAX_ROUNDS {
                MAX_ROUNDS as u32
            } else if rounds < 2 {
                2
            } else {
                rounds as u32
            },
        };
        index += 1;
    }
    table
};

const fn size_of_class(index: ClassIndex) -> usize {
    if index < FINE_CLASSES {
        return (index + 1) * 8;
    }
    let step = index - FINE_CLASSES;
    let base = FINE << (step / STEPS);
    base + base / STEPS * (step % STEPS + 1)
}

/// The class of a small layout: one that [`class_of`] would take the short way for. Inlined where blocks are allocated
/// and freed.
#[inline(always)]
pub(super) fn fine_class_of(layout: Layout) -> Option<ClassIndex> {
    let below = layout.size().wrapping_sub(1);
    (below < FINE && layout.align() <= 8).then_some(below / 8)
}

/// The class of a layout, or none where it has no bytes, too many, or too large an alignment.
pub(super) fn class_of(layout: Layout) -> Option<ClassIndex> {
    if layout.size() == 0 || layout.size() > LARGEST || layout.align() > MAX_ALIGN {
        return None;
    }
    let below = layout.size().next_multiple_of(layout.align()) - 1;
    if below < FINE {
        return Some(below / 8);
    }
    let doubling = (below / FINE).ilog2() as usize;
    let base = FINE << doubling;
    Some(FINE_CLASSES + doubling * STEPS + (below - base) / (base / STEPS))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn class_size(size: usize, align: usize) -> Option<usize> {
        class_of(Layout::from_size_align(size, align).unwrap()).map(|class| TABLE[class].size)
    }

    #[test]
    fn every_layout_gets_the_smallest_class_that_holds_it() {
        for align in [1, 2, 4, 8, 16, 32, 64] {
            for size in 1..=LARGEST {
                let got = class_size(size, align).unwrap();
                let best =
                    TABLE.iter().map(|class| class.size).find(|class| *class >= size.next_multiple_of(align));
                assert_eq!(Some(got), best, "{size} bytes at {align}");
                assert!(got.is_multiple_of(align.max(8)), "{got} bytes for an alignment of {align}");
                let layout = Layout::from_size_align(size, align).unwrap();
                assert!(fine_class_of(layout).is_none_or(|class| Some(class) == class_of(layout)));
            }
        }
        assert_eq!(
            (class_size(88, 8), class_size(89, 8), class_size(257, 8)),
            (Some(88), Some(96), Some(320))
        );
    }

    #[test]
    fn layouts_outside_have_no_class() {
        assert_eq!(class_size(0, 8), None);
        assert_eq!(fine_class_of(Layout::new::<()>()), None);
        assert_eq!(class_size(LARGEST + 1, 8), None);
        assert_eq!(class_size(64, 128), None);
    }

    #[test]
    fn blocks_fill_a_span_and_are_numbered_by_their_offset() {
        for class in &TABLE {
            assert!(class.first.is_multiple_of(MAX_ALIGN));
            assert!(class.first + class.blocks * class.size <= SPAN);
            for number in 0..class.blocks {
                assert_eq!(((number * class.size) as u64 * class.inverse) >> 32, number as u64);
            }
            assert!(class.rounds as usize <= MAX_ROUNDS && class.rounds >= 2);
        }
        assert_eq!(TABLE[CLASSES - 1].size, LARGEST);
    }
}
