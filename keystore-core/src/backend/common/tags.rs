//! Search for a tag in all words of a cache line at once.
//!
//! If a lookup compares one slot after another, the processor cannot predict at which slot the
//! search ends. After a wrong prediction it discards the work that it had begun on the next lookup.
//! Comparing all tags at once costs less than comparing two slots one after the other. It also
//! needs no such prediction, since the first word that matches is nearly always the right one.

#[cfg(any(test, not(target_arch = "x86_64"), miri))]
use std::sync::atomic::{AtomicU64, Ordering};

use crate::backend::common::zeroed_array::CACHE_LINE;

/// Number of words in a cache line.
pub(crate) const WORDS: usize = 8;

/// Iterator over the words of a cache line whose highest 16 bits are equal to a tag. It returns
/// their indices in ascending order.
///
/// Load a word again before you follow its pointer, since another thread may have changed the word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Matches(u32);

/// Number of bits in [`Matches`] for each word.
const STEP: u32 = 2;
/// Lowest bit of each word. It is set if the word has the tag.
const LOWEST: u32 = 0x5555;
/// Bits of the first two words.
const FIRST_TWO: u32 = (1 << (2 * STEP)) - 1;

impl Matches {
    /// Compares the tags of `count` words of a line, starting at index `first`.
    ///
    /// # Safety
    /// `line` is the start of a cache line whose memory is valid. During the call, those words are
    /// written only by atomic stores of whole words.
    #[inline]
    pub(crate) unsafe fn of(line: *const u64, first: usize, count: usize, tag: u16) -> Self {
        debug_assert!(line.addr().is_multiple_of(CACHE_LINE) && first + count <= WORDS);
        let among = (LOWEST >> (STEP as usize * (WORDS - count))) << (STEP as usize * first);
        // SAFETY: the caller promises a valid line and stores of whole words, as `compare`
        // requires.
        Self(unsafe { compare(line, among, tag) } & among)
    }
}

#[cfg(loom)]
impl Matches {
    /// Does the same for the model checker's atomics, which are more than plain memory words.
    pub(crate) fn among(words: &[crate::sync::primitive::atomic::AtomicU64], tag: u16) -> Self {
        use crate::sync::primitive::atomic::Ordering;

        let held = words.iter().map(|word| (word.load(Ordering::SeqCst) >> 48) as u16);
        let found = held.enumerate().filter(|(_, held)| *held == tag);
        Self(found.fold(0, |bits, (word, _)| bits | 1 << (STEP as usize * word)))
    }
}

impl Iterator for Matches {
    type Item = usize;

    #[inline]
    fn next(&mut self) -> Option<usize> {
        if self.0 == 0 {
            return None;
        }
        let index = self.0.trailing_zeros() / STEP;
        self.0 &= self.0 - 1;
        Some(index as usize)
    }
}

/// Operand of the shuffles: it selects the second and the fourth quarter of each input.
#[cfg(all(target_arch = "x86_64", not(miri)))]
const ODD: i32 = 0b11_01_11_01;

/// Loads the upper halves of the four words of a line that begin at byte `AT`.
///
/// The loads are written in assembly because other threads may write to the line at the same time.
/// Rust allows this only for atomics, and it has no atomic vectors. The processor loads each
/// aligned word as a whole. So each word of the vector is a value that the line's word had at some
/// instant.
///
/// # Safety
/// `line` is as [`Matches::of`] requires.
#[cfg(all(target_arch = "x86_64", not(miri)))]
#[inline(always)]
unsafe fn upper_halves<const AT: usize>(line: *const u64) -> std::arch::x86_64::__m128i {
    let halves;
    // SAFETY: the loads are within the line, which is valid and aligned to more than 16 bytes.
    unsafe {
        std::arch::asm!(
            "movaps {halves}, [{line} + {at}]",
            "shufps {halves}, [{line} + {at} + 16], {odd}",
            at = const AT,
            odd = const ODD,
            line = in(reg) line,
            halves = out(xmm_reg) halves,
            options(readonly, nostack, preserves_flags),
        );
    }
    halves
}

/// Loads like [`upper_halves`] at byte 0, but loads the third and the fourth word twice, and not
/// the first two words.
///
/// # Safety
/// `line` is as [`Matches::of`] requires.
#[cfg(all(target_arch = "x86_64", not(miri)))]
#[inline(always)]
unsafe fn upper_halves_of_two(line: *const u64) -> std::arch::x86_64::__m128i {
    let halves;
    // SAFETY: the load is within the line, which is valid and aligned to more than 16 bytes.
    unsafe {
        std::arch::asm!(
            "movaps {halves}, [{line} + 16]",
            "shufps {halves}, {halves}, {odd}",
            odd = const ODD,
            line = in(reg) line,
            halves = out(xmm_reg) halves,
            options(readonly, nostack, preserves_flags),
        );
    }
    halves
}

/// Returns a bit set in which the lower of a word's two bits is set if the word has this tag. The
/// result is valid only for the words of `among`.
///
/// # Safety
/// `line` and the words of `among` are as [`Matches::of`] requires.
#[cfg(all(target_arch = "x86_64", not(miri)))]
#[inline]
unsafe fn compare(line: *const u64, among: u32, tag: u16) -> u32 {
    use std::arch::x86_64::{
        _mm_cmpeq_epi16, _mm_movemask_epi8, _mm_packs_epi32, _mm_set1_epi16, _mm_srai_epi32,
    };

    // The first two words are not loaded if they are not in `among`. If one of them was just
    // written, the vector load would wait for that store.
    let low = if among & FIRST_TWO == 0 {
        // SAFETY: the caller promises a valid line.
        unsafe { upper_halves_of_two(line) }
    } else {
        // SAFETY: the caller promises a valid line.
        unsafe { upper_halves::<0>(line) }
    };
    // SAFETY: the caller promises a valid line. SSE2, which the rest needs, is part of x86-64.
    unsafe {
        let high = upper_halves::<32>(line);
        // The upper 16 bits of the loaded halves are the tags. The shift keeps the sign, so
        // narrowing them as signed numbers into one vector keeps all 16 bits.
        let tags = _mm_packs_epi32(_mm_srai_epi32(low, 16), _mm_srai_epi32(high, 16));
        _mm_movemask_epi8(_mm_cmpeq_epi16(tags, _mm_set1_epi16(tag.cast_signed()))).cast_unsigned()
    }
}

/// Returns a bit set in which the lower of a word's two bits is set if the word has this tag. The
/// result is valid only for the words of `among`.
///
/// # Safety
/// `line` and the words of `among` are as [`Matches::of`] requires.
#[cfg(not(all(target_arch = "x86_64", not(miri))))]
#[inline]
unsafe fn compare(line: *const u64, among: u32, tag: u16) -> u32 {
    // SAFETY: the caller promises a valid line and stores of whole words, as `portable` requires.
    unsafe { portable(line, among, tag) }
}

/// Compares like [`compare`], on any processor. The tests check that both give the same result.
///
/// # Safety
/// `line` and the words of `among` are as [`Matches::of`] requires.
#[cfg(any(test, not(target_arch = "x86_64"), miri))]
#[inline]
unsafe fn portable(line: *const u64, among: u32, tag: u16) -> u32 {
    let mut found = 0;
    for word in (0..WORDS).filter(|word| among >> (STEP as usize * word) & 1 != 0) {
        // SAFETY: the word is within the line, which is valid, and other threads write it only by
        // stores of whole words.
        let held = unsafe { AtomicU64::from_ptr(line.add(word).cast_mut()) }.load(Ordering::SeqCst);
        found |= u32::from((held >> 48) as u16 == tag) << (STEP as usize * word);
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[repr(align(64))]
    struct Line([u64; WORDS]);

    fn matches(line: &Line, first: usize, count: usize, tag: u16) -> Vec<usize> {
        // SAFETY: the line is valid, and no thread writes to it.
        unsafe { Matches::of(line.0.as_ptr(), first, count, tag) }.collect()
    }

    #[test]
    fn every_word_with_the_tag_is_found_and_no_other() {
        const TAG: u64 = 0xbeef;
        for chosen in 0..256_u32 {
            // The tag's bits in other places of a word must not match.
            let line = Line(std::array::from_fn(|n| {
                let elsewhere = TAG << 32 | TAG << 16 | TAG;
                if chosen >> n & 1 == 1 { TAG << 48 | 0x1234_5678 } else { elsewhere }
            }));
            for (first, count) in [(0, 8), (0, 7), (0, 6), (1, 6), (2, 6), (2, 3)] {
                let words = first..first + count;
                let expected: Vec<usize> = words.filter(|n| chosen >> n & 1 == 1).collect();
                assert_eq!(matches(&line, first, count, TAG as u16), expected, "{chosen:08b}");
            }
            // SAFETY: the line is valid, and no thread writes to it.
            unsafe {
                let fast = compare(line.0.as_ptr(), LOWEST, TAG as u16) & LOWEST;
                assert_eq!(fast, portable(line.0.as_ptr(), LOWEST, TAG as u16));
            }
        }
    }

    #[test]
    fn a_tag_of_zero_or_of_all_ones_is_a_tag_like_another() {
        let line = Line([0, u64::MAX, 1, 0xffff << 48, 0xfffe << 48, 1 << 48, 0, 7]);
        assert_eq!(matches(&line, 0, 8, 0), [0, 2, 6, 7]);
        assert_eq!(matches(&line, 0, 8, 0xffff), [1, 3]);
    }
}
