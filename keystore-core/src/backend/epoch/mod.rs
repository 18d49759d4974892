//! `EpochKeystore`: lock-free; readers wait for nobody.
//!
//! # The table
//!
//! The table is an array of buckets. Each is one cache line of seven slots and a link to overflow
//! buckets ([`bucket`]). A slot is one atomic word: a tag of the key's hash and the node's
//! address. Nodes never change once they are in a slot, so an entry's whole life is exchanges on
//! one word:
//!
//! | operation | takes effect at |
//! |---|---|
//! | read, get, contains | the load of the slot's word; for an absent key, an instant between the loads at which no slot has it |
//! | set, update, compare_exchange of a key that is there | the exchange of its word for the new node's |
//! | delete, take | the exchange of its word for a free slot |
//! | set, insert of a key that is not there | the exchange of the pending word for the live one ([`insert`]) |
//! | a write that decides to change nothing | as a read |
//!
//! *Why a miss is right.* If a key was in the table all the time while a reader looked, it was in
//! one slot all the time, since an entry changes its slot only by being removed and inserted
//! again. So the reader met it. If the reader did not meet it, there was an instant without it.
//!
//! # Growing
//!
//! The array is moved to one of twice or half the size, a few buckets at a time, by everyone who
//! writes ([`array`], [`migrate`]). No thread can keep the others from going on: what one leaves
//! half done, any other can do again.
//!
//! # Memory
//!
//! A node that was taken out of its slot may still be looked at. Every operation pins the epoch
//! (crossbeam-epoch, after Keir Fraser's *Practical lock-freedom*, 2004) while it is in the table,
//! and what was taken out is freed when all who were pinned then have let go ([`garbage`]). How a
//! pin is had for two stores and no locked instruction is told in [`pin`](mod@pin).
//!
//! # Sources
//!
//! One cache line to a bucket, bounded chains and growth that blocks nobody: DLHT (arXiv
//! 2406.09986) and CLHT (David, Guerraoui, Trigonakis, 2015). Helping a half-done operation from
//! what it left in shared memory: Harris, Fraser and Pratt's multi-word compare-and-swap (2002).
//! Freezing buckets to copy them: Liu, Zhang and Spear, *Dynamic-sized nonblocking hash tables*
//! (2014). The protocol of pending words is this project's own.

mod array;
mod bucket;
mod failpoint;
mod insert;
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
use self::bucket::{Bucket, TOMBSTONE};
use self::failpoint::Failpoint;
use self::insert::{Insertion, insert};
use self::prepared::PreparedNode;
use self::reclaim::garbage::Garbage;
pub(crate) use self::reclaim::leave_participant;
use self::reclaim::{Guard, owner, pin};
use crate::account::{Account, counters::Event};
use crate::allocator::{Global, NodeAllocator};
use crate::backend::common::hint::{cold, prefetch};
use crate::backend::common::load_factor::{self, samples_load};
use crate::backend::common::tagged_ptr::TaggedPtr;
use crate::config::Config;
use crate::error::{Error, Result};
use crate::hash::{DefaultHasher, tag};
use crate::huge_pages::Pages;
use crate::keystore::Change;
use crate::open::BackendKind;
use crate::store::Store;
use crate::sync::primitive::atomic::{AtomicPtr, AtomicU64, Ordering};
use crate::sync::reentrancy::{self, Closure, Deciding, UserClosure};
use crate::table::{Action, Footprint, Survey, Table, describe, enter_table};

/// A lock-free store, whose readers wait for nobody. See the [crate's page](crate) on choosing.
pub type EpochKeystore<A = Global, S = DefaultHasher> = Store<EpochTable<A, S>>;

impl<A: NodeAllocator + Send + Sync + 'static> EpochKeystore<A> {
    /// Opens an empty store whose nodes come from `allocator`.
    ///
    /// # Errors
    /// -21 for a configuration outside its limits, -10 if the first table cannot be allocated.
    pub fn open(config: &Config, allocator: A) -> Result<Self> {
        Self::with_hasher(config, allocator, DefaultHasher::default())
    }
}

impl<A, S> EpochKeystore<A, S>
where
    A: NodeAllocator + Send + Sync + 'static,
    S: BuildHasher + Send + Sync + 'static,
{
    /// Opens an empty store with another hasher.
    ///
    /// A user who chooses the keys, and knows which of them share a hash, can make every operation
    /// on these visit all of them. The default hasher's seed is random, which protects against
    /// keys that were chosen beforehand. It does not protect against someone who can measure how
    /// long the store takes, and learn from it. Then take SipHash:
    ///
    /// ```
    /// # fn main() -> keystore_core::Result<()> {
    /// use std::hash::RandomState;
    ///
    /// use keystore_core::{Config, EpochKeystore, Global, Keystore};
    ///
    /// let store = EpochKeystore::with_hasher(&Config::default(), Global, RandomState::new())?;
    /// store.set(b"from a stranger", b"value")?;
    /// assert_eq!(store.get(b"from a stranger")?.as_deref(), Some(&b"value"[..]));
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// -21 for a configuration outside its limits, -10 if the first table cannot be allocated.
    pub fn with_hasher(config: &Config, allocator: A, hasher: S) -> Result<Self> {
        let pages = Pages::new(config.huge_pages);
        let garbage = Garbage::new(Account::new(config, allocator, hasher)?)?;
        let initial_bits = config.initial_buckets.ilog2();
        let array = AtomicPtr::new(BucketArray::allocate(initial_bits, None, pages)?);
        Ok(Self::over(EpochTable { array, garbage, initial_bits, pages }, config))
    }
}

impl Default for EpochKeystore {
    /// An empty store on the global allocator.
    ///
    /// # Panics
    /// If the first 16 KiB cannot be allocated.
    fn default() -> Self {
        Self::open(&Config::default(), Global).expect("the default configuration is valid")
    }
}

/// The table behind [`EpochKeystore`].
pub struct EpochTable<A, S>
where
    A: NodeAllocator + Send + Sync + 'static,
    S: BuildHasher + Send + Sync + 'static,
{
    /// Array that operations start at. While it is being migrated, they may have to go on in its
    /// `next`.
    array: AtomicPtr<BucketArray>,
    /// Garbage, and the account, since freeing needs it.
    garbage: Garbage<A, S>,
    initial_bits: u32,
    pages: Pages,
}

/// A live word that was found, and where.
type Found<'g> = (&'g AtomicU64, TaggedPtr);

impl<A, S> EpochTable<A, S>
where
    A: NodeAllocator + Send + Sync + 'static,
    S: BuildHasher + Send + Sync + 'static,
{
    /// Returns the array to start at.
    #[inline]
    fn current<'g>(&self, _: &'g Guard) -> &'g BucketArray {
        // SAFETY: there always is one, and it is retired only when it is the table's no longer;
        // `'g` lies within a pin.
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

    /// [`find`](Self::find) in overflow buckets. Apart, for one entry in twenty lies in one, and a
    /// loop around the look costs the others more than this call.
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

    /// [`find`](Self::find) in one bucket.
    #[inline]
    fn find_in<'g>(bucket: &'g Bucket, tag: u16, key: &[u8], _: &'g Guard) -> Option<Found<'g>> {
        for slot in bucket.slots_with(tag) {
            // Acquire: the node's content was written before its word. And sequentially
            // consistent, as the exchanges are and the look at the tags is: a thread that wrote
            // one key and then reads another must not be ahead of its own write.
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

    /// Returns the array and the bucket to read `hash` in.
    ///
    /// Its unit had not migrated an instant ago. So the bucket had the entries then, and its chain
    /// cannot be freed while this thread is pinned. What is found in it was there at that instant
    /// or came later; either is a right answer for this call. (A bucket whose unit had migrated
    /// before must not be read: its chain may be freed.)
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

    /// Does a writer's share of a resize, and the shares of the writes that its closure made. If
    /// memory is short, the resize waits: the write is done.
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

    /// Returns the bucket to write `hash` in. If it is frozen, its unit is migrated first.
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

    // Always: it is most of a read's instructions besides the look itself, and half as long again
    // when called.
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
        let (_, bucket) = self.bucket_to_read(hash, session);
        let node = Self::find(bucket, tag(hash), key, session).and_then(|(_, word)| word.node());
        // SAFETY: live when its word was read, and the thread has been pinned since.
        Ok(node.map(|node| visit(unsafe { node.value() })))
    }

    #[inline]
    fn update_entry<'v, C: Closure>(
        &self,
        session: &Guard,
        hash: u64,
        key: &[u8],
        likely: Option<&[u8]>,
        mut decide: impl FnMut(Option<&[u8]>) -> Action<'v>,
        on_effect: impl FnOnce(Change),
    ) -> Result<Change> {
        // A write from inside a closure that decides about another key of this table.
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
            let change = if let Some((slot, word)) = Self::find(bucket, tag(hash), key, session) {
                let Some(old) = word.node().filter(|_| !word.is_frozen()) else { continue };
                // SAFETY: live when its word was read, and the thread has been pinned since.
                let (new, change) = match decide(Some(unsafe { old.value() })) {
                    Action::Keep => {
                        on_effect(Change::Kept);
                        return Ok(Change::Kept);
                    }
                    Action::Set(value) => {
                        // SAFETY: as above.
                        let replaced = unsafe { old.size() };
                        (
                            TaggedPtr::new(tag(hash), fresh.with(key, &value, replaced)?)?,
                            Change::Replaced,
                        )
                    }
                    Action::Delete => (TaggedPtr(TOMBSTONE), Change::Deleted),
                };
                failpoint::hit(Failpoint::Decided);
                // Release: the new node's content goes before its word.
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
                change
            } else {
                if bucket.link().is_frozen() {
                    continue;
                }
                let Action::Set(value) = decide(None) else {
                    on_effect(Change::Absent);
                    return Ok(Change::Absent);
                };
                let node = fresh.with(key, &value, 0)?;
                match insert(bucket, TaggedPtr::new(tag(hash), node)?, key, session)? {
                    Insertion::NotPlaced => continue,
                    Insertion::Lost => {
                        fresh.release();
                        // SAFETY: it came to nothing, so no one can come by it any more but who
                        // has seen it pending.
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
                Change::Created
            };
            on_effect(change);
            if is_nested {
                // To resize now could freeze the bucket of the key that the closure decides about,
                // and so have the closure called again for nothing.
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
        mut visit: impl FnMut(&[u8], &[u8]) -> ControlFlow<()>,
    ) -> Result<()> {
        // SAFETY: the walk's nodes are alive while it shows them.
        self.scan_nodes(session, |node, _, _| Ok(unsafe { visit(node.key(), node.value()) }))
    }

    fn retain(
        &self,
        session: &mut Guard,
        mut keep: impl FnMut(&[u8], &[u8]) -> bool,
    ) -> Result<usize> {
        let mut removed = 0;
        self.scan_nodes(session, |node, hash, guard| {
            // SAFETY: the walk's nodes are alive while it shows them.
            let key = unsafe { node.key() };
            let decide = |value: Option<&[u8]>| match value {
                Some(value) if !keep(key, value) => Action::Delete,
                _ => Action::Keep,
            };
            self.update_entry::<UserClosure>(guard, hash, key, None, decide, |change| {
                if change == Change::Deleted {
                    self.account().counters.record(Event::DeleteHit);
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
        // What the old arrays took, and what was removed before, goes now if it can.
        self.garbage.collect();
        Ok(())
    }

    fn shrink_if_sparse(&self, session: &Guard) {
        let array = self.current(session);
        let sparse = self.account().counters.entries() < load_factor::MIN << array.bits();
        if sparse && array.bits() > self.initial_bits && array.next(session).is_none() {
            // Lack of memory only delays it.
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

    fn footprint(&self) -> Result<Footprint> {
        let guard = enter_table(self)?;
        let array = self.current(&guard);
        let mut table_bytes = self.array_bytes()?;
        let longest =
            array.next(&guard).map_or(0, |next| next.buckets().len()).max(array.buckets().len());
        for hash in 0..longest as u64 {
            let (array, bucket) = self.bucket_to_read(hash, &guard);
            // Of the hashes that share a bucket, the bucket's own index stands for all.
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
            // SAFETY: the table is being dropped, so nobody is in it, and each array comes once.
            unsafe { self.free_contents(from, current, guard) };
            from = array;
            array = current.next(guard);
        }
        let mut pointer = self.array.load(Ordering::Relaxed);
        while !pointer.is_null() {
            // SAFETY: as above. The link to the next array is read before this one goes.
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
    /// Frees nodes and overflow buckets of `array`, which follows the array `from`, if any. Of a
    /// unit that is being moved, this frees what the array with the entries has. The other array
    /// has copies of their words, or chains that are in the garbage.
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
