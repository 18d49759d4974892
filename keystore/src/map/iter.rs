//! Visiting all entries of a map.

use std::collections::VecDeque;
use std::fmt;
use std::iter::FusedIterator;

use super::{Codec, Codecs, Map, MapError};
use crate::{Error, Keystore, ScanCursor};

/// Number of entries that the iterator decodes at a time.
const BATCH: usize = 128;

/// The iterator of [`Map::iter`], [`Map::keys`] and [`Map::values`].
///
/// It keeps the promises of [`Keystore::scan`]: it shows each entry that is there throughout, and
/// none twice, no matter what others do to the map. It decodes a few entries at a time, so it needs
/// constant memory, and it holds no lock between two calls of `next`.
///
/// An entry that cannot be decoded is one error, and the next entry follows. After an error of the
/// store the iterator ends.
#[must_use = "an iterator does nothing until it is used"]
pub struct Items<'m, T, S> {
    store: &'m S,
    /// Position at which to go on, or `None` at the end.
    cursor: Option<ScanCursor>,
    batch: VecDeque<Result<T, MapError>>,
    decode: fn(&[u8], &[u8]) -> Result<T, MapError>,
}

impl<'m, T, S: Keystore> Items<'m, T, S> {
    fn new(store: &'m S, decode: fn(&[u8], &[u8]) -> Result<T, MapError>) -> Self {
        Self { store, cursor: Some(ScanCursor::START), batch: VecDeque::new(), decode }
    }

    /// Decodes the next entries, and moves the cursor past them.
    fn fill(&mut self, cursor: ScanCursor) -> Result<(), MapError> {
        let (batch, mut is_full) = (&mut self.batch, false);
        let next = self.store.scan(cursor, BATCH, |key, value| {
            is_full |= batch.try_reserve(1).is_err();
            if !is_full {
                batch.push_back((self.decode)(key, value));
            }
        })?;
        if is_full {
            batch.clear();
            return Err(Error::OutOfMemory { requested: size_of::<Result<T, MapError>>() }.into());
        }
        self.cursor = next;
        Ok(())
    }
}

impl<T, S: Keystore> Iterator for Items<'_, T, S> {
    type Item = Result<T, MapError>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(item) = self.batch.pop_front() {
                return Some(item);
            }
            if let Err(error) = self.fill(self.cursor?) {
                self.cursor = None;
                return Some(Err(error));
            }
        }
    }
}

impl<T, S: Keystore> FusedIterator for Items<'_, T, S> {}

impl<T, S> fmt::Debug for Items<'_, T, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Items").field("cursor", &self.cursor).finish_non_exhaustive()
    }
}

impl<K, V, C: Codecs<K, V>, S: Keystore> Map<K, V, C, S> {
    /// Returns an iterator over copies of all entries, in no particular order.
    ///
    /// ```
    /// # #[cfg(any(feature = "epoch", feature = "rwlock", feature = "dashmap"))] {
    /// use keystore::Map;
    ///
    /// let map: Map<u64, u64> = [(1, 10), (2, 20)].into_iter().collect();
    /// let mut sum = 0;
    /// for entry in map.iter() {
    ///     let (key, value) = entry?;
    ///     sum += key + value;
    /// }
    /// assert_eq!(sum, 33);
    /// # }
    /// # Ok::<(), keystore::MapError>(())
    /// ```
    pub fn iter(&self) -> Items<'_, (K, V), S> {
        Items::new(&self.store, |key, value| Ok((C::Key::decode(key)?, C::Value::decode(value)?)))
    }

    /// Returns an iterator over copies of all keys, in no particular order. Values are not decoded.
    pub fn keys(&self) -> Items<'_, K, S> {
        Items::new(&self.store, |key, _| C::Key::decode(key))
    }

    /// Returns an iterator over copies of all values, in no particular order. Keys are not decoded.
    pub fn values(&self) -> Items<'_, V, S> {
        Items::new(&self.store, |_, value| C::Value::decode(value))
    }

    /// Removes every entry for which `keep` returns false. Returns the number of removed entries.
    /// An entry is removed only with the value that `keep` saw. O(n).
    ///
    /// # Errors
    /// Returns the errors of [`Keystore::retain`]. An entry that cannot be decoded stays. The call
    /// goes on with the other entries, and returns the first such error at its end.
    pub fn retain(&self, mut keep: impl FnMut(&K, &V) -> bool) -> Result<usize, MapError> {
        let mut undecoded = Ok(());
        let mut is_kept = |key: &[u8], value: &[u8]| {
            Ok::<_, MapError>(keep(&C::Key::decode(key)?, &C::Value::decode(value)?))
        };
        let removed = self.store.retain(|key, value| {
            is_kept(key, value).unwrap_or_else(|error| {
                if undecoded.is_ok() {
                    undecoded = Err(error);
                }
                true
            })
        })?;
        undecoded.map(|()| removed)
    }
}

impl<'m, K, V, C: Codecs<K, V>, S: Keystore> IntoIterator for &'m Map<K, V, C, S> {
    type Item = Result<(K, V), MapError>;
    type IntoIter = Items<'m, (K, V), S>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}
