//! Updates: a closure makes the new value from the old one.

use std::borrow::Borrow;
use std::cell::OnceCell;

use keystore_core::fallible::try_vec;

use super::{Codec, Codecs, Encode, Map, MapError};
use crate::{Keystore, Update};

impl<K, V, C: Codecs<K, V>, S: Keystore> Map<K, V, C, S> {
    /// Passes the value of `key` to `change`, gives the key the value that it returns, as one step,
    /// and returns the new value. If the key is absent, it stays absent, and the result is `None`.
    ///
    /// [Closures](super#closures) says when `change` runs again.
    ///
    /// ```
    /// # #[cfg(any(feature = "epoch", feature = "rwlock", feature = "dashmap"))] {
    /// use keystore::Map;
    ///
    /// let names: Map<u64, String> = Map::new();
    /// names.set(&7, "Ann")?;
    /// assert_eq!(names.update(&7, |name| name + "a")?.as_deref(), Some("Anna"));
    /// assert_eq!(names.update(&8, |name| name + "a")?, None);
    /// # }
    /// # Ok::<(), keystore::MapError>(())
    /// ```
    ///
    /// # Errors
    /// Returns the errors of [`insert`](Self::insert).
    #[inline]
    pub fn update<Q: ?Sized>(
        &self,
        key: &Q,
        mut change: impl FnMut(V) -> V,
    ) -> Result<Option<V>, MapError>
    where
        K: Borrow<Q>,
        C::Key: Encode<Q>,
    {
        self.compute(key, |old| old.map(&mut change))
    }

    /// Gives `key` the value that `change` makes from its value, or the value from `make` if it is
    /// absent, as one step. Returns the new value.
    ///
    /// [Closures](super#closures) says when the closures run again.
    ///
    /// ```
    /// # #[cfg(any(feature = "epoch", feature = "rwlock", feature = "dashmap"))] {
    /// use keystore::Map;
    ///
    /// let lines: Map<u64, String> = Map::new();
    /// for word in ["a", "b"] {
    ///     lines.update_or_insert_with(&7, |line| line + word, || word.to_owned())?;
    /// }
    /// assert_eq!(lines.get(&7)?.as_deref(), Some("ab"));
    /// # }
    /// # Ok::<(), keystore::MapError>(())
    /// ```
    ///
    /// # Errors
    /// Returns the errors of [`insert`](Self::insert).
    #[inline]
    pub fn update_or_insert_with<Q: ?Sized>(
        &self,
        key: &Q,
        mut change: impl FnMut(V) -> V,
        mut make: impl FnMut() -> V,
    ) -> Result<V, MapError>
    where
        K: Borrow<Q>,
        C::Key: Encode<Q>,
    {
        let new = self.compute(key, |old| Some(old.map_or_else(&mut make, &mut change)))?;
        Ok(new.expect("the closure has returned a value"))
    }

    /// Passes the value of `key` (`None`: absent) to `change`, and gives the key the value that it
    /// returns (`None`: removes the key), as one step. Returns the new value.
    ///
    /// [Closures](super#closures) says when `change` runs again.
    ///
    /// # Errors
    /// Returns the errors of [`insert`](Self::insert).
    #[inline]
    pub fn compute<Q: ?Sized>(
        &self,
        key: &Q,
        mut change: impl FnMut(Option<V>) -> Option<V>,
    ) -> Result<Option<V>, MapError>
    where
        K: Borrow<Q>,
        C::Key: Encode<Q>,
    {
        let key = C::Key::encode(key)?;
        // The store borrows the first new value, so that nothing is copied. If the closure runs
        // again, the new value is copied, since the first one is still borrowed.
        let first = OnceCell::new();
        let first_bytes = OnceCell::new();
        let mut is_first = false;
        let mut latest = Ok(None);
        self.store.update(key.as_ref(), |old| {
            is_first = false;
            let new = match old.map(C::Value::decode).transpose() {
                Ok(old) => change(old),
                Err(error) => {
                    latest = Err(error);
                    return Update::Keep;
                }
            };
            latest = Ok(None);
            let Some(new) = new else { return Update::Delete };
            let update = if first.get().is_none() {
                is_first = true;
                C::Value::encode(first.get_or_init(|| new))
                    .map(|bytes| Update::set(first_bytes.get_or_init(|| bytes).as_ref()))
            } else {
                let update = C::Value::encode(&new).and_then(|bytes| copied(bytes.as_ref()));
                latest = Ok(Some(new));
                update
            };
            update.unwrap_or_else(|error| {
                is_first = false;
                latest = Err(error);
                Update::Keep
            })
        })?;
        drop(first_bytes);
        if is_first { Ok(first.into_inner()) } else { latest }
    }
}

/// Returns the update that sets a copy of `bytes`. The copy of a number is not on the heap.
fn copied(bytes: &[u8]) -> Result<Update<'static>, MapError> {
    if let Ok(array) = <[u8; 8]>::try_from(bytes) {
        return Ok(Update::set(array));
    }
    if let Ok(array) = <[u8; 4]>::try_from(bytes) {
        return Ok(Update::set(array));
    }
    let mut copy = try_vec(bytes.len())?;
    copy.extend_from_slice(bytes);
    Ok(Update::set(copy))
}
