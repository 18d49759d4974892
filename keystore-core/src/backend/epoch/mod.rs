//! `EpochKeystore`: the lock-free backend, whose readers wait for nobody.
//!
//! # The table
//!
//! The table is an array of buckets. Each bucket is one cache line: seven slots and a link to
//! overflow buckets ([`bucket`]). A slot is one atomic word, which holds a tag of the key's hash
//! and the address of the node. A node never changes once it is in a slot. So every operation on an
//! entry takes effect by one atomic access to the slot's word:
//!
//! | operation | takes effect at |
//! |---|---|
//! | read, get, contains | the load of the slot's word; for an absent key, an instant between the loads at which no slot has it |
//! | set, update, compare_exchange of a key that is there | the exchange of its word for the new node's |
//! | delete, take | the exchange of its word for a free slot |
//! | set, insert of a key that is not there | the exchange of the pending word for the live one ([`insert`]) |
//! | a write that decides to change nothing | as a read |
//!
//! *Why a miss is correct.* Suppose that a key was in the table during the whole search of a
//! reader. Then it was in the same slot during that time, since an entry changes its slot only by
//! being removed and inserted again. So the reader found it. It follows that if a reader does not
//! find a key, there was an instant at which the key was absent.
//!
//! # Growing
//!
//! To grow or shrink, the table migrates to an array of twice or half the size. Every thread that
//! writes migrates a few buckets ([`array`], [`resize`]). No thread can block the others: if a
//! thread stops in the middle of a step, any other thread can do the step again.
//!
//! # Memory
//!
//! After a node is removed from its slot, other threads may still read it. So every operation pins
//! the epoch while it is in the table (crossbeam-epoch, after Keir Fraser's *Practical
//! lock-freedom*, 2004). A removed node is freed when all threads that were pinned at its removal
//! have unpinned (module `reclaim::garbage`). The module [`reclaim`] explains how a thread pins
//! with two stores and no locked instruction.
//!
//! # Sources
//!
//! - Buckets of one cache line, bounded chains and non-blocking growth come from DLHT (arXiv
//!   2406.09986) and CLHT (David, Guerraoui, Trigonakis, 2015).
//! - Completing another thread's operation from what it left in shared memory comes from the
//!   multi-word compare-and-swap of Harris, Fraser and Pratt (2002).
//! - Freezing buckets to copy them comes from Liu, Zhang and Spear, *Dynamic-sized nonblocking hash
//!   tables* (2014).
//! - The protocol of pending words is this project's own.

mod array;
mod borrow;
mod bucket;
mod failpoint;
mod insert;
mod open;
mod prepared;
mod reclaim;
mod resize;
mod scan;
#[cfg(test)]
mod tests;

use std::fmt;
use std::hash::BuildHasher;
use std::ops::ControlFlow;
use std::ptr::{self, null_mut};

use self::array::BucketArray;
pub use self::borrow::ValueGuard;
use self::bucket::{Bucket, TOMBSTONE};
use self::failpoint::Failpoint;
use self::insert::{Insertion, insert};
pub use self::open::EpochKeystore;
use self::prepared::PreparedNode;
use self::reclaim::garbage::Garbage;
pub(crate) use self::reclaim::leave_participant;
use self::reclaim::{Guard, owner, pin};
use crate::account::{Account, counters::Event};
use crate::allocator::NodeAllocator;
use crate::backend::common::cursor::Cursor;
use crate::backend::common::hint::{cold, prefetch};
use crate::backend::common::load_factor::{self, samples_load};
use crate::backend::common::tagged_ptr::TaggedPtr;
use crate::error::{Error, Result};
use crate::hash::tag;
use crate::huge_pages::Pages;
use crate::keystore::Change;
use crate::node::Node;
use crate::open::BackendKind;
use crate::sync::primitive::atomic::{AtomicPtr, AtomicU64, Ordering};
use crate::sync::reentrancy::{self, Closure, Deciding, UserClosure};
use crate::table::{Footprint, Survey, Table, describe, enter_table};
use crate::update::{Source, Update};

/// The table behind [`EpochKeystore`].
pub struct EpochTable<A, S>
where
    A: NodeAllocator + Send + Sync + 'static,
    S: BuildHasher + Send + Sync + 'static,
{
    /// Array at which operations start. While it is being migrated, an operation may have to
    /// continue in its `next`.
    array: AtomicPtr<BucketArray>,
    /// Garbage. It holds the account too, since freeing needs it.
    garbage: Garbage<A, S>,
    initial_bits: u32,
    pages: Pages,
}

/// A slot in which a search found a live word, and that word.
type Found<'g> = (&'g AtomicU64, TaggedPtr);

impl<A, S> EpochTable<A, S>
where
    A: NodeAllocator + Send + Sync + 'static,
    S: BuildHasher + Send + Sync + 'static,
{
    /// Returns the array to start at.
    #[inline]
    fn current<'g>(&self, _: &'g Guard) -> &'g BucketArray {
        // SAFETY: the table always has an array, and an array is retired only after the table has
        // replaced it. The thread is pinned for `'g`.
        unsafe { &*self.array.load(Ordering::Acquire) }
    }

    /// Finds the live slot of `key` in a bucket and its overflow buckets.
    #[inline]
    fn find<'g>(bucket: &'g Bucket, tag: u16, key: &[u8], guard: &'g Guard) -> Option<Found<'g>> {
        Self::find_in(bucket, tag, key, guard).or_else(|| {
            let overflow = bucket.link().overflow()?;
            Self::find_deeper(overflow, tag, key, guard)
        })
    }

    /// Finds the slot like [`find`](Self::find), in overflow buckets. It is a function of its own
    /// because only one entry in twenty lies in an overflow bucket: a loop in `find` would cost the
    /// other entries more than this call costs.
    #[inline(never)]
    fn find_deeper<'g>(
        mut bucket: &'g Bucket,
        tag: u16,
        key: &[u8],
        guard: &'g Guard,
    ) -> Option<Found<'g>> {
        loop {
            if let Some(found) = Self::find_in(bucket, tag, key, guard) {
                return Some(found);
            }
            bucket = bucket.link().overflow()?;
        }
    }

    /// Finds the slot like [`find`](Self::find), in one bucket only.
    #[inline]
    fn find_in<'g>(bucket: &'g Bucket, tag: u16, key: &[u8], _: &'g Guard) -> Option<Found<'g>> {
        for slot in bucket.slots_with(tag) {
            // Acquire, since the node's content was written before its word. The load is also
            // sequentially consistent, like the exchanges and the comparison of the tags: a thread
            // that writes one key and then reads another must not read before its own write.
            let word = TaggedPtr(slot.load(Ordering::SeqCst));
            if word.is_live_under(tag)
                // SAFETY: a live word's node is retired only after the word was taken out of the
                // table, and this thread has been pinned since before it read the word.
                && word.node().is_some_and(|node| unsafe { node.has_key(key) })
            {
                return Some((slot, word));
            }
        }
        None
    }

    /// Returns the value of a key with this hash.
    #[inline]
    fn find_value<'g>(&'g self, hash: u64, key: &[u8], guard: &'g Guard) -> Option<&'g [u8]> {
        let (_, bucket) = self.bucket_to_read(hash, guard);
        let node = Self::find(bucket, tag(hash), key, guard).and_then(|(_, word)| word.node());
        // SAFETY: the node was live when its word was read, and the thread has been pinned since.
        // It stays pinned for 'g.
        node.map(|node| unsafe { node.value() })
    }

    /// Returns the array and the bucket to read `hash` in.
    ///
    /// During this call, there is an instant at which the bucket's unit has not migrated. At that
    /// instant the bucket holds the entries, and its chain cannot be freed while this thread is
    /// pinned. Any entry that is found in it was there at that instant or came later, and both are
    /// correct results. A bucket whose unit had migrated before the call must not be read: its
    /// chain may have been freed.
    #[inline]
    fn bucket_to_read<'g>(&self, hash: u64, guard: &'g Guard) -> (&'g BucketArray, &'g Bucket) {
        let mut array = self.current(guard);
        loop {
            let bucket = array.bucket(hash);
            match array.next(guard) {
                Some(next) if bucket.link().is_frozen() && array.unit(next, hash).is_migrated() => {
                    array = next
                }
                _ => return (array, bucket),
            }
        }
    }

    /// Does a writer's share of a resize, and the `put_off` shares of the writes that its closure
    /// made. The write itself is done, so if memory is short, this does nothing and the resize
    /// waits.
    #[inline]
    fn help(&self, put_off: usize, guard: &Guard) {
        if put_off > 0 {
            cold(|| self.grow_if_crowded(guard));
        }
        for _ in 0..=put_off {
            let array = self.current(guard);
            if array.next(guard).is_none() || self.help_resize(array, guard).is_err() {
                break;
            }
        }
    }

    /// Returns the bucket to write `hash` in. If the bucket is frozen, this migrates its unit and
    /// continues in the new array.
    #[inline]
    fn bucket_to_write<'g>(&self, hash: u64, guard: &'g Guard) -> Result<&'g Bucket> {
        let mut array = self.current(guard);
        loop {
            let bucket = array.bucket(hash);
            match array.next(guard) {
                Some(next) if bucket.link().is_frozen() => {
                    self.migrate_unit(array.unit(next, hash), guard)?;
                    array = next;
                }
                _ => return Ok(bucket),
            }
        }
    }
}

impl<A, S> fmt::Debug for EpochTable<A, S>
where
    A: NodeAllocator + Send + Sync + 'static,
    S: BuildHasher + Send + Sync + 'static,
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        describe(self, "EpochTable", f)
    }
}

impl<A, S> Table for EpochTable<A, S>
where
    A: NodeAllocator + Send + Sync + 'static,
    S: BuildHasher + Send + Sync + 'static,
{
    type Allocator = A;
    type Hasher = S;
    const BACKEND: BackendKind = BackendKind::Epoch;
    type Session = Guard;

    #[inline]
    fn account(&self) -> &Account<A, S> {
        &self.garbage.account
    }

    // Always inlined: apart from the search, this is most of a read's instructions, and it takes
    // one and a half times as long if it is called.
    #[inline(always)]
    fn enter(&self) -> Option<Guard> {
        pin()
    }

    #[inline]
    fn refresh(&self, session: &mut Guard) {
        if self.garbage.is_pressing() {
            session.repin_after(|| self.garbage.relieve());
        } else {
            session.repin();
        }
    }

    #[inline]
    fn leave(&self, session: Guard) {
        drop(session);
        if self.garbage.is_pressing() {
            self.garbage.relieve();
        }
    }

    #[inline]
    fn prefetch_bucket(&self, session: &Guard, hash: u64) {
        prefetch(self.current(session).bucket(hash));
    }

    #[inline]
    fn prefetch_node(&self, session: &Guard, hash: u64) {
        for slot in self.current(session).bucket(hash).slots_with(tag(hash)) {
            if let Some(node) = TaggedPtr(slot.load(Ordering::Relaxed)).node() {
                prefetch(node.as_ptr());
            }
        }
    }

    #[inline]
    fn read<C: Closure, R>(
        &self,
        session: &Guard,
        hash: u64,
        key: &[u8],
        visit: impl FnOnce(&[u8]) -> R,
    ) -> Result<Option<R>> {
        Ok(self.find_value(hash, key, session).map(visit))
    }

    #[inline(always)]
    fn update_entry<'v, C: Closure>(
        &self,
        session: &Guard,
        hash: u64,
        key: &[u8],
        likely: Option<&[u8]>,
        mut decide: impl FnMut(Option<&[u8]>) -> Update<'v>,
        on_effect: impl FnOnce(Change, i64),
    ) -> Result<Change> {
        // True if a closure that decides about another key of this table makes this write.
        let is_nested = match reentrancy::deciding_in(self, key) {
            Deciding::Nothing => false,
            Deciding::AnotherKey => true,
            Deciding::ThisKey => return Err(Error::Busy { operation: "write" }),
        };
        self.garbage.prepare()?;
        let mut decide = |old: Option<&[u8]>| C::deciding(self, key, || decide(old));
        let mut fresh = PreparedNode::new(self.account());
        if let Some(value) = likely {
            self.prefetch_bucket(session, hash);
            fresh.prepare(key, value);
        }
        loop {
            let bucket = self.bucket_to_write(hash, session)?;
            let (change, grown) = if let Some((slot, word)) =
                Self::find(bucket, tag(hash), key, session)
            {
                let Some(old) = word.node().filter(|_| !word.is_frozen()) else { continue };
                // SAFETY: the node was live when its word was read, and the thread has been pinned
                // since.
                let old_value = unsafe { old.value() };
                // A node of this backend has no spare bytes, since it is never overwritten.
                let old_size = Node::size_for(key.len(), old_value.len());
                let (new, change, grown) = match decide(Some(old_value)) {
                    Update::Keep => {
                        on_effect(Change::Kept, 0);
                        return Ok(Change::Kept);
                    }
                    Update::Set(value) => {
                        let new = match value.source() {
                            Source::Bytes(bytes) => fresh.with(key, bytes, old_size)?,
                            Source::Filled { length, fill } => {
                                fresh.filled(key, length, old_size, |new| {
                                    C::deciding(self, key, || fill(Some(old_value), new));
                                })?
                            }
                        };
                        let grown = value.source().len() as i64 - old_value.len() as i64;
                        (TaggedPtr::new(tag(hash), new)?, Change::Replaced, grown)
                    }
                    Update::Delete => (TaggedPtr(TOMBSTONE), Change::Deleted, -(old_size as i64)),
                };
                failpoint::hit(Failpoint::Decided);
                // Release: the new node's content must be visible before its word.
                if slot
                    .compare_exchange(word.0, new.0, Ordering::SeqCst, Ordering::Relaxed)
                    .is_err()
                {
                    continue;
                }
                if change == Change::Replaced {
                    fresh.release();
                }
                // SAFETY: this thread took the node out of the table, and nobody else did.
                unsafe { self.garbage.retire_node(old, session) };
                (change, grown)
            } else {
                if bucket.link().is_frozen() {
                    continue;
                }
                let Update::Set(value) = decide(None) else {
                    on_effect(Change::Absent, 0);
                    return Ok(Change::Absent);
                };
                let node = match value.source() {
                    Source::Bytes(bytes) => fresh.with(key, bytes, 0)?,
                    Source::Filled { length, fill } => fresh.filled(key, length, 0, |new| {
                        C::deciding(self, key, || fill(None, new));
                    })?,
                };
                match insert(bucket, TaggedPtr::new(tag(hash), node)?, key, session)? {
                    Insertion::NotPlaced => continue,
                    Insertion::Lost => {
                        fresh.release();
                        // SAFETY: the insertion failed, so only threads that have already seen the
                        // node pending can still reach it. The node is retired once, here.
                        unsafe { self.garbage.retire_node(node, session) };
                        continue;
                    }
                    Insertion::Committed { deep } => {
                        fresh.release();
                        if !is_nested && samples_load(hash, deep, || self.current(session).bits()) {
                            self.grow_if_crowded(session);
                        }
                    }
                }
                (Change::Created, Node::size_for(key.len(), value.source().len()) as i64)
            };
            on_effect(change, grown);
            if is_nested {
                // A resize now could freeze the bucket of the key that the closure decides about.
                // Then the closure would be called again for nothing.
                reentrancy::put_off();
            } else {
                self.help(C::take_put_off(), session);
            }
            return Ok(change);
        }
    }

    fn scan(
        &self,
        session: &mut Guard,
        cursor: &mut Cursor,
        limit: usize,
        mut visit: impl FnMut(&[u8], &[u8]) -> ControlFlow<()>,
    ) -> Result<()> {
        // SAFETY: `scan_nodes` keeps a node alive while it passes the node to this closure.
        let visit = |node: Node, _, _: &Guard| Ok(unsafe { visit(node.key(), node.value()) });
        self.scan_nodes(session, cursor, limit, visit)
    }

    fn retain(
        &self,
        session: &mut Guard,
        mut keep: impl FnMut(&[u8], &[u8]) -> bool,
    ) -> Result<usize> {
        let mut removed = 0;
        let mut cursor = Cursor::default();
        self.scan_nodes(session, &mut cursor, usize::MAX, |node, hash, guard| {
            // SAFETY: `scan_nodes` keeps a node alive while it passes the node to this closure.
            let key = unsafe { node.key() };
            let decide = |value: Option<&[u8]>| match value {
                Some(value) if !keep(key, value) => Update::Delete,
                _ => Update::Keep,
            };
            self.update_entry::<UserClosure>(guard, hash, key, None, decide, |change, grown| {
                if change == Change::Deleted {
                    self.account().counters.record_with_bytes(Event::DeleteHit, grown);
                    removed += 1;
                }
            })?;
            Ok(ControlFlow::Continue(()))
        })?;
        Ok(removed)
    }

    fn reserve(&self, entries: usize) -> Result<()> {
        self.resize_for(entries, true, &mut enter_table(self)?)
    }

    fn shrink(&self) -> Result<()> {
        self.resize_for(self.account().counters.entries(), false, &mut enter_table(self)?)?;
        // Free the memory of the old arrays and of removed entries now, as far as no reader needs
        // it.
        self.garbage.collect();
        Ok(())
    }

    fn shrink_if_sparse(&self, session: &Guard) {
        let array = self.current(session);
        let sparse = self.account().counters.entries() < load_factor::MIN << array.bits();
        if sparse && array.bits() > self.initial_bits && array.next(session).is_none() {
            // A lack of memory only delays the resize.
            let _ = self.start_resize(array, array.bits() - 1);
        }
    }

    fn survey(&self) -> Result<Survey> {
        self.survey_buckets(&mut enter_table(self)?)
    }

    fn array_bytes(&self) -> Result<usize> {
        let guard = enter_table(self)?;
        let array = self.current(&guard);
        Ok(array.bytes() + array.next(&guard).map_or(0, BucketArray::bytes))
    }

    fn garbage_bytes(&self) -> usize {
        self.garbage.bytes()
    }

    fn is_resizing(&self) -> bool {
        self.enter().is_some_and(|guard| self.current(&guard).next(&guard).is_some())
    }

    fn footprint(&self) -> Result<Footprint> {
        let guard = enter_table(self)?;
        let array = self.current(&guard);
        let mut table_bytes = self.array_bytes()?;
        let longest =
            array.next(&guard).map_or(0, |next| next.buckets().len()).max(array.buckets().len());
        for hash in 0..longest as u64 {
            let (array, bucket) = self.bucket_to_read(hash, &guard);
            // Count each bucket once: at the hash that equals the bucket's index.
            if (hash as usize) < array.buckets().len() {
                table_bytes += (bucket.chain(&guard).count() - 1) * size_of::<Bucket>();
            }
        }
        let huge =
            array.huge_page_bytes() + array.next(&guard).map_or(0, BucketArray::huge_page_bytes);
        Ok(Footprint {
            table_bytes: table_bytes as u64,
            garbage_bytes: self.garbage.bytes() as u64,
            huge_page_bytes: huge as u64,
        })
    }
}

impl<A, S> Drop for EpochTable<A, S>
where
    A: NodeAllocator + Send + Sync + 'static,
    S: BuildHasher + Send + Sync + 'static,
{
    fn drop(&mut self) {
        let guard = &*owner();
        let mut from = None;
        let mut array = Some(self.current(guard));
        while let Some(current) = array {
            // SAFETY: the table is being dropped, so nobody is in it, and the loop visits each
            // array once.
            unsafe { self.free_contents(from, current, guard) };
            from = array;
            array = current.next(guard);
        }
        let mut pointer = self.array.load(Ordering::Relaxed);
        while !pointer.is_null() {
            // SAFETY: as above. The link to the next array is read before this array is freed.
            unsafe {
                let next = (*pointer).next(guard);
                let next = next.map_or(null_mut(), |next| ptr::from_ref(next).cast_mut());
                BucketArray::free(pointer);
                pointer = next;
            }
        }
        // SAFETY: as above.
        unsafe { self.garbage.free_all() }
    }
}

impl<A, S> EpochTable<A, S>
where
    A: NodeAllocator + Send + Sync + 'static,
    S: BuildHasher + Send + Sync + 'static,
{
    /// Frees the nodes and overflow buckets of `array`. If there was an array before it, that is
    /// `from`. During a migration, the array that holds a unit's entries frees their nodes. The
    /// other array of the unit has only copies of their words, or chains that are garbage already.
    ///
    /// # Safety
    /// Nobody is in the table from here on, and the contents of `array` have not been freed.
    unsafe fn free_contents(&self, from: Option<&BucketArray>, array: &BucketArray, guard: &Guard) {
        let next = array.next(guard);
        for (hash, bucket) in (0..).zip(array.buckets()) {
            let arrived = from.is_none_or(|from| from.unit(array, hash).is_migrated());
            let departed = next.is_some_and(|next| array.unit(next, hash).is_migrated());
            if arrived && !departed {
                let live = bucket.words(guard).filter(|(_, word)| word.is_live());
                for node in live.filter_map(|(_, word)| word.node()) {
                    // SAFETY: the caller's promise, and this array has the entry.
                    unsafe { self.account().heap.destroy_node(node) };
                }
            }
            if !departed {
                let first = bucket.link().overflow();
                let first = first.map_or(null_mut(), |first| ptr::from_ref(first).cast_mut());
                // SAFETY: the caller's promise, and the chain is this array's own.
                unsafe { Bucket::free_chain(first) };
            }
        }
    }
}
