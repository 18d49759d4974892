//! Magazines: arrays of free blocks, the unit in which threads and the depot trade (Bonwick and
//! Adams, "Magazines and Vmem", USENIX 2001).
//!
//! A thread has two magazines for each class, one *loaded* and one *spare*. It allocates from the
//! loaded one and frees into it. It turns to the depot only if both are empty, or both are full. So
//! between two calls at the depot there are enough calls to empty or fill a magazine, whatever the
//! mix of allocating and freeing.

use std::alloc::{Layout, alloc, dealloc};
use std::ptr::{NonNull, null_mut};
use std::sync::atomic::{AtomicPtr, AtomicU32, Ordering::Relaxed};

/// Most blocks in a magazine. With its link, a magazine takes 512 bytes.
pub(super) const MAX_ROUNDS: usize = 63;

/// An array of blocks, the *rounds*. Its holder knows the number of rounds. The other elements are
/// unused.
#[repr(C)]
#[derive(Debug)]
pub(super) struct Magazine {
    /// The magazine below this one in a [`Stack`].
    next: *mut Magazine,
    rounds: [NonNull<u8>; MAX_ROUNDS],
}

impl Magazine {
    const LAYOUT: Layout = Layout::new::<Self>();

    /// Returns an empty magazine, if there is memory for one.
    pub(super) fn allocate() -> Option<NonNull<Self>> {
        // SAFETY: the layout has a size.
        let magazine = NonNull::new(unsafe { alloc(Self::LAYOUT) })?.cast::<Self>();
        let empty = Self { next: null_mut(), rounds: [NonNull::dangling(); MAX_ROUNDS] };
        // SAFETY: the memory was just allocated with the layout of a magazine.
        unsafe { magazine.write(empty) };
        Some(magazine)
    }

    /// Frees a magazine.
    ///
    /// # Safety
    /// The magazine came from [`allocate`](Self::allocate), and nothing uses it from here on.
    pub(super) unsafe fn free(magazine: NonNull<Self>) {
        // SAFETY: the caller promises that `allocate` made it, which uses this layout.
        unsafe { dealloc(magazine.as_ptr().cast(), Self::LAYOUT) };
    }

    /// Returns the address of round `number`.
    ///
    /// # Safety
    /// `magazine` points to a magazine, and `number` is below [`MAX_ROUNDS`].
    #[inline]
    unsafe fn round(magazine: *mut Self, number: u32) -> *mut NonNull<u8> {
        // SAFETY: the caller promises a valid magazine and a number within its array.
        unsafe { (&raw mut (*magazine).rounds).cast::<NonNull<u8>>().add(number as usize) }
    }

    /// Returns the first `count` rounds.
    ///
    /// # Safety
    /// `magazine` points to a magazine that only the caller uses during `'a`, and `count` is at
    /// most [`MAX_ROUNDS`].
    pub(super) unsafe fn rounds<'a>(magazine: NonNull<Self>, count: u32) -> &'a mut [NonNull<u8>] {
        debug_assert!(count as usize <= MAX_ROUNDS);
        // SAFETY: the caller promises exclusive use and a count within the array, all elements of
        // which `allocate` has initialised.
        unsafe { std::slice::from_raw_parts_mut(Self::round(magazine.as_ptr(), 0), count as usize) }
    }
}

/// A stack of magazines, which it owns.
#[derive(Debug)]
pub(super) struct Stack {
    top: *mut Magazine,
    count: usize,
}

impl Stack {
    pub(super) const EMPTY: Self = Self { top: null_mut(), count: 0 };

    /// Returns the number of magazines.
    pub(super) fn count(&self) -> usize {
        self.count
    }

    /// Adds a magazine on top.
    ///
    /// # Safety
    /// The magazine came from [`Magazine::allocate`], and passes to the stack: nothing else uses it
    /// until it is popped.
    pub(super) unsafe fn push(&mut self, magazine: NonNull<Magazine>) {
        // SAFETY: the caller promises a valid magazine that nothing else uses.
        unsafe { (&raw mut (*magazine.as_ptr()).next).write(self.top) };
        self.top = magazine.as_ptr();
        self.count += 1;
    }

    /// Removes the magazine on top, which passes to the caller.
    pub(super) fn pop(&mut self) -> Option<NonNull<Magazine>> {
        let magazine = NonNull::new(self.top)?;
        // SAFETY: the stack owns its magazines, so they are valid.
        self.top = unsafe { (&raw const (*magazine.as_ptr()).next).read() };
        self.count -= 1;
        Some(magazine)
    }

    /// Frees all magazines, but not the blocks in them.
    pub(super) fn free_all(&mut self) {
        while let Some(magazine) = self.pop() {
            // SAFETY: `push` got a magazine of `allocate`, and this call owns it since `pop`.
            unsafe { Magazine::free(magazine) };
        }
    }
}

// SAFETY: a stack owns its magazines, and any thread may use and free them.
unsafe impl Send for Stack {}

/// A thread's two magazines for one class.
///
/// Only the thread in the slot that this is in (see [`PerThread`](crate::per_thread::PerThread))
/// uses it. Its parts are atomic because the slot passes to other threads later.
#[derive(Debug, Default)]
pub(super) struct ClassCache {
    loaded: AtomicPtr<Magazine>,
    spare: AtomicPtr<Magazine>,
    /// Number of rounds in `loaded`: at most `limit`, and 0 without a magazine.
    rounds: AtomicU32,
    /// The most rounds that `loaded` may have: at most [`MAX_ROUNDS`], and 0 without a magazine.
    limit: AtomicU32,
    /// Number of rounds in `spare`.
    spare_rounds: AtomicU32,
}

/// A free slot of a loaded magazine: the one after its last round.
pub(super) struct FreeSlot<'c> {
    cache: &'c ClassCache,
    rounds: u32,
}

impl FreeSlot<'_> {
    /// Puts a block in the slot.
    ///
    /// # Safety
    /// The caller is the only thread that uses the cache, and has not used it since it got this
    /// slot.
    #[inline(always)]
    pub(super) unsafe fn put(self, block: NonNull<u8>) {
        // SAFETY: the number of rounds is below the limit, so there is a magazine with a round of
        // that number. The caller promises that no other thread uses it.
        unsafe { Magazine::round(self.cache.loaded.load(Relaxed), self.rounds).write(block) };
        self.cache.rounds.store(self.rounds + 1, Relaxed);
    }
}

/// A copy of a [`ClassCache`]'s content, to rearrange it and store it again. A magazine that is
/// `None` has 0 rounds.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct MagazinePair {
    pub(super) loaded: Option<NonNull<Magazine>>,
    pub(super) rounds: u32,
    pub(super) limit: u32,
    pub(super) spare: Option<NonNull<Magazine>>,
    pub(super) spare_rounds: u32,
}

impl MagazinePair {
    /// Exchanges the loaded and the spare magazine.
    pub(super) fn swap(&mut self) {
        std::mem::swap(&mut self.loaded, &mut self.spare);
        std::mem::swap(&mut self.rounds, &mut self.spare_rounds);
    }
}

impl ClassCache {
    /// Removes a block from the loaded magazine, if it has one.
    ///
    /// # Safety
    /// The caller is the only thread that uses this cache.
    #[inline(always)]
    pub(super) unsafe fn pop(&self) -> Option<NonNull<u8>> {
        let rounds = self.rounds.load(Relaxed).checked_sub(1)?;
        // SAFETY: there is a round, so there is a magazine, and the number of rounds is at most
        // `MAX_ROUNDS`. The caller promises that no other thread uses it.
        let block = unsafe { Magazine::round(self.loaded.load(Relaxed), rounds).read() };
        self.rounds.store(rounds, Relaxed);
        Some(block)
    }

    /// Returns the next free slot of the loaded magazine, if it has one.
    #[inline(always)]
    pub(super) fn free_slot(&self) -> Option<FreeSlot<'_>> {
        let rounds = self.rounds.load(Relaxed);
        (rounds < self.limit.load(Relaxed)).then_some(FreeSlot { cache: self, rounds })
    }

    /// Returns a copy of the content. The caller is the thread that uses this cache, and stores the
    /// pair again after changing it.
    pub(super) fn pair(&self) -> MagazinePair {
        MagazinePair {
            loaded: NonNull::new(self.loaded.load(Relaxed)),
            rounds: self.rounds.load(Relaxed),
            limit: self.limit.load(Relaxed),
            spare: NonNull::new(self.spare.load(Relaxed)),
            spare_rounds: self.spare_rounds.load(Relaxed),
        }
    }

    /// Stores the content.
    pub(super) fn set_pair(&self, pair: MagazinePair) {
        let address = |magazine: Option<NonNull<_>>| magazine.map_or(null_mut(), NonNull::as_ptr);
        self.loaded.store(address(pair.loaded), Relaxed);
        self.rounds.store(pair.rounds, Relaxed);
        self.limit.store(pair.limit, Relaxed);
        self.spare.store(address(pair.spare), Relaxed);
        self.spare_rounds.store(pair.spare_rounds, Relaxed);
    }

    /// Returns the number of blocks in both magazines.
    #[cfg(test)]
    pub(super) fn blocks(&self) -> u64 {
        u64::from(self.rounds.load(Relaxed)) + u64::from(self.spare_rounds.load(Relaxed))
    }
}
