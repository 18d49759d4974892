//! Size classes: the sizes of blocks, and the choice of one for a layout.
//!
//! Classes are 8 bytes apart up to 256 bytes, so a node wastes less than 8 bytes. Above, there are
//! four to a doubling, so it wastes less than a fifth. A layout over [`LARGEST`] has no class.
//!
//! Blocks are aligned as follows. The first block of a span starts at a cache line of 64 bytes. A
//! layout's size is rounded up to its alignment, and to 8, to choose a class. Up to 256 bytes the
//! class has exactly that size. Above, every class is a multiple of 64 bytes. So blocks are aligned
//! in both cases.

use std::alloc::Layout;

use super::magazine::MAX_ROUNDS;
use super::span::SlabSpan;
use crate::span::{MAX_ALIGN, SPAN};

/// The largest block, bytes. Besides its headers a span has space for 7 of them.
pub(crate) const LARGEST: usize = 8192;

/// The largest of the classes that are 8 bytes apart, bytes.
const FINE: usize = 256;
const FINE_CLASSES: usize = FINE / 8;
/// Number of classes to each doubling above.
const STEPS: usize = 4;
pub(super) const CLASSES: usize = FINE_CLASSES + STEPS * (LARGEST / FINE).ilog2() as usize;

/// Most bytes of the blocks in a magazine. It may have two blocks even if these are larger
/// together.
const MAGAZINE_BYTES: usize = 8192;

/// The index of a size class, below [`CLASSES`].
pub(super) type ClassIndex = usize;

/// A size class.
#[derive(Clone, Copy, Debug)]
pub(super) struct Class {
    /// Bytes of a block.
    pub(super) size: usize,
    /// Number of blocks of a span.
    pub(super) blocks: usize,
    /// Offset of the first block in a span.
    pub(super) first: usize,
    /// 2^32 divided by the size, rounded up. A block's number is its offset times this, divided by
    /// 2^32; that is exact for offsets within a span.
    pub(super) inverse: u64,
    /// Number of blocks in a full magazine.
    pub(super) rounds: u32,
}

pub(super) static TABLE: [Class; CLASSES] = {
    let mut table = [Class { size: 0, blocks: 0, first: 0, inverse: 0, rounds: 0 }; CLASSES];
    let mut index = 0;
    while index < CLASSES {
        let size = size_of_class(index);
        // The bitmap has a bit for each block that a span without headers would have.
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

/// Returns the class of a layout of up to 256 bytes, aligned to at most 8. For any other layout it
/// returns `None`, and [`class_of`] must be called. This one is inlined where blocks are allocated
/// and freed.
#[inline(always)]
pub(super) fn fine_class_of(layout: Layout) -> Option<ClassIndex> {
    let below = layout.size().wrapping_sub(1);
    (below < FINE && layout.align() <= 8).then_some(below / 8)
}

/// Returns the class of a layout: `None` if it has 0 bytes, too many, or too large an alignment.
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
                let least = size.next_multiple_of(align);
                let best = TABLE.iter().map(|class| class.size).find(|class| *class >= least);
                assert_eq!(Some(got), best, "{size} bytes at {align}");
                assert!(got.is_multiple_of(align.max(8)), "{got} bytes aligned to {align}");
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
