//! Per-thread values: thread-local storage that belongs to a pool.
//!
//! A [`PerThread`] has two kinds of slots. The first [`OWNED`] live threads each have an
//! *exclusive* slot, chosen by [`thread_slot`]. No other thread enters it, so it needs no lock.
//! Further threads use [`SHARED`] *shared* slots, each behind a lock.
//!
//! When a thread ends, its number passes to the next thread, and with it the slot and everything in
//! it. So the memory that ended threads leave behind is bounded by the number of slots and not by
//! the number of threads, even if nothing cleans up after them.

use std::alloc::Layout;
#[cfg(feature = "slab")]
use std::ptr::NonNull;
use std::sync::atomic::{AtomicI64, Ordering::Relaxed};

use crossbeam_utils::CachePadded;
use keystore_core::fallible::try_boxed_slice;
use keystore_core::thread_slot::OWNED;
use keystore_core::{PoolStats, Result};

use crate::primitive::{Mutex, thread_slot};

/// Number of shared slots.
const SHARED: usize = 16;

/// Number of slots.
#[cfg(feature = "slab")]
pub(crate) const SLOTS: usize = OWNED + SHARED;

/// Returns the index of the calling thread's slot: below [`OWNED`] if it is exclusive.
#[inline]
pub(crate) fn current_slot() -> usize {
    match thread_slot() {
        slot if slot < OWNED => slot,
        other => OWNED + other % SHARED,
    }
}

/// A `T` for each thread.
///
/// Any thread may read all of them, so the parts of `T` are atomic. Only the thread that has
/// entered a slot (by [`exclusive`](Self::exclusive) or [`with`](Self::with)) writes there. So its
/// loads and stores can be relaxed, and need no read-modify-write.
#[derive(Debug)]
pub(crate) struct PerThread<T> {
    exclusive: Box<[CachePadded<T>]>,
    shared: Box<[CachePadded<Shared<T>>]>,
}

/// A value that several threads use one after another.
#[derive(Debug, Default)]
struct Shared<T> {
    lock: Mutex<()>,
    value: T,
}

impl<T: Default> PerThread<T> {
    /// Makes default values for all slots.
    pub(crate) fn new() -> Result<Self> {
        Ok(Self {
            exclusive: try_boxed_slice(OWNED, |_| CachePadded::default())?,
            shared: try_boxed_slice(SHARED, |_| CachePadded::default())?,
        })
    }
}

/// The address of the exclusive slots, for fast paths: it saves a load from the [`PerThread`].
#[cfg(feature = "slab")]
#[derive(Debug)]
pub(crate) struct ExclusiveSlots<T>(NonNull<[CachePadded<T>]>);

#[cfg(feature = "slab")]
impl<T> ExclusiveSlots<T> {
    /// Returns the calling thread's value, as [`PerThread::exclusive`] does.
    ///
    /// # Safety
    /// The `PerThread` that this came from lives for `'a`.
    #[inline]
    pub(crate) unsafe fn get<'a>(&self) -> Option<&'a T> {
        // SAFETY: the caller promises that the `PerThread` lives for `'a`. Its slots are in a box,
        // which stays at its address if the owner moves.
        unsafe { self.0.as_ref() }.get(thread_slot()).map(|value| &**value)
    }
}

// SAFETY: it gives out nothing but shared references to `T`, which may be sent if `T` is `Sync`.
#[cfg(feature = "slab")]
unsafe impl<T: Sync> Send for ExclusiveSlots<T> {}
// SAFETY: threads that share it get shared references to `T`, which is `Sync`.
#[cfg(feature = "slab")]
unsafe impl<T: Sync> Sync for ExclusiveSlots<T> {}

impl<T> PerThread<T> {
    /// Returns the address of the exclusive slots.
    #[cfg(feature = "slab")]
    pub(crate) fn exclusive_slots(&self) -> ExclusiveSlots<T> {
        ExclusiveSlots(NonNull::from(&*self.exclusive))
    }

    /// Returns the calling thread's value if its slot is exclusive: the fast path.
    ///
    /// No other thread enters the slot while this one runs, and what earlier threads wrote there is
    /// visible.
    #[cfg(feature = "arena")]
    #[inline]
    pub(crate) fn exclusive(&self) -> Option<&T> {
        self.exclusive.get(thread_slot()).map(|value| &**value)
    }

    /// Runs `work` on the calling thread's value, whether its slot is exclusive or shared.
    ///
    /// No other thread is in the slot during the call, and what earlier threads wrote there is
    /// visible. `work` must not call `with` of the same `PerThread`.
    pub(crate) fn with<R>(&self, work: impl FnOnce(&T) -> R) -> R {
        self.with_slot(current_slot(), work)
    }

    /// Does the same as [`with`](Self::with) for a caller that knows its [`current_slot`].
    pub(crate) fn with_slot<R>(&self, slot: usize, work: impl FnOnce(&T) -> R) -> R {
        match self.exclusive.get(slot) {
            Some(value) => work(value),
            None => {
                let shared = &self.shared[slot - OWNED];
                let _guard = shared.lock.lock();
                work(&shared.value)
            }
        }
    }

    /// Returns the value of a slot, to read it.
    #[cfg(feature = "slab")]
    pub(crate) fn get(&self, slot: usize) -> &T {
        match self.exclusive.get(slot) {
            Some(value) => value,
            None => &self.shared[slot - OWNED].value,
        }
    }

    /// Iterates over the values of all slots, to read them.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &T> {
        let exclusive = self.exclusive.iter().map(|value| &**value);
        exclusive.chain(self.shared.iter().map(|shared| &shared.value))
    }
}

/// Counts of what a thread has allocated and freed.
///
/// A thread that frees blocks of other threads counts more freed than allocated. The total over all
/// threads is right.
#[derive(Debug, Default)]
pub(crate) struct LiveCount {
    allocated: AtomicI64,
    freed: AtomicI64,
    /// Bytes allocated minus bytes freed.
    bytes: AtomicI64,
}

impl LiveCount {
    /// Counts an allocated block. Only the thread in this slot may call it.
    #[inline(always)]
    pub(crate) fn add(&self, layout: Layout) {
        raise(&self.allocated, 1);
        raise(&self.bytes, layout.size() as i64);
    }

    /// Counts a freed block. Only the thread in this slot may call it.
    #[inline(always)]
    pub(crate) fn subtract(&self, layout: Layout) {
        raise(&self.freed, 1);
        raise(&self.bytes, -(layout.size() as i64));
    }

    /// Returns the number of blocks ever allocated here.
    #[cfg(feature = "arena")]
    pub(crate) fn allocated(&self) -> i64 {
        self.allocated.load(Relaxed)
    }

    /// Returns statistics with the totals of these counts.
    ///
    /// While threads count, the parts of a total are read at different instants. A total that would
    /// be negative is reported as 0.
    pub(crate) fn total<'a>(counts: impl Iterator<Item = &'a Self>) -> PoolStats {
        let (nodes, bytes) = counts.fold((0_i64, 0_i64), |(nodes, bytes), count| {
            let live = count.allocated.load(Relaxed).wrapping_sub(count.freed.load(Relaxed));
            (nodes.wrapping_add(live), bytes.wrapping_add(count.bytes.load(Relaxed)))
        });
        let mut stats = PoolStats::default();
        stats.live_nodes = u64::try_from(nodes).unwrap_or(0);
        stats.live_bytes = u64::try_from(bytes).unwrap_or(0);
        stats
    }

    /// Sets the counts to zero. No thread counts during the call.
    #[cfg(feature = "arena")]
    pub(crate) fn clear(&self) {
        self.allocated.store(0, Relaxed);
        self.freed.store(0, Relaxed);
        self.bytes.store(0, Relaxed);
    }
}

/// Adds to a count that only this thread writes.
#[inline(always)]
fn raise(count: &AtomicI64, by: i64) {
    count.store(count.load(Relaxed).wrapping_add(by), Relaxed);
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use std::sync::atomic::AtomicUsize;

    #[test]
    fn no_two_threads_are_at_one_value() {
        let counts = PerThread::<AtomicUsize>::new().unwrap();
        let (threads, rounds) = if cfg!(miri) { (70, 5) } else { (200, 2_000) };
        std::thread::scope(|scope| {
            for _ in 0..threads {
                scope.spawn(|| {
                    for _ in 0..rounds {
                        // A load and a store lose additions as soon as two threads overlap.
                        counts.with(|count| count.store(count.load(Relaxed) + 1, Relaxed));
                    }
                });
            }
        });
        assert_eq!(counts.iter().map(|count| count.load(Relaxed)).sum::<usize>(), threads * rounds);
    }
}
