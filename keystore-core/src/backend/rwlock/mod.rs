//! `RwLockKeystore`: the backend with a lock in every bucket.
//!
//! # The table
//!
//! A bucket is one cache line: a reader-writer lock, six slots, and a link to a chain of overflow
//! buckets. A slot holds a tag and a node pointer. An operation hashes its key, locks the one
//! bucket that the hash chooses, and works there. Readers share the lock, a writer holds it
//! exclusively, and no operation touches the rest of the table. So two threads get in each other's
//! way only if their keys share a bucket. A writer has exclusive access to its bucket. So if a new
//! value fits into the old node, the writer overwrites the old value in place, without an
//! allocation and without garbage.
//!
//! # Growing
//!
//! The table grows one bucket at a time ([`directory`], [`resize`]). No operation waits for more
//! than two buckets at a time, and a stopped thread does not keep the table from growing. An
//! operation looks up which bucket has its hash, locks that bucket, and checks that the bucket
//! still has the hash. If it does not, another thread has split or merged the bucket in between,
//! and the operation tries again.
//!
//! The linearization point of an operation is any instant at which it holds its bucket's lock.
//!
//! # One thread
//!
//! The lock is a type parameter. With [`NoLock`], the same code is a single-threaded store without
//! locks ([`LocalKeystore`]). It needs no pass to initialise its buckets: the system provides
//! zeroed memory when a bucket is first touched, and zeros are an empty bucket.

mod bucket;
mod directory;
mod lock;
mod open;
mod resize;

use std::fmt;
use std::hash::BuildHasher;
use std::marker::PhantomData;
use std::ops::ControlFlow;
use std::sync::atomic::Ordering;
use std::time::Duration;

use self::bucket::{Bucket, LockedBucket, Lookup, OVERFLOW_BYTES, ReadLocked, Spare, WriteLocked};
use self::directory::{Directory, mask};
pub use self::lock::{BucketLock, NoLock, SharedLock};
use self::lock::{Exclusive, Shared};
pub use self::open::{LocalKeystore, RwLockKeystore};
use crate::account::{Account, counters::Event};
use crate::allocator::NodeAllocator;
use crate::backend::common::cursor::Cursor;
use crate::backend::common::hint::{cold, prefetch};
use crate::backend::common::load_factor::{self, samples_load};
use crate::backend::common::tagged_ptr::TaggedPtr;
use crate::error::{Error, Result};
use crate::hash::tag;
use crate::keystore::Change;
use crate::node::{Node, NodeRef};
use crate::open::BackendKind;
use crate::sync::reentrancy::{self, Closure};
use crate::table::{Footprint, Survey, Table, describe};
use crate::update::{Source, Update};

/// The table behind [`RwLockKeystore`].
pub struct RwLockTable<A: NodeAllocator, L: BucketLock, S: BuildHasher> {
    account: Account<A, S>,
    directory: Directory<L>,
    /// Longest time that a call waits for a lock, if it is limited.
    lock_timeout: Option<Duration>,
    /// Lock that a thread holds while it shrinks the table.
    shrinking: L,
    /// The types that the table holds. It can be sent and shared only if they can.
    _holds: PhantomData<(Bucket<L>, TaggedPtr)>,
}

// SAFETY: slots, chains and nodes are touched only under the lock of their bucket, which is a lock
// between threads if `L` is `Sync`. Nodes are allocated and freed through `&A` on any thread.
unsafe impl<A: NodeAllocator + Sync, L: BucketLock + Sync, S: BuildHasher + Sync> Sync
    for RwLockTable<A, L, S>
{
}
// SAFETY: the table owns its buckets, its nodes and its allocator, so they move with it.
unsafe impl<A: NodeAllocator + Send, L: BucketLock + Send, S: BuildHasher + Send> Send
    for RwLockTable<A, L, S>
{
}

impl<A: NodeAllocator, L: BucketLock, S: BuildHasher> RwLockTable<A, L, S> {
    /// Returns the error for a lock that was not acquired, because the thread must not wait for it
    /// or the time limit was reached.
    #[cold]
    fn refused(&self, operation: &'static str) -> Error {
        reentrancy::refused(operation, self.lock_timeout)
    }

    /// Calls `lock` to lock the bucket that has `hash`, without waiting. Returns `None` if the lock
    /// is held or the bucket is not at the expected depth, as may happen while the table is
    /// resized.
    #[inline(always)]
    fn locked_at_once<'a, G>(
        &'a self,
        hash: u64,
        lock: impl FnOnce(&'a Bucket<L>) -> Option<LockedBucket<'a, L, G>>,
    ) -> Option<LockedBucket<'a, L, G>> {
        let (bucket, depth) = self.directory.likely_owner(hash);
        let bucket = lock(bucket)?;
        (bucket.depth() == depth).then_some(bucket)
    }

    /// Locks the bucket that has `hash` for reading.
    fn locked_to_read(&self, hash: u64) -> Result<ReadLocked<'_, L>> {
        let locked = self.locked(hash, |bucket| bucket.read(self.lock_timeout));
        locked.map(|(bucket, ..)| bucket).ok_or_else(|| self.refused("read"))
    }

    /// Locks the bucket that has `hash` for writing, and splits it first if it is below the target
    /// level.
    fn locked_to_write(&self, hash: u64) -> Result<WriteLocked<'_, L>> {
        loop {
            let locked = self.locked(hash, |bucket| bucket.write(self.lock_timeout));
            let Some((mut bucket, index, level)) = locked else {
                return Err(self.refused("write"));
            };
            if level >= self.directory.levels().target || reentrancy::is_inside() {
                return Ok(bucket);
            }
            self.split(index, &mut bucket);
            let level = self.directory.level_of(index, &bucket);
            if level.is_some_and(|level| hash as usize & mask(level) == index) {
                return Ok(bucket);
            }
        }
    }

    /// Calls `lock` to lock the bucket that has `hash`. Returns the bucket, its index and its
    /// level, or `None` if `lock` does.
    #[inline(never)]
    fn locked<'a, G>(
        &'a self,
        hash: u64,
        lock: impl Fn(&'a Bucket<L>) -> Option<LockedBucket<'a, L, G>>,
    ) -> Option<(LockedBucket<'a, L, G>, usize, u32)> {
        loop {
            let (index, bucket) = self.directory.owner(hash);
            let bucket = lock(bucket)?;
            // Another thread may have split or merged the bucket before this thread locked it.
            let level = self.directory.level_of(index, &bucket);
            if let Some(level) = level.filter(|&level| hash as usize & mask(level) == index) {
                return Some((bucket, index, level));
            }
        }
    }

    /// Does the second part of [`update_entry`](Table::update_entry), after the lookup: calls
    /// `decide`, and does the action that it returns.
    #[inline(always)]
    fn write<'v, C: Closure>(
        &self,
        mut lookup: Lookup<'_, L, Exclusive<'_, L>>,
        hash: u64,
        key: &[u8],
        mut decide: impl FnMut(Option<&[u8]>) -> Update<'v>,
        on_effect: impl FnOnce(Change, i64),
    ) -> Result<Change> {
        let change = match lookup.node() {
            Some(node) => match C::inside(|| decide(Some(node.value()))) {
                Update::Keep => Change::Kept,
                Update::Set(value) if lookup.overwrite(value.source()) => Change::Replaced,
                Update::Set(value) => {
                    return self.replace(lookup, hash, key, value.source(), on_effect);
                }
                Update::Delete => {
                    let freed = lookup.node().map_or(0, NodeRef::size) as i64;
                    self.destroy_replaced(lookup, TaggedPtr::EMPTY);
                    on_effect(Change::Deleted, -freed);
                    return Ok(Change::Deleted);
                }
            },
            None => match C::inside(|| decide(None)) {
                Update::Set(value) => {
                    return self.create(lookup, hash, key, value.source(), on_effect);
                }
                Update::Keep | Update::Delete => Change::Absent,
            },
        };
        // Unlock before the result is built, so that the result need not be saved in memory during
        // the unlock.
        drop(lookup);
        on_effect(change, 0);
        Ok(change)
    }

    /// Puts `word` into the slot of the found key, and destroys the node that was there.
    #[inline]
    fn destroy_replaced(&self, lookup: Lookup<'_, L, Exclusive<'_, L>>, word: TaggedPtr) {
        if let Some((_bucket, node)) = lookup.replace(word) {
            // SAFETY: the node was taken out of its slot under the exclusive lock, so no other
            // thread uses it.
            unsafe { self.account.heap.destroy_node(node) };
        }
    }

    /// Replaces the found node by a new node with this value, for a key with this hash. Like
    /// [`create`](Self::create), this is a separate function, to keep the code of an overwrite in
    /// place short and therefore fast.
    #[inline(never)]
    fn replace(
        &self,
        lookup: Lookup<'_, L, Exclusive<'_, L>>,
        hash: u64,
        key: &[u8],
        value: Source<'_>,
        on_effect: impl FnOnce(Change, i64),
    ) -> Result<Change> {
        let freed = lookup.node().map_or(0, NodeRef::size) as i64;
        let new = self.account.create_node(key, value, lookup.node())?;
        let word = self.word(tag(hash), new)?;
        self.destroy_replaced(lookup, word);
        on_effect(Change::Replaced, Node::size_for(key.len(), value.len()) as i64 - freed);
        Ok(Change::Replaced)
    }

    /// Adds a key with this hash and value, which was not found.
    #[inline(never)]
    fn create(
        &self,
        lookup: Lookup<'_, L, Exclusive<'_, L>>,
        hash: u64,
        key: &[u8],
        value: Source<'_>,
        on_effect: impl FnOnce(Change, i64),
    ) -> Result<Change> {
        let node = self.account.create_node(key, value, None)?;
        let word = self.word(tag(hash), node)?;
        let mut bucket = lookup.into_bucket();
        match bucket.push(word, &mut Spare::none()) {
            Ok(in_overflow) => {
                drop(bucket);
                on_effect(Change::Created, Node::size_for(key.len(), value.len()) as i64);
                if samples_load(hash, in_overflow, || self.directory.levels().target) {
                    self.grow_if_crowded();
                }
                self.help_split();
                Ok(Change::Created)
            }
            Err(error) => {
                // SAFETY: no other thread has seen the node.
                unsafe { self.account.heap.destroy_node(node) };
                Err(error)
            }
        }
    }

    /// Visits every bucket once. See [`scan_bucket`](Self::scan_bucket).
    fn scan_buckets<'a, G>(
        &'a self,
        operation: &'static str,
        lock: impl Fn(&'a Bucket<L>) -> Option<LockedBucket<'a, L, G>>,
        mut visit: impl FnMut(
            &mut LockedBucket<'a, L, G>,
            &dyn Fn(NodeRef<'_>) -> bool,
        ) -> ControlFlow<()>,
    ) -> Result<()> {
        let mut cursor = Cursor::default();
        while self.scan_bucket(&mut cursor, operation, &lock, &mut visit)?.is_continue() {}
        Ok(())
    }

    /// Visits the next bucket, after `lock` has locked it, and moves the cursor past it. The second
    /// argument of `visit` is a function that returns whether an entry of the bucket is still ahead
    /// of the cursor. Returns `Break` at the end of the table, or if `visit` does.
    fn scan_bucket<'a, G>(
        &'a self,
        cursor: &mut Cursor,
        operation: &'static str,
        lock: impl Fn(&'a Bucket<L>) -> Option<LockedBucket<'a, L, G>>,
        mut visit: impl FnMut(
            &mut LockedBucket<'a, L, G>,
            &dyn Fn(NodeRef<'_>) -> bool,
        ) -> ControlFlow<()>,
    ) -> Result<ControlFlow<()>> {
        let Some(hash) = cursor.next_hash() else { return Ok(ControlFlow::Break(())) };
        let Some((mut bucket, _, level)) = self.locked(hash, lock) else {
            return Err(self.refused(operation));
        };
        let whole = cursor.whole_bucket_ahead(level);
        let is_ahead = |node: NodeRef<'_>| {
            // The hasher is the user's code, which runs under a lock. If it calls a store, that
            // call must not wait.
            let hash_of = || self.account.hash(node.key());
            whole || cursor.is_ahead(reentrancy::inside(hash_of))
        };
        let flow = visit(&mut bucket, &is_ahead);
        if flow.is_continue() {
            cursor.pass_bucket(level);
        }
        Ok(flow)
    }
}

/// Calls `visit` with the value of the found key, and then unlocks its bucket.
#[inline(always)]
fn show<C: Closure, L: BucketLock, R>(
    lookup: Lookup<'_, L, Shared<'_, L>>,
    visit: impl FnOnce(&[u8]) -> R,
) -> Option<R> {
    let shown = lookup.node().map(|node| C::inside(|| visit(node.value())));
    // Unlock before the result is built, so that the result need not be saved in memory during the
    // unlock.
    drop(lookup);
    shown
}

impl<A: NodeAllocator, L: BucketLock, S: BuildHasher> fmt::Debug for RwLockTable<A, L, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        describe(self, "RwLockTable", f)
    }
}

impl<A: NodeAllocator, L: BucketLock, S: BuildHasher> Table for RwLockTable<A, L, S> {
    type Allocator = A;
    type Hasher = S;
    const BACKEND: BackendKind = BackendKind::RwLock;
    type Session = ();

    #[inline]
    fn account(&self) -> &Account<A, S> {
        &self.account
    }

    #[inline]
    fn enter(&self) -> Option<()> {
        Some(())
    }

    #[inline]
    fn prefetch_bucket(&self, (): &(), hash: u64) {
        prefetch(self.directory.likely_owner(hash).0);
    }

    #[inline]
    fn prefetch_node(&self, (): &(), hash: u64) {
        let (likely, depth) = self.directory.likely_owner(hash);
        let bucket = if likely.depth() == depth { likely } else { self.directory.owner(hash).1 };
        if let Some(node) = bucket.hint(tag(hash)) {
            prefetch(node);
        }
    }

    #[inline]
    fn read<C: Closure, R>(
        &self,
        (): &(),
        hash: u64,
        key: &[u8],
        visit: impl FnOnce(&[u8]) -> R,
    ) -> Result<Option<R>> {
        let Some(bucket) = self.locked_at_once(hash, Bucket::try_read) else {
            return cold(move || {
                let lookup = self.locked_to_read(hash)?.find(tag(hash), key);
                Ok(show::<C, _, _>(lookup, visit))
            });
        };
        let lookup = bucket.find_in_line(tag(hash), key);
        if !lookup.is_complete() {
            return cold(move || Ok(show::<C, _, _>(lookup.find_in_chain(tag(hash), key), visit)));
        }
        Ok(show::<C, _, _>(lookup, visit))
    }

    #[inline(always)]
    fn update_entry<'v, C: Closure>(
        &self,
        (): &(),
        hash: u64,
        key: &[u8],
        _likely: Option<&[u8]>,
        decide: impl FnMut(Option<&[u8]>) -> Update<'v>,
        on_effect: impl FnOnce(Change, i64),
    ) -> Result<Change> {
        let Some(bucket) = self.locked_at_once(hash, Bucket::try_write) else {
            return cold(move || {
                let lookup = self.locked_to_write(hash)?.find(tag(hash), key);
                self.write::<C>(lookup, hash, key, decide, on_effect)
            });
        };
        let lookup = bucket.find_in_line(tag(hash), key);
        if !lookup.is_complete() {
            return cold(move || {
                let lookup = lookup.find_in_chain(tag(hash), key);
                self.write::<C>(lookup, hash, key, decide, on_effect)
            });
        }
        self.write::<C>(lookup, hash, key, decide, on_effect)
    }

    fn scan(
        &self,
        (): &mut (),
        cursor: &mut Cursor,
        limit: usize,
        mut visit: impl FnMut(&[u8], &[u8]) -> ControlFlow<()>,
    ) -> Result<()> {
        let mut left = limit;
        while left > 0 {
            let flow = self.scan_bucket(
                cursor,
                "for_each",
                |bucket| bucket.read(self.lock_timeout),
                |bucket, is_ahead| {
                    for node in bucket.nodes().filter(|&node| is_ahead(node)) {
                        left = left.saturating_sub(1);
                        reentrancy::inside(|| visit(node.key(), node.value()))?;
                    }
                    ControlFlow::Continue(())
                },
            )?;
            if flow.is_break() {
                break;
            }
        }
        Ok(())
    }

    fn retain(&self, (): &mut (), mut keep: impl FnMut(&[u8], &[u8]) -> bool) -> Result<usize> {
        let mut removed = 0;
        self.scan_buckets(
            "retain",
            |bucket| bucket.write(self.lock_timeout),
            |bucket, is_ahead| {
                let is_unwanted = |node: NodeRef<'_>| {
                    is_ahead(node) && !reentrancy::inside(|| keep(node.key(), node.value()))
                };
                for node in bucket.extract_if(is_unwanted) {
                    // SAFETY: the node was taken out of its slot under the exclusive lock, so no
                    // other thread uses it.
                    let freed = unsafe {
                        let size = node.size() as i64;
                        self.account.heap.destroy_node(node);
                        size
                    };
                    self.account.counters.record_with_bytes(Event::DeleteHit, -freed);
                    removed += 1;
                }
                ControlFlow::Continue(())
            },
        )?;
        Ok(removed)
    }

    fn reserve(&self, entries: usize) -> Result<()> {
        self.grow_for(entries)
    }

    fn shrink(&self) -> Result<()> {
        self.shrink_to_fit()
    }

    fn shrink_if_sparse(&self, (): &()) {
        let levels = self.directory.levels();
        let sparse = self.account.counters.entries() < load_factor::MIN << levels.target;
        // Inside a closure, this thread may hold a bucket's lock, so it must not shrink. If another
        // thread already shrinks the table, this thread need not.
        if sparse
            && levels.target > self.directory.initial_level()
            && !reentrancy::is_inside()
            && let Some(_shrinking) = Exclusive::try_lock(&self.shrinking)
        {
            // A lack of memory only delays the shrinking.
            let _ = self.shrink_alone();
        }
    }

    fn survey(&self) -> Result<Survey> {
        let mut survey = Survey::default();
        let mut outcome = Ok(());
        self.scan_buckets(
            "stats",
            |bucket| bucket.read(self.lock_timeout),
            |bucket, _| {
                outcome = survey.add_bucket(bucket.nodes().map(NodeRef::size));
                if outcome.is_ok() { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
            },
        )?;
        outcome.map(|()| survey)
    }

    fn array_bytes(&self) -> Result<usize> {
        Ok(self.directory.bytes())
    }

    fn is_resizing(&self) -> bool {
        let levels = self.directory.levels();
        let next = self.directory.next_to_split.load(Ordering::Relaxed);
        levels.deepest > levels.target || next <= mask(levels.target)
    }

    fn footprint(&self) -> Result<Footprint> {
        let mut table_bytes = self.directory.bytes();
        // Inside a closure, the scan ends at the first bucket whose lock is held. Then the count
        // leaves out the chains of the buckets after it.
        let _ = self.scan_buckets(
            "stats",
            |bucket| bucket.read(self.lock_timeout),
            |bucket, _| {
                table_bytes += bucket.overflow_buckets() * OVERFLOW_BYTES;
                ControlFlow::Continue(())
            },
        );
        let huge_page_bytes = self.directory.huge_page_bytes() as u64;
        Ok(Footprint { table_bytes: table_bytes as u64, garbage_bytes: 0, huge_page_bytes })
    }
}

impl<A: NodeAllocator, L: BucketLock, S: BuildHasher> RwLockTable<A, L, S> {
    /// Returns the tagged pointer to a new node. If the node's address does not fit, destroys the
    /// node and returns an error.
    #[inline]
    fn word(&self, tag: u16, node: Node) -> Result<TaggedPtr> {
        // SAFETY: the node is new, so no other thread has seen it.
        TaggedPtr::new(tag, node).inspect_err(|_| unsafe { self.account.heap.destroy_node(node) })
    }
}

impl<A: NodeAllocator, L: BucketLock, S: BuildHasher> Drop for RwLockTable<A, L, S> {
    fn drop(&mut self) {
        for index in 0..=mask(self.directory.levels().deepest) {
            // SAFETY: the table is being dropped, so no other thread uses it.
            let mut bucket = unsafe { self.directory.bucket(index).assume_locked() };
            for node in bucket.extract_if(|_| true) {
                // SAFETY: the node was taken out of its slot, and no other thread has the table.
                unsafe { self.account.heap.destroy_node(node) };
            }
            bucket.drain(Spare::none(), |_, _, _| ());
        }
    }
}
