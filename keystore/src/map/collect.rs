//! Filling a map from an iterator.

use super::{Codecs, Map, MapError};
use crate::Keystore;

impl<K, V, C: Codecs<K, V>, S: Keystore> Map<K, V, C, S> {
    /// Inserts every entry, in order. A later value of a key replaces an earlier one.
    ///
    /// # Errors
    /// Returns the errors of [`set`](Self::set). The entries before the one that failed are in the
    /// map then.
    pub fn extend(&self, entries: impl IntoIterator<Item = (K, V)>) -> Result<(), MapError> {
        entries.into_iter().try_for_each(|(key, value)| self.set(&key, &value).map(drop))
    }
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
