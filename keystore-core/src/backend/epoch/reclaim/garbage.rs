//! Garbage: nodes, buckets and arrays that were removed from the table, but that a thread may still
//! read.
//!
//! A piece of garbage is freed when a grace period has passed that started after the piece was
//! removed (see [`collector`](super::collector)). A grace period for every removed node would cost
//! each write an access to a shared counter. So garbage is gathered in bags, which several threads
//! share. A bag with 64 pieces or 64 KiB is full, and is sealed: its content becomes a *batch*,
//! which waits in a queue of the bag for the next grace period. The thread that seals a bag frees
//! some older batches whose grace period has passed.
//!
//! All garbage stays with its table. When the table is dropped, no thread is in it, so all its
//! garbage is freed at once, in any epoch. The garbage of other stores is never touched.
//!
//! If a thread finds a bag in use, it takes the next one. So no thread waits for a thread that was
//! stopped while it held a bag.
//!
//! *If memory runs out.* A write that has taken effect must be able to put the old node into a bag.
//! So each write first checks whether the bags have places left ([`Garbage::prepare`]). If they
//! have none, the write fails. Bags use the vectors of freed batches again, so in the long run they
//! allocate no memory.

use std::collections::VecDeque;
use std::hash::BuildHasher;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use crossbeam_utils::CachePadded;
use parking_lot::{Mutex, MutexGuard};

use super::super::array::BucketArray;
use super::super::bucket::Bucket;
use super::super::failpoint::{self, Failpoint};
use super::collector::{has_passed, next_grace};
use super::{Guard, pin, request_renewal, revoke_idle_pins};
use crate::account::Account;
use crate::allocator::NodeAllocator;
use crate::backend::common::hint::cold;
use crate::error::{Error, Result};
use crate::fallible::try_boxed_slice;
use crate::node::Node;
use crate::sync::thread_slot::thread_slot;

/// Number of bags. A power of two.
const BAGS: usize = 16;

/// Number of pieces in a full bag.
const BAG_PIECES: usize = 64;

/// Number of places that are left in a full bag. They are for writes that are under way when there
/// is no memory to seal the bag.
const BAG_RESERVE: usize = 64;

/// Number of bytes of garbage in a full bag.
const BAG_BYTES: usize = 64 << 10;

/// Largest number of batches that a thread frees from one bag when it has sealed a batch.
const FREED_BY_SEALING: usize = 8;

/// Number of vectors of freed batches that a bag keeps for reuse.
const SPARE_VECTORS: usize = 4;

/// Bytes of garbage above which writers help to free it. The documented limit is 16 MiB. The
/// difference is a margin for the garbage that accumulates while they help.
const PRESSING_BYTES: usize = 4 << 20;

/// Something that was removed from the table.
#[derive(Debug)]
pub(in super::super) enum Piece {
    Node(Node),
    Overflow(*mut Bucket),
    Array(*mut BucketArray),
}

// SAFETY: the thread that takes a piece out of a bag owns it.
unsafe impl Send for Piece {}

/// The account of a table, and the garbage that is not freed yet.
#[derive(Debug)]
pub(in super::super) struct Garbage<A: NodeAllocator, S: BuildHasher> {
    pub(in super::super) account: Account<A, S>,
    bags: Box<[CachePadded<Mutex<Bag>>]>,
    /// Number of bytes in batches that are not freed yet.
    batched_bytes: AtomicUsize,
    /// True if a write must look for places in the bags before it takes effect. It is true at
    /// first.
    is_scarce: AtomicBool,
    /// Number of bags that were visited so far because their threads may have ended.
    visits: AtomicUsize,
}

#[derive(Debug, Default)]
struct Bag {
    pieces: Vec<Piece>,
    bytes: usize,
    /// Batches that were made of this bag's content, the oldest first.
    batches: VecDeque<Batch>,
    spare: Vec<Vec<Piece>>,
}

/// The content of a full bag, which waits for a grace period.
#[derive(Debug)]
struct Batch {
    pieces: Vec<Piece>,
    bytes: usize,
    /// Number of the grace period that must pass before the batch is freed.
    grace: u64,
}

impl<A, S> Garbage<A, S>
where
    A: NodeAllocator + Send + Sync + 'static,
    S: BuildHasher + Send + Sync + 'static,
{
    pub(in super::super) fn new(account: Account<A, S>) -> Result<Self> {
        let bags = try_boxed_slice(BAGS, |_| CachePadded::default())?;
        Ok(Self {
            account,
            bags,
            batched_bytes: AtomicUsize::new(0),
            is_scarce: AtomicBool::new(true),
            visits: AtomicUsize::new(0),
        })
    }

    /// Makes sure that a write can retire what it is about to remove from the table.
    ///
    /// # Errors
    /// Returns [`Error::OutOfMemory`] (-10) if the bags are full and there is no memory to seal
    /// one.
    #[inline]
    pub(in super::super) fn prepare(&self) -> Result<()> {
        if self.is_scarce.load(Ordering::Relaxed) {
            cold(|| self.look_for_places())
        } else {
            Ok(())
        }
    }

    fn look_for_places(&self) -> Result<()> {
        let start = thread_slot();
        for round in 0..2 {
            for at in start..start + BAGS {
                let Some(mut bag) = self.bags[at % BAGS].try_lock() else { continue };
                let bytes = if bag.is_full() { bag.seal() } else { None };
                self.batched_bytes.fetch_add(bytes.unwrap_or(0), Ordering::Relaxed);
                if !bag.is_full() && bag.has_places() {
                    self.is_scarce.store(false, Ordering::Relaxed);
                    return Ok(());
                }
            }
            if round == 0 {
                self.free_passed();
            }
        }
        Err(Error::OutOfMemory { requested: (BAG_PIECES + BAG_RESERVE) * size_of::<Piece>() })
    }

    /// Retires a node. It is freed when no thread is pinned that could have seen it.
    ///
    /// # Safety
    /// The node is alive and came from the account. A thread that pins from here on cannot reach
    /// it. It is retired once.
    pub(in super::super) unsafe fn retire_node(&self, node: Node, guard: &Guard) {
        // SAFETY: the caller's promise.
        let bytes = unsafe {
            self.account.heap.retire_node(node);
            node.size()
        };
        self.retire(Piece::Node(node), bytes, guard);
    }

    /// Retires a chain of overflow buckets.
    ///
    /// # Safety
    /// As for [`retire_node`](Self::retire_node), for each overflow bucket of the chain.
    pub(in super::super) unsafe fn retire_chain(&self, first: &Bucket, guard: &Guard) {
        for bucket in first.chain(guard).skip(1) {
            let bucket = std::ptr::from_ref(bucket).cast_mut();
            self.retire(Piece::Overflow(bucket), size_of::<Bucket>(), guard);
        }
    }

    /// Retires an array, without its overflow buckets and nodes.
    ///
    /// # Safety
    /// As for [`retire_node`](Self::retire_node).
    pub(in super::super) unsafe fn retire_array(&self, array: &BucketArray, guard: &Guard) {
        self.retire(Piece::Array(std::ptr::from_ref(array).cast_mut()), array.bytes(), guard);
    }

    #[inline]
    fn retire(&self, piece: Piece, bytes: usize, guard: &Guard) {
        let mut at = thread_slot();
        let mut bag = loop {
            match self.bags[at % BAGS].try_lock() {
                Some(bag) => break bag,
                None => at += 1,
            }
        };
        failpoint::hit(Failpoint::BagHeld);
        if bag.pieces.len() == bag.pieces.capacity() {
            return cold(|| {
                if bag.has_places() {
                    bag.add(piece, bytes);
                } else {
                    drop(bag);
                    self.retire_elsewhere(piece, bytes);
                }
            });
        }
        bag.add(piece, bytes);
        if bag.is_full() {
            cold(|| self.seal(bag, at % BAGS, guard));
        }
    }

    /// Seals a full bag, and frees some of its earlier batches.
    fn seal(&self, mut bag: MutexGuard<'_, Bag>, at: usize, guard: &Guard) {
        let Some(bytes) = bag.seal() else {
            // The bag stays full. There may be memory to seal it when the next piece comes.
            self.is_scarce.store(true, Ordering::Relaxed);
            return;
        };
        drop(bag);
        self.batched_bytes.fetch_add(bytes, Ordering::Relaxed);
        guard.batch_gathered();
        self.free_passed_of(at, FREED_BY_SEALING);
        // The threads that filled another bag may have ended. So each thread that seals a bag also
        // visits one other bag, each bag in turn.
        let other = self.visits.fetch_add(1, Ordering::Relaxed) % BAGS;
        self.free_passed_of(other, FREED_BY_SEALING);
    }

    /// Retires a piece if the thread's bag has no place for it. [`prepare`](Self::prepare) found
    /// places, but other threads may have taken them since.
    fn retire_elsewhere(&self, piece: Piece, bytes: usize) {
        self.is_scarce.store(true, Ordering::Relaxed);
        let bags = self.bags.iter().filter_map(|bag| bag.try_lock());
        if let Some(mut bag) = bags.into_iter().find(|bag| bag.pieces.len() < bag.pieces.capacity())
        {
            bag.add(piece, bytes);
        }
        // If no bag has a place, more than a thousand writes were under way when memory ran out, or
        // a table migrated without memory. Then the piece is leaked, since freeing it now could be
        // too early for a reader.
    }

    /// Returns whether there is so much garbage that a writer should help to free it.
    #[inline]
    pub(in super::super) fn is_pressing(&self) -> bool {
        self.batched_bytes.load(Ordering::Relaxed) > PRESSING_BYTES
    }

    /// Helps to free garbage: lets grace periods pass, and frees the batches that waited for them.
    /// The calling thread must not be pinned.
    #[cold]
    pub(in super::super) fn relieve(&self) {
        self.relieve_below(PRESSING_BYTES);
    }

    /// Helps to free garbage until at most `most` bytes are left, or for 16 rounds.
    fn relieve_below(&self, most: usize) {
        let mut has_started = false;
        for round in 0..16 {
            if round == 1 {
                revoke_idle_pins();
            }
            request_renewal();
            // If there is no memory to pin this thread, it leaves the work to other threads.
            let Some(guard) = pin() else { break };
            if has_started {
                guard.advance();
            } else {
                has_started = guard.start_grace();
            }
            drop(guard);
            self.free_passed();
            if self.batched_bytes.load(Ordering::Relaxed) <= most {
                break;
            }
            if round % 4 == 3 {
                // A pinned thread may be waiting for this processor.
                std::thread::yield_now();
            }
        }
    }

    /// Frees all garbage that no pinned thread can see, including garbage in bags that are not
    /// full. The calling thread must not be pinned.
    pub(in super::super) fn collect(&self) {
        for bag in &self.bags {
            let Some(mut bag) = bag.try_lock() else { continue };
            if !bag.pieces.is_empty()
                && let Some(bytes) = bag.seal()
            {
                self.batched_bytes.fetch_add(bytes, Ordering::Relaxed);
            }
        }
        self.relieve_below(0);
    }

    /// Frees all batches whose grace period has passed.
    fn free_passed(&self) {
        (0..BAGS).for_each(|at| self.free_passed_of(at, usize::MAX));
    }

    /// Frees up to `limit` of the oldest batches of a bag whose grace periods have passed.
    fn free_passed_of(&self, at: usize, limit: usize) {
        let mut emptied = None;
        for _ in 0..limit {
            let Some(mut bag) = self.bags[at].try_lock() else { return };
            bag.keep_spare(emptied.take());
            let Some(mut batch) = bag.batches.pop_front_if(|batch| has_passed(batch.grace)) else {
                return;
            };
            drop(bag);
            // SAFETY: the pieces were removed from the table before the start of a grace period
            // that has passed, so no thread reads them any more. A batch is taken out of its queue
            // once.
            unsafe { self.free_pieces(&mut batch.pieces) };
            self.batched_bytes.fetch_sub(batch.bytes, Ordering::Relaxed);
            emptied = Some(batch.pieces);
        }
        if let Some(mut bag) = self.bags[at].try_lock() {
            bag.keep_spare(emptied);
        }
    }

    /// # Safety
    /// Nobody uses the pieces from here on.
    unsafe fn free_pieces(&self, pieces: &mut Vec<Piece>) {
        // SAFETY: the caller's promise.
        pieces.drain(..).for_each(|piece| unsafe { self.free_piece(piece) });
    }

    /// # Safety
    /// Nobody uses the piece from here on.
    #[inline(always)]
    unsafe fn free_piece(&self, piece: Piece) {
        // SAFETY: the caller's promise. Each piece is freed to where it was allocated.
        unsafe {
            match piece {
                Piece::Node(node) => self.account.heap.free_node(node),
                Piece::Overflow(bucket) => cold(|| Bucket::free(bucket)),
                Piece::Array(array) => cold(|| BucketArray::free(array)),
            }
        }
    }

    /// Frees all garbage now.
    ///
    /// # Safety
    /// No thread is in the table, and none enters it again.
    pub(in super::super) unsafe fn free_all(&self) {
        for bag in &self.bags {
            let Bag { mut pieces, batches, .. } = std::mem::take(&mut *bag.lock());
            // SAFETY: the caller's promise.
            unsafe {
                self.free_pieces(&mut pieces);
                batches.into_iter().for_each(|mut batch| self.free_pieces(&mut batch.pieces));
            }
        }
    }

    /// Returns the number of bytes of all garbage.
    pub(in super::super) fn bytes(&self) -> usize {
        let bags: usize = self.bags.iter().map(|bag| bag.lock().bytes).sum();
        bags + self.batched_bytes.load(Ordering::Relaxed)
    }
}

impl Bag {
    /// Adds a piece. There must be a place for it.
    #[inline]
    fn add(&mut self, piece: Piece, bytes: usize) {
        self.pieces.push(piece);
        self.bytes += bytes;
    }

    #[inline]
    fn is_full(&self) -> bool {
        self.pieces.len() >= BAG_PIECES || self.bytes >= BAG_BYTES
    }

    /// Returns whether there is a place for a piece. The first call allocates the bag's memory.
    fn has_places(&mut self) -> bool {
        self.pieces.len() < self.pieces.capacity()
            || self.pieces.is_empty()
                && self.pieces.try_reserve_exact(BAG_PIECES + BAG_RESERVE).is_ok()
    }

    /// Moves the bag's content to a new batch. Returns the batch's bytes, or `None` if there is no
    /// memory for it.
    fn seal(&mut self) -> Option<usize> {
        self.batches.try_reserve(1).ok()?;
        let mut empty = self.spare.pop().unwrap_or_default();
        empty.try_reserve_exact(BAG_PIECES + BAG_RESERVE).ok()?;
        let pieces = std::mem::replace(&mut self.pieces, empty);
        let bytes = std::mem::take(&mut self.bytes);
        // This happens under the lock, so the batches of a queue wait for grace periods in order.
        self.batches.push_back(Batch { pieces, bytes, grace: next_grace() });
        Some(bytes)
    }

    /// Keeps the empty vector of a freed batch, to use it again.
    fn keep_spare(&mut self, emptied: Option<Vec<Piece>>) {
        if let Some(emptied) = emptied
            && self.spare.len() < SPARE_VECTORS
            && self.spare.try_reserve(1).is_ok()
        {
            self.spare.push(emptied);
        }
    }
}
