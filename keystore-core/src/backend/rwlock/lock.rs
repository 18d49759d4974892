//! The lock of a bucket. A thread never waits for itself.
//!
//! The backend works with any raw lock of lock_api. The public types name neither lock_api nor
//! parking_lot, so that their next major versions are not ours.

use std::cell::Cell;
use std::fmt;
use std::mem::ManuallyDrop;
use std::time::{Duration, Instant};

use lock_api::{GuardNoSend, RawRwLock, RawRwLockTimed};

use crate::sync::reentrancy;

/// A lock for buckets: [`SharedLock`], or [`NoLock`] for single-threaded mode. Sealed.
pub trait BucketLock: RawLock {}

impl<L: RawLock> BucketLock for L {}

/// A raw lock whose unlocked state is all zeros.
///
/// # Safety
/// The bytes of [`RawRwLock::INIT`] are all zero: buckets come from the system as zeros, and are
/// unlocked.
pub unsafe trait RawLock: RawRwLockTimed<Duration = Duration, Instant = Instant> {}

// SAFETY: an unlocked parking_lot lock is a word of zero (`the_locks_start_as_zeros` looks).
unsafe impl RawLock for SharedLock {}

// SAFETY: nobody inside is zero.
unsafe impl RawLock for NoLock {}

/// The lock of buckets that threads share: a word, with writers that wait let in before new
/// readers.
pub struct SharedLock(parking_lot::RawRwLock);

impl fmt::Debug for SharedLock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SharedLock").field("locked", &self.0.is_locked()).finish()
    }
}

// SAFETY: each call is that of the one lock inside.
unsafe impl RawRwLock for SharedLock {
    const INIT: Self = Self(RawRwLock::INIT);
    type SharedGuard = <parking_lot::RawRwLock as RawRwLock>::SharedGuard;
    type ExclusiveGuard = <parking_lot::RawRwLock as RawRwLock>::ExclusiveGuard;

    #[inline]
    fn lock_shared(&self) -> Self::SharedGuard {
        self.0.lock_shared()
    }

    #[inline]
    fn try_lock_shared(&self) -> Option<Self::SharedGuard> {
        self.0.try_lock_shared()
    }

    #[inline]
    unsafe fn unlock_shared(&self, guard: Self::SharedGuard) {
        // SAFETY: the caller's lock is the one inside.
        unsafe { self.0.unlock_shared(guard) }
    }

    #[inline]
    fn lock_exclusive(&self) -> Self::ExclusiveGuard {
        self.0.lock_exclusive()
    }

    #[inline]
    fn try_lock_exclusive(&self) -> Option<Self::ExclusiveGuard> {
        self.0.try_lock_exclusive()
    }

    #[inline]
    unsafe fn unlock_exclusive(&self, guard: Self::ExclusiveGuard) {
        // SAFETY: the caller's lock is the one inside.
        unsafe { self.0.unlock_exclusive(guard) }
    }

    #[inline]
    fn is_locked(&self) -> bool {
        self.0.is_locked()
    }

    #[inline]
    fn is_locked_exclusive(&self) -> bool {
        self.0.is_locked_exclusive()
    }
}

// SAFETY: each call is that of the one lock inside.
unsafe impl RawRwLockTimed for SharedLock {
    type Duration = Duration;
    type Instant = Instant;

    fn try_lock_shared_for(&self, timeout: Duration) -> Option<Self::SharedGuard> {
        self.0.try_lock_shared_for(timeout)
    }

    fn try_lock_shared_until(&self, timeout: Instant) -> Option<Self::SharedGuard> {
        self.0.try_lock_shared_until(timeout)
    }

    fn try_lock_exclusive_for(&self, timeout: Duration) -> Option<Self::ExclusiveGuard> {
        self.0.try_lock_exclusive_for(timeout)
    }

    fn try_lock_exclusive_until(&self, timeout: Instant) -> Option<Self::ExclusiveGuard> {
        self.0.try_lock_exclusive_until(timeout)
    }
}

/// The shared side of a lock, held.
pub(super) struct Shared<'a, L: BucketLock> {
    lock: &'a L,
    /// Taken out when the lock is given back.
    state: ManuallyDrop<L::SharedGuard>,
}

/// The exclusive side of a lock, held.
pub(super) struct Exclusive<'a, L: BucketLock> {
    lock: &'a L,
    /// Taken out when the lock is given back.
    state: ManuallyDrop<L::ExclusiveGuard>,
}

/// Proof that nobody else uses what a lock protects, though the lock is not held.
pub(super) struct Sole;

/// A guard that keeps everybody else out.
///
/// # Safety
/// While a value of the type exists, nobody else uses what it protects.
pub(super) unsafe trait ExclusiveAccess {}

// SAFETY: the exclusive side of a lock keeps readers and writers out.
unsafe impl<L: BucketLock> ExclusiveAccess for Exclusive<'_, L> {}

// SAFETY: the maker of a `Sole` promises that (`Bucket::assume_locked`).
unsafe impl ExclusiveAccess for Sole {}

impl<'a, L: BucketLock> Shared<'a, L> {
    /// Takes the lock if it need not wait.
    #[inline]
    pub(super) fn try_lock(lock: &'a L) -> Option<Self> {
        lock.try_lock_shared().map(|state| Self { lock, state: ManuallyDrop::new(state) })
    }

    /// Takes the lock, and waits for it up to `lock_timeout`. Returns `None` after that time, and
    /// at once if the thread is inside a closure of a store.
    pub(super) fn lock(lock: &'a L, lock_timeout: Option<Duration>) -> Option<Self> {
        Self::try_lock(lock).or_else(|| {
            let state = reentrancy::wait_for_lock(
                lock_timeout,
                || lock.try_lock_shared(),
                |lock_timeout| lock.try_lock_shared_for(lock_timeout),
                || lock.lock_shared(),
            );
            Some(Self { lock, state: ManuallyDrop::new(state?) })
        })
    }
}

impl<'a, L: BucketLock> Exclusive<'a, L> {
    /// Takes the lock if it is free.
    #[inline]
    pub(super) fn try_lock(lock: &'a L) -> Option<Self> {
        lock.try_lock_exclusive().map(|state| Self { lock, state: ManuallyDrop::new(state) })
    }

    /// Takes the lock, and waits for it up to `lock_timeout`. Returns `None` after that time, and
    /// at once if the thread is inside a closure of a store.
    pub(super) fn lock(lock: &'a L, lock_timeout: Option<Duration>) -> Option<Self> {
        Self::try_lock(lock).or_else(|| {
            let state = reentrancy::wait_for_lock(
                lock_timeout,
                || lock.try_lock_exclusive(),
                |lock_timeout| lock.try_lock_exclusive_for(lock_timeout),
                || lock.lock_exclusive(),
            );
            Some(Self { lock, state: ManuallyDrop::new(state?) })
        })
    }
}

impl<L: BucketLock> Drop for Shared<'_, L> {
    #[inline]
    fn drop(&mut self) {
        // SAFETY: this is the state of the acquisition that made the guard; it is taken out here
        // only, and given back once.
        unsafe { self.lock.unlock_shared(ManuallyDrop::take(&mut self.state)) }
    }
}

impl<L: BucketLock> Drop for Exclusive<'_, L> {
    #[inline]
    fn drop(&mut self) {
        // SAFETY: this is the state of the acquisition that made the guard; it is taken out here
        // only, and given back once.
        unsafe { self.lock.unlock_exclusive(ManuallyDrop::take(&mut self.state)) }
    }
}

/// Lock of single-threaded mode. It only remembers whether it is held, so that a closure that
/// calls its own store is refused instead of changing the value under its caller. It is not
/// `Sync`, so neither is a store with it.
#[derive(Debug)]
pub struct NoLock {
    /// Number of readers inside, or `WRITER`.
    inside: Cell<u32>,
}

const WRITER: u32 = u32::MAX;

// SAFETY: `NoLock` is not `Sync`, so one thread at a time uses it; on one thread `inside` keeps a
// writer apart from everyone else, as the lock's contract asks.
unsafe impl RawRwLock for NoLock {
    const INIT: Self = Self { inside: Cell::new(0) };
    type SharedGuard = GuardNoSend;
    type ExclusiveGuard = GuardNoSend;

    /// # Panics
    /// If a writer is inside: there is no other thread to wait for. The stores check before they
    /// call this.
    fn lock_shared(&self) -> GuardNoSend {
        self.try_lock_shared().expect("a single-threaded store is not read inside its own write")
    }

    #[inline]
    fn try_lock_shared(&self) -> Option<GuardNoSend> {
        let free = self.inside.get() < WRITER - 1;
        free.then(|| {
            self.inside.set(self.inside.get() + 1);
            GuardNoSend::new()
        })
    }

    #[inline]
    unsafe fn unlock_shared(&self, _: GuardNoSend) {
        self.inside.set(self.inside.get() - 1);
    }

    /// # Panics
    /// If anyone is inside: there is no other thread to wait for. The stores check before they
    /// call this.
    fn lock_exclusive(&self) -> GuardNoSend {
        self.try_lock_exclusive()
            .expect("a single-threaded store is not written inside its own verb")
    }

    #[inline]
    fn try_lock_exclusive(&self) -> Option<GuardNoSend> {
        let free = self.inside.get() == 0;
        free.then(|| {
            self.inside.set(WRITER);
            GuardNoSend::new()
        })
    }

    #[inline]
    unsafe fn unlock_exclusive(&self, _: GuardNoSend) {
        self.inside.set(0);
    }

    fn is_locked(&self) -> bool {
        self.inside.get() != 0
    }

    fn is_locked_exclusive(&self) -> bool {
        self.inside.get() == WRITER
    }
}

// SAFETY: one thread at a time uses a `NoLock`, so nobody else is there to wait for.
unsafe impl RawRwLockTimed for NoLock {
    type Duration = Duration;
    type Instant = Instant;

    fn try_lock_shared_for(&self, _: Duration) -> Option<GuardNoSend> {
        self.try_lock_shared()
    }

    fn try_lock_shared_until(&self, _: Instant) -> Option<GuardNoSend> {
        self.try_lock_shared()
    }

    fn try_lock_exclusive_for(&self, _: Duration) -> Option<GuardNoSend> {
        self.try_lock_exclusive()
    }

    fn try_lock_exclusive_until(&self, _: Instant) -> Option<GuardNoSend> {
        self.try_lock_exclusive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_lock_keeps_a_writer_apart() {
        let lock = NoLock::INIT;
        let first = Shared::lock(&lock, None).unwrap();
        let second = Shared::lock(&lock, None).unwrap();
        assert!(Exclusive::try_lock(&lock).is_none());
        drop((first, second));
        let writer = Exclusive::try_lock(&lock).unwrap();
        assert!(lock.try_lock_shared().is_none());
        drop(writer);
        assert!(lock.try_lock_shared().is_some());
    }

    #[test]
    fn the_locks_start_as_zeros() {
        // SAFETY: both are one plain word without padding.
        unsafe {
            assert_eq!(std::mem::transmute::<SharedLock, usize>(SharedLock::INIT), 0);
            assert_eq!(std::mem::transmute::<NoLock, u32>(NoLock::INIT), 0);
        }
    }

    #[test]
    fn inside_a_closure_a_held_lock_is_refused_and_a_shared_one_taken_again() {
        let lock = SharedLock::INIT;
        let reader = Shared::lock(&lock, None).unwrap();
        reentrancy::inside(|| {
            assert!(Exclusive::lock(&lock, None).is_none());
            assert!(Shared::lock(&lock, None).is_some(), "nobody waits to write");
        });
        drop(reader);
        assert!(Exclusive::try_lock(&lock).is_some());
    }
}
