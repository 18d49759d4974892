//! A bucket: seven slots and a link, on one cache line. All words are atomic, and there are no
//! locks.
//!
//! A slot is a [`TaggedPtr`] with up to three flags. It changes its state as follows:
//!
//! ```text
//!                place                 commit                 replace
//!   empty ────────────────► pending ───────────────► live ───────────────► live
//!                           ▲     │                   │
//!                    place  │     │  abort            │  remove
//!                           │     ▼                   ▼
//!                   tombstone ◄── aborted         tombstone
//!                              ▲
//!                              └─ only by the insertion's own thread
//!
//!   any state ── freeze ──► the same state, frozen: it never changes again
//! ```
//!
//! A free slot is either [`EMPTY`] (all zeros, since it never held anything) or a [`TOMBSTONE`]. An
//! insertion may take either. A migration, which several threads may do at once, fills only empty
//! slots. So it fills each slot once, as the module `resize` explains.
//!
//! Only live pointers are entries. A pending pointer is an insertion that is not committed, and
//! readers ignore it.
//!
//! If a live pointer is frozen because its bucket splits, a flag also says which half it goes to
//! ([`TaggedPtr::SECOND`]). The exchange that freezes the pointer sets this flag. So all threads
//! that copy the pointer put it into the same half.
//!
//! The link holds the address of the next overflow bucket, if any, and two flags: [`MIGRATED`] and
//! [`FROZEN_LINK`].

use std::ptr::{self, null_mut};

use super::failpoint::{self, Failpoint};
use super::reclaim::Guard;
use crate::backend::common::tagged_ptr::TaggedPtr;
use crate::backend::common::tags::{self, Matches};
use crate::backend::common::zeroed_array::Zeroable;
use crate::error::Result;
use crate::fallible::try_box;
use crate::sync::primitive::access;
use crate::sync::primitive::atomic::{AtomicU64, Ordering};

/// Number of words of a bucket. They fill a cache line. Under the model checker there are fewer,
/// since it tries every interleaving of the accesses to each word.
const WORDS: usize = if cfg!(loom) { 3 } else { tags::WORDS };

/// Number of slots of a bucket.
pub(super) const SLOTS: usize = WORDS - 1;

/// Flag of a slot: the insertion is not committed.
const PENDING: u64 = 0b001;
/// Flag of a slot: it never changes again, since its bucket is being migrated or has migrated.
const FROZEN: u64 = 0b010;
/// Flag of a slot: a pending insertion was aborted, or, if the slot has no node, it is a tombstone.
const ABORTED: u64 = 0b100;
/// In a frozen live pointer, the same bit says which half of a split the pointer goes to. This is
/// not ambiguous, since a live pointer cannot be aborted.
const _: () = assert!(ABORTED == TaggedPtr::SECOND);

/// Content of a slot that never held anything.
pub(super) const EMPTY: u64 = 0;
/// Content of a slot whose entry was removed.
pub(super) const TOMBSTONE: u64 = ABORTED;

/// Flag of a link: everything has migrated into this bucket, so it holds its entries from now on.
const MIGRATED: u64 = 0b001;
/// Flag of a link: the bucket is being migrated or has migrated. It takes no more overflow buckets,
/// and its slots are frozen one by one.
const FROZEN_LINK: u64 = 0b010;

const LINK_FLAGS: u64 = MIGRATED | FROZEN_LINK;

/// A bucket or an overflow bucket. See the module.
#[derive(Debug)]
#[repr(C, align(64))]
pub(super) struct Bucket {
    /// The slots, then the link.
    words: [AtomicU64; WORDS],
}

#[cfg(not(loom))]
const _: () = assert!(size_of::<Bucket>() == 64);

// SAFETY: zeros are empty slots and a link without an address.
unsafe impl Zeroable for Bucket {
    #[cfg(loom)]
    fn zero() -> Self {
        Self { words: std::array::from_fn(|_| AtomicU64::new(0)) }
    }
}

/// The states of a slot.
impl TaggedPtr {
    /// Returns whether this is an entry, frozen or not.
    #[inline]
    pub(super) fn is_live(self) -> bool {
        self.0 & PENDING == 0 && self.node().is_some()
    }

    /// Returns whether this is an entry with this tag, frozen or not. For the tag 0 this also
    /// returns true for a slot without a node.
    #[inline]
    pub(super) fn is_live_under(self, tag: u16) -> bool {
        self.0 & (Self::TAG | PENDING) == Self::under(tag).0
    }

    /// Returns whether this is an insertion that can still be committed or aborted.
    #[inline]
    pub(super) fn is_undecided(self) -> bool {
        self.0 & (PENDING | ABORTED | FROZEN) == PENDING
    }

    /// Returns whether this is a failed insertion of the node of `word`: it was aborted, or frozen
    /// before it was committed.
    #[inline]
    pub(super) fn is_failed_insertion_of(self, word: Self) -> bool {
        self.0 & !(FROZEN | ABORTED) == word.0 | PENDING && self.0 & (FROZEN | ABORTED) != 0
    }

    /// Returns whether this is an aborted insertion.
    #[inline]
    pub(super) fn is_aborted(self) -> bool {
        self.0 & (PENDING | ABORTED) == PENDING | ABORTED
    }

    #[inline]
    pub(super) fn is_frozen(self) -> bool {
        self.0 & FROZEN != 0
    }

    #[inline]
    pub(super) fn is_free(self) -> bool {
        self.0 == EMPTY || self.0 == TOMBSTONE
    }

    #[inline]
    pub(super) fn pending(self) -> Self {
        Self(self.0 | PENDING)
    }

    #[inline]
    pub(super) fn committed(self) -> Self {
        Self(self.0 & !PENDING)
    }

    #[inline]
    pub(super) fn aborted(self) -> Self {
        Self(self.0 | ABORTED)
    }

    /// Returns the pointer, frozen. `second` is true if the pointer is live, its bucket splits, and
    /// it goes to the second half.
    #[inline]
    fn frozen(self, second: bool) -> Self {
        debug_assert!(!second || self.is_live());
        Self(self.0 | FROZEN | if second { Self::SECOND } else { 0 })
    }
}

/// The value that was read from a bucket's link.
#[derive(Clone, Copy, Debug)]
pub(super) struct Link(u64);

impl Link {
    #[inline]
    pub(super) fn is_frozen(self) -> bool {
        self.0 & FROZEN_LINK != 0
    }

    #[inline]
    pub(super) fn is_migrated(self) -> bool {
        self.0 & MIGRATED != 0
    }

    /// Returns the overflow bucket, if any.
    #[inline]
    pub(super) fn overflow<'g>(self) -> Option<&'g Bucket> {
        let address = (self.0 & !LINK_FLAGS) as usize;
        let overflow: *const Bucket = ptr::with_exposed_provenance(address);
        // SAFETY: a link holds the address of an overflow bucket. The overflow bucket is freed only
        // when its chain has been retired and no thread is pinned that could have read the link
        // (module `garbage`), or by a thread that has exclusive access to the table. A `Link` is
        // read through a `&Bucket`, whose lifetime the callers limit to their pin.
        unsafe { overflow.as_ref() }
    }
}

impl Bucket {
    /// Allocates an overflow bucket. Its first slots hold `words`, and its link points to `next`,
    /// which may be null.
    pub(super) fn allocate(words: &[TaggedPtr], next: *mut Self) -> Result<*mut Self> {
        debug_assert!(words.len() <= SLOTS);
        let word = |at: usize| match at {
            SLOTS => next.expose_provenance() as u64,
            slot => words.get(slot).map_or(EMPTY, |word| word.0),
        };
        let bucket = try_box(Self { words: std::array::from_fn(|at| AtomicU64::new(word(at))) })?;
        let bucket = Box::into_raw(bucket);
        access::written(bucket.cast());
        Ok(bucket)
    }

    /// Frees an overflow bucket.
    ///
    /// # Safety
    /// It came from [`allocate`](Self::allocate), and nobody uses it from here on.
    pub(super) unsafe fn free(bucket: *mut Self) {
        access::freed(bucket.cast());
        // SAFETY: the caller's promise.
        drop(unsafe { Box::from_raw(bucket) });
    }

    /// Frees the chain of overflow buckets that starts at `first`, which may be null.
    ///
    /// # Safety
    /// As for [`free`](Self::free), for each bucket of the chain.
    pub(super) unsafe fn free_chain(mut first: *mut Self) {
        while !first.is_null() {
            // SAFETY: the caller's promise; the link is read before its bucket is freed.
            unsafe {
                let next = (*first)
                    .link()
                    .overflow()
                    .map_or(null_mut(), |next| ptr::from_ref(next).cast_mut());
                Self::free(first);
                first = next;
            }
        }
    }

    #[inline]
    pub(super) fn slots(&self) -> &[AtomicU64; SLOTS] {
        self.words.first_chunk().expect("a bucket has more words than slots")
    }

    #[inline]
    fn link_word(&self) -> &AtomicU64 {
        &self.words[SLOTS]
    }

    /// Returns the slots that held a pointer with this tag when they were read.
    #[inline]
    pub(super) fn slots_with(&self, tag: u16) -> impl Iterator<Item = &AtomicU64> {
        #[cfg(loom)]
        let matches = Matches::among(self.slots(), tag);
        #[cfg(not(loom))]
        // SAFETY: a bucket is a cache line of words, and all of them are atomic.
        let matches = unsafe { Matches::of(self.words.as_ptr().cast(), 0, SLOTS, tag) };
        matches.map(|slot| &self.words[slot])
    }

    /// Reads the link. Acquire: the caller sees the content that the overflow bucket had when it
    /// was linked, and the slots that were filled before the bucket was finished.
    #[inline]
    pub(super) fn link(&self) -> Link {
        Link(self.link_word().load(Ordering::Acquire))
    }

    /// Links an overflow bucket if the link is still `link`, which has no overflow bucket and is
    /// not frozen. Otherwise returns the changed link as the error.
    pub(super) fn append(&self, link: Link, overflow: *mut Self) -> Result<(), Link> {
        debug_assert!(link.overflow().is_none() && !link.is_frozen());
        let new = overflow.expose_provenance() as u64 | link.0;
        // Release: the overflow bucket's content must be visible before the link.
        self.link_word()
            .compare_exchange(link.0, new, Ordering::AcqRel, Ordering::Acquire)
            .map(drop)
            .map_err(Link)
    }

    /// Finishes the migration into this bucket. Its overflow chain starts at `overflow`, which may
    /// be null. Returns whether this call finished it.
    pub(super) fn finish_bucket(&self, overflow: *mut Self) -> bool {
        let new = overflow.expose_provenance() as u64 | MIGRATED;
        // Release: a thread that sees the flag `MIGRATED` also sees the filled slots.
        self.link_word().compare_exchange(0, new, Ordering::AcqRel, Ordering::Acquire).is_ok()
    }

    /// Returns this bucket and its overflow buckets. The iterator reads a bucket's link only when
    /// the next bucket is requested.
    #[inline]
    pub(super) fn chain<'g>(&'g self, _: &'g Guard) -> Chain<'g> {
        Chain { last: None, first: Some(self) }
    }

    /// Returns all slots of the chain, with their contents.
    #[inline]
    pub(super) fn words<'g>(
        &'g self,
        guard: &'g Guard,
    ) -> impl Iterator<Item = (&'g AtomicU64, TaggedPtr)> {
        let slots = self.chain(guard).flat_map(Self::slots);
        // Acquire: the node's content was written before the word.
        slots.map(|slot| (slot, TaggedPtr(slot.load(Ordering::Acquire))))
    }

    /// Freezes the bucket's chain, the links before the slots. So if the first link is not frozen,
    /// no slot is frozen.
    ///
    /// `second` returns whether a live word goes to the second half of a split. The first answer
    /// that is exchanged into the slot counts for all threads. `second` may call the user's hasher,
    /// so it may panic. Then the rest is left for the next call.
    pub(super) fn freeze(&self, guard: &Guard, second: impl Fn(TaggedPtr) -> bool) {
        // Each link is frozen before the iterator reads it to find the next bucket. So this loop
        // finds the complete chain, and the chain no longer grows.
        for bucket in self.chain(guard) {
            if !bucket.link().is_frozen() {
                bucket.link_word().fetch_or(FROZEN_LINK, Ordering::AcqRel);
            }
        }
        failpoint::hit(Failpoint::LinksFrozen);
        for (slot, mut word) in self.words(guard) {
            // A thread that read the link before it was frozen may still write, but only once. So
            // this loop ends.
            while !word.is_frozen() {
                let frozen = word.frozen(word.is_live() && second(word));
                match slot.compare_exchange(word.0, frozen.0, Ordering::AcqRel, Ordering::Acquire) {
                    Ok(_) => break,
                    Err(now) => word = TaggedPtr(now),
                }
            }
        }
    }
}

/// Iterator that [`Bucket::chain`] returns.
pub(super) struct Chain<'g> {
    last: Option<&'g Bucket>,
    first: Option<&'g Bucket>,
}

impl<'g> Iterator for Chain<'g> {
    type Item = &'g Bucket;

    #[inline]
    fn next(&mut self) -> Option<&'g Bucket> {
        let next = match self.first.take() {
            Some(first) => first,
            None => self.last?.link().overflow()?,
        };
        self.last = Some(next);
        Some(next)
    }
}
