//! Garbage: what was taken out of the table and may still be looked at.
//!
//! crossbeam-epoch tells when every thread that was pinned at some moment has let go. To ask it once for every removed
//! node would put a closure and a shared counter on each write; so garbage is gathered in bags, one for every few threads, and
//! a full bag, 64 pieces or 64 KiB, is handed to crossbeam as one [`Batch`].
//!
//! The table keeps hold of its batches too. When it is dropped, nobody can be inside it, so it empties them all at once,
//! whatever the epoch says; the closure that crossbeam still has then finds its batch empty. So a store returns all its memory
//! when it is dropped, and other stores' garbage is never touched.
//!
//! A thread that finds a bag in use takes the next one, so no thread waits for one that was stopped while it held a bag.

use std::hash::BuildHasher;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Weak};

use crossbeam_utils::CachePadded;
use parking_lot::{Mutex, MutexGuard};

use super::array::BucketArray;
use super::bucket::Bucket;
use super::pause::{Point, reached};
use super::pin::{Guard, batch_gathered, pin, request_renewal, take_back};
use crate::allocator::NodeAllocator;
use crate::backend::apart::apart;
use crate::error::{Error, Result};
use crate::ledger::Ledger;
use crate::node::Node;
use crate::striped::thread_slot;

/// Bags. A power of two.
const BAGS: usize = 16;

/// Pieces in a full bag.
const BAG_PIECES: usize = 64;

/// Bytes in a full bag.
const BAG_BYTES: usize = 64 << 10;

/// Bytes of garbage above which writers stop to help it away. The promise is 16 MiB; this leaves room for what
/// piles up while they do.
const PRESSING_BYTES: usize = 4 << 20;

/// Something that was taken out of the table.
#[derive(Debug)]
pub(super) enum Piece {
    Node(Node),
    Overflow(*mut Bucket),
    Array(*mut BucketArray),
}

// SAFETY: whoever takes a piece out of a bag owns it, on whichever thread.
unsafe impl Send for Piece {}

/// The ledger, and the garbage on its way out: what closures of crossbeam need to know of a table, and may outlive it.
#[derive(Debug)]
pub(super) struct Garbage<A: NodeAllocator, S: BuildHasher> {
    pub(super) ledger: Ledger<A, S>,
    bags: Box<[CachePadded<Mutex<Bag>>]>,
    /// Bytes in batches that are not freed yet.
    batched_bytes: AtomicUsize,
    /// Pieces that crossbeam has without a bag and that are not freed yet. Each holds on to all of this.
    alone: AtomicUsize,
}

#[derive(Debug, Default)]
struct Bag {
    pieces: Vec<Piece>,
    bytes: usize,
    /// Batches that this bag became, those that are not freed yet among them.
    batches: Vec<Arc<Batch>>,
    /// How many batches there may be before the freed ones are looked for.
    look_at: usize,
}

/// A full bag, on its way out.
#[derive(Debug)]
struct Batch {
    pieces: Mutex<Vec<Piece>>,
    bytes: usize,
    freed: AtomicBool,
}

impl<A, S> Garbage<A, S>
where
    A: NodeAllocator + Send + Sync + 'static,
    S: BuildHasher + Send + Sync + 'static,
{
    pub(super) fn new(ledger: Ledger<A, S>) -> Result<Self> {
        let mut bags = Vec::new();
        let requested = BAGS * size_of::<CachePadded<Mutex<Bag>>>();
        bags.try_reserve_exact(BAGS).map_err(|_| Error::OutOfMemory { requested })?;
        bags.resize_with(BAGS, Default::default);
        Ok(Self {
            ledger,
            bags: bags.into_boxed_slice(),
            batched_bytes: AtomicUsize::new(0),
            alone: AtomicUsize::new(0),
        })
    }

    /// Retires a node: it is freed when no thread is pinned that could have seen it.
    ///
    /// # Safety
    /// The node is alive and came from the ledger; no thread can come by it that pins from here on; it is retired once.
    pub(super) unsafe fn retire_node(self: &Arc<Self>, node: Node, guard: &Guard) {
        // SAFETY: the caller's promise.
        let bytes = unsafe {
            self.ledger.retire_node(node);
            node.size()
        };
        self.retire(Piece::Node(node), bytes, guard);
    }

    /// Retires a chain of overflow buckets.
    ///
    /// # Safety
    /// As for a node, for each bucket of the chain.
    pub(super) unsafe fn retire_chain(self: &Arc<Self>, first: &Bucket, guard: &Guard) {
        for bucket in first.chain(guard).skip(1) {
            let bucket = std::ptr::from_ref(bucket).cast_mut();
            self.retire(Piece::Overflow(bucket), size_of::<Bucket>(), guard);
        }
    }

    /// Retires an array, without its overflow buckets and nodes.
    ///
    /// # Safety
    /// As for a node.
    pub(super) unsafe fn retire_array(self: &Arc<Self>, array: &BucketArray, guard: &Guard) {
        self.retire(Piece::Array(std::ptr::from_ref(array).cast_mut()), array.bytes(), guard);
    }

    #[inline]
    fn retire(self: &Arc<Self>, piece: Piece, bytes: usize, guard: &Guard) {
        let mut at = thread_slot();
        let mut bag = loop {
            match self.bags[at % BAGS].try_lock() {
                Some(bag) => break bag,
                None => at += 1,
            }
        };
        reached(Point::BagHeld);
        if bag.pieces.len() == bag.pieces.capacity() {
            return apart(|| {
                if bag.pieces.try_reserve_exact(BAG_PIECES).is_ok() {
                    bag.add(piece, bytes);
                } else {
                    drop(bag);
                    self.retire_alone(piece, guard);
                }
            });
        }
        bag.add(piece, bytes);
        if bag.is_full() {
            apart(|| self.hand_over(bag, guard));
        }
    }

    /// Makes a batch of a full bag and hands it to crossbeam.
    fn hand_over(self: &Arc<Self>, mut bag: MutexGuard<'_, Bag>, guard: &Guard) {
        if bag.batches.try_reserve(1).is_err() {
            return; // It stays full, and the next piece may find memory.
        }
        let batch = bag.seal();
        self.batched_bytes.fetch_add(batch.bytes, Ordering::Relaxed);
        drop(bag);
        let garbage: Weak<Self> = Arc::downgrade(self);
        let free = move || {
            // Without the table there is nothing left in the batch.
            if let Some(garbage) = garbage.upgrade() {
                garbage.free(&batch);
            }
        };
        // SAFETY: by the promises of those who retired them, no thread that pins from here on can come by the batch's
        // pieces; crossbeam runs the closure when those pinned now have let go. It may run on any thread: all it has is
        // `Send`, for the allocator and the hasher are.
        unsafe { guard.defer(free) };
        // Onto crossbeam's shared queue at once, not only when this thread has filled crossbeam's own bag.
        guard.flush();
        batch_gathered();
    }

    /// Retires a piece without a bag, where there is no memory for one: crossbeam keeps it with what it defers anyway. It is
    /// not counted, and where the table is dropped first it comes back later than that, when the epoch has passed.
    #[cold]
    fn retire_alone(self: &Arc<Self>, piece: Piece, guard: &Guard) {
        const { assert!(size_of::<Piece>() <= 2 * size_of::<usize>()) };
        self.alone.fetch_add(1, Ordering::Relaxed);
        let garbage = Arc::clone(self);
        // Three words, which crossbeam stores in place: a fourth would take memory.
        let free = move || {
            // SAFETY: the piece's time has come, and nobody else has it.
            unsafe { garbage.free_piece(piece) };
            garbage.alone.fetch_sub(1, Ordering::Release);
        };
        // SAFETY: as in `retire`.
        unsafe { guard.defer(free) };
    }

    /// Whether some thread is just freeing a batch. Asked when nobody is in the table any more.
    pub(super) fn is_being_freed(self: &Arc<Self>) -> bool {
        // The pieces that are alone only become fewer, so looking at them second errs towards yes.
        let holders = Arc::strong_count(self);
        holders > 1 + self.alone.load(Ordering::Acquire)
    }

    /// Whether there is so much garbage that a writer should help it away.
    #[inline]
    pub(super) fn is_pressing(&self) -> bool {
        self.batched_bytes.load(Ordering::Relaxed) > PRESSING_BYTES
    }

    /// Helps garbage away: gives the epoch a chance to pass and frees what it lets go. The thread is not pinned.
    #[cold]
    pub(super) fn relieve(&self) {
        for round in 0..16 {
            if round == 1 {
                take_back();
            }
            request_renewal();
            pin().flush();
            if !self.is_pressing() {
                break;
            }
            if round % 4 == 3 {
                // A thread that is pinned may be waiting for this core.
                std::thread::yield_now();
            }
        }
    }

    /// Frees a batch, unless that has been done.
    fn free(&self, batch: &Batch) {
        let pieces = std::mem::take(&mut *batch.pieces.lock());
        if !pieces.is_empty() {
            // SAFETY: the batch's time has come, or nobody is in the table; and a batch's pieces are taken once.
            unsafe { self.free_pieces(pieces) };
            self.batched_bytes.fetch_sub(batch.bytes, Ordering::Relaxed);
        }
        batch.freed.store(true, Ordering::Release);
    }

    /// # Safety
    /// Nobody uses the pieces from here on.
    unsafe fn free_pieces(&self, pieces: Vec<Piece>) {
        // SAFETY: the caller's promise.
        pieces.into_iter().for_each(|piece| unsafe { self.free_piece(piece) });
    }

    /// # Safety
    /// Nobody uses the piece from here on.
    #[inline(always)]
    unsafe fn free_piece(&self, piece: Piece) {
        // SAFETY: the caller's promise; what was retired came from where it is freed to.
        unsafe {
            match piece {
                Piece::Node(node) => self.ledger.free_node(node),
                Piece::Overflow(bucket) => apart(|| Bucket::free(bucket)),
                Piece::Array(array) => apart(|| BucketArray::free(array)),
            }
        }
    }

    /// Frees all of it now.
    ///
    /// # Safety
    /// Nobody is in the table, and nobody will be.
    pub(super) unsafe fn free_all(&self) {
        for bag in &self.bags {
            let bag = std::mem::take(&mut *bag.lock());
            // SAFETY: the caller's promise.
            unsafe { self.free_pieces(bag.pieces) };
            bag.batches.iter().for_each(|batch| self.free(batch));
        }
    }

    /// Bytes of all of it.
    pub(super) fn bytes(&self) -> usize {
        let bags: usize = self.bags.iter().map(|bag| bag.lock().bytes).sum();
        bags + self.batched_bytes.load(Ordering::Relaxed)
    }
}

impl Bag {
    /// Adds a piece, for which there is room.
    #[inline]
    fn add(&mut self, piece: Piece, bytes: usize) {
        self.pieces.push(piece);
        self.bytes += bytes;
    }

    #[inline]
    fn is_full(&self) -> bool {
        self.pieces.len() >= BAG_PIECES || self.bytes >= BAG_BYTES
    }

    /// Makes a batch of the bag, and empties it.
    fn seal(&mut self) -> Arc<Batch> {
        let pieces = Mutex::new(std::mem::take(&mut self.pieces));
        let batch = Arc::new(Batch { pieces, bytes: self.bytes, freed: AtomicBool::new(false) });
        self.bytes = 0;
        if self.batches.len() >= self.look_at {
            self.batches.retain(|batch| !batch.freed.load(Ordering::Acquire));
            self.look_at = (2 * self.batches.len()).max(16);
        }
        self.batches.push(Arc::clone(&batch));
        batch
    }
}
