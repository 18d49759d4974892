//! The list of participants. A thread takes one and gives it back, and may iterate over all.
//!
//! A segment has 64 participants, and one bit for each that says whether a thread has it. A thread
//! takes the first free participant. Segments are never freed, so a participant can be read without
//! a lock. A participant that no thread has costs only its bytes. It holds no registration with
//! crossbeam, except for the first few participants, which are soon taken again. An iteration skips
//! 64 free participants at once.

use std::alloc::{Layout, alloc, dealloc};
use std::ptr::{NonNull, null_mut};
use std::sync::atomic::{AtomicPtr, AtomicU64, AtomicUsize, Ordering};

use super::Participant;

/// Number of participants in a segment, one for each bit of a word.
const PER_SEGMENT: usize = 64;

/// First segment, which links to the others.
static FIRST: AtomicPtr<Segment> = AtomicPtr::new(null_mut());

/// Number of participants that threads have.
static IN_USE: AtomicUsize = AtomicUsize::new(0);

pub(super) struct Segment {
    /// Bit set of the participants that threads have.
    taken: AtomicU64,
    /// Bit set of the participants that the thread that revokes pins has visited. Only that thread
    /// uses it.
    pub(super) looked_at: AtomicU64,
    /// Number of segments before this one.
    number: usize,
    next: AtomicPtr<Self>,
    participants: [Participant; PER_SEGMENT],
}

/// Returns the number of threads that have a participant.
pub(super) fn in_use() -> usize {
    IN_USE.load(Ordering::Relaxed)
}

/// Takes a participant for the calling thread. Returns `None` if there is no memory for more
/// participants.
pub(super) fn take() -> Option<&'static Participant> {
    let mut link = &FIRST;
    let mut number = 0;
    loop {
        // SAFETY: segments are never freed.
        let segment = match unsafe { link.load(Ordering::Acquire).as_ref() } {
            Some(segment) => segment,
            None => Segment::append(link, number)?,
        };
        if let Some(participant) = segment.take() {
            IN_USE.fetch_add(1, Ordering::Relaxed);
            return Some(participant);
        }
        link = &segment.next;
        number += 1;
    }
}

/// Returns all segments.
pub(super) fn segments() -> impl Iterator<Item = &'static Segment> {
    // SAFETY: segments are never freed.
    let first = unsafe { FIRST.load(Ordering::Acquire).as_ref() };
    // SAFETY: as above.
    std::iter::successors(first, |segment| unsafe { segment.next.load(Ordering::Acquire).as_ref() })
}

impl Segment {
    /// Appends a segment at `link` and returns it. If another thread has already appended one,
    /// returns that segment.
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
            participants: std::array::from_fn(|at| Participant::new(number * PER_SEGMENT + at)),
        };
        // SAFETY: just allocated with the layout of a segment.
        unsafe { block.write(segment) };
        // Release: a thread that finds the segment sees its participants.
        match link.compare_exchange(null_mut(), block.as_ptr(), Ordering::AcqRel, Ordering::Acquire)
        {
            // SAFETY: the segment is never freed from here on.
            Ok(_) => Some(unsafe { block.as_ref() }),
            Err(hung) => {
                // SAFETY: no other thread has seen the block, and its participants own nothing yet.
                // The segment that another thread has appended is never freed.
                unsafe {
                    dealloc(block.as_ptr().cast(), LAYOUT);
                    hung.as_ref()
                }
            }
        }
    }

    fn take(&self) -> Option<&Participant> {
        let mut taken = self.taken.load(Ordering::Relaxed);
        while taken != u64::MAX {
            let free = (!taken).trailing_zeros();
            let all = taken | 1 << free;
            // Acquire: this thread sees what the participant's last thread wrote to it.
            match self.taken.compare_exchange_weak(taken, all, Ordering::Acquire, Ordering::Relaxed)
            {
                Ok(_) => return Some(&self.participants[free as usize]),
                Err(now) => taken = now,
            }
        }
        None
    }

    /// Returns the bit set of the participants that threads have.
    pub(super) fn taken(&self) -> u64 {
        self.taken.load(Ordering::Acquire)
    }

    /// Returns the participants whose bits are set.
    pub(super) fn participants(&self, mut bits: u64) -> impl Iterator<Item = &Participant> {
        std::iter::from_fn(move || {
            let lowest = bits.trailing_zeros();
            bits &= bits.wrapping_sub(1);
            self.participants.get(lowest as usize)
        })
    }
}

/// Gives a participant back.
pub(super) fn leave(participant: &Participant) {
    let segment = segments().find(|segment| segment.number == participant.number / PER_SEGMENT);
    let segment = segment.expect("a participant lies in a segment");
    IN_USE.fetch_sub(1, Ordering::Relaxed);
    segment.taken.fetch_and(!(1 << (participant.number % PER_SEGMENT)), Ordering::Release);
}
