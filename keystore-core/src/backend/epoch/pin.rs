//! Pinning: how a thread says that it is in the table, at the price of two stores.
//!
//! crossbeam-epoch frees nothing that a pinned thread may still look at. To pin anew for each operation costs a locked
//! instruction, and worse, one that the processor will not look far beyond: lookups that could wait for memory together wait one after
//! another. So a thread keeps one pin from operation to operation, in its [`Seat`], and only says whether it is *inside* an
//! operation. Two things follow:
//!
//! *A pin must be renewed*, or the epoch would never pass. Whoever has gathered a batch of garbage asks for that, by counting
//! [`WANTED`] up; a thread that enters and finds that its pin is older than the last request renews it, which costs little.
//!
//! *A thread that is idle must not hold garbage for ever.* Where garbage presses, [`take_back`] takes the pins of seats whose threads
//! are not inside. It makes the seats' pins invalid, has every processor of the process pass a memory barrier (the membarrier
//! system call of Linux), and then looks who is inside. A thread that entered before the barrier is seen to be inside,
//! and keeps its pin; one that enters after it sees that its pin is no longer valid, and takes another. This asymmetry,
//! where the rare side pays for both, is that of userspace RCU (Desnoyers and others, 2012) and of biased locks.
//!
//! [`Stay`] is that agreement, apart from what a pin is and where [`seats`] come from.
//!
//! Nobody waits. While its seat is being looked at, and always where there is no such barrier, a thread pins for each
//! operation, with the spare that each seat has.

use std::cell::{Cell, UnsafeCell};
use std::fmt;
use std::marker::PhantomData;
use std::mem::ManuallyDrop;
use std::ptr::null;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};

use crossbeam_epoch::LocalHandle;
use crossbeam_utils::CachePadded;

use self::stay::{INVALID, Stay};
use super::collector::{self, register, unregister};
use super::pause::{Point, reached};
use crate::thread_exit;

/// Counts the requests to renew pins. Never [`INVALID`].
static WANTED: CachePadded<AtomicU64> = CachePadded::new(AtomicU64::new(INVALID + 1));

/// Batches of garbage, counted over all stores.
static BATCHES: AtomicUsize = AtomicUsize::new(0);

/// For so many seats in use a batch more is gathered between two grace periods: each concerns all
/// of them.
const SEATS_TO_A_BATCH: usize = 16;

/// The first so many seats keep their registrations while no thread has them: they are taken again
/// soon. Those of the others would be looked at, for each grace period, for nothing.
const KEPT: usize = 16;

/// How often an ending thread tries to give its pin up while another looks at its seat.
const TRIES: u32 = 1_000;

/// Whether a thread takes pins back: one at a time does.
static TAKING_BACK: AtomicBool = AtomicBool::new(false);

thread_local! {
    // Without a destructor, so that reading it costs no check, and the first use takes no memory.
    static SEAT: Cell<*const Seat> = const { Cell::new(null()) };
}

/// Where a thread keeps its pin.
#[repr(align(128))]
pub(crate) struct Seat {
    /// Whether the thread is inside, what `pin` is worth, and who may change it.
    stay: Stay,
    /// Seats before this one.
    number: usize,
    /// Whether there is more to leaving than to say so. Used by the seat's thread alone, as are the
    /// next four.
    tidy: Cell<bool>,
    /// Whether the seat is for a single stay: its thread is ending.
    passing: Cell<bool>,
    /// What `pin` is made of. It is dropped by whom `stay` lets change the pin.
    handle: UnsafeCell<Option<LocalHandle>>,
    spare: UnsafeCell<Option<LocalHandle>>,
    /// A pin of `spare`, if the seat's own could not be used.
    spare_pin: UnsafeCell<Option<crossbeam_epoch::Guard>>,
    /// Changed by whom `stay` lets. The seat's thread may look at it while it is inside.
    pin: UnsafeCell<Option<crossbeam_epoch::Guard>>,
}

// SAFETY: what is not atomic is used by one thread at a time, by the rules at the fields and in
// `Stay::enter`; `stay` and the seat's bit pass it on, with release and acquire. Nothing in
// crossbeam's handles and guards is bound to a thread as such.
unsafe impl Sync for Seat {}
// SAFETY: as above.
unsafe impl Send for Seat {}

/// Proof that the thread is pinned: what it comes by in a table is not freed while the guard lives. It stays on its
/// thread.
pub(crate) struct Guard {
    seat: &'static Seat,
    _stays: PhantomData<*const ()>,
}

impl fmt::Debug for Guard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Guard").field("inside", &self.seat.stay.guards()).finish()
    }
}

impl Drop for Guard {
    #[inline(always)]
    fn drop(&mut self) {
        self.seat.leave();
    }
}

/// Pins the thread. Returns `None` if there is no memory for that: the first call of a thread takes
/// some KiB, and so does the first one that meets a thread which takes pins back.
#[inline(always)]
pub(super) fn pin() -> Option<Guard> {
    // SAFETY: seats are never freed.
    let seat = unsafe { SEAT.get().as_ref() };
    match seat {
        Some(seat) if seat.stay.enter(&WANTED) => Some(Guard { seat, _stays: PhantomData }),
        _ => pin_anew(seat),
    }
}

/// Pins a thread that has no seat yet, or has entered its seat and found the pin not to be as new as is wanted.
#[cold]
#[inline(never)]
fn pin_anew(entered: Option<&'static Seat>) -> Option<Guard> {
    let seat = match entered {
        Some(seat) => seat,
        None => {
            let seat = take_seat()?;
            seat.stay.enter(&WANTED);
            seat
        }
    };
    // It leaves again if the thread cannot be pinned.
    let guard = Guard { seat, _stays: PhantomData };
    // A pin that is in use stays as old as its first user needs it.
    let in_use = seat.stay.guards() > 1;
    (in_use || seat.renew() || seat.pin_spare()).then_some(guard)
}

impl Seat {
    /// A seat that nobody has, before which there are `number` others.
    fn new(number: usize) -> Self {
        Self {
            stay: Stay::new(),
            number,
            tidy: Cell::new(false),
            passing: Cell::new(false),
            handle: UnsafeCell::new(None),
            spare: UnsafeCell::new(None),
            spare_pin: UnsafeCell::new(None),
            pin: UnsafeCell::new(None),
        }
    }

    #[inline(always)]
    fn leave(&self) {
        self.stay.leave();
        if self.tidy.get() {
            self.tidy_up();
        }
    }

    /// The rest of leaving, when the last guard has left.
    #[cold]
    fn tidy_up(&self) {
        if self.stay.guards() > 0 {
            return;
        }
        self.tidy.set(false);
        // SAFETY: the seat is this thread's.
        unsafe { *self.spare_pin.get() = None };
        if self.passing.replace(false) {
            self.give_up();
        }
    }

    /// Leaves the seat to other threads. This one is not inside.
    fn give_up(&self) {
        let keeps_registrations = self.number < KEPT;
        let unpin = || {
            // SAFETY: the thread may change the pin, and has no guard.
            unsafe { *self.pin.get() = None };
            if !keeps_registrations {
                // SAFETY: as above, and there is no pin of it any more.
                unregister(unsafe { &mut *self.handle.get() });
            }
        };
        // Whoever takes pins back is at the seat for a moment, or for ever in a child of a fork,
        // which does not have that thread. Then the pin and the registration wait for the next
        // thread with the seat.
        for _ in 0..TRIES {
            if self.stay.give_up(unpin) {
                break;
            }
            std::thread::yield_now();
        }
        if !keeps_registrations {
            // SAFETY: the seat is this thread's, and there is no pin of the spare one.
            unregister(unsafe { &mut *self.spare.get() });
        }
        seats::leave(self);
    }

    /// Renews the pin of the calling thread, which has entered. Returns whether it is a good one
    /// now.
    fn renew(&self) -> bool {
        barrier::is_there()
            && self.is_registered()
            && self.stay.renew(&WANTED, || {
                // SAFETY: the thread may change the pin. The handle is its own.
                match unsafe { (&mut *self.pin.get(), &*self.handle.get()) } {
                    (Some(pin), _) => pin.repin(),
                    (none, handle) => *none = handle.as_ref().map(LocalHandle::pin),
                }
            })
    }

    /// Registers the calling thread, unless the seat is registered. Returns whether it is.
    fn is_registered(&self) -> bool {
        // SAFETY: the seat is this thread's: it alone registers.
        let handle = unsafe { &mut *self.handle.get() };
        if handle.is_none() {
            *handle = register();
        }
        handle.is_some()
    }

    /// Pins the calling thread, which has entered, with the spare. Returns whether it is pinned.
    fn pin_spare(&self) -> bool {
        // SAFETY: the seat is this thread's.
        let (spare, spare_pin) = unsafe { (&mut *self.spare.get(), &mut *self.spare_pin.get()) };
        if spare.is_none() {
            *spare = register();
        }
        *spare_pin = spare.as_ref().map(LocalHandle::pin);
        self.tidy.set(true);
        spare_pin.is_some()
    }
}

/// Takes a seat for a thread that has none.
fn take_seat() -> Option<&'static Seat> {
    let seat = seats::take()?;
    if thread_exit::arm() {
        SEAT.set(seat);
    } else {
        // The thread's end will not be noticed.
        seat.passing.set(true);
        seat.tidy.set(true);
    }
    Some(seat)
}

/// Gives up the seat of the calling thread, which ends.
pub(crate) fn leave_seat() {
    // SAFETY: seats are never freed.
    let Some(seat) = (unsafe { SEAT.replace(null()).as_ref() }) else { return };
    if seat.stay.guards() == 0 {
        seat.give_up();
    } else {
        // The last guard does it, in a destructor that runs later.
        seat.passing.set(true);
        seat.tidy.set(true);
    }
}

/// A guard for a caller that has a whole table to itself: nothing is pinned by it.
pub(super) fn owner() -> ManuallyDrop<Guard> {
    static OF_OWNERS: LazyLock<Seat> = LazyLock::new(|| Seat::new(usize::MAX));
    ManuallyDrop::new(Guard { seat: &OF_OWNERS, _stays: PhantomData })
}

/// Has all threads renew their pins when they next enter, so that the epoch can pass.
pub(super) fn request_renewal() {
    WANTED.fetch_add(1, Ordering::Release);
}

/// Takes the pins of threads that are not inside. See the module.
pub(super) fn take_back() {
    if !barrier::is_there() || TAKING_BACK.swap(true, Ordering::Acquire) {
        return;
    }
    for segment in seats::segments() {
        let taken = segment.taken();
        segment.looked_at.store(taken, Ordering::Relaxed);
        for seat in segment.seats(taken) {
            seat.stay.begin_taking_back();
        }
    }
    let passed = barrier::impose();
    reached(Point::Revoking);
    for segment in seats::segments() {
        for seat in segment.seats(segment.looked_at.swap(0, Ordering::Relaxed)) {
            // SAFETY: this thread may change the pin; the seat's thread is not inside, and cannot
            // be told that the pin is good.
            seat.stay.end_taking_back(passed, || unsafe { *seat.pin.get() = None });
        }
    }
    TAKING_BACK.store(false, Ordering::Release);
}

impl Guard {
    /// The pin that holds.
    #[inline]
    fn pin(&self) -> &crossbeam_epoch::Guard {
        let Seat { spare_pin, pin, .. } = self.seat;
        // SAFETY: the thread is inside: nobody takes its pin, it renews it only through a `&mut Guard`, and it lets go of the
        // spare one only when the last guard goes.
        let pin = unsafe { (*spare_pin.get()).as_ref().or_else(|| (*pin.get()).as_ref()) };
        pin.expect("a thread that is inside is pinned")
    }

    /// Renews the pin, where no other guard of the thread needs it to be as old as it is.
    pub(super) fn repin(&mut self) {
        let seat = self.seat;
        if seat.stay.guards() > 1 {
            return;
        }
        // SAFETY: the seat is this thread's, and this is its only guard.
        if let Some(spare_pin) = unsafe { &mut *seat.spare_pin.get() } {
            spare_pin.repin();
        } else if !seat.stay.is_renewed_for(&WANTED) {
            // Where this fails, somebody is finding out that this thread is inside.
            seat.renew();
        }
    }

    /// Does something while the thread is not pinned by this guard. It is pinned again afterwards,
    /// also if `between` panics.
    pub(super) fn repin_after<R>(&mut self, between: impl FnOnce() -> R) -> R {
        struct Back<'g>(&'g mut Guard);
        impl Drop for Back<'_> {
            fn drop(&mut self) {
                self.0.enter_again();
            }
        }
        let back = Back(self);
        let seat = back.0.seat;
        seat.stay.leave();
        if seat.stay.guards() == 0 {
            // SAFETY: the seat is this thread's.
            unsafe { *seat.spare_pin.get() = None };
        }
        between()
    }

    /// Enters the seat again, which this guard has left. It has been pinned, so no memory is
    /// needed.
    fn enter_again(&mut self) {
        let seat = self.seat;
        if seat.stay.enter(&WANTED) || seat.stay.guards() > 1 {
            return;
        }
        while !seat.renew() && !seat.pin_spare() {
            // Another thread looks at the seat, and there is no memory for a spare.
            std::thread::yield_now();
        }
    }

    /// Tells that a batch of garbage was gathered. Now and then that starts a grace period.
    pub(super) fn batch_gathered(&self) {
        let every = 1 + seats::in_use() / SEATS_TO_A_BATCH;
        if BATCHES.fetch_add(1, Ordering::Relaxed).is_multiple_of(every) {
            request_renewal();
            self.start_grace();
        }
    }

    /// Starts a grace period, unless memory is short.
    pub(super) fn start_grace(&self) {
        collector::start_grace(self.pin());
    }

    /// Looks which grace periods have passed.
    pub(super) fn advance(&self) {
        collector::advance(self.pin());
    }
}

/// A memory barrier that one thread imposes on all others of the process.
#[cfg(all(target_os = "linux", not(miri)))]
mod barrier {
    use std::sync::LazyLock;

    use rustix::thread::{MembarrierCommand, membarrier};

    /// A process has to say beforehand that it wants to.
    static REGISTERED: LazyLock<bool> =
        LazyLock::new(|| membarrier(MembarrierCommand::RegisterPrivateExpedited).is_ok());

    pub(super) fn is_there() -> bool {
        *REGISTERED
    }

    /// Whether every thread has passed a barrier between the begin and the end of this call.
    pub(super) fn impose() -> bool {
        membarrier(MembarrierCommand::PrivateExpedited).is_ok()
    }
}

/// Where there is none, threads pin for each operation.
#[cfg(not(all(target_os = "linux", not(miri))))]
mod barrier {
    pub(super) fn is_there() -> bool {
        false
    }

    pub(super) fn impose() -> bool {
        false
    }
}

mod seats;
mod stay;

/// What [`stay`] is made of.
mod words {
    use std::sync::atomic::compiler_fence;
    pub(super) use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

    /// Keeps the order of what comes before and after, for a thread on which others impose a barrier.
    #[inline(always)]
    pub(super) fn order_before_imposed_barrier() {
        compiler_fence(Ordering::SeqCst);
    }
}

#[cfg(test)]
mod tests;
