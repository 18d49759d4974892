//! What threads share, in the shape that a model checker can take over.
//!
//! Ordinarily the atomics and locks of this module are those that everybody uses, and [`watch`] is nothing. Built with `--cfg loom`
//! they are those of [loom](https://docs.rs/loom), which runs a model with every interleaving of its threads, and every value that the
//! language's memory model lets a load give. What is checked so is the shipped code: that which orders one thread's use of memory
//! before another's. Atomics that only the thread at them writes (magazines, counts, the arena's next byte) stay the standard
//! library's: nothing is ordered by them.
//!
//! *Blocks* are plain memory, which loom does not see. In a model their users tell [`watch`] what they do with them; a use that
//! does not come after all that was done with the memory before, or goes on when the memory is another's, fails the model.

pub(crate) use self::checked::*;

#[cfg(not(loom))]
mod checked {
    use std::sync::{MutexGuard, PoisonError};

    pub(crate) use keystore_core::thread_slot::thread_slot;

    /// The standard library's lock, without poisoning: nothing unwinds under a pool's lock. A
    /// thread that waits for it takes no memory, which one that waits for parking_lot's may.
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

    pub(crate) mod watch {
        use std::ptr::NonNull;

        /// The memory goes back to the system.
        #[inline(always)]
        pub(crate) fn ended(_start: NonNull<u8>, _bytes: usize) {}

        /// Memory that threads use together until one is left.
        #[cfg(feature = "arena")]
        #[derive(Debug)]
        pub(crate) struct Shared;

        #[cfg(feature = "arena")]
        impl Shared {
            #[inline(always)]
            pub(crate) fn new() -> Self {
                Self
            }

            /// A thread uses it.
            #[inline(always)]
            pub(crate) fn used(&self) {}

            /// No other thread uses it any more, and what all did comes before.
            #[inline(always)]
            pub(crate) fn ended(&self) {}
        }
    }
}

#[cfg(loom)]
mod checked {
    use std::cell::Cell;

    loom::thread_local! {
        /// Which of the model's threads this is.
        static THREAD: Cell<usize> = Cell::new(0);
    }

    /// Tells which of the model's threads the calling one is; the first need not.
    #[cfg(test)]
    pub(crate) fn enter(thread: usize) {
        THREAD.with(|number| number.set(thread));
    }

    pub(crate) fn thread_slot() -> usize {
        THREAD.with(Cell::get)
    }

    pub(crate) mod atomic {
        pub(crate) use loom::sync::atomic::{AtomicPtr, AtomicU64, AtomicUsize};
    }

    /// A lock with the same calls.
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

    pub(crate) mod watch {
        use std::cell::RefCell;
        use std::collections::BTreeMap;
        use std::ptr::NonNull;

        use loom::cell::UnsafeCell;

        /// Where a block starts.
        struct Place {
            /// What was done there.
            uses: UnsafeCell<()>,
            in_use: bool,
        }

        thread_local! {
            // All threads of a model run on one thread of the system.
            static PLACES: RefCell<BTreeMap<usize, Place>> = RefCell::default();
        }

        /// The block is its user's from here on, who writes it.
        #[cfg(test)]
        pub(crate) fn handed_out(block: NonNull<u8>) {
            PLACES.with_borrow_mut(|places| {
                let fresh = || Place { uses: UnsafeCell::new(()), in_use: false };
                let place = places.entry(block.addr().get()).or_insert_with(fresh);
                assert!(!place.in_use, "a block is handed out that is in use");
                place.in_use = true;
                place.uses.with_mut(|_| ());
            });
        }

        /// Its user writes the block for the last time.
        #[cfg(test)]
        pub(crate) fn given_up(block: NonNull<u8>) {
            PLACES.with_borrow_mut(|places| {
                let place = places.get_mut(&block.addr().get()).expect("the block was handed out");
                assert!(place.in_use, "a block is given up twice");
                place.in_use = false;
                place.uses.with_mut(|_| ());
            });
        }

        pub(crate) fn ended(start: NonNull<u8>, bytes: usize) {
            // A model that fails already does not fail again.
            if std::thread::panicking() {
                return;
            }
            PLACES.with_borrow_mut(|places| {
                let mut behind = places.split_off(&start.addr().get());
                places.append(&mut behind.split_off(&(start.addr().get() + bytes)));
                for place in behind.into_values() {
                    assert!(!place.in_use, "memory goes back to the system that is in use");
                    place.uses.with_mut(|_| ());
                }
            });
        }

        /// Forgets what an execution that failed has left.
        #[cfg(test)]
        pub(crate) fn forget() {
            PLACES.with_borrow_mut(BTreeMap::clear);
        }

        #[derive(Debug)]
        pub(crate) struct Shared(UnsafeCell<()>);

        impl Shared {
            pub(crate) fn new() -> Self {
                Self(UnsafeCell::new(()))
            }

            pub(crate) fn used(&self) {
                self.0.with(|_| ());
            }

            pub(crate) fn ended(&self) {
                self.0.with_mut(|_| ());
            }
        }
    }
}
