//! One value for each thread.
//!
//! The first [`OWNED`] live threads have a place of their own, chosen by [`thread_slot`]; nobody else enters it, so it
//! needs no lock. The threads beyond share [`SHARED`] places, each behind a lock. When a thread ends, its number and with it
//! its place and all that lies in it pass to the next thread: what threads that have ended leave behind is bounded by the
//! number of places, not of threads, also where nothing sweeps up after them.

use std::alloc::Layout;
#[cfg(feature = "slab")]
use std::ptr::NonNull;
use std::sync::atomic::{AtomicI64, Ordering::Relaxed};

use crossbeam_utils::CachePadded;
use keystore_core::thread_slot::OWNED;
use keystore_core::{Error, PoolStats, Result};

use crate::primitive::{Mutex, thread_slot};

/// How many places the threads share that have none of their own.
const SHARED: usize = 16;

/// How many places there are.
#[cfg(feature = "slab")]
pub(crate) const PLACES: usize = OWNED + SHARED;

/// The place of the calling thread: its own, below [`OWNED`], or the one that it shares.
#[inline]
pub(crate) fn place() -> usize {
    match thread_slot() {
        own if own < OWNED => own,
        other => OWNED + other % SHARED,
    }
}

/// A `T` for each thread. Everybody may read all of them, so the parts of `T` are atomic; only the thread that is
/// at its own (by [`own`](Self::own) or [`with`](Self::with)) writes, so loads and stores of it can be relaxed and need no read-modify-write.
#[derive(Debug)]
pub(crate) struct PerThread<T> {
    owned: Box<[CachePadded<T>]>,
    shared: Box<[CachePadded<Shared<T>>]>,
}

#[derive(Debug, Default)]
struct Shared<T> {
    lock: Mutex<()>,
    value: T,
}

impl<T: Default> PerThread<T> {
    pub(crate) fn new() -> Result<Self> {
        Ok(Self { owned: filled(OWNED)?, shared: filled(SHARED)? })
    }
}

fn filled<T: Default>(count: usize) -> Result<Box<[T]>> {
    let mut values = Vec::new();
    values
        .try_reserve_exact(count)
        .map_err(|_| Error::OutOfMemory { requested: count.saturating_mul(size_of::<T>()) })?;
    values.resize_with(count, T::default);
    Ok(values.into_boxed_slice())
}

/// The places that threads have of their own, found without a look at the [`PerThread`]: for fast paths.
#[cfg(feature = "slab")]
#[derive(Debug)]
pub(crate) struct Owned<T>(NonNull<[CachePadded<T>]>);

#[cfg(feature = "slab")]
impl<T> Owned<T> {
    /// That of the calling thread, as [`PerThread::own`].
    ///
    /// # Safety
    /// The `PerThread` that this was taken of lives for `'a`.
    #[inline]
    pub(crate) unsafe fn get<'a>(&self) -> Option<&'a T> {
        // SAFETY: the caller's promise; a box stays where it is when its owner moves.
        unsafe { self.0.as_ref() }.get(thread_slot()).map(|value| &**value)
    }
}

// SAFETY: it is used like a reference to the values.
#[cfg(feature = "slab")]
unsafe impl<T: Sync> Send for Owned<T> {}
// SAFETY: as above.
#[cfg(feature = "slab")]
unsafe impl<T: Sync> Sync for Owned<T> {}

impl<T> PerThread<T> {
    /// The places that threads have of their own.
    #[cfg(feature = "slab")]
    pub(crate) fn owned(&self) -> Owned<T> {
        Owned(NonNull::from(&*self.owned))
    }

    /// The calling thread's value if it has one of its own: what a fast path uses. No other thread is at it
    /// for as long as this one runs, and what earlier ones wrote there is visible.
    #[cfg(feature = "arena")]
    #[inline]
    pub(crate) fn own(&self) -> Option<&T> {
        self.owned.get(thread_slot()).map(|value| &**value)
    }

    /// Runs `work` on the calling thread's value, own or shared. No other thread is at it meanwhile, and what earlier
    /// ones wrote there is visible. `work` must not call `with` of the same `PerThread`.
    pub(crate) fn with<R>(&self, work: impl FnOnce(&T) -> R) -> R {
        self.with_place(place(), work)
    }

    /// [`with`](Self::with) for a thread that knows its place.
    pub(crate) fn with_place<R>(&self, place: usize, work: impl FnOnce(&T) -> R) -> R {
        match self.owned.get(place) {
            Some(value) => work(value),
            None => {
                let shared = &self.shared[place - OWNED];
                let _guard = shared.lock.lock();
                work(&shared.value)
            }
        }
    }

    /// The value at a place. Everybody may read it.
    #[cfg(feature = "slab")]
    pub(crate) fn at(&self, place: usize) -> &T {
        match self.owned.get(place) {
            Some(value) => value,
            None => &self.shared[place - OWNED].value,
        }
    }

    /// All values, by their places, whoever they belong to.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &T> {
        self.owned.iter().map(|value| &**value).chain(self.shared.iter().map(|shared| &shared.value))
    }
}

/// What a thread has allocated and what it has freed. A thread that frees what others allocated counts more freed than allocated;
/// the total is right.
#[derive(Debug, Default)]
pub(crate) struct LiveCount {
    allocated: AtomicI64,
    freed: AtomicI64,
    /// Bytes allocated less those freed.
    bytes: AtomicI64,
}

impl LiveCount {
    /// Counts an allocated block. Only the thread at this count may call it.
    #[inline(always)]
    pub(crate) fn add(&self, layout: Layout) {
        raise(&self.allocated, 1);
        raise(&self.bytes, layout.size() as i64);
    }

    /// Counts a freed block. Only the thread at this count may call it.
    #[inline(always)]
    pub(crate) fn subtract(&self, layout: Layout) {
        raise(&self.freed, 1);
        raise(&self.bytes, -(layout.size() as i64));
    }

    /// How many blocks were ever allocated here.
    #[cfg(feature = "arena")]
    pub(crate) fn allocated(&self) -> i64 {
        self.allocated.load(Relaxed)
    }

    /// Statistics with the totals of these counts. While threads count, the parts of a total are of different
    /// instants and can seem to be negative.
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

    /// Forgets what was counted. Only while no thread counts.
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
