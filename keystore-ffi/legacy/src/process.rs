//! The store of the whole process.
//!
//! Any thread may call while another thread initialises or cleans up. So every call holds a reader
//! lock on the store until it returns. A call that creates or removes the store takes the writer
//! lock, which waits for all of them. See [`Sharded`].

use std::cell::UnsafeCell;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Mutex, PoisonError, RwLock};
use std::time::{SystemTime, UNIX_EPOCH};

use crossbeam_utils::CachePadded;
use keystore_core::thread_slot::thread_slot;
use keystore_core::{Concurrency, Config, Keystore, LocalKeystore, RwLockKeystore};
use keystore_ffi::KS_NOT_INITIALISED;
use keystore_ffi::border::Failure;
use keystore_pool::SlabPool;

use super::statistics::keystore_stats;

/// Number of locks. Threads whose numbers differ modulo this use different locks.
const SHARDS: usize = 16;

/// An optional value behind a reader-writer lock on which readers do not contend (a big-reader
/// lock). There are several locks: a reader takes its thread's lock, and a writer takes all of
/// them, in order. It is a static and allocates nothing, so it cannot fail.
struct Sharded<T> {
    locks: [CachePadded<RwLock<()>>; SHARDS],
    value: UnsafeCell<Option<T>>,
}

// SAFETY: readers on several threads get `&T` at once, which requires `T: Sync`, and a writer puts
// and takes a `T` on any thread, which requires `T: Send`.
unsafe impl<T: Send + Sync> Sync for Sharded<T> {}

impl<T> Sharded<T> {
    const fn new() -> Self {
        Self {
            locks: [const { CachePadded::new(RwLock::new(())) }; SHARDS],
            value: UnsafeCell::new(None),
        }
    }

    /// Runs `call` with the value, which is not removed until `call` returns.
    #[inline]
    fn read<R>(&self, call: impl FnOnce(Option<&T>) -> R) -> R {
        let _lock =
            self.locks[thread_slot() % SHARDS].read().unwrap_or_else(PoisonError::into_inner);
        // SAFETY: a writer needs all the locks, and one of them is held here.
        call(unsafe { (*self.value.get()).as_ref() })
    }

    /// Waits until no other call uses the value, then runs `call` with it. No other call can use
    /// the value until `call` returns.
    fn write<R>(&self, call: impl FnOnce(&mut Option<T>) -> R) -> R {
        let _locks =
            self.locks.each_ref().map(|lock| lock.write().unwrap_or_else(PoisonError::into_inner));
        // SAFETY: readers and other writers need one of the locks, all of which are held here.
        call(unsafe { &mut *self.value.get() })
    }
}

/// The store of the process.
static PROCESS: Sharded<Process> = Sharded::new();

/// Time when the process last cleaned up, in seconds since the Unix epoch; 0 for never.
static LAST_CLEANUP: AtomicU64 = AtomicU64::new(0);

/// The store, and counts of the calls that the store itself cannot count.
pub(super) struct Process {
    store: Store,
    pub(super) refused: Refused,
}

/// A store in one of the two concurrency modes.
enum Store {
    /// Several threads use the store at once.
    Shared(RwLockKeystore<SlabPool>),
    /// Threads take turns, so that a program still works that uses its store on one thread after
    /// another.
    InTurns(Mutex<LocalKeystore<SlabPool>>),
}

impl Store {
    fn open(config: &Config) -> Result<Self, Failure> {
        let pool = SlabPool::from_config(config)?;
        Ok(match config.concurrency {
            Concurrency::MultiThreaded => Self::Shared(RwLockKeystore::open(config, pool)?),
            Concurrency::SingleThreaded => {
                Self::InTurns(Mutex::new(LocalKeystore::open_local(config, pool)?))
            }
        })
    }
}

impl Process {
    /// Runs `call` on the store.
    #[inline]
    pub(super) fn store<R>(&self, call: impl FnOnce(&dyn Keystore) -> R) -> R {
        match &self.store {
            Store::Shared(store) => call(store),
            // A poisoned lock is no problem, because a panic leaves the store consistent.
            Store::InTurns(store) => call(&*store.lock().unwrap_or_else(PoisonError::into_inner)),
        }
    }

    /// Returns the statistics of the store.
    pub(super) fn statistics(&self) -> Result<keystore_stats, Failure> {
        let stats = self.store(|store| store.stats())?;
        Ok(keystore_stats::new(&stats, &self.refused, LAST_CLEANUP.load(Relaxed)))
    }
}

/// The failure of a call when there is no store.
const NO_STORE: Failure = Failure::Fixed {
    status: KS_NOT_INITIALISED,
    text: "there is no store: initialise_key_store makes it",
};

/// Creates the store, unless there is one. `config` is called only if there is none.
pub(super) fn initialise(config: impl FnOnce() -> Result<Config, Failure>) -> Result<(), Failure> {
    PROCESS.write(|process| {
        if process.is_none() {
            *process =
                Some(Process { store: Store::open(&config()?)?, refused: Refused::default() });
        }
        Ok(())
    })
}

/// Removes the store, once no call uses it.
pub(super) fn clean_up() -> Result<(), Failure> {
    // Dropped after the locks are released, so that other threads need not wait for the drop to
    // learn that there is no store.
    drop(PROCESS.write(Option::take).ok_or(NO_STORE)?);
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |elapsed| elapsed.as_secs());
    LAST_CLEANUP.store(now, Relaxed);
    Ok(())
}

/// Runs `call` with the store, which is not removed until `call` returns.
#[inline]
pub(super) fn with<R>(call: impl FnOnce(&Process) -> Result<R, Failure>) -> Result<R, Failure> {
    PROCESS.read(|process| call(process.ok_or_else(|| NO_STORE)?))
}

/// The operation that a call is counted as.
#[derive(Clone, Copy)]
pub(super) enum Operation {
    Add,
    Find,
    Delete,
}

/// Counts of the calls that failed outside the store, before or after it was called; the store
/// counts all other calls. These failures are rare, so all threads may share the counters.
#[derive(Default)]
pub(super) struct Refused {
    adds: AtomicU64,
    finds: AtomicU64,
    deletes: AtomicU64,
    copies: AtomicU64,
}

/// The numbers of [`Refused`] at one moment.
pub(super) struct RefusedCounts {
    pub(super) adds: u64,
    pub(super) finds: u64,
    pub(super) deletes: u64,
    pub(super) copies: u64,
}

impl Refused {
    /// Counts a call with a wrong argument.
    #[cold]
    pub(super) fn argument(&self, operation: Operation) {
        let counter = match operation {
            Operation::Add => &self.adds,
            Operation::Find => &self.finds,
            Operation::Delete => &self.deletes,
        };
        counter.fetch_add(1, Relaxed);
    }

    /// Counts a find whose value could not be copied.
    #[cold]
    pub(super) fn copy(&self) {
        self.copies.fetch_add(1, Relaxed);
    }

    pub(super) fn read(&self) -> RefusedCounts {
        RefusedCounts {
            adds: self.adds.load(Relaxed),
            finds: self.finds.load(Relaxed),
            deletes: self.deletes.load(Relaxed),
            copies: self.copies.load(Relaxed),
        }
    }
}
