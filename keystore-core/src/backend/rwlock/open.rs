//! Opening a store on the table with locks.

use std::hash::BuildHasher;
use std::marker::PhantomData;

use super::RwLockTable;
use super::directory::Directory;
use super::lock::{BucketLock, NoLock, SharedLock};
use crate::account::Account;
use crate::allocator::{Global, NodeAllocator};
use crate::config::{Concurrency, Config};
use crate::error::{Error, Result};
use crate::hash::DefaultHasher;
use crate::huge_pages::Pages;
use crate::store::Store;

/// A store with a lock in every bucket. It is best if threads mostly overwrite values, or if the
/// memory of removed entries must be freed at once. The [crate's page](crate) says how to choose a
/// backend.
pub type RwLockKeystore<A = Global, L = SharedLock, S = DefaultHasher> =
    Store<RwLockTable<A, L, S>>;

/// [`RwLockKeystore`] for one thread. It has no locks and is not [`Sync`], so the compiler ensures
/// that two threads never use it at the same time.
///
/// ```compile_fail,E0277
/// fn shared<T: Sync>(_: T) {}
/// use keystore_core::{Config, Global, LocalKeystore};
///
/// shared(LocalKeystore::open_local(&Config::default(), Global));
/// ```
pub type LocalKeystore<A = Global, S = DefaultHasher> = RwLockKeystore<A, NoLock, S>;

impl<A: NodeAllocator> RwLockKeystore<A> {
    /// Opens an empty store whose nodes come from `allocator`.
    ///
    /// # Errors
    /// Returns [`Error::InvalidConfig`] (-21) if a field of the configuration is outside its
    /// limits, or if it requests single-threaded mode, for which there is [`LocalKeystore`].
    /// Returns [`Error::OutOfMemory`] (-10) if the first table cannot be allocated.
    pub fn open(config: &Config, allocator: A) -> Result<Self> {
        if config.concurrency == Concurrency::SingleThreaded {
            return Err(Error::invalid_config(
                "concurrency",
                "single-threaded",
                "multi-threaded for a store with locks (LocalKeystore is the one without)",
            ));
        }
        Self::with_hasher(config, allocator, DefaultHasher::default())
    }
}

impl<A: NodeAllocator> LocalKeystore<A> {
    /// Opens an empty store for one thread. It ignores [`Config::concurrency`].
    ///
    /// # Errors
    /// Returns [`Error::InvalidConfig`] (-21) if a field of the configuration is outside its
    /// limits, and [`Error::OutOfMemory`] (-10) if the first table cannot be allocated.
    pub fn open_local(config: &Config, allocator: A) -> Result<Self> {
        Self::with_hasher(config, allocator, DefaultHasher::default())
    }
}

impl<A: NodeAllocator, L: BucketLock, S: BuildHasher> RwLockKeystore<A, L, S> {
    /// Opens an empty store with a lock and a hasher of the caller's choice.
    ///
    /// # Errors
    /// Returns [`Error::InvalidConfig`] (-21) if a field of the configuration is outside its
    /// limits, and [`Error::OutOfMemory`] (-10) if the first table cannot be allocated.
    pub fn with_hasher(config: &Config, allocator: A, hasher: S) -> Result<Self> {
        let account = Account::new(config, allocator, hasher)?;
        let eager = config.concurrency == Concurrency::MultiThreaded;
        let directory =
            Directory::new(config.initial_buckets, eager, Pages::new(config.huge_pages))?;
        let lock_timeout = config.lock_timeout;
        let table = RwLockTable {
            account,
            directory,
            lock_timeout,
            shrinking: L::INIT,
            _holds: PhantomData,
        };
        Ok(Self::over(table, config))
    }
}

impl Default for RwLockKeystore {
    /// Returns an empty store on the global allocator.
    ///
    /// # Panics
    /// If the first 16 KiB cannot be allocated.
    fn default() -> Self {
        Self::open(&Config::default(), Global).expect("the default configuration is valid")
    }
}
