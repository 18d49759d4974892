//! Pinning: how a thread says that it is in the table, at the price of two stores.
//!
//! crossbeam-epoch frees nothing that a pinned thread may still look at. But to pin anew for each
//! operation costs a locked instruction, and worse, one that the processor does not look far
//! beyond: lookups that could wait for memory together wait one after another. So a thread keeps
//! one pin from operation to operation, in its [`Participant`], and only counts its guards: how
//! many operations it is inside. Two things follow.
//!
//! *A pin must be renewed*, or the epoch would never advance. A thread that has gathered a batch
//! of garbage requests it, by incrementing [`REQUESTED`]. A thread that enters and finds that its
//! pin is of an older generation renews it, which costs little.
//!
//! *An idle thread must not hold back garbage.* If garbage presses, [`revoke_idle_pins`] drops the
//! pins of threads that have no guard. It makes their pins invalid, imposes a memory barrier on
//! all processors of the process (the membarrier system call of Linux), and then reads the guard
//! counts. If a thread entered before the barrier, its guard is seen, and it keeps its pin. If it
//! enters after the barrier, it sees that its pin is invalid, and takes another. Here the rare
//! side pays for both, as in userspace RCU (Desnoyers and others, 2012) and in biased locks.
//!
//! [`PinState`] is that agreement, apart from what a pin is and where [`participant`]s come from.
//!
//! Nobody waits. While its participant is being revoked, and always if there is no such barrier, a
//! thread pins for each operation, with the spare pin of its participant.

mod collector;
pub(super) mod garbage;
mod participant;
mod pin_state;

use std::cell::{Cell, UnsafeCell};
use std::fmt;
use std::marker::PhantomData;
use std::mem::ManuallyDrop;
use std::ptr::null;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};

use crossbeam_epoch::LocalHandle;
use crossbeam_utils::CachePadded;

use self::collector::{register, unregister};
use self::pin_state::{NO_GENERATION, PinState};
use super::failpoint::{self, Failpoint};
use crate::sync::thread_exit;

/// Number of the last request to renew pins. Never [`NO_GENERATION`].
static REQUESTED: CachePadded<AtomicU64> = CachePadded::new(AtomicU64::new(NO_GENERATION + 1));

/// Number of batches of garbage, over all stores.
static BATCHES: AtomicUsize = AtomicUsize::new(0);

/// One more batch is gathered between two grace periods for each so many participants in use,
/// since a grace period concerns all of them.
const PARTICIPANTS_PER_BATCH: usize = 16;

/// Number of participants, the first ones, that stay registered with crossbeam while no thread has
/// them, since they are soon taken again. Registrations of the others would only slow down each
/// grace period.
const STAY_REGISTERED: usize = 16;

/// Number of times that an ending thread tries to release its pin while another revokes it.
const RELEASE_TRIES: u32 = 1_000;

/// Whether a thread is revoking pins. One at a time does.
static REVOKE_RUNNING: AtomicBool = AtomicBool::new(false);

thread_local! {
    // Without a destructor, so that reading it costs no check, and the first use takes no memory.
    static CURRENT: Cell<*const Participant> = const { Cell::new(null()) };
}

/// A thread that takes part in reclamation, with its pin.
#[repr(align(128))]
pub(crate) struct Participant {
    /// Number of guards, generation of `pin`, and which thread may change it.
    pin_state: PinState,
    /// Index of this participant.
    number: usize,
    /// Whether leaving has more to do than to count down. Used by the participant's thread alone,
    /// as are the next four.
    needs_cleanup: Cell<bool>,
    /// Whether the participant serves one operation only: its thread is ending.
    one_shot: Cell<bool>,
    /// Registration that `pin` is made of. Dropped by the thread that may change the pin.
    handle: UnsafeCell<Option<LocalHandle>>,
    spare: UnsafeCell<Option<LocalHandle>>,
    /// A pin of `spare`, if `pin` could not be used.
    spare_pin: UnsafeCell<Option<crossbeam_epoch::Guard>>,
    /// Changed by the thread that `pin_state` allows. The participant's thread may read it while
    /// it has a guard.
    pin: UnsafeCell<Option<crossbeam_epoch::Guard>>,
}

// SAFETY: what is not atomic is used by one thread at a time, by the rules at the fields and in
// `PinState::enter`; `stay` and the participant's bit pass it on, with release and acquire.
// Nothing in crossbeam's handles and guards is bound to a thread as such.
unsafe impl Sync for Participant {}
// SAFETY: as above.
unsafe impl Send for Participant {}

/// Proof that the thread is pinned: nothing that it reaches in a table is freed while the guard
/// lives. It stays on its thread.
pub(crate) struct Guard {
    participant: &'static Participant,
    _stays: PhantomData<*const ()>,
}

impl fmt::Debug for Guard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Guard").field("inside", &self.participant.pin_state.guards()).finish()
    }
}

impl Drop for Guard {
    #[inline(always)]
    fn drop(&mut self) {
        self.participant.leave();
    }
}

/// Pins the thread. Returns `None` if there is no memory for that: the first call of a thread takes
/// some KiB, and so does the first one that meets a thread which takes pins back.
#[inline(always)]
pub(super) fn pin() -> Option<Guard> {
    // SAFETY: participants are never freed.
    let participant = unsafe { CURRENT.get().as_ref() };
    match participant {
        Some(participant) if participant.pin_state.enter(&REQUESTED) => {
            Some(Guard { participant, _stays: PhantomData })
        }
        _ => pin_anew(participant),
    }
}

/// Pins a thread that has no participant yet, or has entered its participant and found the pin not
/// to be as new as is wanted.
#[cold]
#[inline(never)]
fn pin_anew(entered: Option<&'static Participant>) -> Option<Guard> {
    let participant = match entered {
        Some(participant) => participant,
        None => {
            let participant = take_participant()?;
            participant.pin_state.enter(&REQUESTED);
            participant
        }
    };
    // It leaves again if the thread cannot be pinned.
    let guard = Guard { participant, _stays: PhantomData };
    // A pin that is in use stays as old as its first user needs it.
    let in_use = participant.pin_state.guards() > 1;
    (in_use || participant.renew() || participant.pin_spare()).then_some(guard)
}

impl Participant {
    /// Makes a participant that no thread has, with this index.
    fn new(number: usize) -> Self {
        Self {
            pin_state: PinState::new(),
            number,
            needs_cleanup: Cell::new(false),
            one_shot: Cell::new(false),
            handle: UnsafeCell::new(None),
            spare: UnsafeCell::new(None),
            spare_pin: UnsafeCell::new(None),
            pin: UnsafeCell::new(None),
        }
    }

    #[inline(always)]
    fn leave(&self) {
        self.pin_state.leave();
        if self.needs_cleanup.get() {
            self.clean_up();
        }
    }

    /// Does the rest of leaving, when the last guard has left.
    #[cold]
    fn clean_up(&self) {
        if self.pin_state.guards() > 0 {
            return;
        }
        self.needs_cleanup.set(false);
        // SAFETY: the participant is this thread's.
        unsafe { *self.spare_pin.get() = None };
        if self.one_shot.replace(false) {
            self.release();
        }
    }

    /// Gives the participant back. The thread has no guard.
    fn release(&self) {
        let keeps_registrations = self.number < STAY_REGISTERED;
        let unpin = || {
            // SAFETY: the thread may change the pin, and has no guard.
            unsafe { *self.pin.get() = None };
            if !keeps_registrations {
                // SAFETY: as above, and there is no pin of it any more.
                unregister(unsafe { &mut *self.handle.get() });
            }
        };
        // A thread that revokes pins owns the pin for a moment, or without end in a child of a
        // fork, which does not have that thread. Then the pin and the registration wait for the
        // next thread that takes the participant.
        for _ in 0..RELEASE_TRIES {
            if self.pin_state.release(unpin) {
                break;
            }
            std::thread::yield_now();
        }
        if !keeps_registrations {
            // SAFETY: the participant is this thread's, and there is no pin of the spare one.
            unregister(unsafe { &mut *self.spare.get() });
        }
        participant::leave(self);
    }

    /// Renews the pin of the calling thread, which has entered. Returns whether it is a good one
    /// now.
    fn renew(&self) -> bool {
        barrier::is_there()
            && self.is_registered()
            && self.pin_state.renew(&REQUESTED, || {
                // SAFETY: the thread may change the pin. The handle is its own.
                match unsafe { (&mut *self.pin.get(), &*self.handle.get()) } {
                    (Some(pin), _) => pin.repin(),
                    (none, handle) => *none = handle.as_ref().map(LocalHandle::pin),
                }
            })
    }

    /// Registers the calling thread, unless the participant is registered. Returns whether it is.
    fn is_registered(&self) -> bool {
        // SAFETY: the participant is this thread's: it alone registers.
        let handle = unsafe { &mut *self.handle.get() };
        if handle.is_none() {
            *handle = register();
        }
        handle.is_some()
    }

    /// Pins the calling thread, which has entered, with the spare. Returns whether it is pinned.
    fn pin_spare(&self) -> bool {
        // SAFETY: the participant is this thread's.
        let (spare, spare_pin) = unsafe { (&mut *self.spare.get(), &mut *self.spare_pin.get()) };
        if spare.is_none() {
            *spare = register();
        }
        *spare_pin = spare.as_ref().map(LocalHandle::pin);
        self.needs_cleanup.set(true);
        spare_pin.is_some()
    }
}

/// Takes a participant for a thread that has none.
fn take_participant() -> Option<&'static Participant> {
    let participant = participant::take()?;
    if thread_exit::arm() {
        CURRENT.set(participant);
    } else {
        // The thread's end will not be noticed.
        participant.one_shot.set(true);
        participant.needs_cleanup.set(true);
    }
    Some(participant)
}

/// Gives back the participant of the calling thread, which ends.
pub(crate) fn leave_participant() {
    // SAFETY: participants are never freed.
    let Some(participant) = (unsafe { CURRENT.replace(null()).as_ref() }) else { return };
    if participant.pin_state.guards() == 0 {
        participant.release();
    } else {
        // The last guard does it, in a destructor that runs later.
        participant.one_shot.set(true);
        participant.needs_cleanup.set(true);
    }
}

/// Returns a guard for a caller that has exclusive access to the table. It pins nothing.
pub(super) fn owner() -> ManuallyDrop<Guard> {
    static OF_OWNERS: LazyLock<Participant> = LazyLock::new(|| Participant::new(usize::MAX));
    ManuallyDrop::new(Guard { participant: &OF_OWNERS, _stays: PhantomData })
}

/// Requests that all threads renew their pins when they next enter, so that the epoch can advance.
pub(super) fn request_renewal() {
    REQUESTED.fetch_add(1, Ordering::Release);
}

/// Revokes the pins of threads that have no guard. See the module.
pub(super) fn revoke_idle_pins() {
    if !barrier::is_there() || REVOKE_RUNNING.swap(true, Ordering::Acquire) {
        return;
    }
    for segment in participant::segments() {
        let taken = segment.taken();
        segment.looked_at.store(taken, Ordering::Relaxed);
        for participant in segment.participants(taken) {
            participant.pin_state.begin_revoke();
        }
    }
    let passed = barrier::impose();
    failpoint::hit(Failpoint::Revoking);
    for segment in participant::segments() {
        for participant in segment.participants(segment.looked_at.swap(0, Ordering::Relaxed)) {
            // SAFETY: this thread may change the pin; the participant's thread is not inside, and
            // cannot be told that the pin is good.
            participant.pin_state.end_revoke(passed, || unsafe { *participant.pin.get() = None });
        }
    }
    REVOKE_RUNNING.store(false, Ordering::Release);
}

impl Guard {
    /// Returns the pin that is in use.
    #[inline]
    fn pin(&self) -> &crossbeam_epoch::Guard {
        let Participant { spare_pin, pin, .. } = self.participant;
        // SAFETY: the thread is inside: nobody takes its pin, it renews it only through a `&mut
        // Guard`, and it lets go of the spare one only when the last guard goes.
        let pin = unsafe { (*spare_pin.get()).as_ref().or_else(|| (*pin.get()).as_ref()) };
        pin.expect("a thread that is inside is pinned")
    }

    /// Renews the pin, if no other guard of the thread needs the old one.
    pub(super) fn repin(&mut self) {
        let participant = self.participant;
        if participant.pin_state.guards() > 1 {
            return;
        }
        // SAFETY: the participant is this thread's, and this is its only guard.
        if let Some(spare_pin) = unsafe { &mut *participant.spare_pin.get() } {
            spare_pin.repin();
        } else if !participant.pin_state.is_current(&REQUESTED) {
            // If this fails, another thread is just finding out that this thread has a guard.
            participant.renew();
        }
    }

    /// Runs `between` while the thread is not pinned by this guard. It is pinned again afterwards,
    /// also if `between` panics.
    pub(super) fn repin_after<R>(&mut self, between: impl FnOnce() -> R) -> R {
        struct Back<'g>(&'g mut Guard);
        impl Drop for Back<'_> {
            fn drop(&mut self) {
                self.0.enter_again();
            }
        }
        let back = Back(self);
        let participant = back.0.participant;
        participant.pin_state.leave();
        if participant.pin_state.guards() == 0 {
            // SAFETY: the participant is this thread's.
            unsafe { *participant.spare_pin.get() = None };
        }
        between()
    }

    /// Enters the participant again, which this guard has left. It has been pinned, so no memory is
    /// needed.
    fn enter_again(&mut self) {
        let participant = self.participant;
        if participant.pin_state.enter(&REQUESTED) || participant.pin_state.guards() > 1 {
            return;
        }
        while !participant.renew() && !participant.pin_spare() {
            // Another thread looks at the participant, and there is no memory for a spare.
            std::thread::yield_now();
        }
    }

    /// Notes that a batch of garbage was gathered. Every few batches that starts a grace period.
    pub(super) fn batch_gathered(&self) {
        let every = 1 + participant::in_use() / PARTICIPANTS_PER_BATCH;
        if BATCHES.fetch_add(1, Ordering::Relaxed).is_multiple_of(every) {
            request_renewal();
            self.start_grace();
        }
    }

    /// Starts a grace period, unless memory is short.
    pub(super) fn start_grace(&self) {
        collector::start_grace(self.pin());
    }

    /// Lets crossbeam find out which grace periods have passed.
    pub(super) fn advance(&self) {
        collector::advance(self.pin());
    }
}

/// A memory barrier that one thread imposes on all others of the process.
#[cfg(all(target_os = "linux", not(miri)))]
mod barrier {
    use std::sync::LazyLock;

    use rustix::thread::{MembarrierCommand, membarrier};

    /// A process has to register for it beforehand.
    static REGISTERED: LazyLock<bool> =
        LazyLock::new(|| membarrier(MembarrierCommand::RegisterPrivateExpedited).is_ok());

    pub(super) fn is_there() -> bool {
        *REGISTERED
    }

    /// Imposes the barrier. Returns whether every thread has passed one during this call.
    pub(super) fn impose() -> bool {
        membarrier(MembarrierCommand::PrivateExpedited).is_ok()
    }
}

/// Without such a barrier, threads pin for each operation.
#[cfg(not(all(target_os = "linux", not(miri))))]
mod barrier {
    pub(super) fn is_there() -> bool {
        false
    }

    pub(super) fn impose() -> bool {
        false
    }
}

/// What [`pin_state`] is made of.
mod words {
    use std::sync::atomic::compiler_fence;
    pub(super) use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

    /// Keeps the order of what comes before and after, for a thread on which others impose a
    /// barrier.
    #[inline(always)]
    pub(super) fn order_before_imposed_barrier() {
        compiler_fence(Ordering::SeqCst);
    }
}

#[cfg(test)]
mod tests;
