//! The store of the whole process.
//!
//! Any thread may call at any time, also while another initialises or cleans up. So every call holds the store as a
//! reader while it lasts, and what makes or removes the store waits for all of them as a writer. A single lock would
//! be one cache line that every call writes; so there are several, each with a reference of its own to the store. A
//! reader takes its thread's, a writer takes all of them, in order.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError, RwLock, RwLockWriteGuard};
use std::time::{SystemTime, UNIX_EPOCH};

use crossbeam_utils::CachePadded;
use keystore_core::striped::thread_slot;
use keystore_core::{BackendKind, BoxedKeystore, Concurrency, Config, Keystore, LocalKeystore};
use keystore_pool::{AnyPool, PoolKind};

use super::statistics::keystore_stats;
use crate::failure::Failure;

/// How many locks: threads with different numbers modulo this one do not touch the same.
const SHARDS: usize = 16;

/// The store, once for each lock; all of them hold the same, or none.
static PROCESS: [CachePadded<RwLock<Option<Arc<Process>>>>; SHARDS] =
    [const { CachePadded::new(RwLock::new(None)) }; SHARDS];

/// Waits until no call is inside, and keeps all out.
fn lock_out() -> [RwLockWriteGuard<'static, Option<Arc<Process>>>; SHARDS] {
    PROCESS.each_ref().map(|shard| shard.write().unwrap_or_else(PoisonError::into_inner))
}

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
    Shared(BoxedKeystore),
    /// Threads take turns, so that a program which hands its store from one thread to another goes on working.
    InTurns(Box<Mutex<LocalKeystore<AnyPool>>>),
}

impl Store {
    fn open(config: &Config) -> Result<Self, Failure> {
        let pool = AnyPool::new(PoolKind::Slab, config)?;
        Ok(match config.concurrency {
            Concurrency::MultiThreaded => {
                Self::Shared(keystore_core::open(BackendKind::RwLock, config, pool)?)
            }
            Concurrency::SingleThreaded => {
                Self::InTurns(Box::new(Mutex::new(LocalKeystore::open_local(config, pool)?)))
            }
        })
    }
}

impl Process {
    /// Runs `call` on the store.
    #[inline]
    pub(super) fn store<R>(&self, call: impl FnOnce(&dyn Keystore) -> R) -> R {
        match &self.store {
            Store::Shared(store) => call(&**store),
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

/// Makes the store with this configuration, unless there is one.
pub(super) fn initialise(config: &Config) -> Result<(), Failure> {
    let mut shards = lock_out();
    if shards[0].is_none() {
        let process = Arc::new(Process { store: Store::open(config)?, refused: Refused::default() });
        shards.iter_mut().for_each(|shard| **shard = Some(Arc::clone(&process)));
    }
    Ok(())
}

/// Removes the store, once no call is inside.
pub(super) fn clean_up() -> Result<(), Failure> {
    // The last reference goes when the locks are free again: other threads need not wait for that to be told.
    let removed = lock_out().each_mut().map(|shard| shard.take());
    let [Some(_), ..] = removed else { return Err(Failure::NotInitialised) };
    drop(removed);
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |elapsed| elapsed.as_secs());
    LAST_CLEANUP.store(now, Relaxed);
    Ok(())
}

/// Runs `call` with the store, which stays until it returns.
#[inline]
pub(super) fn with<R>(call: impl FnOnce(&Process) -> Result<R, Failure>) -> Result<R, Failure> {
    let process = PROCESS[thread_slot() % SHARDS].read().unwrap_or_else(PoisonError::into_inner);
    call(process.as_deref().ok_or_else(|| Failure::NotInitialised)?)
}

/// What a call is counted as.
#[derive(Clone, Copy)]
pub(super) enum Verb {
    Add,
    Find,
    Delete,
}

/// Calls that failed before they reached the store, or after: it counts all others. They are rare, so their counters
/// may be shared by all threads.
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
    pub(super) fn argument(&self, verb: Verb) {
        let counter = match verb {
            Verb::Add => &self.adds,
            Verb::Find => &self.finds,
            Verb::Delete => &self.deletes,
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
