//! The protocol between a thread that keeps its pin and a thread that revokes pins. It decides
//! which of them may change the pin, and when.
//!
//! The atomics come from the module `words` beside this one. So the same source can be compiled a
//! second time with the atomics of a model checker (`models/pinning.rs`).

use super::words::{AtomicU64, AtomicUsize, Ordering, order_before_imposed_barrier};

/// Generation of an invalid pin. No request has this number.
pub(super) const NO_GENERATION: u64 = 0;

/// Value of `hold`: no thread changes the pin.
const FREE: usize = 0;
/// Value of `hold`: the pin's own thread changes it.
const RENEWING: usize = 1;
/// Value of `hold`: the thread that revokes pins changes it.
const REVOKING: usize = 2;

/// State of a thread's pin: whether the pin is in use, and its generation. The pin itself is not
/// part of it.
#[derive(Debug)]
pub(super) struct PinState {
    /// Number of guards of the thread. Only the thread itself writes it.
    inside: AtomicUsize,
    /// Number of the request that the pin was last renewed for, or [`NO_GENERATION`]. Only the
    /// holder of `hold` writes it.
    generation: AtomicU64,
    /// Lock of the pin: [`FREE`], [`RENEWING`] or [`REVOKING`].
    hold: AtomicUsize,
}

impl PinState {
    /// Makes a state without guards and without a pin.
    pub(super) fn new() -> Self {
        Self {
            inside: AtomicUsize::new(0),
            generation: AtomicU64::new(NO_GENERATION),
            hold: AtomicUsize::new(FREE),
        }
    }

    /// Adds a guard, and returns whether the pin is of the `requested` generation.
    ///
    /// If this returns true, no thread revokes the pin until the guard is removed. The reason is
    /// that the revoking thread first makes the pin invalid, then imposes a barrier on this thread,
    /// and then reads the guard count. If the barrier comes after the store below, the revoking
    /// thread sees the guard. If the barrier comes before the load below, this thread sees that the
    /// pin is invalid. The store comes before the load, so at least one of the two is the case.
    #[inline(always)]
    pub(super) fn enter(&self, requested: &AtomicU64) -> bool {
        self.inside.store(self.guards() + 1, Ordering::Relaxed);
        // The processor may still reorder the store and the load. But it cannot move either of them
        // across a barrier that another thread imposes.
        order_before_imposed_barrier();
        self.is_current(requested)
    }

    /// Removes a guard. Release: a thread that sees this store knows that all reads of the guard
    /// came before it.
    #[inline(always)]
    pub(super) fn leave(&self) {
        self.inside.store(self.guards() - 1, Ordering::Release);
    }

    /// Returns the number of guards. Only the pin's own thread may call this.
    #[inline(always)]
    pub(super) fn guards(&self) -> usize {
        self.inside.load(Ordering::Relaxed)
    }

    /// Returns whether the pin is of the `requested` generation.
    #[inline(always)]
    pub(super) fn is_current(&self, requested: &AtomicU64) -> bool {
        self.generation() == requested.load(Ordering::Relaxed)
    }

    /// Returns the number of the request that the pin was last renewed for, or [`NO_GENERATION`].
    #[inline(always)]
    pub(super) fn generation(&self) -> u64 {
        self.generation.load(Ordering::Relaxed)
    }

    /// Calls `renew` to renew or make the pin of the calling thread, which has a guard. Returns
    /// false without calling it if another thread is revoking the pin.
    pub(super) fn renew(&self, requested: &AtomicU64, renew: impl FnOnce()) -> bool {
        if !self.hold(RENEWING) {
            return false;
        }
        let requested = requested.load(Ordering::Acquire);
        renew();
        self.generation.store(requested, Ordering::Relaxed);
        self.hold.store(FREE, Ordering::Release);
        true
    }

    /// Calls `unpin` to drop the pin of the calling thread, which has no guard. Returns false
    /// without calling it if another thread is revoking the pin.
    pub(super) fn release(&self, unpin: impl FnOnce()) -> bool {
        let holds = self.hold(RENEWING);
        if holds {
            self.generation.store(NO_GENERATION, Ordering::Relaxed);
            unpin();
            self.hold.store(FREE, Ordering::Release);
        }
        holds
    }

    /// Makes the pin invalid, as the first step of revoking it. Returns false if the pin's own
    /// thread is changing the pin. Otherwise the caller must impose a barrier on that thread, and
    /// then call [`end_revoke`](Self::end_revoke) from the same thread as this function.
    pub(super) fn begin_revoke(&self) -> bool {
        let begun = self.hold(REVOKING);
        if begun {
            self.generation.store(NO_GENERATION, Ordering::Relaxed);
        }
        begun
    }

    /// Ends what [`begin_revoke`](Self::begin_revoke) began, if it returned true. Calls `unpin` to
    /// drop the pin if `passed` says that the thread has passed the barrier, and the thread has no
    /// guard.
    pub(super) fn end_revoke(&self, passed: bool, unpin: impl FnOnce()) {
        if self.hold.load(Ordering::Relaxed) != REVOKING {
            return;
        }
        // Acquire: the thread has finished all reads of its earlier guards.
        if passed && self.inside.load(Ordering::Acquire) == 0 {
            unpin();
        }
        self.hold.store(FREE, Ordering::Release);
    }

    /// Tries to take the lock of the pin. Returns whether the caller has it now.
    fn hold(&self, who: usize) -> bool {
        self.hold.compare_exchange(FREE, who, Ordering::Acquire, Ordering::Relaxed).is_ok()
    }
}
