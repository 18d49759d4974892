//! Opening a store on the lock-free table.

use std::hash::BuildHasher;

use super::EpochTable;
use super::array::BucketArray;
use super::reclaim::garbage::Garbage;
use crate::account::Account;
use crate::allocator::{Global, NodeAllocator};
use crate::config::Config;
use crate::error::Result;
use crate::hash::DefaultHasher;
use crate::huge_pages::Pages;
use crate::store::Store;
use crate::sync::primitive::atomic::AtomicPtr;

/// A lock-free store, whose readers wait for nobody. The [crate's page](crate) says how to choose a
/// backend.
pub type EpochKeystore<A = Global, S = DefaultHasher> = Store<EpochTable<A, S>>;

impl<A: NodeAllocator + Send + Sync + 'static> EpochKeystore<A> {
    /// Opens an empty store whose nodes come from `allocator`.
    ///
    /// # Errors
    /// Returns [`InvalidConfig`](crate::Error::InvalidConfig) (-21) if a field of the configuration
    /// is outside its limits, and [`OutOfMemory`](crate::Error::OutOfMemory) (-10) if the first
    /// table cannot be allocated.
    pub fn open(config: &Config, allocator: A) -> Result<Self> {
        Self::with_hasher(config, allocator, DefaultHasher::default())
    }
}

impl<A, S> EpochKeystore<A, S>
where
    A: NodeAllocator + Send + Sync + 'static,
    S: BuildHasher + Send + Sync + 'static,
{
    /// Opens an empty store with another hasher.
    ///
    /// If an attacker chooses keys that share a hash, every operation on one of these keys must
    /// search all of them. The default hasher has a random seed, so an attacker cannot choose such
    /// keys beforehand. But an attacker who can measure the store's response times may find such
    /// keys. If that is a risk, use SipHash:
    ///
    /// ```
    /// # fn main() -> keystore_core::Result<()> {
    /// use std::hash::RandomState;
    ///
    /// use keystore_core::{Config, EpochKeystore, Global, Keystore};
    ///
    /// let store = EpochKeystore::with_hasher(&Config::default(), Global, RandomState::new())?;
    /// store.set(b"from a stranger", b"value")?;
    /// assert_eq!(store.get(b"from a stranger")?.as_deref(), Some(&b"value"[..]));
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// Returns [`InvalidConfig`](crate::Error::InvalidConfig) (-21) if a field of the configuration
    /// is outside its limits, and [`OutOfMemory`](crate::Error::OutOfMemory) (-10) if the first
    /// table cannot be allocated.
    pub fn with_hasher(config: &Config, allocator: A, hasher: S) -> Result<Self> {
        let pages = Pages::new(config.huge_pages);
        let garbage = Garbage::new(Account::new(config, allocator, hasher)?)?;
        let initial_bits = config.initial_buckets.ilog2();
        let array = AtomicPtr::new(BucketArray::allocate(initial_bits, None, pages)?);
        Ok(Self::over(EpochTable { array, garbage, initial_bits, pages }, config))
    }
}

impl Default for EpochKeystore {
    /// Returns an empty store on the global allocator.
    ///
    /// # Panics
    /// If the first 16 KiB cannot be allocated.
    fn default() -> Self {
        Self::open(&Config::default(), Global).expect("the default configuration is valid")
    }
}
