//! Threads that end: their magazines go back to the depots of the pools that they used.
//!
//! Few blocks are in a thread's magazines, but each keeps its span, and so its chunk, from going back, and
//! nobody else can get at them. So a thread that ends leaves none.
//!
//! Each place of [`PerThread`](crate::per_thread::PerThread) has a list of the caches there, of whichever
//! pool, that may hold magazines. A cache joins the list of its place when it gets its first magazine, and
//! leaves it when a thread ends which had the place, or when its pool ends. So the end of a thread costs time
//! in proportion to the pools that it used, not to those that are open.
//!
//! The lock of a list is held while its caches are emptied, so no pool ends meanwhile.

use std::ptr::{NonNull, null_mut};
use std::sync::atomic::Ordering::Relaxed;
use std::sync::atomic::{AtomicBool, AtomicPtr};
use std::sync::{Mutex, MutexGuard, PoisonError};

use keystore_core::thread_exit::Hook;

use super::{Cache, Core};
use crate::per_thread::{PLACES, place};

/// The caches of each place that may hold magazines, the last one that joined first.
static LISTS: [Mutex<First>; PLACES] = [const { Mutex::new(First(null_mut())) }; PLACES];

static HOOK: Hook = Hook::new(empty_listed_caches);

struct First(*mut Cache);

// SAFETY: caches may be used by any thread, by the rules of their places.
unsafe impl Send for First {}

/// Where a cache is on the list of its place.
#[derive(Debug, Default)]
pub(super) struct Link {
    listed: AtomicBool,
    /// Used under the list's lock.
    next: AtomicPtr<Cache>,
    /// The pool's. Set under the list's lock.
    core: AtomicPtr<Core>,
}

/// Makes sure that ending threads empty their caches.
pub(super) fn watch_threads() {
    // A model's threads are all on one of the system's, whose end is not theirs.
    if cfg!(not(loom)) {
        HOOK.add();
    }
}

/// Locks the list of a place. Nothing unwinds under the lock.
fn list(place: usize) -> MutexGuard<'static, First> {
    LISTS[place].lock().unwrap_or_else(PoisonError::into_inner)
}

/// Puts a cache on the list of its place, unless it is there. To be called after the cache may have got
/// a magazine, and not within [`PerThread::with_place`](crate::per_thread::PerThread::with_place).
#[inline]
pub(super) fn note(core: NonNull<Core>, cache: &Cache, place: usize) {
    if !cache.link.listed.load(Relaxed) {
        join(core, cache, place);
    }
}

#[cold]
fn join(core: NonNull<Core>, cache: &Cache, place: usize) {
    if cfg!(loom) {
        return;
    }
    let mut first = list(place);
    // Threads that share the place may have come here together.
    if !cache.link.listed.swap(true, Relaxed) {
        cache.link.core.store(core.as_ptr(), Relaxed);
        cache.link.next.store(first.0, Relaxed);
        first.0 = std::ptr::from_ref(cache).cast_mut();
    }
}

/// Empties the caches at the calling thread's place.
fn empty_listed_caches() {
    let place = place();
    let mut first = list(place);
    // SAFETY: a pool takes its caches off the lists before it ends, and the lock of this one is held.
    while let Some(cache) = unsafe { first.0.as_ref() } {
        first.0 = cache.link.next.load(Relaxed);
        // Before it is emptied: a thread that shares the place and fills it afterwards lists it again.
        cache.link.listed.store(false, Relaxed);
        // SAFETY: as above.
        unsafe { (*cache.link.core.load(Relaxed)).take_over_magazines(place) };
    }
}

/// Takes a cache off the list of its place. No thread that ends is at it from here on.
pub(super) fn leave(cache: &Cache, place: usize) {
    if !cache.link.listed.load(Relaxed) {
        return;
    }
    let mut first = list(place);
    let mut at = first.0;
    if std::ptr::eq(at, cache) {
        first.0 = cache.link.next.load(Relaxed);
    }
    // SAFETY: as in `empty_listed_caches`.
    while let Some(before) = unsafe { at.as_ref() } {
        at = before.link.next.load(Relaxed);
        if std::ptr::eq(at, cache) {
            before.link.next.store(cache.link.next.load(Relaxed), Relaxed);
        }
    }
}

/// How many caches are on the list of the calling thread's place.
#[cfg(all(test, not(loom)))]
pub(super) fn listed() -> usize {
    let first = list(place());
    // SAFETY: as in `empty_listed_caches`.
    let next = |at: *mut Cache| unsafe { at.as_ref() }.map(|cache| cache.link.next.load(Relaxed));
    std::iter::successors(Some(first.0).filter(|at| !at.is_null()), |at| next(*at).filter(|at| !at.is_null()))
        .count()
}
