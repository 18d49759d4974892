//! The agreement between a thread that keeps its pin and a thread that revokes pins: which of them
//! may change the pin, and when.
//!
//! Its atomics come from `words` beside it, so that the same lines can be compiled a second time
//! over those of a model checker (`models/pinning.rs`).

use super::words::{AtomicU64, AtomicUsize, Ordering, order_before_imposed_barrier};

/// Generation that no pin has.
pub(super) const NO_GENERATION: u64 = 0;

/// Nobody changes the pin.
const FREE: usize = 0;
/// The pin's thread does.
const RENEWING: usize = 1;
/// The thread that revokes pins does.
const REVOKING: usize = 2;

/// State of a thread's pin: whether it is in use, and how new it is. The pin itself lies beside it.
#[derive(Debug)]
pub(super) struct PinState {
    /// Number of guards of the thread, which alone writes it.
    inside: AtomicUsize,
    /// The request that the pin was last renewed for, or [`NO_GENERATION`]. Written under `hold`.
    generation: AtomicU64,
    /// Who may change the pin: [`FREE`], [`RENEWING`] or [`REVOKING`].
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
    /// If this returns true, nobody revokes the pin until the guard leaves. For the revoking
    /// thread makes the pin invalid, then imposes a barrier on this thread, and then reads the
    /// guard count. If the barrier comes after the store below, the guard is seen. If it comes
    /// before the load below, this thread sees that the pin is invalid. The store comes before the
    /// load, so it is one of the two.
    #[inline(always)]
    pub(super) fn enter(&self, requested: &AtomicU64) -> bool {
        self.inside.store(self.guards() + 1, Ordering::Relaxed);
        // The processor may still exchange the two: the barrier that others impose is what it
        // cannot.
        order_before_imposed_barrier();
        self.is_current(requested)
    }

    /// Removes a guard. Release: a thread that sees this sees that all reads came before.
    #[inline(always)]
    pub(super) fn leave(&self) {
        self.inside.store(self.guards() - 1, Ordering::Release);
    }

    /// Returns the number of guards. For the thread itself.
    #[inline(always)]
    pub(super) fn guards(&self) -> usize {
        self.inside.load(Ordering::Relaxed)
    }

    /// Returns whether the pin is of the `requested` generation.
    #[inline(always)]
    pub(super) fn is_current(&self, requested: &AtomicU64) -> bool {
        self.generation() == requested.load(Ordering::Relaxed)
    }

    /// The request that the pin was last renewed for, or [`NO_GENERATION`].
    #[inline(always)]
    pub(super) fn generation(&self) -> u64 {
        self.generation.load(Ordering::Relaxed)
    }

    /// Calls `renew` to renew or make the pin of the calling thread, which has a guard. Returns
    /// false if another thread is just revoking the pin.
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

    /// Has `unpin` let go of the pin of the calling thread, which is not inside. Returns false if
    /// another thread is just taking the pin back.
    pub(super) fn release(&self, unpin: impl FnOnce()) -> bool {
        let holds = self.hold(RENEWING);
        if holds {
            self.generation.store(NO_GENERATION, Ordering::Relaxed);
            unpin();
            self.hold.store(FREE, Ordering::Release);
        }
        holds
    }

    /// Makes the pin invalid, to revoke it if the thread has no guard. Returns false if the pin is
    /// being changed. Otherwise the caller imposes a barrier on the thread and then calls
    /// [`end_revoke`](Self::end_revoke) on the same thread.
    pub(super) fn begin_revoke(&self) -> bool {
        let begun = self.hold(REVOKING);
        if begun {
            self.generation.store(NO_GENERATION, Ordering::Relaxed);
        }
        begun
    }

    /// Calls `unpin` to drop the pin, if revoking it was begun, the barrier has been passed, and
    /// the thread has no guard.
    pub(super) fn end_revoke(&self, passed: bool, unpin: impl FnOnce()) {
        if self.hold.load(Ordering::Relaxed) != REVOKING {
            return;
        }
        // Acquire: the thread is done with all that it read inside.
        if passed && self.inside.load(Ordering::Acquire) == 0 {
            unpin();
        }
        self.hold.store(FREE, Ordering::Release);
    }

    /// Tries to become the one that may change the pin.
    fn hold(&self, who: usize) -> bool {
        self.hold.compare_exchange(FREE, who, Ordering::Acquire, Ordering::Relaxed).is_ok()
    }
}
