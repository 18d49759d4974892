//! The depot of a size class. It keeps full magazines that pass from threads that free to threads
//! that allocate, and below them the spans that the blocks come from.
//!
//! A magazine passes to another thread as a whole, without a look at its blocks. So a block that is
//! freed on another thread costs as much as one that is freed on its own.
//!
//! The depot keeps full magazines for a share of the class's blocks only. Further blocks return to
//! their spans. A span whose blocks are all free returns to the pool. There it can serve another
//! class, or go back to the system with its chunk.

use std::ptr::NonNull;

use keystore_core::Result;

use super::class::{Class, ClassIndex};
use super::magazine::{ClassCache, Magazine, MagazinePair, Stack};
use super::span::{SlabSpan, Transition};
use crate::list::List;
use crate::primitive::Mutex;
use crate::span::Spans;

/// While a class shrinks, a thread may cache one in this many of the class's blocks. So a thread
/// that frees the last blocks has none in its magazines at the end. Each block there would keep a
/// chunk from going back to the system.
const SHRINKING_SHARE: usize = 16;

/// A class with at most this many spans returns no blocks, because its blocks can keep only few
/// chunks from going back to the system.
const SPANS_NEVER_SHRUNK: usize = 2;

#[derive(Debug)]
pub(super) struct Depot {
    index: ClassIndex,
    class: &'static Class,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    full: Stack,
    empty: Stack,
    /// Spans with free blocks.
    usable: List<SlabSpan>,
    /// Number of spans of the class, those without free blocks included.
    spans: usize,
    /// Number of blocks that are not in their spans: live, or in a magazine.
    out: usize,
    /// `out` when a thread last returned blocks because the class shrinks. The class counts as
    /// shrinking until `out` exceeds this.
    shrunk_to: usize,
}

impl Depot {
    pub(super) fn new(index: ClassIndex, class: &'static Class) -> Self {
        let state = State {
            full: Stack::EMPTY,
            empty: Stack::EMPTY,
            usable: List::EMPTY,
            spans: 0,
            out: 0,
            shrunk_to: 0,
        };
        Self { index, class, state: Mutex::new(state) }
    }

    /// Returns the number of blocks that are neither in their spans nor in a magazine of the depot.
    /// The live blocks are these without those in the threads' magazines.
    #[cfg(test)]
    pub(super) fn blocks_out(&self) -> u64 {
        let state = self.state.lock();
        (state.out - state.full_blocks(self.class)) as u64
    }

    /// Loads a magazine for a thread whose loaded one is empty, and removes a block from it.
    ///
    /// # Errors
    /// The error of [`Spans::acquire`]. No block has moved then.
    ///
    /// # Safety
    /// The caller is the only thread that uses `cache`, which is of this class. The loaded magazine
    /// is empty, or there is none. `spans` are this depot's.
    pub(super) unsafe fn refill(&self, cache: &ClassCache, spans: &Spans) -> Result<NonNull<u8>> {
        let mut pair = cache.pair();
        debug_assert_eq!(pair.rounds, 0);
        if pair.spare_rounds > 0 {
            pair.swap();
        } else {
            let mut state = self.state.lock();
            if let Some(full) = state.full.pop() {
                if let Some(emptied) = pair.loaded.replace(full) {
                    match pair.spare {
                        None => pair.spare = Some(emptied),
                        // SAFETY: the magazine was just removed from the pair, so nothing uses it.
                        Some(_) => unsafe { state.empty.push(emptied) },
                    }
                }
                pair.rounds = self.class.rounds;
            } else {
                pair.loaded = pair.loaded.or_else(|| state.empty_magazine());
                let Some(loaded) = pair.loaded else {
                    // There is no memory for a magazine: take one block at a time.
                    let mut block = [NonNull::dangling()];
                    self.fill(&mut state, spans, &mut block)?;
                    return Ok(block[0]);
                };
                // SAFETY: only the caller uses the pair's magazines, and no class has more rounds
                // than fit.
                let rounds = unsafe { Magazine::rounds(loaded, self.class.rounds) };
                match self.fill(&mut state, spans, rounds) {
                    Ok(taken) => pair.rounds = taken as u32,
                    Err(error) => {
                        // The magazine stays in the pair, empty.
                        pair.limit = self.class.rounds;
                        cache.set_pair(pair);
                        return Err(error);
                    }
                }
            }
        }
        pair.limit = self.class.rounds;
        cache.set_pair(pair);
        // SAFETY: the caller promises to be the only thread that uses the cache.
        let block = unsafe { cache.pop() };
        Ok(block.expect("a magazine that was just loaded has a round"))
    }

    /// Frees a block for a thread whose loaded magazine is full: loads another one, or returns
    /// blocks to their spans.
    ///
    /// # Safety
    /// The caller is the only thread that uses `cache`, which is of this class. The loaded magazine
    /// has no free slot, or there is none. `spans` are this depot's. `block` is of this class and
    /// these spans, and nothing uses it.
    pub(super) unsafe fn overflow(&self, cache: &ClassCache, spans: &Spans, block: NonNull<u8>) {
        let rounds = self.class.rounds;
        let mut pair = cache.pair();
        if pair.rounds == rounds && pair.spare.is_some() && pair.spare_rounds == 0 {
            pair.swap();
        } else {
            let mut state = self.state.lock();
            let was_shrinking = pair.loaded.is_some() && pair.limit < rounds;
            // SAFETY: only the caller uses the pair, and `spans` are this depot's.
            unsafe { self.ensure_free_slot(&mut state, &mut pair, spans) };
            // SAFETY: `spans` are this depot's.
            let returned = unsafe { self.return_excess(&mut state, spans) };
            let shrinking = returned || was_shrinking && state.out <= state.shrunk_to;
            let share = (state.out / SHRINKING_SHARE).min(rounds as usize) as u32;
            if pair.loaded.is_none() || shrinking && share < rounds {
                pair.limit = if pair.loaded.is_some() { share } else { 0 };
                // SAFETY: only the caller uses the pair, and it gives the block up. Both have
                // blocks of this class and of `spans`, which are this depot's.
                unsafe {
                    self.return_pair(&mut state, &mut pair, spans);
                    cache.set_pair(pair);
                    self.return_blocks(&mut state, spans, &[block]);
                }
                state.shrunk_to = state.out;
                return;
            }
        }
        pair.limit = rounds;
        cache.set_pair(pair);
        let slot = cache.free_slot().expect("a magazine that was just emptied has a free slot");
        // SAFETY: the caller promises to be the only thread that uses the cache.
        unsafe { slot.put(block) };
    }

    /// Loads a magazine that is not full, if there is memory for one. Otherwise the pair has no
    /// loaded magazine afterwards.
    ///
    /// # Safety
    /// Only the caller uses the pair, which is of this class. `spans` are this depot's.
    unsafe fn ensure_free_slot(&self, state: &mut State, pair: &mut MagazinePair, spans: &Spans) {
        if pair.rounds < self.class.rounds && pair.loaded.is_some() {
            return;
        }
        if let Some(filled) = pair.loaded.take() {
            if let Some(spare) = pair.spare.replace(filled) {
                // The spare magazine is full, too. A magazine is full or empty when it becomes the
                // spare one, and `overflow` would have loaded an empty one. SAFETY: the magazine
                // was just removed from the pair, so nothing uses it.
                unsafe { state.full.push(spare) };
            }
            pair.spare_rounds = pair.rounds;
        }
        pair.rounds = 0;
        pair.loaded = state.empty_magazine();
        if pair.loaded.is_none() {
            // There is no memory for another magazine, so empty the present one. SAFETY: the caller
            // promises that only it uses the pair, and that the spans fit it.
            unsafe { self.return_pair(state, pair, spans) };
            pair.swap();
        }
    }

    /// Returns the blocks of full magazines that exceed the depot's limit to their spans. The
    /// result is true if there were any.
    ///
    /// # Safety
    /// `spans` are this depot's.
    unsafe fn return_excess(&self, state: &mut State, spans: &Spans) -> bool {
        let mut returned = false;
        while state.spans > SPANS_NEVER_SHRUNK
            && state.full_blocks(self.class) > self.full_block_limit(state.out)
        {
            // SAFETY: the caller promises that the spans are this depot's.
            returned |= unsafe { self.return_full_magazine(state, spans) };
        }
        returned
    }

    /// Returns the most blocks that the depot may keep in full magazines, if `out` blocks are not
    /// in their spans.
    ///
    /// Of a few blocks this is up to half, so that a thread which only frees can pass its magazines
    /// to one that only allocates. Of many it is a thirty-second. It is 0 if all of these blocks
    /// may be in the threads' magazines.
    fn full_block_limit(&self, out: usize) -> usize {
        if out < 3 * self.class.rounds as usize { 0 } else { (out / 2).min(1024 + out / 32) }
    }

    /// Returns all blocks of a thread's magazines to their spans.
    ///
    /// # Safety
    /// Only the caller uses the pair, which is of this class. `spans` are this depot's.
    unsafe fn return_pair(&self, state: &mut State, pair: &mut MagazinePair, spans: &Spans) {
        let loaded = (pair.loaded, &mut pair.rounds);
        let spare = (pair.spare, &mut pair.spare_rounds);
        for (magazine, rounds) in [loaded, spare] {
            if let Some(magazine) = magazine {
                // SAFETY: the caller promises that only it uses the pair, in which the magazine has
                // this number of rounds. They are of this class and these spans.
                unsafe { self.return_rounds(state, spans, magazine, *rounds) };
            }
            *rounds = 0;
        }
    }

    /// Takes the magazines of a thread that ends. Their blocks return to their spans, so that they
    /// do not keep a chunk from going back to the system. Other threads use the magazines again.
    ///
    /// # Safety
    /// The caller is the only thread that uses `cache`, which is of this class. `spans` are this
    /// depot's.
    pub(super) unsafe fn drain(&self, cache: &ClassCache, spans: &Spans) {
        let mut pair = cache.pair();
        if pair.loaded.is_none() {
            return;
        }
        let mut state = self.state.lock();
        // SAFETY: the caller promises that only it uses the cache, and that the spans are this
        // depot's.
        unsafe { self.return_pair(&mut state, &mut pair, spans) };
        for magazine in [pair.loaded, pair.spare].into_iter().flatten() {
            // SAFETY: only the caller uses the cache, from which the magazine is removed below.
            unsafe { state.empty.push(magazine) };
        }
        // SAFETY: the caller promises that the spans are this depot's.
        unsafe { self.return_excess(&mut state, spans) };
        cache.set_pair(MagazinePair::default());
    }

    /// Returns as much memory as possible. All blocks in the thread's and in the depot's magazines
    /// return to their spans, and the depot's magazines to the system.
    ///
    /// # Safety
    /// The caller is the only thread that uses `cache`, which is of this class. `spans` are this
    /// depot's.
    pub(super) unsafe fn trim(&self, cache: &ClassCache, spans: &Spans) {
        let mut state = self.state.lock();
        let mut pair = cache.pair();
        // SAFETY: the caller promises that only it uses the cache, and that the spans are this
        // depot's.
        unsafe { self.return_pair(&mut state, &mut pair, spans) };
        cache.set_pair(pair);
        // SAFETY: the caller promises that the spans are this depot's.
        while unsafe { self.return_full_magazine(&mut state, spans) } {}
        state.empty.free_all();
    }

    /// Returns the blocks of one of the depot's full magazines to their spans. The result is false
    /// if there is none.
    ///
    /// # Safety
    /// `spans` are this depot's.
    unsafe fn return_full_magazine(&self, state: &mut State, spans: &Spans) -> bool {
        let Some(full) = state.full.pop() else { return false };
        // SAFETY: the magazine was just removed from the stack, so nothing else uses it. It has all
        // rounds, of this class and of the depot's spans.
        unsafe {
            self.return_rounds(state, spans, full, self.class.rounds);
            state.empty.push(full);
        }
        true
    }

    /// Fills `rounds` from its beginning with free blocks of the spans, and returns how many it
    /// took: at least one.
    ///
    /// The last round is used first, and has the lowest address. So a thread gets blocks in the
    /// order of their addresses.
    fn fill(&self, state: &mut State, spans: &Spans, rounds: &mut [NonNull<u8>]) -> Result<usize> {
        let mut left = rounds.len();
        while left > 0 {
            let span = match state.usable.first() {
                Some(span) => span,
                // The magazine need not be full. Filling it is not worth another span.
                None if left < rounds.len() => break,
                None => self.add_span(state, spans)?,
            };
            // SAFETY: spans of the list were formatted for this class, and the lock is held:
            // `state` comes from its guard.
            unsafe {
                left -= SlabSpan::take(span, self.class, &mut rounds[..left]);
                if SlabSpan::is_exhausted(span) {
                    state.usable.remove(span);
                }
            }
        }
        rounds.copy_within(left.., 0);
        let taken = rounds.len() - left;
        state.out += taken;
        Ok(taken)
    }

    /// Acquires a span, formats it and adds it to the usable ones.
    fn add_span(&self, state: &mut State, spans: &Spans) -> Result<NonNull<SlabSpan>> {
        let memory = spans.acquire()?;
        // SAFETY: the span was just acquired, so only this call uses it. From here on it is the
        // depot's, and in no other list.
        let span = unsafe {
            let span = SlabSpan::format(memory, self.index, self.class);
            state.usable.push(span);
            span
        };
        state.spans += 1;
        Ok(span)
    }

    /// Returns the blocks of a magazine to their spans.
    ///
    /// # Safety
    /// Only the caller uses the magazine, and it has this number of rounds. They are of this class
    /// and of `spans`, which are this depot's, and nothing uses them.
    unsafe fn return_rounds(
        &self,
        state: &mut State,
        spans: &Spans,
        magazine: NonNull<Magazine>,
        rounds: u32,
    ) {
        // SAFETY: the caller promises exclusive use of the magazine and of these rounds' blocks.
        unsafe { self.return_blocks(state, spans, Magazine::rounds(magazine, rounds)) };
    }

    /// Returns blocks to their spans, and spans that become free to the pool.
    ///
    /// # Safety
    /// The blocks are of this class and of `spans`, which are this depot's. They are not in their
    /// spans, and nothing uses them.
    unsafe fn return_blocks(&self, state: &mut State, spans: &Spans, mut blocks: &[NonNull<u8>]) {
        state.out -= blocks.len();
        while let Some(first) = blocks.first() {
            let span = SlabSpan::of(*first);
            // SAFETY: the caller promises that the blocks are of this class, so their span was
            // formatted for it. The lock is held: `state` comes from its guard.
            let (count, transition) = unsafe { SlabSpan::return_blocks(span, self.class, blocks) };
            blocks = &blocks[count..];
            // SAFETY: a span is in the list `usable` if it was partial before, and only then.
            unsafe {
                match transition {
                    Transition::StaysPartial | Transition::ExhaustedToFree => {}
                    Transition::ExhaustedToPartial => state.usable.push(span),
                    Transition::PartialToFree => state.usable.remove(span),
                }
            }
            if matches!(transition, Transition::PartialToFree | Transition::ExhaustedToFree) {
                state.spans -= 1;
                // SAFETY: `add_span` acquired the span. All of its blocks are in it, so nothing
                // uses it, and it is in no list.
                unsafe { spans.release(span.cast()) };
            }
        }
    }

    /// Frees all magazines of the class when the pool ends: the depot's, and those in all slots.
    pub(super) fn free_magazines<'a>(&mut self, caches: impl Iterator<Item = &'a ClassCache>) {
        let state = self.state.get_mut();
        for cache in caches {
            let pair = cache.pair();
            for magazine in [pair.loaded, pair.spare].into_iter().flatten() {
                // SAFETY: no thread uses the cache any more, because the pool ends.
                unsafe { state.empty.push(magazine) };
            }
        }
        state.empty.free_all();
        state.full.free_all();
    }
}

impl State {
    /// Returns the number of blocks in the depot's full magazines.
    fn full_blocks(&self, class: &Class) -> usize {
        self.full.count() * class.rounds as usize
    }

    /// Returns an empty magazine, if the depot has one or there is memory for one.
    fn empty_magazine(&mut self) -> Option<NonNull<Magazine>> {
        self.empty.pop().or_else(Magazine::allocate)
    }
}
