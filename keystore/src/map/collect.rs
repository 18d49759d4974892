//! Filling a map from an iterator.

use super::{Codecs, Encode, Map, MapError};
use crate::{Error, Keystore};

/// Number of entries that [`Map::extend`] inserts at once.
const BATCH: usize = 32;

impl<K, V, C: Codecs<K, V>, S: Keystore> Map<K, V, C, S> {
    /// Inserts every entry, in order. A later value of a key replaces an earlier one.
    ///
    /// It inserts 32 entries at a time, so that the waits for memory overlap. So the map may lack
    /// the last 31 entries while the iterator makes the next one, and if the iterator panics, they
    /// are dropped.
    ///
    /// # Errors
    /// Returns the errors of [`set`](Self::set). The entries before the one that failed are in the
    /// map then.
    pub fn extend(&self, entries: impl IntoIterator<Item = (K, V)>) -> Result<(), MapError> {
        let mut entries = entries.into_iter();
        let mut batch = with_room(BATCH)?;
        loop {
            batch.clear();
            batch.extend(entries.by_ref().take(BATCH));
            if batch.is_empty() {
                return Ok(());
            }
            self.set_batch(&batch)?;
        }
    }

    fn set_batch(&self, batch: &[(K, V)]) -> Result<(), MapError> {
        let mut encoded = with_room(batch.len())?;
        let mut failed = Ok(());
        for (key, value) in batch {
            match C::Key::encode(key).and_then(|key| Ok((key, C::Value::encode(value)?))) {
                Ok(entry) => encoded.push(entry),
                Err(error) => {
                    failed = Err(error);
                    break;
                }
            }
        }
        let mut bytes = with_room(encoded.len())?;
        bytes.extend(encoded.iter().map(|(key, value)| (key.as_ref(), value.as_ref())));
        self.store.set_many(&bytes).map_err(|failure| failure.error)?;
        failed
    }
}

/// Returns an empty vector with room for `length` items.
fn with_room<T>(length: usize) -> Result<Vec<T>, MapError> {
    let mut items = Vec::new();
    items
        .try_reserve_exact(length)
        .map_err(|_| Error::OutOfMemory { requested: length.saturating_mul(size_of::<T>()) })?;
    Ok(items)
}

impl<K, V, C: Codecs<K, V>, S: Keystore> Extend<(K, V)> for Map<K, V, C, S> {
    /// Inserts every entry.
    ///
    /// # Panics
    /// If an entry cannot be inserted. [`Map::extend`] returns an error in that case.
    fn extend<I: IntoIterator<Item = (K, V)>>(&mut self, entries: I) {
        Self::extend(self, entries).expect("every entry can be inserted");
    }
}

impl<K, V, C: Codecs<K, V>, S: Keystore + Default> FromIterator<(K, V)> for Map<K, V, C, S> {
    /// Returns a map of the entries over a new store.
    ///
    /// # Panics
    /// If an entry cannot be inserted. [`Map::extend`] returns an error in that case.
    fn from_iter<I: IntoIterator<Item = (K, V)>>(entries: I) -> Self {
        let map = Self::default();
        map.extend(entries).expect("every entry can be inserted");
        map
    }
}
