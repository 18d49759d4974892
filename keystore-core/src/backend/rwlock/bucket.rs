//! A bucket: a lock, six slots, and a word for the bucket's depth and its chain of overflow
//! buckets. All of it lies on one cache line.
//!
//! Slots are accessed through [`LockedBucket`], which owns the guard of the bucket's lock. Reading
//! needs the shared or the exclusive side of the lock, and writing needs the exclusive side. A
//! search returns a [`Lookup`], which owns the guard too. So no borrow of a slot or node outlives
//! the lock that protects it.
//!
//! A bucket of zeros is an unlocked, empty bucket of depth 0.

use std::alloc::{Layout, alloc_zeroed, dealloc};
use std::marker::PhantomData;
use std::mem::offset_of;
use std::ops::Deref;
use std::ptr::{self, NonNull, null_mut};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use super::lock::{BucketLock, Exclusive, ExclusiveAccess, Shared, Sole};
use crate::backend::common::tagged_ptr::TaggedPtr;
use crate::backend::common::tags::Matches;
use crate::backend::common::zeroed_array::{CACHE_LINE, Zeroable};
use crate::error::{Error, Result};
use crate::node::{Node, NodeRef};
use crate::update::Source;

/// Number of slots in the bucket itself.
const SLOTS: usize = 6;

/// Number of slots in an overflow bucket.
const OVERFLOW_SLOTS: usize = 7;

/// A bucket. Chain and slots are written under the exclusive side of the lock only.
#[repr(C, align(64))]
pub(super) struct Bucket<L> {
    lock: L,
    /// Address of the first overflow bucket, and the bucket's depth in the low bits. These bits of
    /// the address are zero, since overflow buckets are aligned to 64 bytes.
    chain: AtomicUsize,
    slots: [Slot; SLOTS],
}

/// A slot. It is atomic because [`Bucket::hint`] reads it without the lock.
#[repr(transparent)]
struct Slot(AtomicU64);

impl Slot {
    #[inline]
    fn get(&self) -> TaggedPtr {
        TaggedPtr(self.0.load(Ordering::Relaxed))
    }

    #[inline]
    fn set(&self, word: TaggedPtr) {
        self.0.store(word.0, Ordering::Relaxed);
    }

    #[inline]
    fn take(&self) -> TaggedPtr {
        let word = self.get();
        self.set(TaggedPtr::EMPTY);
        word
    }
}

/// Bits of `Bucket::chain` that hold the depth.
const DEPTH: usize = align_of::<Overflow>() - 1;

/// An overflow bucket, which is a cache line with more slots.
#[repr(C, align(64))]
struct Overflow {
    slots: [Slot; OVERFLOW_SLOTS],
    next: *mut Overflow,
}

/// A list of unused overflow buckets. [`LockedBucket::push`] takes one from the list before it
/// allocates.
pub(super) struct Spare(*mut Overflow);

/// A bucket whose lock is held. The type of the guard `G` says whether it is shared or exclusive.
pub(super) struct LockedBucket<'a, L, G> {
    bucket: &'a Bucket<L>,
    _guard: G,
}

/// A bucket whose lock is held by readers.
pub(super) type ReadLocked<'a, L> = LockedBucket<'a, L, Shared<'a, L>>;

/// A bucket whose lock is held by one writer.
pub(super) type WriteLocked<'a, L> = LockedBucket<'a, L, Exclusive<'a, L>>;

/// Result of a search for a key in a locked bucket. It owns the guard of the lock.
pub(super) struct Lookup<'a, L, G> {
    bucket: LockedBucket<'a, L, G>,
    /// The key's slot, in the bucket or in its chain, and the node in that slot.
    found: Option<(NonNull<Slot>, Node)>,
}

// SAFETY: zeros are empty slots, null pointers, and, as `RawLock` promises, an unlocked lock.
unsafe impl<L: BucketLock> Zeroable for Bucket<L> {}

impl<L: BucketLock> Bucket<L> {
    /// Index of the first slot, in words.
    const FIRST: usize = offset_of!(Self, slots) / size_of::<TaggedPtr>();

    /// Locks the bucket for reading if that is possible without waiting.
    #[inline]
    pub(super) fn try_read(&self) -> Option<ReadLocked<'_, L>> {
        Shared::try_lock(&self.lock).map(|guard| LockedBucket { bucket: self, _guard: guard })
    }

    /// Locks the bucket for reading. See [`Shared::lock`].
    #[inline]
    pub(super) fn read(&self, lock_timeout: Option<Duration>) -> Option<ReadLocked<'_, L>> {
        let guard = Shared::lock(&self.lock, lock_timeout)?;
        Some(LockedBucket { bucket: self, _guard: guard })
    }

    /// Locks the bucket for writing if its lock is free.
    #[inline]
    pub(super) fn try_write(&self) -> Option<WriteLocked<'_, L>> {
        Exclusive::try_lock(&self.lock).map(|guard| LockedBucket { bucket: self, _guard: guard })
    }

    /// Locks the bucket for writing. See [`Exclusive::lock`].
    #[inline]
    pub(super) fn write(&self, lock_timeout: Option<Duration>) -> Option<WriteLocked<'_, L>> {
        let guard = Exclusive::lock(&self.lock, lock_timeout)?;
        Some(LockedBucket { bucket: self, _guard: guard })
    }

    /// Returns the bucket as if it were locked for writing.
    ///
    /// # Safety
    /// No other thread uses the bucket while the result is in use.
    pub(super) unsafe fn assume_locked(&self) -> LockedBucket<'_, L, Sole> {
        LockedBucket { bucket: self, _guard: Sole }
    }

    /// Writes to the bucket, so that the system provides its memory now.
    pub(super) fn touch(&self) {
        drop(self.try_write());
    }

    /// Returns the bucket's depth, which is the number of levels that it lies below the initial
    /// level. It is 0 if it was never set.
    #[inline]
    pub(super) fn depth(&self) -> usize {
        self.chain.load(Ordering::Acquire) & DEPTH
    }

    /// Returns the first overflow bucket, or null.
    #[inline]
    fn overflow(&self) -> *mut Overflow {
        ptr::with_exposed_provenance_mut(self.chain.load(Ordering::Acquire) & !DEPTH)
    }

    /// Returns the address of the first node whose slot has this tag, which is most likely the node
    /// that a lookup needs. It takes no lock, so the address may only be used for prefetching.
    #[inline]
    pub(super) fn hint(&self, tag: u16) -> Option<*const u8> {
        self.with_tag(tag).next()?.get().node().map(|node| node.as_ptr().cast_const())
    }

    /// Returns the bucket's own slots that hold a pointer with this tag.
    #[inline]
    fn with_tag(&self, tag: u16) -> impl Iterator<Item = &Slot> {
        const { assert!(Self::FIRST + SLOTS <= CACHE_LINE / size_of::<TaggedPtr>()) };
        let line = ptr::from_ref(self);
        // SAFETY: a bucket starts with a whole cache line, and only whole words are stored to its
        // slots.
        let matches = unsafe { Matches::of(line.cast(), Self::FIRST, SLOTS, tag) };
        // SAFETY: the words that were compared are the slots of this bucket.
        matches.map(move |word| unsafe { &*line.cast::<Slot>().add(word) })
    }
}

impl Overflow {
    fn allocate() -> Result<*mut Self> {
        let layout = Layout::new::<Self>();
        // SAFETY: the layout has a size.
        let overflow = unsafe { alloc_zeroed(layout) }.cast::<Self>();
        if overflow.is_null() {
            Err(Error::OutOfMemory { requested: layout.size() })
        } else {
            Ok(overflow)
        }
    }

    /// # Safety
    /// `overflow` came from [`allocate`](Self::allocate), and no thread uses it from here on.
    unsafe fn free(overflow: *mut Self) {
        // SAFETY: the caller's promise.
        unsafe { dealloc(overflow.cast(), Layout::new::<Self>()) }
    }
}

impl Spare {
    /// Makes an empty list.
    pub(super) const fn none() -> Self {
        Self(null_mut())
    }

    /// Makes sure that the list is not empty.
    pub(super) fn stock(&mut self) -> Result<()> {
        if self.0.is_null() {
            self.0 = Overflow::allocate()?;
        }
        Ok(())
    }

    /// Adds an emptied overflow bucket.
    ///
    /// # Safety
    /// The overflow bucket was unlinked, and no thread uses it from here on.
    unsafe fn put(&mut self, overflow: *mut Overflow) {
        // SAFETY: by the caller's promise, the list owns the overflow bucket from here on.
        unsafe {
            (*overflow).next = self.0;
        }
        self.0 = overflow;
    }

    fn take(&mut self) -> Option<*mut Overflow> {
        let taken = NonNull::new(self.0)?.as_ptr();
        // SAFETY: the list owns its overflow buckets.
        unsafe {
            self.0 = (*taken).next;
            (*taken).next = null_mut();
        }
        Some(taken)
    }
}

impl Drop for Spare {
    #[inline]
    fn drop(&mut self) {
        while let Some(overflow) = self.take() {
            // SAFETY: the overflow bucket was taken off the list, which owned it.
            unsafe { Overflow::free(overflow) }
        }
    }
}

/// Iterator over the slots of a bucket and its chain.
struct Slots<'a> {
    slot: *const Slot,
    left: usize,
    next: *mut Overflow,
    _locked: PhantomData<&'a Slot>,
}

impl<'a> Iterator for Slots<'a> {
    type Item = &'a Slot;

    #[inline]
    fn next(&mut self) -> Option<&'a Slot> {
        if self.left == 0 {
            let overflow = NonNull::new(self.next)?.as_ptr();
            // SAFETY: the iterator borrows the locked bucket, so the chain stays as it is.
            unsafe {
                self.slot = (&raw const (*overflow).slots).cast();
                self.next = (*overflow).next;
            }
            self.left = OVERFLOW_SLOTS;
        }
        let slot = self.slot;
        self.left -= 1;
        // SAFETY: at least this one slot is left, so the next pointer is at most the end of the
        // array.
        unsafe {
            self.slot = slot.add(1);
            Some(&*slot)
        }
    }
}

impl<L, G> Deref for LockedBucket<'_, L, G> {
    type Target = Bucket<L>;

    #[inline]
    fn deref(&self) -> &Bucket<L> {
        self.bucket
    }
}

impl<'a, L: BucketLock, G> LockedBucket<'a, L, G> {
    #[inline]
    fn slots(&self) -> Slots<'_> {
        Slots {
            slot: self.bucket.slots.as_ptr(),
            left: SLOTS,
            next: self.overflow(),
            _locked: PhantomData,
        }
    }

    /// Returns the nodes of the bucket and its chain.
    #[inline]
    pub(super) fn nodes(&self) -> impl Iterator<Item = NodeRef<'_>> {
        // SAFETY: a node in a bucket stays alive and unwritten while the lock is held and this
        // borrow of it lasts.
        self.slots().filter_map(|slot| slot.get().node().map(|node| unsafe { NodeRef::new(node) }))
    }

    /// Returns the number of overflow buckets.
    pub(super) fn overflow_buckets(&self) -> usize {
        self.slots().skip(SLOTS).count() / OVERFLOW_SLOTS
    }

    /// Searches the bucket and its chain for `key`.
    pub(super) fn find(self, tag: u16, key: &[u8]) -> Lookup<'a, L, G> {
        let lookup = self.find_in_line(tag, key);
        if lookup.is_complete() { lookup } else { lookup.find_in_chain(tag, key) }
    }

    /// Searches the bucket's own slots for `key`, without the overflow buckets.
    #[inline(always)]
    pub(super) fn find_in_line(self, tag: u16, key: &[u8]) -> Lookup<'a, L, G> {
        let found = self.search_line(tag, key);
        Lookup { bucket: self, found }
    }

    #[inline(always)]
    fn search_line(&self, tag: u16, key: &[u8]) -> Option<(NonNull<Slot>, Node)> {
        // All tags are compared at once, since the processor cannot predict which slot matches. It
        // would notice a wrong prediction only when the bucket has come from memory, and would lose
        // all work that it had begun since.
        for slot in self.bucket.with_tag(tag) {
            let Some(node) = slot.get().node() else { continue };
            // SAFETY: a node in a bucket is alive and unwritten while the bucket's lock is held.
            if unsafe { node.has_key(key) } {
                return Some((NonNull::from_ref(slot), node));
            }
        }
        None
    }
}

impl<L: BucketLock, G: ExclusiveAccess> LockedBucket<'_, L, G> {
    fn set_overflow(&mut self, overflow: *mut Overflow) {
        let depth = self.chain.load(Ordering::Relaxed) & DEPTH;
        self.chain.store(overflow.expose_provenance() | depth, Ordering::Release);
    }

    /// Sets the bucket's depth, which is the number of levels that it lies below the initial level.
    /// The bucket must hold the entries of the hashes that belong to it at that depth.
    pub(super) fn set_depth(&mut self, depth: usize) {
        debug_assert!(depth <= DEPTH);
        // Release: a thread that sees the new depth also sees the bucket's entries.
        self.chain.store(self.overflow().expose_provenance() | depth, Ordering::Release);
    }

    /// Puts a pointer into an empty slot. If all slots are full, it links an overflow bucket from
    /// `spare` or a new one. Returns whether the slot is in an overflow bucket.
    #[inline]
    pub(super) fn push(&mut self, word: TaggedPtr, spare: &mut Spare) -> Result<bool> {
        for (at, slot) in self.slots().enumerate() {
            if slot.get() == TaggedPtr::EMPTY {
                slot.set(word);
                return Ok(at >= SLOTS);
            }
        }
        let overflow = match spare.take() {
            Some(overflow) => overflow,
            None => Overflow::allocate()?,
        };
        // SAFETY: no other thread has the overflow bucket until it is linked.
        unsafe {
            (*overflow).slots[0].set(word);
            (*overflow).next = self.overflow();
        }
        self.set_overflow(overflow);
        Ok(true)
    }

    /// Removes each node for which `is_unwanted` returns true. Each call of the iterator's `next`
    /// removes one node.
    pub(super) fn extract_if(
        &mut self,
        mut is_unwanted: impl FnMut(NodeRef<'_>) -> bool,
    ) -> impl Iterator<Item = Node> {
        self.slots().filter_map(move |slot| {
            let node = slot.get().node()?;
            // SAFETY: a node in a bucket is alive and unwritten while the lock is held.
            let unwanted = is_unwanted(unsafe { NodeRef::new(node) });
            unwanted.then(|| {
                slot.set(TaggedPtr::EMPTY);
                node
            })
        })
    }

    /// Calls `second` for each word, and stores its answer in the word: whether the word goes to
    /// the second half of a split. `second` may call the user's hasher, so it may panic. No word
    /// has moved by then. The answers that are already stored have no effect, and the next split
    /// overwrites them.
    pub(super) fn divide(&mut self, second: impl Fn(TaggedPtr, NodeRef<'_>) -> bool) {
        for slot in self.slots() {
            let word = slot.get();
            if let Some(node) = word.node() {
                // SAFETY: a node in a bucket is alive and unwritten while the lock is held.
                slot.set(word.going_to_second(second(word, unsafe { NodeRef::new(node) })));
            }
        }
    }

    /// Removes every word, and calls `place` with this bucket, the word, and the overflow buckets
    /// that are free so far. If `place` distributes the words between this bucket and an empty one,
    /// it never needs more overflow buckets than these. The reason is that after f overflow buckets
    /// were emptied, at most 6 + 7f words have been removed, and two buckets with 12 slots of their
    /// own need at most f overflow buckets to hold them.
    ///
    /// `place` must not panic, since the words that it has not placed would be lost.
    pub(super) fn drain(
        &mut self,
        mut spare: Spare,
        mut place: impl FnMut(&mut Self, TaggedPtr, &mut Spare),
    ) {
        let mut place_all = |bucket: &mut Self, words: &[TaggedPtr], spare: &mut Spare| {
            for &word in words.iter().filter(|&&word| word != TaggedPtr::EMPTY) {
                place(bucket, word, spare);
            }
        };
        // Each array of slots is emptied before any of its words is placed, so `place` may push to
        // this same bucket.
        let words = self.bucket.slots.each_ref().map(Slot::take);
        let mut overflow = self.overflow();
        self.set_overflow(null_mut());
        place_all(self, &words, &mut spare);
        // SAFETY: the chain is unlinked, so only this function uses it.
        while let Some(emptied) = unsafe { overflow.as_ref() } {
            let words = emptied.slots.each_ref().map(Slot::take);
            let next = emptied.next;
            // SAFETY: as above, and this function no longer uses this overflow bucket.
            unsafe { spare.put(overflow) };
            place_all(self, &words, &mut spare);
            overflow = next;
        }
    }
}

impl<L: BucketLock, G> Lookup<'_, L, G> {
    /// Returns whether the search is complete, since the key was found or there is no overflow
    /// bucket.
    #[inline]
    pub(super) fn is_complete(&self) -> bool {
        self.found.is_some() || self.bucket.overflow().is_null()
    }

    /// Continues the search in the overflow buckets.
    pub(super) fn find_in_chain(mut self, tag: u16, key: &[u8]) -> Self {
        let tagged = self.bucket.slots().skip(SLOTS).filter(|slot| slot.get().tag() == tag);
        // SAFETY: a node in a bucket is alive and unwritten while the lock is held.
        self.found = tagged
            .filter_map(|slot| Some((NonNull::from_ref(slot), slot.get().node()?)))
            .find(|(_, node)| unsafe { node.has_key(key) });
        self
    }

    /// Returns the key's node, or `None` if the key was not found.
    #[inline]
    pub(super) fn node(&self) -> Option<NodeRef<'_>> {
        // SAFETY: a node in a bucket stays alive and unwritten while the lock is held and this
        // borrow of it lasts.
        self.found.map(|(_, node)| unsafe { NodeRef::new(node) })
    }
}

impl<'a, L: BucketLock, G: ExclusiveAccess> Lookup<'a, L, G> {
    /// Writes `value` over the old one if the key was found, its node has space for it, and the
    /// bytes are there to copy. Returns whether it did. See [`Node::overwrite`].
    #[inline]
    pub(super) fn overwrite(&mut self, value: Source<'_>) -> bool {
        let Source::Bytes(value) = value else { return false };
        // SAFETY: the lock is held exclusively and no borrow of the node is left, so no other code
        // uses the node.
        self.found.is_some_and(|(_, node)| unsafe { node.overwrite(value) })
    }

    /// Puts `word` into the slot of the found key. Returns the bucket and the node that was in the
    /// slot, which no other thread uses from here on. Returns `None` if the key was not found.
    #[inline]
    pub(super) fn replace(self, word: TaggedPtr) -> Option<(LockedBucket<'a, L, G>, Node)> {
        let (slot, node) = self.found?;
        // SAFETY: the slot is part of the bucket or its chain, which stays as it is while the lock
        // is held.
        unsafe { slot.as_ref() }.set(word);
        Some((self.bucket, node))
    }

    /// Returns the bucket.
    #[inline]
    pub(super) fn into_bucket(self) -> LockedBucket<'a, L, G> {
        self.bucket
    }
}

/// Size of an overflow bucket in bytes.
pub(super) const OVERFLOW_BYTES: usize = size_of::<Overflow>();

const _: () =
    assert!(size_of::<Bucket<super::lock::SharedLock>>() == 64 && size_of::<Overflow>() == 64);
