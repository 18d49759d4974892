//! Handles: the numbers that C programs hold for a store.
//!
//! A handle is not an address but a number: the index of a slot and the slot's generation (a
//! generational arena). Slots are never freed, only reused, and a slot's generation goes up by one
//! when its store is closed. So the library recognises a handle that was closed, or that never was
//! one, by reading memory that is always there. This costs one load more than an address would.
//!
//! One mistake cannot be recognised without making every call write to shared memory: a thread
//! closes a store while another is in the middle of a call. The caller must avoid that, as with
//! `fclose`.

use std::alloc::Layout;
use std::cell::{Cell, UnsafeCell};
use std::ffi::c_void;
use std::mem::MaybeUninit;
use std::ptr::{self, NonNull};
use std::sync::atomic::{AtomicPtr, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use keystore_core::{BoxedKeystore, Error, Keystore};

use crate::failure::Failure;

/// An open store. This is a handle, not an address: never dereference it.
///
/// Any number of stores can be open at once. A store that is not single-threaded may be used by
/// any number of threads at once, in every function but ks_close.
///
/// A child of fork has a copy of each open store, under the same handle. This holds on Linux with
/// glibc, if at the moment of the fork no thread is inside a call of this library, and no thread
/// that has used it is just ending. See docs/c-api.md.
pub struct ks_store {
    _opaque: c_void,
}

/// The store behind a handle.
pub(crate) enum Opened {
    /// A store that any thread may use.
    Shared(BoxedKeystore),
    /// A store that only the thread with this number may use.
    Local { store: Box<dyn Keystore>, owner: u64 },
}

impl Opened {
    /// Wraps a store that belongs to this thread.
    pub(crate) fn local(store: Box<dyn Keystore>) -> Self {
        Self::Local { store, owner: thread_number() }
    }

    /// Returns the store if this thread may use it.
    #[inline]
    pub(crate) fn keystore(&self) -> Result<&dyn Keystore, Failure> {
        match self {
            Self::Shared(store) => Ok(&**store),
            Self::Local { store, owner } if *owner == thread_number() => Ok(&**store),
            Self::Local { .. } => Err(Failure::OtherThread),
        }
    }
}

/// Returns a number that no other thread of this process has or ever had.
fn thread_number() -> u64 {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    thread_local! {
        static NUMBER: Cell<u64> = const { Cell::new(0) };
    }
    NUMBER.with(|number| {
        if number.get() == 0 {
            number.set(NEXT.fetch_add(1, Ordering::Relaxed));
        }
        number.get()
    })
}

/// A place for one open store. The store lies in the slot, so opening a handle allocates nothing
/// more.
struct Slot {
    /// Twice the generation of the open handle, plus [`OPEN`]; or, if none is open, twice the
    /// generation of the next handle. So one load tells whether a handle is open.
    state: AtomicUsize,
    /// The store, if the state has [`OPEN`]. The one thread that took the slot writes it before
    /// that thread sets the bit. The one thread that clears the bit takes it out.
    opened: UnsafeCell<MaybeUninit<Opened>>,
}

/// Bit of a slot's state: a store is open there.
const OPEN: usize = 1;

/// Number of low bits of a handle that are the slot's index. The other bits are its generation.
const INDEX_BITS: u32 = usize::BITS / 2;
/// Largest number of slots, and the last generation of a slot. A slot that has reached it is not
/// used again.
const MAX_HALF: usize = (1 << INDEX_BITS) - 1;
/// Number of slots in the first segment. Each segment has twice as many as the one before, so a
/// slot never moves.
const FIRST_SEGMENT: usize = 32;
const SEGMENTS: usize = (INDEX_BITS - FIRST_SEGMENT.ilog2()) as usize;

static SLOTS: [AtomicPtr<Slot>; SEGMENTS] = [const { AtomicPtr::new(ptr::null_mut()) }; SEGMENTS];
static UNUSED: Mutex<Unused> = Mutex::new(Unused { closed: Vec::new(), made: 0 });

/// Slots that no store uses.
struct Unused {
    /// Indices of the slots whose store was closed. The capacity covers all slots made, so that
    /// closing a store allocates nothing.
    closed: Vec<usize>,
    /// Number of slots that were ever made.
    made: usize,
}

/// Returns the segment of a slot, and the slot's offset in that segment.
const fn place(index: usize) -> (usize, usize) {
    let shifted = index + FIRST_SEGMENT;
    let segment = (shifted.ilog2() - FIRST_SEGMENT.ilog2()) as usize;
    (segment, shifted - (FIRST_SEGMENT << segment))
}

/// Returns the slot at `index` if its segment has been allocated.
#[inline]
fn slot(index: usize) -> Option<&'static Slot> {
    let (segment, offset) = place(index);
    let segment = NonNull::new(SLOTS.get(segment)?.load(Ordering::Acquire))?;
    // SAFETY: a segment that is not null is an initialised array of slots, more than `offset`
    // of them, and is never freed.
    Some(unsafe { segment.add(offset).as_ref() })
}

impl Unused {
    /// Returns the index of an unused slot: that of a closed store, or a new one.
    fn take(&mut self) -> Result<usize, Error> {
        if let Some(index) = self.closed.pop() {
            return Ok(index);
        }
        let index = self.made;
        let (segment, offset) = place(index);
        let Some(head) = SLOTS.get(segment) else {
            return Err(Error::OutOfMemory { requested: size_of::<Slot>() });
        };
        let missing = index + 1 - self.closed.len();
        self.closed
            .try_reserve(missing)
            .map_err(|_| Error::OutOfMemory { requested: missing * size_of::<usize>() })?;
        if offset == 0 {
            let layout = Layout::array::<Slot>(FIRST_SEGMENT << segment)
                .map_err(|_| Error::OutOfMemory { requested: usize::MAX })?;
            // SAFETY: the size of the layout is not 0.
            let slots = unsafe { std::alloc::alloc_zeroed(layout) }.cast::<Slot>();
            if slots.is_null() {
                return Err(Error::OutOfMemory { requested: layout.size() });
            }
            // Zeros are a valid slot: nothing open, and generation 0, which no handle has.
            head.store(slots, Ordering::Release);
        }
        self.made += 1;
        if let Some(slot) = slot(index) {
            slot.state.store(state(1), Ordering::Relaxed);
        }
        Ok(index)
    }
}

/// Returns the state of a slot whose next handle has this generation.
const fn state(generation: usize) -> usize {
    generation << 1
}

/// Puts `opened` into a slot and returns its handle.
pub(crate) fn open(opened: Opened) -> Result<*mut ks_store, Failure> {
    let index = UNUSED.lock().unwrap_or_else(PoisonError::into_inner).take()?;
    let slot = slot(index).ok_or(Error::OutOfMemory { requested: size_of::<Slot>() })?;
    // SAFETY: from `take` until its state says that it is open, only this call uses the slot.
    unsafe { (*slot.opened.get()).write(opened) };
    let next = slot.state.load(Ordering::Relaxed);
    slot.state.store(next | OPEN, Ordering::Release);
    Ok(ptr::without_provenance_mut(((next >> 1) << INDEX_BITS) | index))
}

/// Returns the slot that `store` names, with its index and generation, if that handle is open.
#[inline]
fn find(store: *mut ks_store) -> Result<(usize, usize, &'static Slot), Failure> {
    let handle = store.addr();
    let (index, generation) = (handle & MAX_HALF, handle >> INDEX_BITS);
    match slot(index) {
        Some(slot) if slot.state.load(Ordering::Acquire) == state(generation) | OPEN => {
            Ok((index, generation, slot))
        }
        _ if store.is_null() => Err(Failure::NoStore),
        _ => Err(Failure::NotOpen { handle }),
    }
}

/// Returns what the handle `store` stands for.
///
/// # Safety
/// No thread closes `store` while the returned reference is in use.
#[inline]
pub(crate) unsafe fn opened<'a>(store: *mut ks_store) -> Result<&'a Opened, Failure> {
    let (_, _, slot) = find(store)?;
    // SAFETY: the slot is open, so its store is written, and only `close` takes it. The caller
    // promises that no thread calls `close` in that time.
    Ok(unsafe { (*slot.opened.get()).assume_init_ref() })
}

/// Closes `store`: invalidates the handle and returns what it stood for, which the caller drops. If
/// several threads close one store at once, one of them gets it.
pub(crate) fn close(store: *mut ks_store) -> Result<Opened, Failure> {
    let (index, generation, slot) = find(store)?;
    // No handle has generation 0, so a slot that has used up its generations is never open again.
    let next = if generation == MAX_HALF { 0 } else { generation + 1 };
    let open = state(generation) | OPEN;
    slot.state
        .compare_exchange(open, state(next), Ordering::AcqRel, Ordering::Relaxed)
        .map_err(|_| Failure::NotOpen { handle: store.addr() })?;
    // SAFETY: the slot was open, so its store is written, and the exchange gave it to this call
    // alone.
    let opened = unsafe { (*slot.opened.get()).assume_init_read() };
    if next != 0 {
        UNUSED.lock().unwrap_or_else(PoisonError::into_inner).closed.push(index);
    }
    Ok(opened)
}

#[cfg(test)]
mod tests {
    use keystore_core::{BackendKind, Config, Global};

    use super::*;

    fn shared() -> Opened {
        Opened::Shared(
            keystore_core::open(BackendKind::RwLock, &Config::default(), Global).unwrap(),
        )
    }

    fn is_open(store: *mut ks_store) -> bool {
        // SAFETY: the tests here close a store on the thread that calls this.
        unsafe { opened(store) }.is_ok()
    }

    #[test]
    fn every_slot_has_a_place_of_its_own() {
        assert_eq!(place(0), (0, 0));
        assert_eq!(place(31), (0, 31));
        assert_eq!(place(32), (1, 0));
        assert_eq!(place(95), (1, 63));
        assert_eq!(place(96), (2, 0));
        assert!(place(MAX_HALF - FIRST_SEGMENT).0 < SEGMENTS);
    }

    #[test]
    fn a_closed_handle_is_never_open_again() {
        let mut closed = Vec::new();
        for _ in 0..100 {
            let store = open(shared()).unwrap();
            assert!(is_open(store));
            drop(close(store).unwrap());
            assert!(matches!(close(store), Err(Failure::NotOpen { .. })));
            closed.push(store);
        }
        assert!(!closed.into_iter().any(is_open));
    }

    #[test]
    fn many_stores_are_open_at_once() {
        let stores: Vec<_> = (0..200).map(|_| open(shared()).unwrap()).collect();
        assert!(stores.iter().all(|&store| is_open(store)));
        for store in stores {
            drop(close(store).unwrap());
        }
    }

    #[test]
    fn what_never_was_a_handle_is_refused() {
        let on_the_heap = Box::new(0_u64);
        for address in [1, 64, usize::MAX, 1 << INDEX_BITS << 4, (&raw const *on_the_heap).addr()] {
            let store = ptr::without_provenance_mut(address | MAX_HALF);
            assert!(!is_open(store), "{address:#x}");
            assert!(close(store).is_err(), "{address:#x}");
        }
        assert!(matches!(find(ptr::null_mut()), Err(Failure::NoStore)));
    }

    #[test]
    fn of_several_threads_that_close_one_store_one_gets_it() {
        for _ in 0..100 {
            let store = open(shared()).unwrap().addr();
            let closed: usize = std::thread::scope(|scope| {
                let threads: Vec<_> = (0..4)
                    .map(|_| {
                        scope.spawn(move || {
                            usize::from(close(ptr::without_provenance_mut(store)).is_ok())
                        })
                    })
                    .collect();
                threads.into_iter().map(|thread| thread.join().unwrap()).sum()
            });
            assert_eq!(closed, 1);
        }
    }

    #[test]
    fn a_single_threaded_store_is_refused_to_other_threads() {
        let store =
            keystore_core::open_local(BackendKind::RwLock, &Config::default(), Global).unwrap();
        let store = open(Opened::local(store)).unwrap();
        let handle = store.addr();
        // SAFETY: the store is closed below, after both uses.
        assert!(unsafe { opened(store) }.unwrap().keystore().is_ok());
        std::thread::spawn(move || {
            // SAFETY: the store is closed after this thread has ended.
            let opened = unsafe { opened(ptr::without_provenance_mut(handle)) }.unwrap();
            assert!(matches!(opened.keystore(), Err(Failure::OtherThread)));
        })
        .join()
        .unwrap();
        drop(close(store).unwrap());
    }
}
