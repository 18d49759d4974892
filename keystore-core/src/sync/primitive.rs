//! Atomics that a model checker can replace.
//!
//! In ordinary builds, the atomics of this module are those of the standard library, and [`access`]
//! does nothing. In builds with `--cfg loom`, they are the atomics of [loom](https://docs.rs/loom).
//! loom runs a model many times, each time with another interleaving of its threads, or with
//! another choice among the values that a load may return under the memory model of Rust. The
//! protocols of the lock-free table take their atomics from this module. So the checked code is the
//! shipped code, except that a bucket has fewer slots.
//!
//! # Sequential consistency
//!
//! loom treats a sequentially consistent access as an access that only acquires and releases. It
//! supports sequential consistency only for fences. So under loom, this module turns such an access
//! into a fence and a weaker access. This is also how compilers translate it for processors without
//! such an instruction. The fence is left out if the thread's last write was not sequentially
//! consistent, since other threads may see that write after a later load. So if a protocol needs
//! two sequentially consistent accesses but only one of them is, its model fails.
//!
//! # Nodes
//!
//! Nodes are plain memory, which loom does not track. [`access`] tells loom when a node is written,
//! read and freed. So a model fails if a node is read without a write that happens before the read,
//! or is used after it was freed.

pub(crate) use self::checked::access;
#[cfg(feature = "epoch")]
pub(crate) use self::checked::atomic;

#[cfg(not(loom))]
mod checked {
    #[cfg(feature = "epoch")]
    pub(crate) mod atomic {
        pub(crate) use std::sync::atomic::{
            AtomicBool, AtomicPtr, AtomicU64, AtomicUsize, Ordering,
        };
    }

    pub(crate) mod access {
        /// Notes that the memory at `block` was written and is about to be shared.
        #[inline(always)]
        pub(crate) fn written(_block: *const u8) {}

        /// Notes that the memory at `block` is read.
        #[inline(always)]
        pub(crate) fn read(_block: *const u8) {}

        /// Notes that the memory at `block` is freed.
        #[inline(always)]
        pub(crate) fn freed(_block: *const u8) {}
    }
}

#[cfg(loom)]
mod checked {
    pub(crate) mod atomic {
        use std::cell::Cell;

        pub(crate) use loom::sync::atomic::Ordering;
        use loom::sync::atomic::{self, Ordering::*};

        thread_local! {
            // All threads of a model run on one thread of the system, so they share this variable.
            static THREADS: Cell<usize> = const { Cell::new(1) };
        }

        loom::thread_local! {
            /// Number of this thread among the model's threads.
            static THREAD: Cell<usize> = Cell::new(0);
            /// True if the thread's last write was not sequentially consistent.
            static WROTE_WEAKLY: Cell<bool> = Cell::new(false);
        }

        /// Sets the number of the model's threads. The model calls it before it creates an atomic.
        #[cfg(test)]
        pub(crate) fn begin(threads: usize) {
            THREADS.set(threads);
        }

        /// Sets the calling thread's number. The first thread need not call it.
        #[cfg(test)]
        pub(crate) fn enter(thread: usize) {
            THREAD.with(|number| number.set(thread));
        }

        /// Counters that make loom try both orders of a load and a write by two threads.
        ///
        /// loom remembers only the last access to each atomic. Suppose that thread 1 loads the
        /// atomic, and then thread 2 loads and writes it, as in a load followed by an exchange.
        /// When thread 2 writes, the last access is its own load. So loom does not notice that the
        /// load of thread 1 could also come after the write (loom's issues 166 and 392). To fix
        /// this, each load also increments a counter of its own thread, and each write increments
        /// the counters of all other threads. These increments are relaxed, so they order nothing.
        /// They are read-modify-writes, so there is only one value that each can read.
        #[derive(Debug)]
        struct Turns(Box<[atomic::AtomicUsize]>);

        impl Turns {
            fn new() -> Self {
                Self((0..THREADS.get()).map(|_| atomic::AtomicUsize::new(0)).collect())
            }

            fn load(&self) {
                self.0[THREAD.with(Cell::get)].fetch_add(1, Relaxed);
            }

            fn write(&self) {
                let own = THREAD.with(Cell::get);
                for turn in self.0.iter().enumerate().filter(|(thread, _)| *thread != own) {
                    turn.1.fetch_add(1, Relaxed);
                }
            }
        }

        /// One of loom's atomics, with the counters that loom also needs.
        #[derive(Debug)]
        pub(crate) struct Atomic<A> {
            atomic: A,
            turns: Turns,
        }

        pub(crate) type AtomicBool = Atomic<atomic::AtomicBool>;
        pub(crate) type AtomicPtr<T> = Atomic<atomic::AtomicPtr<T>>;
        pub(crate) type AtomicU64 = Atomic<atomic::AtomicU64>;
        pub(crate) type AtomicUsize = Atomic<atomic::AtomicUsize>;

        impl<A> Atomic<A> {
            fn of(atomic: A) -> Self {
                Self { atomic, turns: Turns::new() }
            }

            fn to_load(&self) -> &A {
                self.turns.load();
                &self.atomic
            }

            fn to_write(&self) -> &A {
                self.turns.write();
                &self.atomic
            }
        }

        impl AtomicBool {
            pub(crate) fn new(value: bool) -> Self {
                Self::of(atomic::AtomicBool::new(value))
            }

            pub(crate) fn load(&self, ordering: Ordering) -> bool {
                self.to_load().load(ordering)
            }

            pub(crate) fn swap(&self, value: bool, ordering: Ordering) -> bool {
                self.to_write().swap(value, ordering)
            }
        }

        impl<T> AtomicPtr<T> {
            pub(crate) fn new(value: *mut T) -> Self {
                Self::of(atomic::AtomicPtr::new(value))
            }

            pub(crate) fn load(&self, ordering: Ordering) -> *mut T {
                self.to_load().load(ordering)
            }

            pub(crate) fn compare_exchange(
                &self,
                current: *mut T,
                new: *mut T,
                success: Ordering,
                failure: Ordering,
            ) -> Result<*mut T, *mut T> {
                self.to_write().compare_exchange(current, new, success, failure)
            }
        }

        impl AtomicUsize {
            pub(crate) fn new(value: usize) -> Self {
                Self::of(atomic::AtomicUsize::new(value))
            }

            pub(crate) fn load(&self, ordering: Ordering) -> usize {
                self.to_load().load(ordering)
            }

            pub(crate) fn fetch_add(&self, value: usize, ordering: Ordering) -> usize {
                self.to_write().fetch_add(value, ordering)
            }
        }

        /// A sequentially consistent access is a fence and a weaker access. The module's
        /// documentation says why.
        impl AtomicU64 {
            pub(crate) fn new(value: u64) -> Self {
                Self::of(atomic::AtomicU64::new(value))
            }

            pub(crate) fn load(&self, ordering: Ordering) -> u64 {
                let atomic = self.to_load();
                fence_for(ordering);
                atomic.load(weaker(ordering, Acquire))
            }

            pub(crate) fn fetch_or(&self, bits: u64, ordering: Ordering) -> u64 {
                let atomic = self.to_write();
                fence_for(ordering);
                let before = atomic.fetch_or(bits, weaker(ordering, AcqRel));
                wrote(ordering);
                before
            }

            pub(crate) fn compare_exchange(
                &self,
                current: u64,
                new: u64,
                success: Ordering,
                failure: Ordering,
            ) -> Result<u64, u64> {
                let atomic = self.to_write();
                fence_for(if failure == SeqCst { failure } else { success });
                let (if_equal, if_not) = (weaker(success, AcqRel), weaker(failure, Acquire));
                let result = atomic.compare_exchange(current, new, if_equal, if_not);
                if result.is_ok() {
                    wrote(success);
                }
                result
            }
        }

        fn fence_for(ordering: Ordering) {
            if ordering == SeqCst && !WROTE_WEAKLY.with(Cell::get) {
                atomic::fence(ordering);
            }
        }

        fn wrote(ordering: Ordering) {
            WROTE_WEAKLY.with(|weakly| weakly.set(ordering != SeqCst));
        }

        fn weaker(ordering: Ordering, instead: Ordering) -> Ordering {
            if ordering == SeqCst { instead } else { ordering }
        }
    }

    pub(crate) mod access {
        use std::cell::RefCell;
        use std::collections::HashMap;

        use loom::cell::UnsafeCell;

        thread_local! {
            // All threads of a model run on one thread of the system, so they share this variable.
            static BLOCKS: RefCell<HashMap<usize, UnsafeCell<()>>> = RefCell::default();
        }

        pub(crate) fn written(block: *const u8) {
            let earlier =
                BLOCKS.with_borrow_mut(|blocks| blocks.insert(block.addr(), UnsafeCell::new(())));
            assert!(earlier.is_none(), "a block in use is written");
        }

        pub(crate) fn read(block: *const u8) {
            BLOCKS.with_borrow(|blocks| {
                blocks.get(&block.addr()).expect("a freed block is read").with(|_| ())
            });
        }

        pub(crate) fn freed(block: *const u8) {
            let cell = BLOCKS.with_borrow_mut(|blocks| blocks.remove(&block.addr()));
            cell.expect("a block is freed twice").with_mut(|_| ());
        }

        /// Returns the number of blocks that are written and not freed.
        #[cfg(test)]
        pub(crate) fn in_use() -> usize {
            BLOCKS.with_borrow(HashMap::len)
        }

        /// Forgets the blocks that a failed execution left.
        #[cfg(test)]
        pub(crate) fn forget() {
            BLOCKS.with_borrow_mut(HashMap::clear);
        }
    }
}
