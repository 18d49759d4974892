//! The store of the whole process.
//!
//! Any thread may call while another initialises or cleans up. So every call holds the store as a
//! reader while it lasts, and what makes or removes the store waits for all of them as a writer.
//! See [`Sharded`].

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

/// How many locks: threads with different numbers modulo this one do not touch the same.
const SHARDS: usize = 16;

/// A value, or none, behind a reader-writer lock that readers do not fight over: a reader takes
/// its thread's lock of several, a writer takes all of them, in order. It is known as a big-reader
/// lock. It lies in a static and allocates nothing, so that it cannot fail.
struct Sharded<T> {
    locks: [CachePadded<RwLock<()>>; SHARDS],
    value: UnsafeCell<Option<T>>,
}

// SAFETY: readers on several threads get `&T` at once, which asks for `T: Sync`, and a writer puts
// and takes a `T` on any thread, which asks for `T: Send`.
unsafe impl<T: Send + Sync> Sync for Sharded<T> {}

impl<T> Sharded<T> {
    const fn new() -> Self {
        Self {
            locks: [const { CachePadded::new(RwLock::new(())) }; SHARDS],
            value: UnsafeCell::new(None),
        }
    }

    /// Runs `call` with the value, which stays until it returns.
    #[inline]
    fn read<R>(&self, call: impl FnOnce(Option<&T>) -> R) -> R {
        let _lock =
            self.locks[thread_slot() % SHARDS].read().unwrap_or_else(PoisonError::into_inner);
        // SAFETY: a writer needs the lock that is held here.
        call(unsafe { (*self.value.get()).as_ref() })
    }

    /// Runs `call` with the value once no call is inside, and keeps all out until it returns.
    fn write<R>(&self, call: impl FnOnce(&mut Option<T>) -> R) -> R {
        let _locks =
            self.locks.each_ref().map(|lock| lock.write().unwrap_or_else(PoisonError::into_inner));
        // SAFETY: readers and other writers need one of the locks, all of which are held here.
        call(unsafe { &mut *self.value.get() })
    }
}

/// The store.
static PROCESS: Sharded<Process> = Sharded::new();

/// When the process last cleaned up, seconds since the Unix epoch; 0 for never.
static LAST_CLEANUP: AtomicU64 = AtomicU64::new(0);

/// The store, and what it cannot count itself.
pub(super) struct Process {
    store: Store,
    pub(super) refused: Refused,
}

/// A store in one of the two modes.
enum Store {
    /// Threads work in it at once.
    Shared(RwLockKeystore<SlabPool>),
    /// Threads take turns, so that a program which hands its store from one thread to another goes
    /// on working.
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
            // A panic leaves the store whole.
            Store::InTurns(store) => call(&*store.lock().unwrap_or_else(PoisonError::into_inner)),
        }
    }

    /// A picture of the store.
    pub(super) fn statistics(&self) -> Result<keystore_stats, Failure> {
        let stats = self.store(|store| store.stats())?;
        Ok(keystore_stats::new(&stats, &self.refused, LAST_CLEANUP.load(Relaxed)))
    }
}

/// What a call without a store returns.
const NO_STORE: Failure = Failure::Fixed {
    status: KS_NOT_INITIALISED,
    text: "there is no store: initialise_key_store makes it",
};

/// Makes the store, unless there is one. Only then is `config` asked for its configuration.
pub(super) fn initialise(config: impl FnOnce() -> Result<Config, Failure>) -> Result<(), Failure> {
    PROCESS.write(|process| {
        if process.is_none() {
            *process =
                Some(Process { store: Store::open(&config()?)?, refused: Refused::default() });
        }
        Ok(())
    })
}

/// Removes the store, once no call is inside.
pub(super) fn clean_up() -> Result<(), Failure> {
    // Dropped when the locks are free again: other threads need not wait for that to learn that
    // there is no store.
    drop(PROCESS.write(Option::take).ok_or(NO_STORE)?);
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |elapsed| elapsed.as_secs());
    LAST_CLEANUP.store(now, Relaxed);
    Ok(())
}

/// Runs `call` with the store, which stays until it returns.
#[inline]
pub(super) fn with<R>(call: impl FnOnce(&Process) -> Result<R, Failure>) -> Result<R, Failure> {
    PROCESS.read(|process| call(process.ok_or_else(|| NO_STORE)?))
}

/// What a call is counted as.
#[derive(Clone, Copy)]
pub(super) enum Operation {
    Add,
    Find,
    Delete,
}

/// Calls that failed before they reached the store, or after: it counts all others. They are rare,
/// so their counters may be shared by all threads.
#[derive(Default)]
pub(super) struct Refused {
    adds: AtomicU64,
    finds: AtomicU64,
    deletes: AtomicU64,
    copies: AtomicU64,
}

/// The numbers of [`Refused`] at one time.
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
