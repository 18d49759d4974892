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
//! [`Stay`] is that agreement, apart from what a pin is and where seats come from.
//!
//! Nobody waits. While its seat is being looked at, and always where there is no such barrier, a thread pins for each
//! operation, with the spare that each seat has.

use std::cell::{Cell, UnsafeCell};
use std::fmt;
use std::marker::PhantomData;
use std::mem;
use std::ptr::{null, null_mut};
use std::sync::LazyLock;
use std::sync::atomic::{AtomicBool, AtomicPtr, AtomicU64, AtomicUsize, Ordering};

use crossbeam_epoch::{Collector, LocalHandle};
use crossbeam_utils::CachePadded;

use self::stay::{INVALID, Stay};
use super::pause::{Point, reached};

/// All stores of a process share one, so that a thread needs only one seat. Others who use crossbeam-epoch have theirs, and
/// cannot hold our garbage.
static COLLECTOR: LazyLock<Collector> = LazyLock::new(Collector::new);

/// Counts the requests to renew pins. Never [`INVALID`].
static WANTED: CachePadded<AtomicU64> = CachePadded::new(AtomicU64::new(INVALID + 1));

/// Batches of garbage, counted over all stores.
static BATCHES: AtomicUsize = AtomicUsize::new(0);

/// For so many seats a batch more is gathered between two requests: each is a request to all of them.
const SEATS_TO_A_BATCH: usize = 16;

/// The seat that was made last; the others hang on it. They are never freed: a thread that begins takes one that was left.
static SEATS: AtomicPtr<Seat> = AtomicPtr::new(null_mut());

static SEAT_COUNT: AtomicUsize = AtomicUsize::new(0);

/// Whether a thread takes pins back: one at a time does.
static TAKING_BACK: AtomicBool = AtomicBool::new(false);

thread_local! {
    // Apart from the guard below, so that reading it costs no check for a destructor.
    static SEAT: Cell<*const Seat> = const { Cell::new(null()) };
    static LEAVE: LeaveOnExit = const { LeaveOnExit };
}

/// Where a thread keeps its pin.
#[repr(align(128))]
pub(crate) struct Seat {
    /// Whether the thread is inside, what `pin` is worth, and who may change it.
    stay: Stay,
    /// Whether a thread has the seat.
    taken: AtomicBool,
    /// Whether there is more to leaving than to say so. Used by the seat's thread alone, as are the next three.
    tidy: Cell<bool>,
    /// Whether the seat is for a single stay: its thread is ending.
    passing: Cell<bool>,
    spare: LocalHandle,
    /// A pin of `spare`, where the seat's own could not be had.
    spare_pin: UnsafeCell<Option<crossbeam_epoch::Guard>>,
    /// What `pin` is made of. Used by whom `stay` lets change it.
    handle: LocalHandle,
    /// Changed by whom `stay` lets. The seat's thread may look at it while it is inside.
    pin: UnsafeCell<Option<crossbeam_epoch::Guard>>,
    next: *const Self,
}

// SAFETY: what is not atomic is used by one thread at a time, by the rules at the fields and in `Stay::enter`; `stay` and
// `taken` pass it on, with release and acquire. Nothing in crossbeam's handles and guards is bound to a thread as such.
unsafe impl Sync for Seat {}

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

/// Pins the thread.
///
/// A thread's first call allocates some KiB; where they cannot be had, the process ends.
#[inline(always)]
pub(super) fn pin() -> Guard {
    // SAFETY: seats are never freed.
    let seat = unsafe { SEAT.get().as_ref() };
    match seat {
        Some(seat) if seat.stay.enter(&WANTED) => Guard { seat, _stays: PhantomData },
        _ => pin_anew(seat),
    }
}

/// Pins a thread that has no seat yet, or has entered its seat and found the pin not to be as new as is wanted.
#[cold]
#[inline(never)]
fn pin_anew(entered: Option<&'static Seat>) -> Guard {
    let seat = entered.unwrap_or_else(|| {
        let seat = take_seat();
        seat.stay.enter(&WANTED);
        seat
    });
    // A pin that is in use stays as old as its first user needs it.
    let in_use = seat.stay.guards() > 1;
    if !in_use && !seat.renew() {
        // SAFETY: the seat is this thread's.
        unsafe { *seat.spare_pin.get() = Some(seat.spare.pin()) };
        seat.tidy.set(true);
    }
    Guard { seat, _stays: PhantomData }
}

impl Seat {
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
        // SAFETY: the thread may change the pin, and has no guard.
        self.stay.give_up(|| unsafe { *self.pin.get() = None });
        self.taken.store(false, Ordering::Release);
    }

    /// Renews the pin of the calling thread, which has entered: whether it is a good one now.
    fn renew(&self) -> bool {
        barrier::is_there()
            && self.stay.renew(&WANTED, || {
                // SAFETY: the thread may change the pin.
                match unsafe { &mut *self.pin.get() } {
                    Some(pin) => pin.repin(),
                    none => *none = Some(self.handle.pin()),
                }
            })
    }
}

/// A seat for a thread that has none.
fn take_seat() -> &'static Seat {
    let take =
        |seat: &&Seat| seat.taken.compare_exchange(false, true, Ordering::Acquire, Ordering::Relaxed).is_ok();
    let seat = seats().find(take).unwrap_or_else(make_seat);
    // Registers the destructor, where the thread is not past that.
    if LEAVE.try_with(|_| ()).is_ok() {
        SEAT.set(seat);
    } else {
        seat.passing.set(true);
        seat.tidy.set(true);
    }
    seat
}

fn make_seat() -> &'static Seat {
    let seat = Box::leak(Box::new(Seat {
        stay: Stay::new(),
        taken: AtomicBool::new(true),
        tidy: Cell::new(false),
        passing: Cell::new(false),
        spare: COLLECTOR.register(),
        spare_pin: UnsafeCell::new(None),
        handle: COLLECTOR.register(),
        pin: UnsafeCell::new(None),
        next: SEATS.load(Ordering::Relaxed),
    }));
    // Release: who finds the seat finds what it was made of.
    while let Err(now) =
        SEATS.compare_exchange(seat.next.cast_mut(), &raw mut *seat, Ordering::Release, Ordering::Relaxed)
    {
        seat.next = now;
    }
    SEAT_COUNT.fetch_add(1, Ordering::Relaxed);
    seat
}

fn seats() -> impl Iterator<Item = &'static Seat> {
    // SAFETY: seats are never freed, and `next` never changes once its seat is in the list.
    let first = unsafe { SEATS.load(Ordering::Acquire).as_ref() };
    // SAFETY: as above.
    std::iter::successors(first, |seat| unsafe { seat.next.as_ref() })
}

struct LeaveOnExit;

impl Drop for LeaveOnExit {
    fn drop(&mut self) {
        // SAFETY: seats are never freed.
        let Some(seat) = (unsafe { SEAT.replace(null()).as_ref() }) else { return };
        // A guard that outlives this, in another destructor of the thread, goes on holding the seat, which nobody takes again.
        if seat.stay.guards() == 0 {
            seat.give_up();
        }
    }
}

/// Has all threads renew their pins when they next enter, so that the epoch can pass.
pub(super) fn request_renewal() {
    WANTED.fetch_add(1, Ordering::Release);
}

/// Tells that a batch of garbage was gathered: now and then, that asks for new pins.
pub(super) fn batch_gathered() {
    let every = 1 + SEAT_COUNT.load(Ordering::Relaxed) / SEATS_TO_A_BATCH;
    if BATCHES.fetch_add(1, Ordering::Relaxed).is_multiple_of(every) {
        request_renewal();
    }
}

/// Takes the pins of threads that are not inside. See the module.
pub(super) fn take_back() {
    if !barrier::is_there() || TAKING_BACK.swap(true, Ordering::Acquire) {
        return;
    }
    for seat in seats() {
        seat.stay.begin_taking_back();
    }
    let passed = barrier::impose();
    reached(Point::Revoking);
    for seat in seats() {
        // SAFETY: this thread may change the pin; the seat's thread is not inside, and cannot be told that the pin is good.
        seat.stay.end_taking_back(passed, || unsafe { *seat.pin.get() = None });
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

    /// Does something while the thread is not pinned by this guard.
    pub(super) fn repin_after<R>(&mut self, between: impl FnOnce() -> R) -> R {
        /// Comes back in also where `between` panics.
        struct Back<'g>(&'g mut Guard);
        impl Drop for Back<'_> {
            fn drop(&mut self) {
                // The guard that is replaced has left already.
                mem::forget(mem::replace(self.0, pin()));
            }
        }
        let back = Back(self);
        back.0.seat.leave();
        between()
    }

    /// Runs `free` when every thread that is pinned now has let go.
    ///
    /// # Safety
    /// `free` may run on any thread, at any time from then on.
    pub(super) unsafe fn defer(&self, free: impl FnOnce()) {
        // SAFETY: the caller's promise.
        unsafe { self.pin().defer_unchecked(free) };
    }

    /// Makes what was deferred known to all threads, and runs what is due.
    pub(super) fn flush(&self) {
        self.pin().flush();
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
