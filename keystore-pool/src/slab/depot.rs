//! The depot of a size class: full magazines on their way from threads that free to threads that allocate, and below
//! them the spans that the blocks come from.
//!
//! A magazine changes hands in one step, without a look at its blocks, so that a block freed on another thread costs what
//! one freed here does. What the depot keeps that way is bounded by a share of the class's blocks. Beyond it blocks return to
//! their spans, and a span that has all of its blocks to the pool, where it can serve another class or go back
//! to the system with its chunk.

use std::ptr::NonNull;

use keystore_core::Result;

use super::class::{Class, ClassIndex};
use super::magazine::{ClassCache, Magazine, MagazinePair, Stack};
use super::span::{SlabSpan, Transition};
use crate::list::List;
use crate::primitive::Mutex;
use crate::span::Spans;

/// The share of a class's blocks that a thread may cache while the class shrinks: one of so many. A thread that frees the
/// last blocks so ends with none of them in its magazines, where each would keep a chunk from going back.
const SHRINKING_SHARE: usize = 16;

/// A class of so few spans gives nothing up: its free blocks could keep few chunks from going back.
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
    /// Spans that have blocks to take.
    usable: List<SlabSpan>,
    /// Spans of the class, those without blocks to take included.
    spans: usize,
    /// Blocks that are not in their spans: live, or in a magazine.
    out: usize,
    /// `out` when a thread last gave blocks up because the class shrinks. It does so still until `out` is larger.
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

    /// Blocks that are neither in their spans nor in a magazine of the depot. Less those in the threads' magazines, they
    /// are the live ones.
    #[cfg(test)]
    pub(super) fn blocks_out(&self) -> u64 {
        let state = self.state.lock();
        (state.out - state.full_blocks(self.class)) as u64
    }

    /// A block for a thread whose loaded magazine is empty.
    ///
    /// # Errors
    /// Those of [`Spans::acquire`]. No block has moved then.
    ///
    /// # Safety
    /// The caller is the only thread at `cache`, which is of this class, and has found it to be empty.
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
                        // SAFETY: the emptied magazine was the cache's, and is no more.
                        Some(_) => unsafe { state.empty.push(emptied) },
                    }
                }
                pair.rounds = self.class.rounds;
            } else {
                pair.loaded = pair.loaded.or_else(|| state.empty_magazine());
                let Some(loaded) = pair.loaded else {
                    // No memory for a magazine: one block at a time.
                    let mut block = [NonNull::dangling()];
                    self.fill(&mut state, spans, &mut block)?;
                    return Ok(block[0]);
                };
                // SAFETY: the magazine is the cache's, and no class has more rounds than fit.
                let rounds = unsafe { Magazine::rounds(loaded, self.class.rounds) };
                match self.fill(&mut state, spans, rounds) {
                    Ok(taken) => pair.rounds = taken as u32,
                    Err(error) => {
                        // The magazine stays the cache's, empty.
                        pair.limit = self.class.rounds;
                        cache.set_pair(pair);
                        return Err(error);
                    }
                }
            }
        }
        pair.limit = self.class.rounds;
        cache.set_pair(pair);
        // SAFETY: the caller's promise.
        let block = unsafe { cache.pop() };
        Ok(block.expect("a magazine that was just loaded has a round"))
    }

    /// Takes back a block from a thread whose loaded magazine has no room for it.
    ///
    /// # Safety
    /// The caller is the only thread at `cache`, which is of this class, and has found it to be full. `block` is a
    /// block of this class from these spans that nobody uses.
    pub(super) unsafe fn overflow(&self, cache: &ClassCache, spans: &Spans, block: NonNull<u8>) {
        let rounds = self.class.rounds;
        let mut pair = cache.pair();
        if pair.rounds == rounds && pair.spare.is_some() && pair.spare_rounds == 0 {
            pair.swap();
        } else {
            let mut state = self.state.lock();
            let was_shrinking = pair.loaded.is_some() && pair.limit < rounds;
            // SAFETY: the caller's promise covers what is in the pair, too.
            unsafe {
                self.ensure_free_slot(&mut state, &mut pair, spans);
                let shrinking =
                    self.return_excess(&mut state, spans) || was_shrinking && state.out <= state.shrunk_to;
                let share = (state.out / SHRINKING_SHARE).min(rounds as usize) as u32;
                if pair.loaded.is_none() || shrinking && share < rounds {
                    self.return_pair(&mut state, &mut pair, spans);
                    pair.limit = if pair.loaded.is_some() { share } else { 0 };
                    cache.set_pair(pair);
                    self.return_blocks(&mut state, spans, &[block]);
                    state.shrunk_to = state.out;
                    return;
                }
            }
        }
        pair.limit = rounds;
        cache.set_pair(pair);
        let slot = cache.free_slot().expect("a magazine that was just emptied has room");
        // SAFETY: the caller's promise.
        unsafe { slot.put(block) };
    }

    /// Makes the loaded magazine one that is not full, where there is memory for a magazine.
    ///
    /// # Safety
    /// The pair is the caller's.
    unsafe fn ensure_free_slot(&self, state: &mut State, pair: &mut MagazinePair, spans: &Spans) {
        if pair.rounds < self.class.rounds && pair.loaded.is_some() {
            return;
        }
        // SAFETY: the magazines are the caller's. Those that are not empty are full: `rounds` was not under the
        // class's, and a spare magazine is one that was loaded and emptied or filled.
        unsafe {
            if let Some(filled) = pair.loaded.take() {
                if let Some(spare) = pair.spare.replace(filled) {
                    state.full.push(spare);
                }
                pair.spare_rounds = pair.rounds;
            }
            pair.rounds = 0;
            pair.loaded = state.empty_magazine();
            if pair.loaded.is_none() {
                // No memory for another magazine: empty one of those that there are.
                self.return_pair(state, pair, spans);
                pair.swap();
            }
        }
    }

    /// Returns the blocks of full magazines that the depot has beyond its share: whether there were any.
    ///
    /// # Safety
    /// `spans` are those of this depot.
    unsafe fn return_excess(&self, state: &mut State, spans: &Spans) -> bool {
        let mut returned = false;
        while state.spans > SPANS_NEVER_SHRUNK
            && state.full_blocks(self.class) > self.full_block_limit(state.out)
        {
            let Some(full) = state.full.pop() else { break };
            // SAFETY: a magazine of the depot, with all its rounds.
            unsafe {
                self.return_magazine(state, spans, full, self.class.rounds);
                state.empty.push(full);
            }
            returned = true;
        }
        returned
    }

    /// How many blocks the depot may keep in full magazines while `out` are not in their spans: of a few, up to half, so
    /// that a thread which only frees always finds its magazines wanted by one that only allocates; of many, a
    /// thirty-second; none where what threads may have in their own magazines could be all.
    fn full_block_limit(&self, out: usize) -> usize {
        if out < 3 * self.class.rounds as usize { 0 } else { (out / 2).min(1024 + out / 32) }
    }

    /// Returns all blocks of a thread's magazines to their spans.
    ///
    /// # Safety
    /// The pair is the caller's.
    unsafe fn return_pair(&self, state: &mut State, pair: &mut MagazinePair, spans: &Spans) {
        for (magazine, rounds) in [(pair.loaded, &mut pair.rounds), (pair.spare, &mut pair.spare_rounds)] {
            if let Some(magazine) = magazine {
                // SAFETY: the magazine is the caller's, with so many rounds.
                unsafe { self.return_magazine(state, spans, magazine, *rounds) };
            }
            *rounds = 0;
        }
    }

    /// Takes the magazines of a thread that ends: their blocks return to their spans, so that none keeps a chunk from going
    /// back, and they serve other threads.
    ///
    /// # Safety
    /// The caller is the only thread at `cache`, which is of this class.
    pub(super) unsafe fn drain(&self, cache: &ClassCache, spans: &Spans) {
        let mut pair = cache.pair();
        if pair.loaded.is_none() {
            return;
        }
        let mut state = self.state.lock();
        // SAFETY: the caller's promise.
        unsafe {
            self.return_pair(&mut state, &mut pair, spans);
            for magazine in [pair.loaded, pair.spare].into_iter().flatten() {
                state.empty.push(magazine);
            }
            self.return_excess(&mut state, spans);
        }
        cache.set_pair(MagazinePair::NONE);
    }

    /// Gives up all that can be: the blocks in a thread's magazines and those at the depot return to their spans, and
    /// empty magazines to the system.
    ///
    /// # Safety
    /// The caller is the only thread at `cache`, which is of this class.
    pub(super) unsafe fn trim(&self, cache: &ClassCache, spans: &Spans) {
        let mut state = self.state.lock();
        let mut pair = cache.pair();
        // SAFETY: the caller's promise.
        unsafe {
            self.return_pair(&mut state, &mut pair, spans);
            cache.set_pair(pair);
            while let Some(full) = state.full.pop() {
                self.return_magazine(&mut state, spans, full, self.class.rounds);
                state.empty.push(full);
            }
        }
        state.empty.free_all();
    }

    /// Fills the first rounds of a magazine from spans, with at least one block: how many. The last round, which comes out
    /// first, has the lowest address, so that a thread walks through memory upwards.
    fn fill(&self, state: &mut State, spans: &Spans, rounds: &mut [NonNull<u8>]) -> Result<usize> {
        let mut left = rounds.len();
        while left > 0 {
            let span = match state.usable.first() {
                Some(span) => span,
                // A fresh span only where there is nothing else: a magazine need not be full.
                None if left < rounds.len() => break,
                None => {
                    let fresh = spans.acquire()?;
                    // SAFETY: the span is ours alone, and from here on the depot's.
                    unsafe {
                        let span = SlabSpan::format(fresh, self.index, self.class);
                        state.usable.push(span);
                        state.spans += 1;
                        span
                    }
                }
            };
            // SAFETY: spans of the list are of this class, and the lock is held.
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

    /// Returns a magazine's blocks to their spans.
    ///
    /// # Safety
    /// The magazine is the caller's and has so many rounds, all of this class and used by nobody.
    unsafe fn return_magazine(
        &self,
        state: &mut State,
        spans: &Spans,
        magazine: NonNull<Magazine>,
        rounds: u32,
    ) {
        // SAFETY: the caller's promise.
        unsafe { self.return_blocks(state, spans, Magazine::rounds(magazine, rounds)) };
    }

    /// Returns blocks to their spans, and spans to the pool that are whole by that.
    ///
    /// # Safety
    /// The blocks are of this class and these spans, are not in their spans, and nobody uses them.
    unsafe fn return_blocks(&self, state: &mut State, spans: &Spans, mut blocks: &[NonNull<u8>]) {
        state.out -= blocks.len();
        while let Some(first) = blocks.first() {
            let span = SlabSpan::of(*first);
            // SAFETY: the caller's promise; the lock is held. A span is in the list while it has blocks.
            unsafe {
                let (count, transition) = SlabSpan::return_blocks(span, self.class, blocks);
                blocks = &blocks[count..];
                match transition {
                    Transition::StaysPartial => {}
                    Transition::ExhaustedToPartial => state.usable.push(span),
                    Transition::PartialToFree | Transition::ExhaustedToFree => {
                        if transition == Transition::PartialToFree {
                            state.usable.remove(span);
                        }
                        state.spans -= 1;
                        spans.release(span.cast());
                    }
                }
            }
        }
    }

    /// Gives the memory of all magazines back, those of a thread's cache with them. For when the pool ends.
    pub(super) fn free_magazines<'a>(&mut self, caches: impl Iterator<Item = &'a ClassCache>) {
        let state = self.state.get_mut();
        for cache in caches {
            let pair = cache.pair();
            for magazine in [pair.loaded, pair.spare].into_iter().flatten() {
                // SAFETY: the pool ends, so no thread is at the cache, whose own the magazine was.
                unsafe { state.empty.push(magazine) };
            }
        }
        state.empty.free_all();
        state.full.free_all();
    }
}

impl State {
    fn full_blocks(&self, class: &Class) -> usize {
        self.full.count() * class.rounds as usize
    }

    /// An empty magazine, if there is one or memory for one.
    fn empty_magazine(&mut self) -> Option<NonNull<Magazine>> {
        self.empty.pop().or_else(Magazine::allocate)
    }
}
