//! Atomics and locks that a model checker can replace.
//!
//! In ordinary builds this module has the standard library's, and [`access`] does nothing. In
//! builds with `--cfg loom` it has those of [loom](https://docs.rs/loom). loom runs a model with
//! every interleaving of its threads, and with every value that the memory model lets a load
//! return. So the code that orders one thread's use of memory before another's is checked as it is
//! shipped.
//!
//! Atomics that only the thread in a slot writes (magazines, counts, the arena's next byte) stay
//! the standard library's, because they order nothing.
//!
//! *Blocks* are plain memory, which loom does not track. Models report each use of a block to
//! [`access`]. A use fails the model if it does not happen after all earlier uses of the memory, or
//! if the memory is another owner's by then.

pub(crate) use self::checked::*;

#[cfg(not(loom))]
mod checked {
    use std::sync::{MutexGuard, PoisonError};

    pub(crate) use keystore_core::thread_slot::thread_slot;

    /// The standard library's lock, without poisoning: nothing unwinds under a pool's lock. Waiting
    /// for it allocates no memory. Waiting for parking_lot's lock may do so.
    #[derive(Debug, Default)]
    pub(crate) struct Mutex<T>(std::sync::Mutex<T>);

    impl<T> Mutex<T> {
        pub(crate) const fn new(value: T) -> Self {
            Self(std::sync::Mutex::new(value))
        }

        pub(crate) fn lock(&self) -> MutexGuard<'_, T> {
            self.0.lock().unwrap_or_else(PoisonError::into_inner)
        }

        pub(crate) fn get_mut(&mut self) -> &mut T {
            self.0.get_mut().unwrap_or_else(PoisonError::into_inner)
        }
    }

    pub(crate) mod atomic {
        #[cfg(feature = "arena")]
        pub(crate) use std::sync::atomic::AtomicUsize;
        pub(crate) use std::sync::atomic::{AtomicPtr, AtomicU64};
    }

    pub(crate) mod access {
        use std::ptr::NonNull;

        /// Reports that memory goes back to the system.
        #[inline(always)]
        pub(crate) fn unmapped(_start: NonNull<u8>, _bytes: usize) {}

        /// Memory that threads share until the last one stops using it.
        #[cfg(feature = "arena")]
        #[derive(Debug)]
        pub(crate) struct Region;

        #[cfg(feature = "arena")]
        impl Region {
            #[inline(always)]
            pub(crate) fn new() -> Self {
                Self
            }

            /// Reports a use by this thread.
            #[inline(always)]
            pub(crate) fn access(&self) {}

            /// Reports that all uses, by any thread, happened before this call.
            #[inline(always)]
            pub(crate) fn end(&self) {}
        }
    }
}

#[cfg(loom)]
mod checked {
    use std::cell::Cell;

    loom::thread_local! {
        /// Index of this thread in the model.
        static THREAD: Cell<usize> = Cell::new(0);
    }

    /// Sets the calling thread's index in the model. The first thread has index 0 without a call.
    #[cfg(test)]
    pub(crate) fn set_thread(thread: usize) {
        THREAD.with(|index| index.set(thread));
    }

    pub(crate) fn thread_slot() -> usize {
        THREAD.with(Cell::get)
    }

    pub(crate) mod atomic {
        pub(crate) use loom::sync::atomic::{AtomicPtr, AtomicU64, AtomicUsize};
    }

    /// A lock with the same calls as the one of ordinary builds.
    #[derive(Debug, Default)]
    pub(crate) struct Mutex<T>(loom::sync::Mutex<T>);

    impl<T> Mutex<T> {
        pub(crate) fn new(value: T) -> Self {
            Self(loom::sync::Mutex::new(value))
        }

        pub(crate) fn lock(&self) -> loom::sync::MutexGuard<'_, T> {
            self.0.lock().expect("a thread that panics ends the model")
        }

        pub(crate) fn get_mut(&mut self) -> &mut T {
            self.0.get_mut().expect("a thread that panics ends the model")
        }
    }

    pub(crate) mod access {
        use std::cell::RefCell;
        use std::collections::BTreeMap;
        use std::ptr::NonNull;

        use loom::cell::UnsafeCell;

        /// The uses of an address where blocks start.
        struct Uses {
            cell: UnsafeCell<()>,
            is_allocated: bool,
        }

        thread_local! {
            // All threads of a model run on one thread of the system.
            static USES: RefCell<BTreeMap<usize, Uses>> = RefCell::default();
        }

        /// Reports that the block is allocated, and written by its user.
        #[cfg(test)]
        pub(crate) fn allocated(block: NonNull<u8>) {
            USES.with_borrow_mut(|all| {
                let unused = || Uses { cell: UnsafeCell::new(()), is_allocated: false };
                let uses = all.entry(block.addr().get()).or_insert_with(unused);
                assert!(!uses.is_allocated, "a block is allocated that is in use");
                uses.is_allocated = true;
                uses.cell.with_mut(|_| ());
            });
        }

        /// Reports that the block's user writes it for the last time.
        #[cfg(test)]
        pub(crate) fn freed(block: NonNull<u8>) {
            USES.with_borrow_mut(|all| {
                let uses = all.get_mut(&block.addr().get()).expect("the block was allocated");
                assert!(uses.is_allocated, "a block is freed twice");
                uses.is_allocated = false;
                uses.cell.with_mut(|_| ());
            });
        }

        pub(crate) fn unmapped(start: NonNull<u8>, bytes: usize) {
            // A model that is failing must not panic a second time.
            if std::thread::panicking() {
                return;
            }
            USES.with_borrow_mut(|all| {
                let mut within = all.split_off(&start.addr().get());
                all.append(&mut within.split_off(&(start.addr().get() + bytes)));
                for uses in within.into_values() {
                    assert!(!uses.is_allocated, "memory goes back to the system that is in use");
                    uses.cell.with_mut(|_| ());
                }
            });
        }

        /// Removes what a failed execution has left.
        #[cfg(test)]
        pub(crate) fn reset() {
            USES.with_borrow_mut(BTreeMap::clear);
        }

        #[derive(Debug)]
        pub(crate) struct Region(UnsafeCell<()>);

        impl Region {
            pub(crate) fn new() -> Self {
                Self(UnsafeCell::new(()))
            }

            pub(crate) fn access(&self) {
                self.0.with(|_| ());
            }

            pub(crate) fn end(&self) {
                self.0.with_mut(|_| ());
            }
        }
    }
}
