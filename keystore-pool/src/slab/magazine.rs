//! Magazines: arrays of free blocks, the unit in which threads and the depot trade (Bonwick and Adams, "Magazines and
//! Vmem", USENIX 2001).
//!
//! A thread has two for each class, one *loaded* and one *spare*: it allocates from the loaded one and frees into it, and
//! turns to the depot only when both are empty or both are full. So two calls at the depot are at least a magazine apart,
//! whatever the mix of allocating and freeing.

use std::alloc::{Layout, alloc, dealloc};
use std::ptr::{NonNull, null_mut};
use std::sync::atomic::{AtomicPtr, AtomicU32, Ordering::Relaxed};

/// The most blocks in a magazine: with its link, 512 bytes.
pub(super) const MAX_ROUNDS: usize = 63;

/// FreeSlot for blocks. How many there are, and in which of the places, its holder knows.
#[repr(C)]
#[derive(Debug)]
pub(super) struct Magazine {
    /// In a [`Stack`].
    next: *mut Magazine,
    rounds: [NonNull<u8>; MAX_ROUNDS],
}

impl Magazine {
    const LAYOUT: Layout = Layout::new::<Self>();

    /// A magazine without content, if there is memory.
    pub(super) fn allocate() -> Option<NonNull<Self>> {
        // SAFETY: the layout has a size.
        let magazine = NonNull::new(unsafe { alloc(Self::LAYOUT) })?.cast::<Self>();
        // SAFETY: just allocated with the layout of a magazine.
        unsafe { magazine.write(Self { next: null_mut(), rounds: [NonNull::dangling(); MAX_ROUNDS] }) };
        Some(magazine)
    }

    /// # Safety
    /// The magazine came from [`allocate`](Self::allocate), and nobody uses it from here on.
    pub(super) unsafe fn free(magazine: NonNull<Self>) {
        // SAFETY: allocated with this layout.
        unsafe { dealloc(magazine.as_ptr().cast(), Self::LAYOUT) };
    }

    /// Where round `number` is.
    ///
    /// # Safety
    /// `magazine` is valid and `number` below [`MAX_ROUNDS`].
    #[inline]
    unsafe fn round(magazine: *mut Self, number: u32) -> *mut NonNull<u8> {
        // SAFETY: the caller's promise.
        unsafe { (&raw mut (*magazine).rounds).cast::<NonNull<u8>>().add(number as usize) }
    }

    /// The first `count` rounds.
    ///
    /// # Safety
    /// The magazine is valid and the caller's alone for `'a`, and `count` not over [`MAX_ROUNDS`].
    pub(super) unsafe fn rounds<'a>(magazine: NonNull<Self>, count: u32) -> &'a mut [NonNull<u8>] {
        debug_assert!(count as usize <= MAX_ROUNDS);
        // SAFETY: the caller's promise, and all rounds are initialised from the start.
        unsafe { std::slice::from_raw_parts_mut(Self::round(magazine.as_ptr(), 0), count as usize) }
    }
}

/// Magazines one on another.
#[derive(Debug)]
pub(super) struct Stack {
    top: *mut Magazine,
    count: usize,
}

impl Stack {
    pub(super) const EMPTY: Self = Self { top: null_mut(), count: 0 };

    pub(super) fn count(&self) -> usize {
        self.count
    }

    /// # Safety
    /// The magazine is valid and becomes the stack's.
    pub(super) unsafe fn push(&mut self, magazine: NonNull<Magazine>) {
        // SAFETY: the caller's promise.
        unsafe { (&raw mut (*magazine.as_ptr()).next).write(self.top) };
        self.top = magazine.as_ptr();
        self.count += 1;
    }

    /// The magazine on top, which becomes the caller's.
    pub(super) fn pop(&mut self) -> Option<NonNull<Magazine>> {
        let magazine = NonNull::new(self.top)?;
        // SAFETY: magazines of the stack are valid and its own.
        self.top = unsafe { (&raw const (*magazine.as_ptr()).next).read() };
        self.count -= 1;
        Some(magazine)
    }

    /// Gives the memory of the magazines back. What is loaded in them is not touched.
    pub(super) fn free_all(&mut self) {
        while let Some(magazine) = self.pop() {
            // SAFETY: just taken from the stack, whose own it was.
            unsafe { Magazine::free(magazine) };
        }
    }
}

// SAFETY: a stack owns its magazines, which are bound to no thread.
unsafe impl Send for Stack {}

/// The two magazines of a thread for one class. Only the thread that is at it (see
/// [`PerThread`](crate::per_thread::PerThread)) uses it; its parts are atomic because the next such thread does, too.
#[derive(Debug, Default)]
pub(super) struct ClassCache {
    loaded: AtomicPtr<Magazine>,
    spare: AtomicPtr<Magazine>,
    rounds: AtomicU32,
    /// How many rounds `loaded` may get: 0 where there is none.
    limit: AtomicU32,
    spare_rounds: AtomicU32,
}

/// A place in a loaded magazine that holds so many blocks.
pub(super) struct FreeSlot<'c> {
    cache: &'c ClassCache,
    rounds: u32,
}

impl FreeSlot<'_> {
    /// Puts a block there.
    ///
    /// # Safety
    /// The caller is the only thread at the cache, and has done nothing there since it got this.
    #[inline(always)]
    pub(super) unsafe fn put(self, block: NonNull<u8>) {
        // SAFETY: the rounds are under the limit, which is not over `MAX_ROUNDS`, and 0 where there is no magazine; the
        // magazine is the caller's.
        unsafe { Magazine::round(self.cache.loaded.load(Relaxed), self.rounds).write(block) };
        self.cache.rounds.store(self.rounds + 1, Relaxed);
    }
}

/// What a [`ClassCache`] holds, taken out to be rearranged. A magazine that is not there has no rounds.
#[derive(Clone, Copy, Debug)]
pub(super) struct MagazinePair {
    pub(super) loaded: Option<NonNull<Magazine>>,
    pub(super) rounds: u32,
    pub(super) limit: u32,
    pub(super) spare: Option<NonNull<Magazine>>,
    pub(super) spare_rounds: u32,
}

impl MagazinePair {
    /// No magazines.
    pub(super) const NONE: Self = Self { loaded: None, rounds: 0, limit: 0, spare: None, spare_rounds: 0 };

    /// Loads the spare magazine and spares the loaded one.
    pub(super) fn swap(&mut self) {
        std::mem::swap(&mut self.loaded, &mut self.spare);
        std::mem::swap(&mut self.rounds, &mut self.spare_rounds);
    }
}

impl ClassCache {
    /// A block from the loaded magazine, if it has one.
    ///
    /// # Safety
    /// The caller is the only thread at this cache.
    #[inline(always)]
    pub(super) unsafe fn pop(&self) -> Option<NonNull<u8>> {
        let rounds = self.rounds.load(Relaxed).checked_sub(1)?;
        // SAFETY: the count is not over `MAX_ROUNDS`, and 0 where there is no magazine; the magazine is the caller's.
        let block = unsafe { Magazine::round(self.loaded.load(Relaxed), rounds).read() };
        self.rounds.store(rounds, Relaxed);
        Some(block)
    }

    /// The next free place of the loaded magazine, if it has one.
    #[inline(always)]
    pub(super) fn free_slot(&self) -> Option<FreeSlot<'_>> {
        let rounds = self.rounds.load(Relaxed);
        (rounds < self.limit.load(Relaxed)).then_some(FreeSlot { cache: self, rounds })
    }

    /// What is here. The caller is at this cache, and puts back what it made of it.
    pub(super) fn pair(&self) -> MagazinePair {
        MagazinePair {
            loaded: NonNull::new(self.loaded.load(Relaxed)),
            rounds: self.rounds.load(Relaxed),
            limit: self.limit.load(Relaxed),
            spare: NonNull::new(self.spare.load(Relaxed)),
            spare_rounds: self.spare_rounds.load(Relaxed),
        }
    }

    pub(super) fn set_pair(&self, pair: MagazinePair) {
        let address = |magazine: Option<NonNull<Magazine>>| magazine.map_or(null_mut(), NonNull::as_ptr);
        self.loaded.store(address(pair.loaded), Relaxed);
        self.rounds.store(pair.rounds, Relaxed);
        self.limit.store(pair.limit, Relaxed);
        self.spare.store(address(pair.spare), Relaxed);
        self.spare_rounds.store(pair.spare_rounds, Relaxed);
    }

    /// Blocks in both magazines.
    #[cfg(test)]
    pub(super) fn blocks(&self) -> u64 {
        u64::from(self.rounds.load(Relaxed)) + u64::from(self.spare_rounds.load(Relaxed))
    }
}
