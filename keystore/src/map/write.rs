//! Writing a map, without a closure that makes the new value.

use std::borrow::Borrow;

use super::{Codec, Codecs, Encode, Map, MapError};
use crate::{Change, Keystore, Update};

impl<K, V, C: Codecs<K, V>, S: Keystore> Map<K, V, C, S> {
    /// Gives `key` the value `value`, and returns the value that it had.
    ///
    /// [`set`](Self::set) does the same with borrowed keys and values, and does not decode the old
    /// value.
    ///
    /// # Errors
    /// Returns the errors of [`Keystore::set`], and [`MapError`] if the key or the value cannot be
    /// encoded, or the old value cannot be decoded.
    #[inline]
    pub fn insert(&self, key: K, value: V) -> Result<Option<V>, MapError> {
        let (key, value) = (C::Key::encode(&key)?, C::Value::encode(&value)?);
        loop {
            let mut previous = None;
            self.store.update(key.as_ref(), |old| {
                previous = old.map(|bytes| C::Value::decode(bytes).ok());
                if let Some(None) = previous { Update::Keep } else { Update::set(value.as_ref()) }
            })?;
            match previous {
                Some(Some(value)) => return Ok(Some(value)),
                None => return Ok(None),
                Some(None) => self.check_value(key.as_ref())?,
            }
        }
    }

    /// Gives `key` the value `value`, whatever it had before. Returns [`Change::Created`] or
    /// [`Change::Replaced`].
    ///
    /// ```
    /// # #[cfg(any(feature = "epoch", feature = "rwlock", feature = "dashmap"))] {
    /// use keystore::{Change, Map};
    ///
    /// let names: Map<u64, String> = Map::new();
    /// assert_eq!(names.set(&7, "Ann")?, Change::Created);
    /// # }
    /// # Ok::<(), keystore::MapError>(())
    /// ```
    ///
    /// # Errors
    /// Returns the errors of [`Keystore::set`], and [`MapError`] if the key or the value cannot be
    /// encoded.
    #[inline]
    pub fn set<Q: ?Sized, W: ?Sized>(&self, key: &Q, value: &W) -> Result<Change, MapError>
    where
        K: Borrow<Q>,
        V: Borrow<W>,
        C::Key: Encode<Q>,
        C::Value: Encode<W>,
    {
        let (key, value) = (C::Key::encode(key)?, C::Value::encode(value)?);
        Ok(self.store.set(key.as_ref(), value.as_ref())?)
    }

    /// Gives `key` the value `value` if the key is absent. Returns whether it was absent.
    ///
    /// # Errors
    /// Returns the errors of [`set`](Self::set).
    #[inline]
    pub fn insert_if_absent(&self, key: K, value: V) -> Result<bool, MapError> {
        let (key, value) = (C::Key::encode(&key)?, C::Value::encode(&value)?);
        Ok(self.store.insert(key.as_ref(), value.as_ref())?)
    }

    /// Changes `key` to `new` if its value is `expected`, as one step. `None` stands for absent on
    /// either side. Returns `Ok(Err(value))` with the value that the key has if that is another
    /// one; the key keeps it. Two values are equal if their bytes are.
    ///
    /// ```
    /// # #[cfg(any(feature = "epoch", feature = "rwlock", feature = "dashmap"))] {
    /// use keystore::Map;
    ///
    /// let map: Map<u64, u64> = Map::new();
    /// assert_eq!(map.compare_exchange(&7, None, Some(&1))?, Ok(()));
    /// assert_eq!(map.compare_exchange(&7, Some(&3), Some(&2))?, Err(Some(1)));
    /// # }
    /// # Ok::<(), keystore::MapError>(())
    /// ```
    ///
    /// # Errors
    /// Returns the errors of [`insert`](Self::insert).
    pub fn compare_exchange<Q: ?Sized>(
        &self,
        key: &Q,
        expected: Option<&V>,
        new: Option<&V>,
    ) -> Result<Result<(), Option<V>>, MapError>
    where
        K: Borrow<Q>,
        C::Key: Encode<Q>,
    {
        let key = C::Key::encode(key)?;
        let expected = expected.map(C::Value::encode).transpose()?;
        let new = new.map(C::Value::encode).transpose()?;
        let mut outcome = Ok(Ok(()));
        self.store.update(key.as_ref(), |old| {
            if old != expected.as_ref().map(AsRef::as_ref) {
                outcome = old.map(C::Value::decode).transpose().map(Err);
                return Update::Keep;
            }
            outcome = Ok(Ok(()));
            new.as_ref().map_or(Update::Delete, |new| Update::set(new.as_ref()))
        })?;
        outcome
    }

    /// Removes `key`, and returns the value that it had.
    ///
    /// # Errors
    /// Returns the errors of [`Keystore::delete`], and [`MapError`] if the key cannot be encoded or
    /// the value cannot be decoded. A value that cannot be decoded stays; [`Keystore::delete`] of
    /// the [`store`](Self::store) removes it.
    #[inline]
    pub fn remove<Q: ?Sized>(&self, key: &Q) -> Result<Option<V>, MapError>
    where
        K: Borrow<Q>,
        C::Key: Encode<Q>,
    {
        self.remove_if(key, |_| true)
    }

    /// Removes `key` if `is_unwanted` returns true for its value, as one step. Returns the value
    /// that was removed.
    ///
    /// # Errors
    /// Returns the errors of [`remove`](Self::remove).
    #[inline]
    pub fn remove_if<Q: ?Sized>(
        &self,
        key: &Q,
        mut is_unwanted: impl FnMut(&V) -> bool,
    ) -> Result<Option<V>, MapError>
    where
        K: Borrow<Q>,
        C::Key: Encode<Q>,
    {
        let key = C::Key::encode(key)?;
        let mut removed = Ok(None);
        self.store.update(key.as_ref(), |old| {
            removed = match old.map(C::Value::decode).transpose() {
                Ok(Some(value)) if is_unwanted(&value) => Ok(Some(value)),
                Ok(_) => Ok(None),
                Err(error) => Err(error),
            };
            if matches!(removed, Ok(Some(_))) { Update::Delete } else { Update::Keep }
        })?;
        removed
    }
}
