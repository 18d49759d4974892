//! The lock of a bucket, with guards that never make a thread wait for itself.
//!
//! The backend works with any raw lock of lock_api. The names of lock_api and parking_lot do not
//! appear in the public types. So a new major version of one of them does not force a new major
//! version of this crate.

use std::cell::Cell;
use std::fmt;
use std::mem::ManuallyDrop;
use std::time::{Duration, Instant};

use lock_api::{GuardNoSend, RawRwLock, RawRwLockTimed};

use crate::sync::reentrancy;

/// A lock for buckets: [`SharedLock`], or [`NoLock`] for single-threaded mode. The trait is sealed.
pub trait BucketLock: RawLock {}

impl<L: RawLock> BucketLock for L {}

/// A raw lock whose unlocked state is all zeros.
///
/// # Safety
/// The bytes of [`RawRwLock::INIT`] are all zero. The system provides the memory of buckets as
/// zeros, and these must be unlocked locks.
pub unsafe trait RawLock: RawRwLockTimed<Duration = Duration, Instant = Instant> {}

// SAFETY: an unlocked parking_lot lock is a word of zero (the test `the_locks_start_as_zeros`
// checks this).
unsafe impl RawLock for SharedLock {}

// SAFETY: the count is zero if neither a reader nor a writer holds the lock.
unsafe impl RawLock for NoLock {}

/// The lock of buckets that threads share. It is one word. A waiting writer gets the lock before
/// new readers.
pub struct SharedLock(parking_lot::RawRwLock);

impl fmt::Debug for SharedLock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SharedLock").field("locked", &self.0.is_locked()).finish()
    }
}

// SAFETY: each method calls the same method of the lock inside.
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
        // SAFETY: the caller holds the lock inside, and the guard state is that lock's.
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
        // SAFETY: the caller holds the lock inside, and the guard state is that lock's.
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

// SAFETY: each method calls the same method of the lock inside.
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

/// Guard of a lock that is held on the shared side.
pub(super) struct Shared<'a, L: BucketLock> {
    lock: &'a L,
    /// Guard state of the raw lock. It is taken out when the lock is released.
    state: ManuallyDrop<L::SharedGuard>,
}

/// Guard of a lock that is held on the exclusive side.
pub(super) struct Exclusive<'a, L: BucketLock> {
    lock: &'a L,
    /// Guard state of the raw lock. It is taken out when the lock is released.
    state: ManuallyDrop<L::ExclusiveGuard>,
}

/// Proof that no other thread uses what a lock protects, though the lock is not held.
pub(super) struct Sole;

/// A guard that gives exclusive access.
///
/// # Safety
/// While a value of the type exists, no other thread uses what it protects.
pub(super) unsafe trait ExclusiveAccess {}

// SAFETY: the exclusive side of a lock keeps readers and writers out.
unsafe impl<L: BucketLock> ExclusiveAccess for Exclusive<'_, L> {}

// SAFETY: the code that makes a `Sole` promises this (`Bucket::assume_locked`).
unsafe impl ExclusiveAccess for Sole {}

impl<'a, L: BucketLock> Shared<'a, L> {
    /// Takes the lock if that is possible without waiting.
    #[inline]
    pub(super) fn try_lock(lock: &'a L) -> Option<Self> {
        lock.try_lock_shared().map(|state| Self { lock, state: ManuallyDrop::new(state) })
    }

    /// Takes the lock, and waits for it up to `lock_timeout`, if that is set. Returns `None` after
    /// that time. If the thread is inside a closure of a store, it does not wait, and returns
    /// `None` at once if the lock is held.
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

    /// Takes the lock, and waits for it up to `lock_timeout`, if that is set. Returns `None` after
    /// that time. If the thread is inside a closure of a store, it does not wait, and returns
    /// `None` at once if the lock is held.
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
        // SAFETY: this is the state of the acquisition that made the guard. It is taken out only
        // here, so the lock is released once.
        unsafe { self.lock.unlock_shared(ManuallyDrop::take(&mut self.state)) }
    }
}

impl<L: BucketLock> Drop for Exclusive<'_, L> {
    #[inline]
    fn drop(&mut self) {
        // SAFETY: this is the state of the acquisition that made the guard. It is taken out only
        // here, so the lock is released once.
        unsafe { self.lock.unlock_exclusive(ManuallyDrop::take(&mut self.state)) }
    }
}

/// The lock of single-threaded mode. It only records whether it is held. So if a closure calls its
/// own store, that call fails instead of changing the value that the closure is reading. The lock
/// is not `Sync`, so a store with this lock is not `Sync` either.
#[derive(Debug)]
pub struct NoLock {
    /// Number of readers that hold the lock, or `WRITER`.
    inside: Cell<u32>,
}

const WRITER: u32 = u32::MAX;

// SAFETY: `NoLock` is not `Sync`, so only one thread at a time uses it. On that thread `inside`
// excludes readers and other writers while a writer holds the lock, as the contract of `RawRwLock`
// requires.
unsafe impl RawRwLock for NoLock {
    const INIT: Self = Self { inside: Cell::new(0) };
    type SharedGuard = GuardNoSend;
    type ExclusiveGuard = GuardNoSend;

    /// # Panics
    /// Panics if a writer holds the lock, since there is no other thread to wait for. The stores
    /// check this before they call it.
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
    /// Panics if a reader or a writer holds the lock, since there is no other thread to wait for.
    /// The stores check this before they call it.
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

// SAFETY: only one thread at a time uses a `NoLock`, so there is no other thread to wait for.
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
