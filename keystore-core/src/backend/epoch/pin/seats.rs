//! The places of threads: found, taken, given up, and walked over.
//!
//! Seats lie in segments of 64, with a bit for each that says whether a thread has it. A thread
//! takes the first free seat. Segments are never freed, so a seat may be looked at without a lock;
//! but a seat that nobody has costs its bytes only. It holds no registration with crossbeam (but
//! for the first few, which are taken again soon), and whoever walks over the seats passes it over,
//! 64 of them at a glance.

use std::alloc::{Layout, alloc, dealloc};
use std::ptr::{NonNull, null_mut};
use std::sync::atomic::{AtomicPtr, AtomicU64, AtomicUsize, Ordering};

use super::Seat;

/// Seats of a segment: the bits of a word.
const SEATS: usize = 64;

/// The first segment; the others hang on it.
static FIRST: AtomicPtr<Segment> = AtomicPtr::new(null_mut());

/// Seats that threads have.
static IN_USE: AtomicUsize = AtomicUsize::new(0);

pub(super) struct Segment {
    /// Which of the seats threads have, a bit for each.
    taken: AtomicU64,
    /// Which of the seats are being looked at by the thread that takes pins back. Used by it alone.
    pub(super) looked_at: AtomicU64,
    /// Segments before this one.
    number: usize,
    next: AtomicPtr<Self>,
    seats: [Seat; SEATS],
}

/// How many threads have a seat.
pub(super) fn in_use() -> usize {
    IN_USE.load(Ordering::Relaxed)
}

/// Takes a seat for the calling thread, or returns `None` if there is no memory for more of them.
pub(super) fn take() -> Option<&'static Seat> {
    let mut link = &FIRST;
    let mut number = 0;
    loop {
        // SAFETY: segments are never freed.
        let segment = match unsafe { link.load(Ordering::Acquire).as_ref() } {
            Some(segment) => segment,
            None => Segment::append(link, number)?,
        };
        if let Some(seat) = segment.take() {
            IN_USE.fetch_add(1, Ordering::Relaxed);
            return Some(seat);
        }
        link = &segment.next;
        number += 1;
    }
}

/// All segments.
pub(super) fn segments() -> impl Iterator<Item = &'static Segment> {
    // SAFETY: segments are never freed.
    let first = unsafe { FIRST.load(Ordering::Acquire).as_ref() };
    // SAFETY: as above.
    std::iter::successors(first, |segment| unsafe { segment.next.load(Ordering::Acquire).as_ref() })
}

impl Segment {
    /// Hangs a segment on `link`, or returns the one that another thread has hung there meanwhile.
    #[cold]
    fn append(link: &AtomicPtr<Self>, number: usize) -> Option<&'static Self> {
        const LAYOUT: Layout = Layout::new::<Segment>();
        // SAFETY: the layout has a size.
        let block = NonNull::new(unsafe { alloc(LAYOUT) })?.cast::<Self>();
        let segment = Self {
            taken: AtomicU64::new(0),
            looked_at: AtomicU64::new(0),
            number,
            next: AtomicPtr::new(null_mut()),
            seats: std::array::from_fn(|at| Seat::new(number * SEATS + at)),
        };
        // SAFETY: just allocated with the layout of a segment.
        unsafe { block.write(segment) };
        // Release: a thread that finds the segment finds its seats.
        match link.compare_exchange(null_mut(), block.as_ptr(), Ordering::AcqRel, Ordering::Acquire) {
            // SAFETY: the segment is never freed from here on.
            Ok(_) => Some(unsafe { block.as_ref() }),
            Err(hung) => {
                // SAFETY: nobody else has seen the block, and its seats own nothing yet. What
                // another thread has hung there is never freed.
                unsafe {
                    dealloc(block.as_ptr().cast(), LAYOUT);
                    hung.as_ref()
                }
            }
        }
    }

    fn take(&self) -> Option<&Seat> {
        let mut taken = self.taken.load(Ordering::Relaxed);
        while taken != u64::MAX {
            let free = (!taken).trailing_zeros();
            let all = taken | 1 << free;
            // Acquire: what the last thread that had the seat did with it is seen.
            match self.taken.compare_exchange_weak(taken, all, Ordering::Acquire, Ordering::Relaxed) {
                Ok(_) => return Some(&self.seats[free as usize]),
                Err(now) => taken = now,
            }
        }
        None
    }

    /// Which of the seats threads have, a bit for each.
    pub(super) fn taken(&self) -> u64 {
        self.taken.load(Ordering::Acquire)
    }

    /// The seats of the bits that are set.
    pub(super) fn seats(&self, mut bits: u64) -> impl Iterator<Item = &Seat> {
        std::iter::from_fn(move || {
            let lowest = bits.trailing_zeros();
            bits &= bits.wrapping_sub(1);
            self.seats.get(lowest as usize)
        })
    }
}

/// Leaves a seat to other threads.
pub(super) fn leave(seat: &Seat) {
    let segment = segments().find(|segment| segment.number == seat.number / SEATS);
    let segment = segment.expect("a seat lies in a segment");
    IN_USE.fetch_sub(1, Ordering::Relaxed);
    segment.taken.fetch_and(!(1 << (seat.number % SEATS)), Ordering::Release);
}
