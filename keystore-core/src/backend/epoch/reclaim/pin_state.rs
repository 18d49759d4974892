//! The agreement between a thread that keeps its pin and those who take pins back: who may change
//! the pin, and when.
//!
//! Its atomics come from `words` beside it, so that the same lines can be compiled a second time
//! over those of a model checker (`models/pinning.rs`).

use super::words::{AtomicU64, AtomicUsize, Ordering, order_before_imposed_barrier};

/// Stands for the request that no pin answers.
pub(super) const NO_GENERATION: u64 = 0;

/// Nobody changes the pin.
const FREE: usize = 0;
/// The pin's thread does.
const RENEWING: usize = 1;
/// Whoever takes pins back does.
const REVOKING: usize = 2;

/// Whether a thread is inside, and what its pin is worth. The pin itself lies beside it.
#[derive(Debug)]
pub(super) struct PinState {
    /// How many guards the thread has. Written by it alone.
    inside: AtomicUsize,
    /// The request that the pin was last renewed for, or [`NO_GENERATION`]. Written under `hold`.
    generation: AtomicU64,
    /// Who may change the pin: [`FREE`], [`RENEWING`] or [`REVOKING`].
    hold: AtomicUsize,
}

impl PinState {
    /// Nobody is inside, and there is no pin.
    pub(super) fn new() -> Self {
        Self {
            inside: AtomicUsize::new(0),
            generation: AtomicU64::new(NO_GENERATION),
            hold: AtomicUsize::new(FREE),
        }
    }

    /// Says that the thread is inside, and tells whether its pin is as new as is `wanted`.
    ///
    /// Why nobody takes the pin of a thread that was told so, until it leaves: who takes pins back
    /// makes them invalid, then has this thread pass a barrier, then looks at `inside`. If the
    /// barrier falls behind the store here, `inside` is seen. If it falls before the load here,
    /// the pin is seen to be invalid. The store comes before the load, so it is one of the two.
    #[inline(always)]
    pub(super) fn enter(&self, wanted: &AtomicU64) -> bool {
        self.inside.store(self.guards() + 1, Ordering::Relaxed);
        // The processor may still exchange the two: the barrier that others impose is what it
        // cannot.
        order_before_imposed_barrier();
        self.is_current(wanted)
    }

    /// Takes one guard less. Release: who sees this sees that all was read before.
    #[inline(always)]
    pub(super) fn leave(&self) {
        self.inside.store(self.guards() - 1, Ordering::Release);
    }

    /// How many guards the thread has. For the thread itself.
    #[inline(always)]
    pub(super) fn guards(&self) -> usize {
        self.inside.load(Ordering::Relaxed)
    }

    /// Whether the pin is as new as is `wanted`.
    #[inline(always)]
    pub(super) fn is_current(&self, wanted: &AtomicU64) -> bool {
        self.generation() == wanted.load(Ordering::Relaxed)
    }

    /// The request that the pin was last renewed for, or [`NO_GENERATION`].
    #[inline(always)]
    pub(super) fn generation(&self) -> u64 {
        self.generation.load(Ordering::Relaxed)
    }

    /// Has `renew` renew the pin, or make one, of the calling thread, which is inside: whether it
    /// is a good one now. If not, somebody is finding out whether the thread is inside.
    pub(super) fn renew(&self, wanted: &AtomicU64, renew: impl FnOnce()) -> bool {
        if !self.hold(RENEWING) {
            return false;
        }
        let wanted = wanted.load(Ordering::Acquire);
        renew();
        self.generation.store(wanted, Ordering::Relaxed);
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

    /// Makes the pin invalid, to take it back if the thread is not inside: whether that could be
    /// begun. Then a barrier is to be imposed on the thread, and [`end_revoke`](Self::end_revoke)
    /// to be called, by one and the same thread.
    pub(super) fn begin_revoke(&self) -> bool {
        let begun = self.hold(REVOKING);
        if begun {
            self.generation.store(NO_GENERATION, Ordering::Relaxed);
        }
        begun
    }

    /// Has `unpin` let go of the pin, where taking it back was begun, the barrier has been passed,
    /// and the thread is not inside.
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

    /// Tries to become the one who may change the pin.
    fn hold(&self, who: usize) -> bool {
        self.hold.compare_exchange(FREE, who, Ordering::Acquire, Ordering::Relaxed).is_ok()
    }
}
