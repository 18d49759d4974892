//! Reading a map.

use std::borrow::Borrow;

use super::{Codec, Codecs, Encode, Map, MapError, View};
use crate::Keystore;

impl<K, V, C: Codecs<K, V>, S: Keystore> Map<K, V, C, S> {
    /// Returns the value of `key`.
    ///
    /// # Errors
    /// Returns the errors of [`Keystore::read`], and [`MapError`] if the key cannot be encoded or
    /// the value cannot be decoded.
    #[inline]
    pub fn get<Q: ?Sized>(&self, key: &Q) -> Result<Option<V>, MapError>
    where
        K: Borrow<Q>,
        C::Key: Encode<Q>,
    {
        let key = C::Key::encode(key)?;
        loop {
            match self.store.read(key.as_ref(), |bytes| C::Value::decode(bytes).ok())? {
                Some(Some(value)) => return Ok(Some(value)),
                None => return Ok(None),
                Some(None) => self.check_value(key.as_ref())?,
            }
        }
    }

    /// Shows the value of `key` to `visit`, and returns what it returns, or `None` if the key is
    /// absent. The value is shown as the codec's [`View`]: a `String` as `&str`, for example. So
    /// nothing is copied on the heap.
    ///
    /// ```
    /// # #[cfg(any(feature = "epoch", feature = "rwlock", feature = "dashmap"))] {
    /// use keystore::Map;
    ///
    /// let names: Map<u64, String> = Map::new();
    /// names.insert(7, "Ann".to_owned())?;
    /// assert_eq!(names.get_with(&7, |name| name.len())?, Some(3));
    /// # }
    /// # Ok::<(), keystore::MapError>(())
    /// ```
    ///
    /// # Errors
    /// Returns the errors of [`get`](Self::get).
    #[inline]
    pub fn get_with<Q: ?Sized, R>(
        &self,
        key: &Q,
        visit: impl FnOnce(<C::Value as View<V>>::View<'_>) -> R,
    ) -> Result<Option<R>, MapError>
    where
        K: Borrow<Q>,
        C::Key: Encode<Q>,
        C::Value: View<V>,
    {
        let key = C::Key::encode(key)?;
        let visit = |bytes: &[u8]| C::Value::view(bytes).map(visit);
        self.store.read(key.as_ref(), visit)?.transpose()
    }

    /// Returns the error with which the value of `key` cannot be decoded, if that is so. A method
    /// calls it after a value could not be decoded. So the error itself does not go through the
    /// store, which keeps the fast path short. If the value has changed since, the method tries
    /// again.
    #[cold]
    #[inline(never)]
    pub(super) fn check_value(&self, key: &[u8]) -> Result<(), MapError> {
        self.store.read(key, C::Value::decode)?.transpose().map(drop)
    }

    /// Returns whether `key` is present. The value is not decoded.
    ///
    /// # Errors
    /// Returns the errors of [`Keystore::contains`], and [`MapError`] if the key cannot be encoded.
    #[inline]
    pub fn contains_key<Q: ?Sized>(&self, key: &Q) -> Result<bool, MapError>
    where
        K: Borrow<Q>,
        C::Key: Encode<Q>,
    {
        Ok(self.store.contains(C::Key::encode(key)?.as_ref())?)
    }
}

impl<K, V, C, S: Keystore> Map<K, V, C, S> {
    /// Returns the number of entries. Exact while nobody writes.
    ///
    /// # Errors
    /// Returns the errors of [`Keystore::len`].
    pub fn len(&self) -> Result<usize, MapError> {
        Ok(self.store.len()?)
    }

    /// Returns whether there is no entry. Exact while nobody writes.
    ///
    /// # Errors
    /// Returns the errors of [`Keystore::is_empty`].
    pub fn is_empty(&self) -> Result<bool, MapError> {
        Ok(self.store.is_empty()?)
    }

    /// Removes every entry that is there throughout the call. O(n).
    ///
    /// # Errors
    /// Returns the errors of [`Keystore::clear`].
    pub fn clear(&self) -> Result<(), MapError> {
        Ok(self.store.clear()?)
    }
}
