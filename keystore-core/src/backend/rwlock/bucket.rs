//! A bucket: a lock, a word for its depth and its chain of overflow buckets, and six slots, on one
//! cache line.
//!
//! The methods on [`Entries`] want the bucket's lock: that is what their `# Safety` sections mean
//! by "held". A bucket of zeros is an unlocked, empty bucket of depth 0.

use std::alloc::{Layout, alloc_zeroed, dealloc};
use std::marker::PhantomData;
use std::mem::offset_of;
use std::ptr::{self, NonNull, null_mut};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use super::lock::BucketLock;
use crate::backend::common::tagged_ptr::TaggedPtr;
use crate::backend::common::tags::Matches;
use crate::backend::common::zeroed_array::{CACHE_LINE, Zeroable};
use crate::error::{Error, Result};
use crate::node::Node;

/// Number of slots in the bucket itself.
const SLOTS: usize = 6;

/// Number of slots in an overflow bucket.
const OVERFLOW_SLOTS: usize = 7;

#[repr(C, align(64))]
pub(super) struct Bucket<L> {
    pub(super) lock: L,
    pub(super) entries: Entries,
}

/// Data that the lock protects. It is written under the exclusive side only, and read under
/// either. The depth may be read without the lock.
#[repr(C)]
pub(super) struct Entries {
    /// The address of the first overflow bucket, which is aligned to 64 bytes, and below it the
    /// bucket's depth.
    chain: AtomicUsize,
    slots: [Slot; SLOTS],
}

/// A slot. It is written under the exclusive side of the lock only; but [`Bucket::hint`] reads it
/// without.
#[repr(transparent)]
pub(super) struct Slot(AtomicU64);

/// The slot that a key was found in, and the key's node.
pub(super) type Found<'a> = (&'a Slot, Node);

impl Slot {
    #[inline]
    pub(super) fn get(&self) -> TaggedPtr {
        TaggedPtr(self.0.load(Ordering::Relaxed))
    }

    #[inline]
    pub(super) fn set(&self, word: TaggedPtr) {
        self.0.store(word.0, Ordering::Relaxed);
    }

    fn take(&self) -> TaggedPtr {
        let word = self.get();
        self.set(TaggedPtr::EMPTY);
        word
    }
}

/// The bits of `Entries::chain` that are the depth.
const DEPTH: usize = align_of::<Overflow>() - 1;

/// Overflow bucket: more slots, on another cache line.
#[repr(C, align(64))]
struct Overflow {
    slots: [Slot; OVERFLOW_SLOTS],
    next: *mut Overflow,
}

/// Empty overflow buckets without an owner. [`Entries::push`] takes one of them before it
/// allocates.
pub(super) struct Spare(*mut Overflow);

// SAFETY: zeros are empty slots, null pointers, and by the promise of `BucketLock` an unlocked
// lock.
unsafe impl<L: BucketLock> Zeroable for Bucket<L> {}

impl<L: BucketLock> Bucket<L> {
    /// Touches the bucket, so that the system provides its memory now.
    pub(super) fn touch(&self) {
        let state = self.lock.lock_exclusive();
        // SAFETY: locked in the line above.
        unsafe { self.lock.unlock_exclusive(state) }
    }

    /// Returns the slot of `key`, and its node.
    ///
    /// # Safety
    /// The lock is held, either side, and stays so while the result is used.
    pub(super) unsafe fn find(&self, tag: u16, key: &[u8]) -> Option<Found<'_>> {
        // SAFETY: the caller's promise.
        unsafe { self.find_in_line(tag, key).or_else(|| self.entries.find_in_chain(tag, key)) }
    }

    /// [`find`](Self::find) among the bucket's own slots, without the overflow buckets.
    ///
    /// # Safety
    /// As for [`find`](Self::find).
    #[inline]
    pub(super) unsafe fn find_in_line(&self, tag: u16, key: &[u8]) -> Option<Found<'_>> {
        // All at once: which of the slots it is cannot be guessed, and a wrong guess is found out
        // only when the bucket has come from memory, and all that was begun meanwhile is in vain.
        for slot in self.with_tag(tag) {
            let Some(node) = slot.get().node() else { continue };
            // SAFETY: a node in a bucket is alive as long as the bucket's lock is held.
            if unsafe { node.has_key(key) } {
                return Some((slot, node));
            }
        }
        None
    }

    /// Returns the first node whose tag is `tag`: most likely the one that a lookup needs. Only
    /// for prefetching, since it takes no lock.
    #[inline]
    pub(super) fn hint(&self, tag: u16) -> Option<*const u8> {
        self.with_tag(tag).next()?.get().node().map(|node| node.as_ptr().cast_const())
    }

    /// Returns the bucket's own slots that hold a pointer with this tag.
    #[inline]
    fn with_tag(&self, tag: u16) -> impl Iterator<Item = &Slot> {
        const { assert!(Self::FIRST + SLOTS <= CACHE_LINE / size_of::<TaggedPtr>()) };
        let line = ptr::from_ref(self);
        // SAFETY: a bucket starts with a whole line, to whose slots nothing but whole words are
        // stored.
        let matches = unsafe { Matches::of(line.cast(), Self::FIRST, SLOTS, tag) };
        // SAFETY: the words that were looked at are the slots of this bucket.
        matches.map(move |word| unsafe { &*line.cast::<Slot>().add(word) })
    }

    /// Index of the first slot, in words.
    const FIRST: usize =
        (offset_of!(Self, entries) + offset_of!(Entries, slots)) / size_of::<TaggedPtr>();
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
    /// `overflow` came from [`allocate`](Self::allocate), and nobody uses it from here on.
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
    fn put(&mut self, overflow: *mut Overflow) {
        // SAFETY: the overflow bucket was unlinked by the caller and is owned by this list from
        // here on.
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
            // SAFETY: it was taken off the list, which owned it.
            unsafe { Overflow::free(overflow) }
        }
    }
}

/// The slots of a bucket and its chain, one after another.
struct Slots<'a> {
    slot: *const Slot,
    left: usize,
    next: *mut Overflow,
    _locked: PhantomData<&'a Entries>,
}

impl<'a> Iterator for Slots<'a> {
    type Item = &'a Slot;

    #[inline]
    fn next(&mut self) -> Option<&'a Slot> {
        if self.left == 0 {
            let overflow = NonNull::new(self.next)?.as_ptr();
            // SAFETY: the maker of the iterator holds the lock, so the chain stays as it is.
            unsafe {
                self.slot = (&raw const (*overflow).slots).cast();
                self.next = (*overflow).next;
            }
            self.left = OVERFLOW_SLOTS;
        }
        let slot = self.slot;
        self.left -= 1;
        // SAFETY: there is at least this one slot left, so the end of the array is the furthest
        // this can get.
        unsafe {
            self.slot = slot.add(1);
            Some(&*slot)
        }
    }
}

impl Entries {
    #[inline]
    fn slots(&self) -> Slots<'_> {
        Slots {
            slot: self.slots.as_ptr(),
            left: SLOTS,
            next: self.overflow(),
            _locked: PhantomData,
        }
    }

    /// Returns whether all entries are in the bucket's own slots.
    #[inline]
    pub(super) fn are_in_line(&self) -> bool {
        self.overflow().is_null()
    }

    /// Returns the first overflow bucket, or null.
    #[inline]
    fn overflow(&self) -> *mut Overflow {
        ptr::with_exposed_provenance_mut(self.chain.load(Ordering::Acquire) & !DEPTH)
    }

    /// # Safety
    /// The lock is held exclusively.
    unsafe fn set_overflow(&self, overflow: *mut Overflow) {
        let depth = self.chain.load(Ordering::Relaxed) & DEPTH;
        self.chain.store(overflow.expose_provenance() | depth, Ordering::Release);
    }

    /// Returns the number of levels that the bucket lies below the initial one, as it was last
    /// set; 0 if it never was.
    #[inline]
    pub(super) fn depth(&self) -> usize {
        self.chain.load(Ordering::Acquire) & DEPTH
    }

    /// Sets the number of levels that the bucket lies below the initial one.
    ///
    /// # Safety
    /// The lock is held exclusively, and the bucket has the entries of those hashes.
    pub(super) unsafe fn set_depth(&self, depth: usize) {
        debug_assert!(depth <= DEPTH);
        // Release: a thread that finds the bucket made finds its entries.
        self.chain.store(self.overflow().expose_provenance() | depth, Ordering::Release);
    }

    /// Returns the pointers that have a node.
    ///
    /// # Safety
    /// The lock is held, either side, while the iterator is used.
    #[inline]
    pub(super) unsafe fn words(&self) -> impl Iterator<Item = TaggedPtr> {
        // SAFETY: the caller's promise.
        unsafe { self.occupied() }.map(|(_, word)| word)
    }

    /// Returns the slots that hold a node, with their contents.
    ///
    /// # Safety
    /// The lock is held, either side, while the iterator is used; a slot is written only under the
    /// exclusive side.
    #[inline]
    pub(super) unsafe fn occupied(&self) -> impl Iterator<Item = (&Slot, TaggedPtr)> {
        self.slots().map(|slot| (slot, slot.get())).filter(|&(_, word)| word != TaggedPtr::EMPTY)
    }

    /// Returns the slot of `key` in the overflow buckets, and its node.
    ///
    /// # Safety
    /// As for [`Bucket::find`].
    pub(super) unsafe fn find_in_chain(&self, tag: u16, key: &[u8]) -> Option<Found<'_>> {
        let tagged = self.slots().skip(SLOTS).filter(|slot| slot.get().tag() == tag);
        // SAFETY: the caller's promise: the bucket is locked, so its nodes are alive.
        tagged
            .filter_map(|slot| Some((slot, slot.get().node()?)))
            .find(|(_, node)| unsafe { node.has_key(key) })
    }

    /// Puts a pointer into an empty slot. If all are full, it takes an overflow bucket from
    /// `spare` or allocates one. Returns whether the slot is in an overflow bucket.
    ///
    /// # Safety
    /// The lock is held exclusively.
    #[inline]
    pub(super) unsafe fn push(&self, word: TaggedPtr, spare: &mut Spare) -> Result<bool> {
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
        // SAFETY: the overflow bucket is ours, and under the exclusive lock so is the chain.
        unsafe {
            (*overflow).slots[0].set(word);
            (*overflow).next = self.overflow();
            self.set_overflow(overflow);
        }
        Ok(true)
    }

    /// Writes into each word whether it goes to the second half of a split, as `second` says.
    /// `second` may panic, as it may call the user's hasher: nothing has moved then. What it leaves
    /// in the words means nothing, and the next split writes it anew.
    ///
    /// # Safety
    /// The lock is held exclusively.
    pub(super) unsafe fn divide(&self, second: impl Fn(TaggedPtr) -> bool) {
        let divide = |slots: &[Slot]| {
            for slot in slots.iter().filter(|slot| slot.get() != TaggedPtr::EMPTY) {
                slot.set(slot.get().going_to_second(second(slot.get())));
            }
        };
        divide(&self.slots);
        let mut overflow = self.overflow();
        // SAFETY: under the exclusive lock slots and chain are ours.
        while let Some(further) = unsafe { overflow.as_ref() } {
            divide(&further.slots);
            overflow = further.next;
        }
    }

    /// Takes every word out and hands it to `place`, with the overflow buckets that have become
    /// free so far. Moving words to this bucket or one other never needs more of them than that: n
    /// words of a bucket with f overflow buckets emptied are at most 6 + 7f, and two buckets with
    /// 12 slots of their own hold so many in f more.
    ///
    /// # Safety
    /// The lock is held exclusively, and `place` takes none and does not panic: a word that it has
    /// not placed would be lost.
    pub(super) unsafe fn drain(
        &self,
        mut spare: Spare,
        mut place: impl FnMut(TaggedPtr, &mut Spare),
    ) {
        let mut place_all = |words: &[TaggedPtr], spare: &mut Spare| {
            words
                .iter()
                .filter(|&&word| word != TaggedPtr::EMPTY)
                .for_each(|&word| place(word, spare));
        };
        // Each array is emptied before any of its words is placed, so `place` may push to this
        // same bucket.
        let words = self.slots.each_ref().map(Slot::take);
        let mut overflow = self.overflow();
        // SAFETY: under the exclusive lock slots and chain are ours.
        unsafe {
            self.set_overflow(null_mut());
            place_all(&words, &mut spare);
            while let Some(emptied) = overflow.as_ref() {
                let words = emptied.slots.each_ref().map(Slot::take);
                let next = emptied.next;
                spare.put(overflow);
                place_all(&words, &mut spare);
                overflow = next;
            }
        }
    }

    /// Returns the number of overflow buckets.
    ///
    /// # Safety
    /// The lock is held, either side.
    pub(super) unsafe fn overflow_buckets(&self) -> usize {
        let mut overflow = self.overflow();
        let mut count = 0;
        while !overflow.is_null() {
            count += 1;
            // SAFETY: under the lock the chain stays as it is.
            overflow = unsafe { (*overflow).next };
        }
        count
    }
}

/// Bytes of an overflow bucket.
pub(super) const OVERFLOW_BYTES: usize = size_of::<Overflow>();

const _: () =
    assert!(size_of::<Bucket<super::lock::SharedLock>>() == 64 && size_of::<Overflow>() == 64);
