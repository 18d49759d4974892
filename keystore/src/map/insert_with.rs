//! Insertions whose value is made only if the key is absent.

use std::borrow::Borrow;
use std::cell::OnceCell;
use std::convert::Infallible;

use super::{Codec, Codecs, Encode, Map, MapError};
use crate::{Keystore, Update};

impl<K, V, C: Codecs<K, V>, S: Keystore> Map<K, V, C, S> {
    /// Returns the value of `key`. If the key is absent, it gets the value from `make`.
    ///
    /// [`get_or_try_insert_with`](Self::get_or_try_insert_with) says when `make` runs.
    ///
    /// ```
    /// # #[cfg(any(feature = "epoch", feature = "rwlock", feature = "dashmap"))] {
    /// use keystore::Map;
    ///
    /// let squares: Map<u64, u64> = Map::new();
    /// assert_eq!(squares.get_or_insert_with(&7, || 7 * 7)?, 49);
    /// # }
    /// # Ok::<(), keystore::MapError>(())
    /// ```
    ///
    /// # Errors
    /// Returns the errors of [`get`](Self::get) and [`insert`](Self::insert).
    #[inline]
    pub fn get_or_insert_with<Q: ?Sized>(
        &self,
        key: &Q,
        make: impl FnOnce() -> V,
    ) -> Result<V, MapError>
    where
        K: Borrow<Q>,
        C::Key: Encode<Q>,
    {
        match self.get_or_try_insert_with(key, || Ok::<V, Infallible>(make()))? {
            Ok(value) => Ok(value),
            Err(never) => match never {},
        }
    }

    /// Returns the value of `key`. If the key is absent, it gets the value from `make`. If `make`
    /// fails, nothing is inserted, and the result is `Ok(Err(error))` with its error.
    ///
    /// If several threads ask for an absent key at the same time:
    ///
    /// - In the backends with locks (rwlock, dashmap), one of them runs `make`, under the lock of
    ///   the key's bucket or shard. The others wait and get its value. If it fails, the next one
    ///   runs its own.
    /// - In the lock-free backend (epoch), each of them may run its own `make` once. The value that
    ///   is inserted first wins, all threads get it, and the other values are dropped.
    ///
    /// ```
    /// # #[cfg(any(feature = "epoch", feature = "rwlock", feature = "dashmap"))] {
    /// use keystore::Map;
    ///
    /// let numbers: Map<String, i64> = Map::new();
    /// let number = |text: &str| numbers.get_or_try_insert_with(text, || text.parse::<i64>());
    /// assert_eq!(number("7")?, Ok(7));
    /// assert!(number("seven")?.is_err());
    /// # }
    /// # Ok::<(), keystore::MapError>(())
    /// ```
    ///
    /// # Errors
    /// Returns the errors of [`get`](Self::get) and [`insert`](Self::insert).
    pub fn get_or_try_insert_with<Q: ?Sized, E>(
        &self,
        key: &Q,
        make: impl FnOnce() -> Result<V, E>,
    ) -> Result<Result<V, E>, MapError>
    where
        K: Borrow<Q>,
        C::Key: Encode<Q>,
    {
        let key = C::Key::encode(key)?;
        if let Some(value) = self.store.read(key.as_ref(), C::Value::decode)? {
            return value.map(Ok);
        }
        let mut make = Some(make);
        let (made, bytes) = (OnceCell::new(), OnceCell::new());
        // Result if the key is present, and result if no value could be made.
        let (mut found, mut failed) = (None, None);
        self.store.update(key.as_ref(), |old| {
            found = old.map(|old| C::Value::decode(old).map(Ok));
            if found.is_some() {
                return Update::Keep;
            }
            match make.take().map(|make| make()) {
                Some(Ok(value)) => match C::Value::encode(made.get_or_init(|| value)) {
                    Ok(encoded) => _ = bytes.set(encoded),
                    Err(error) => failed = Some(Err(error)),
                },
                Some(Err(error)) => failed = Some(Ok(Err(error))),
                None => {}
            }
            bytes.get().map_or(Update::Keep, |bytes| Update::set(bytes.as_ref()))
        })?;
        drop(bytes);
        let inserted = || made.into_inner().expect("a value that was inserted has been made");
        found.or(failed).unwrap_or_else(|| Ok(Ok(inserted())))
    }
}
