//! Keys whose hash is known: hash once, use later.

use super::Store;
use crate::account::counters::Operation;
use crate::error::{Error, Result};
use crate::keystore::Change;
use crate::scan::copy;
use crate::sync::reentrancy::{InternalClosure, UserClosure};
use crate::table::Table;
use crate::update::Update;

/// A key with its hash, from [`Store::hash_key`]. It serves several operations on one store.
///
/// ```
/// # #[cfg(feature = "rwlock")] fn main() -> keystore_core::Result<()> {
/// use keystore_core::RwLockKeystore;
///
/// let store = RwLockKeystore::default();
/// let key = store.hash_key(b"key")?;
/// if store.get_hashed(&key)?.is_none() {
///     store.set_hashed(&key, b"value")?;
/// }
/// # Ok(()) }
/// # #[cfg(not(feature = "rwlock"))] fn main() {}
/// ```
#[derive(Clone, Copy, Debug)]
pub struct HashedKey<'k> {
    key: &'k [u8],
    hash: u64,
    store: u64,
}

impl<'k> HashedKey<'k> {
    /// Returns the key.
    #[must_use]
    pub const fn key(&self) -> &'k [u8] {
        self.key
    }
}

#[expect(private_bounds, reason = "tables are the crate's own")]
impl<T: Table> Store<T> {
    /// Hashes a key for operations on this store.
    ///
    /// # Errors
    /// Returns -20 if the key's length is outside its limits.
    #[inline]
    pub fn hash_key<'k>(&self, key: &'k [u8]) -> Result<HashedKey<'k>> {
        let hash = self.checked_hash(Operation::Find, key)?;
        Ok(HashedKey { key, hash, store: self.id })
    }

    /// Does the same as [`Keystore::read`](crate::Keystore::read).
    ///
    /// # Errors
    /// Returns -20 if the key was hashed by another store, and the errors of
    /// [`Keystore::read`](crate::Keystore::read).
    #[inline]
    pub fn read_hashed<R>(
        &self,
        key: &HashedKey<'_>,
        visit: impl FnOnce(&[u8]) -> R,
    ) -> Result<Option<R>> {
        let hash = self.hash_of(Operation::Find, key)?;
        self.enter::<false>(Operation::Find)?.read_hashed::<UserClosure, _>(hash, key.key, visit)
    }

    /// Does the same as [`Keystore::get`](crate::Keystore::get).
    ///
    /// # Errors
    /// Returns -20 if the key was hashed by another store, and the errors of
    /// [`Keystore::get`](crate::Keystore::get).
    pub fn get_hashed(&self, key: &HashedKey<'_>) -> Result<Option<Vec<u8>>> {
        let hash = self.hash_of(Operation::Find, key)?;
        let entered = self.enter::<false>(Operation::Find)?;
        entered.read_hashed::<InternalClosure, _>(hash, key.key, copy)?.transpose()
    }

    /// Does the same as [`Keystore::set`](crate::Keystore::set).
    ///
    /// # Errors
    /// Returns -20 if the key was hashed by another store, and the errors of
    /// [`Keystore::set`](crate::Keystore::set).
    #[inline]
    pub fn set_hashed(&self, key: &HashedKey<'_>, value: &[u8]) -> Result<Change> {
        let hash = self.hash_of(Operation::Add, key)?;
        let entered = self.enter::<true>(Operation::Add)?;
        let decide = |_: Option<&[u8]>| Update::set(value);
        entered.update_hashed::<InternalClosure>(Operation::Add, hash, key.key, Some(value), decide)
    }

    /// Does the same as [`Keystore::update`](crate::Keystore::update).
    ///
    /// # Errors
    /// Returns -20 if the key was hashed by another store, and the errors of
    /// [`Keystore::update`](crate::Keystore::update).
    #[inline]
    pub fn update_hashed<'v>(
        &self,
        key: &HashedKey<'_>,
        decide: impl FnMut(Option<&[u8]>) -> Update<'v>,
    ) -> Result<Change> {
        let hash = self.hash_of(Operation::Add, key)?;
        let entered = self.enter::<true>(Operation::Add)?;
        entered.update_hashed::<UserClosure>(Operation::Add, hash, key.key, None, decide)
    }

    /// Does the same as [`Keystore::delete`](crate::Keystore::delete).
    ///
    /// # Errors
    /// Returns -20 if the key was hashed by another store, and the errors of
    /// [`Keystore::delete`](crate::Keystore::delete).
    #[inline]
    pub fn delete_hashed(&self, key: &HashedKey<'_>) -> Result<bool> {
        let hash = self.hash_of(Operation::Delete, key)?;
        let entered = self.enter::<true>(Operation::Delete)?;
        let change = entered.update_hashed::<InternalClosure>(
            Operation::Delete,
            hash,
            key.key,
            None,
            |_| Update::Delete,
        )?;
        Ok(change == Change::Deleted)
    }

    /// Returns the hash of a key that this store has hashed.
    #[inline]
    fn hash_of(&self, operation: Operation, key: &HashedKey<'_>) -> Result<u64> {
        if key.store == self.id { Ok(key.hash) } else { self.hashed_by_another(operation) }
    }

    #[cold]
    fn hashed_by_another(&self, operation: Operation) -> Result<u64> {
        self.fail(
            operation,
            Error::invalid_argument(
                "hashed key",
                "of another store",
                "a key that this store has hashed",
            ),
        )
    }
}
