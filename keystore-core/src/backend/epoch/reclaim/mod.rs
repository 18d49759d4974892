//! Pinning: how a thread announces that it is in the table, at the cost of two stores.
//!
//! This file holds pinning only. Removed memory is collected and freed in [`garbage`], in bags and
//! batches. Grace periods are in [`collector`]. The list of the threads that take part is in
//! [`participant`].
//!
//! crossbeam-epoch frees nothing that a pinned thread may still read. But a new pin for each
//! operation would cost a locked instruction. Worse, the processor executes little beyond such an
//! instruction until it is complete, so lookups that could wait for memory at the same time would
//! wait one after another. So a thread keeps its pin from one operation to the next, in its
//! [`Participant`]. For each operation it only counts a guard. This has two consequences.
//!
//! *A pin must be renewed*, or the epoch would never advance. A thread that has gathered a batch of
//! garbage requests renewal by incrementing [`REQUESTED`]. A thread that enters and finds that its
//! pin is of an older generation renews the pin, which costs little.
//!
//! *An idle thread must not keep garbage from being freed.* If there is much garbage,
//! [`revoke_idle_pins`] drops the pins of threads that have no guard. It makes the pins invalid,
//! imposes a memory barrier on all processors that run the process (the membarrier system call of
//! Linux), and then reads the guard counts. If a thread entered before the barrier, its guard is
//! seen, and it keeps its pin. If it enters after the barrier, it sees that its pin is invalid, and
//! takes another one. So the rare operation bears the cost of the barrier for both sides, as in
//! userspace RCU (Desnoyers and others, 2012) and in biased locks.
//!
//! [`PinState`] implements this protocol. It depends neither on what a pin is nor on where
//! participants come from.
//!
//! No thread waits. While another thread revokes its pin, a thread makes a new pin for each
//! operation, with the spare registration of its participant. It always does so on systems without
//! such a barrier.

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

/// Number of batches of garbage so far, over all stores.
static BATCHES: AtomicUsize = AtomicUsize::new(0);

/// Number of participants in use for which one more batch is gathered between two grace periods. A
/// grace period involves all participants, so it costs more if there are many.
const PARTICIPANTS_PER_BATCH: usize = 16;

/// Number of participants that stay registered with crossbeam while no thread has them. These are
/// the first ones, which are soon taken again. Registrations of the others would only slow down
/// each grace period.
const STAY_REGISTERED: usize = 16;

/// Number of times that an ending thread tries to release its pin while another revokes it.
const RELEASE_TRIES: u32 = 1_000;

/// True while a thread is revoking pins. Only one thread does so at a time.
static REVOKE_RUNNING: AtomicBool = AtomicBool::new(false);

thread_local! {
    // It has no destructor, so reading it costs no check, and the first use allocates no memory.
    static CURRENT: Cell<*const Participant> = const { Cell::new(null()) };
}

/// The record of a thread that takes part in reclamation. It holds the thread's pin.
#[repr(align(128))]
pub(crate) struct Participant {
    /// Number of guards, generation of `pin`, and which thread may change `pin`.
    pin_state: PinState,
    /// Index of this participant in the list of all participants.
    number: usize,
    /// True if dropping the last guard has more to do than to decrement the count. Used by the
    /// participant's thread only, like the next four fields.
    needs_cleanup: Cell<bool>,
    /// True if the participant serves only one operation, since its thread is ending.
    one_shot: Cell<bool>,
    /// Registration that `pin` was made with. Only the thread that may change the pin drops it.
    handle: UnsafeCell<Option<LocalHandle>>,
    /// Second registration, for pins that are made if `pin` cannot be used.
    spare: UnsafeCell<Option<LocalHandle>>,
    /// Pin that was made with `spare`, since `pin` could not be used.
    spare_pin: UnsafeCell<Option<crossbeam_epoch::Guard>>,
    /// The kept pin. Only the thread that `pin_state` allows changes it. The participant's thread
    /// may read it while it has a guard.
    pin: UnsafeCell<Option<crossbeam_epoch::Guard>>,
}

// SAFETY: every field that is not atomic is used by one thread at a time, by the rules at the
// fields and in `PinState::enter`. `pin_state` and the participant's bit pass these fields from one
// thread to the next, with release and acquire. Nothing in crossbeam's handles and guards is bound
// to a particular thread.
unsafe impl Sync for Participant {}
// SAFETY: as above.
unsafe impl Send for Participant {}

/// Proof that the thread is pinned: while the guard lives, nothing that the thread reaches in a
/// table is freed. A guard stays on its thread.
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

/// Pins the thread. Returns `None` if there is no memory for that. The first call of a thread
/// allocates a few KiB. So does its first call while another thread revokes its pin.
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

/// Pins a thread that has no participant yet, or that has entered its participant and found a pin
/// older than the requested generation.
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
    // If the thread cannot be pinned, dropping the guard leaves the participant again.
    let guard = Guard { participant, _stays: PhantomData };
    // If another guard of this thread uses the pin, it must not be renewed.
    let in_use = participant.pin_state.guards() > 1;
    (in_use || participant.renew() || participant.pin_spare()).then_some(guard)
}

impl Participant {
    /// Makes a participant with this index, which no thread has.
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

    /// Does the rest of the work when the last guard is dropped.
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

    /// Gives the participant back. The thread must have no guard.
    fn release(&self) {
        let keeps_registrations = self.number < STAY_REGISTERED;
        let unpin = || {
            // SAFETY: the thread may change the pin, and has no guard.
            unsafe { *self.pin.get() = None };
            if !keeps_registrations {
                // SAFETY: as above, and no pin of this registration is left.
                unregister(unsafe { &mut *self.handle.get() });
            }
        };
        // A thread that revokes pins owns this pin for a moment. After a fork, it may own the pin
        // in the child process without end, since the child does not have that thread. Then the pin
        // and the registration stay for the next thread that takes the participant.
        for _ in 0..RELEASE_TRIES {
            if self.pin_state.release(unpin) {
                break;
            }
            std::thread::yield_now();
        }
        if !keeps_registrations {
            // SAFETY: the participant is this thread's, and there is no pin of the spare
            // registration.
            unregister(unsafe { &mut *self.spare.get() });
        }
        participant::leave(self);
    }

    /// Renews the pin of the calling thread, which has entered. Returns whether the thread has a
    /// valid pin now.
    fn renew(&self) -> bool {
        barrier::is_there()
            && self.is_registered()
            && self.pin_state.renew(&REQUESTED, || {
                // SAFETY: `PinState::renew` lets the thread change the pin. The handle is the
                // thread's own.
                match unsafe { (&mut *self.pin.get(), &*self.handle.get()) } {
                    (Some(pin), _) => pin.repin(),
                    (none, handle) => *none = handle.as_ref().map(LocalHandle::pin),
                }
            })
    }

    /// Registers the participant of the calling thread if it is not registered. Returns whether it
    /// is registered now.
    fn is_registered(&self) -> bool {
        // SAFETY: the participant is this thread's, and only this thread registers it.
        let handle = unsafe { &mut *self.handle.get() };
        if handle.is_none() {
            *handle = register();
        }
        handle.is_some()
    }

    /// Pins the calling thread, which has entered, with the spare registration. Returns whether the
    /// thread is pinned.
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
        // No hook will run at the end of this thread, so it must not keep the participant.
        participant.one_shot.set(true);
        participant.needs_cleanup.set(true);
    }
    Some(participant)
}

/// Gives back the participant of the calling thread, which is ending.
pub(crate) fn leave_participant() {
    // SAFETY: participants are never freed.
    let Some(participant) = (unsafe { CURRENT.replace(null()).as_ref() }) else { return };
    if participant.pin_state.guards() == 0 {
        participant.release();
    } else {
        // Another destructor of this thread holds a guard. Dropping that guard gives the
        // participant back.
        participant.one_shot.set(true);
        participant.needs_cleanup.set(true);
    }
}

/// Returns a guard for a caller that has exclusive access to the table. The guard pins nothing.
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
            // SAFETY: `end_revoke` lets this thread change the pin. The participant's thread has no
            // guard, and it cannot find the pin valid when it enters.
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
        // SAFETY: the thread has this guard, so no other thread revokes its pin. The thread renews
        // its pin only through a `&mut Guard`, and drops the spare pin only with its last guard.
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
            // If this fails, another thread is revoking the pin, and will find that this thread has
            // a guard.
            participant.renew();
        }
    }

    /// Runs `between` while the thread is not pinned by this guard. Afterwards the guard pins it
    /// again, even if `between` panics.
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

    /// Enters the participant again, which this guard has left. The thread has been pinned before,
    /// so this needs no memory.
    fn enter_again(&mut self) {
        let participant = self.participant;
        if participant.pin_state.enter(&REQUESTED) || participant.pin_state.guards() > 1 {
            return;
        }
        while !participant.renew() && !participant.pin_spare() {
            // Another thread is revoking the pin, and there is no memory for a spare registration.
            std::thread::yield_now();
        }
    }

    /// Counts a batch of garbage that was gathered. Once every few batches, this starts a grace
    /// period.
    pub(super) fn batch_gathered(&self) {
        let every = 1 + participant::in_use() / PARTICIPANTS_PER_BATCH;
        if BATCHES.fetch_add(1, Ordering::Relaxed).is_multiple_of(every) {
            request_renewal();
            self.start_grace();
        }
    }

    /// Starts a grace period, unless memory is short or too many have not passed yet. Returns
    /// whether it started one.
    pub(super) fn start_grace(&self) -> bool {
        collector::start_grace(self.pin())
    }

    /// Lets crossbeam find out which grace periods have passed.
    pub(super) fn advance(&self) {
        collector::advance(self.pin());
    }
}

/// A memory barrier that one thread imposes on all other threads of the process.
#[cfg(all(target_os = "linux", not(miri)))]
mod barrier {
    use std::sync::LazyLock;

    use rustix::thread::{MembarrierCommand, membarrier};

    /// True if the process is registered for the barrier, which the system requires before the
    /// first use.
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

/// Stands in on systems without such a barrier, on which threads pin for each operation.
#[cfg(not(all(target_os = "linux", not(miri))))]
mod barrier {
    pub(super) fn is_there() -> bool {
        false
    }

    pub(super) fn impose() -> bool {
        false
    }
}

/// Atomics and fence that [`pin_state`] uses.
mod words {
    use std::sync::atomic::compiler_fence;
    pub(super) use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

    /// Keeps the compiler from reordering the accesses before and after this call. The imposed
    /// barrier orders them for the processor.
    #[inline(always)]
    pub(super) fn order_before_imposed_barrier() {
        compiler_fence(Ordering::SeqCst);
    }
}

#[cfg(test)]
mod tests;
