//! Scans with a position: a cursor that can be kept, and an iterator over it.

use std::collections::VecDeque;
use std::fmt;

use crate::error::{Error, Result};
use crate::fallible::{try_reserve, try_vec};
use crate::keystore::Keystore;

/// The position of a [`scan`](Keystore::scan): 64 bits that may be stored or sent.
///
/// The high 48 bits are the position, the low 16 bits name the store. A cursor that has the name of
/// another store is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ScanCursor(u64);

/// Number of low bits that name the store.
const NAME_BITS: u32 = 16;
const NAME: u64 = (1 << NAME_BITS) - 1;

impl ScanCursor {
    /// The start of every scan: 0 as a number.
    pub const START: Self = Self(0);

    /// Returns the cursor as a number. Only [`START`](Self::START) is 0.
    #[must_use]
    pub const fn to_bits(self) -> u64 {
        self.0
    }

    /// Returns the cursor of a number from [`to_bits`](Self::to_bits). A scan refuses any other
    /// number if its low bits do not name the store.
    #[must_use]
    pub const fn from_bits(bits: u64) -> Self {
        Self(bits)
    }

    /// Returns the cursor of a position in the store with this identity.
    pub(crate) fn new(position: u64, store: u64) -> Self {
        debug_assert_eq!(position & NAME, 0, "a table has at most 2^48 buckets");
        Self(position | name(store))
    }

    /// Returns the position in the store with this identity.
    ///
    /// # Errors
    /// Returns -20 if the cursor is of another store.
    pub(crate) fn position_in(self, store: u64) -> Result<u64> {
        if self == Self::START || self.0 & NAME == name(store) {
            return Ok(self.0 & !NAME);
        }
        Err(Error::invalid_argument(
            "cursor",
            self.0,
            "0, or the last cursor that a scan of this store returned",
        ))
    }
}

/// Returns the name of a store in its cursors. It is never 0.
fn name(store: u64) -> u64 {
    store % NAME + 1
}

/// Number of entries that the iterator copies at a time.
const BATCH: usize = 128;

/// Entry of a store, copied: key and value.
pub type OwnedEntry = (Vec<u8>, Vec<u8>);

/// The iterator of [`Keystore::iter`]: copies of all entries.
///
/// It scans a few entries at a time, so it needs constant memory, and it holds no lock between two
/// calls of `next`. After an error it tries the same entries again.
#[must_use = "an iterator does nothing until it is used"]
pub struct Entries<'s> {
    store: &'s dyn Keystore,
    /// Where to go on, or `None` if the scan has ended.
    cursor: Option<ScanCursor>,
    batch: VecDeque<OwnedEntry>,
}

impl<'s> Entries<'s> {
    /// Returns an iterator over the entries of a store.
    pub fn new(store: &'s dyn Keystore) -> Self {
        Self { store, cursor: Some(ScanCursor::START), batch: VecDeque::new() }
    }

    /// Copies the next entries, and moves the cursor past them if all of them could be copied.
    fn fill(&mut self, cursor: ScanCursor) -> Result<()> {
        let (batch, mut failed) = (&mut self.batch, None);
        let next = self.store.scan_dyn(cursor, BATCH, &mut |key, value| {
            if failed.is_none() {
                failed = push_copy(batch, key, value).err();
            }
        });
        match (next, failed) {
            (Ok(next), None) => {
                self.cursor = next;
                Ok(())
            }
            (Err(error), _) | (_, Some(error)) => {
                batch.clear();
                Err(error)
            }
        }
    }
}

fn push_copy(batch: &mut VecDeque<OwnedEntry>, key: &[u8], value: &[u8]) -> Result<()> {
    let requested = size_of::<OwnedEntry>();
    batch.try_reserve(1).map_err(|_| Error::OutOfMemory { requested })?;
    batch.push_back((copy(key)?, copy(value)?));
    Ok(())
}

/// Returns a copy of `bytes`, or the error if there is no memory for it.
pub(crate) fn copy(bytes: &[u8]) -> Result<Vec<u8>> {
    let mut copy = try_vec(bytes.len())?;
    copy.extend_from_slice(bytes);
    Ok(copy)
}

impl Iterator for Entries<'_> {
    type Item = Result<OwnedEntry>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(entry) = self.batch.pop_front() {
                return Some(Ok(entry));
            }
            if let Err(error) = self.fill(self.cursor?) {
                return Some(Err(error));
            }
        }
    }
}

impl std::iter::FusedIterator for Entries<'_> {}

impl fmt::Debug for Entries<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Entries").field("cursor", &self.cursor).finish_non_exhaustive()
    }
}

/// Keys that a scan has copied, one behind the other in one buffer.
#[derive(Default)]
pub(crate) struct ScannedKeys {
    bytes: Vec<u8>,
    ends: Vec<usize>,
}

impl ScannedKeys {
    /// Copies the keys of the next entries of a scan. Returns the next cursor.
    ///
    /// # Errors
    /// Returns the errors of [`Keystore::scan`], and -10 if the keys cannot be copied.
    pub(crate) fn fill<K: Keystore + ?Sized>(
        &mut self,
        store: &K,
        cursor: ScanCursor,
    ) -> Result<Option<ScanCursor>> {
        self.bytes.clear();
        self.ends.clear();
        let mut copied = Ok(());
        let next = store.scan_dyn(cursor, BATCH, &mut |key, _| {
            if copied.is_ok() {
                copied = self.push(key);
            }
        })?;
        copied.map(|()| next)
    }

    fn push(&mut self, key: &[u8]) -> Result<()> {
        try_reserve(&mut self.bytes, key.len())?;
        try_reserve(&mut self.ends, 1)?;
        self.bytes.extend_from_slice(key);
        self.ends.push(self.bytes.len());
        Ok(())
    }

    /// Returns the keys.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &[u8]> {
        let starts = std::iter::once(0).chain(self.ends.iter().copied());
        starts.zip(&self.ends).map(|(start, &end)| &self.bytes[start..end])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_is_known_to_its_store_alone() {
        let position = 0x1234_5678_9abc_0000;
        for store in [0, 1, NAME - 1, NAME, u64::MAX - 1] {
            let cursor = ScanCursor::new(position, store);
            assert_ne!(cursor, ScanCursor::START);
            assert_eq!(ScanCursor::from_bits(cursor.to_bits()).position_in(store), Ok(position));
            assert_eq!(ScanCursor::START.position_in(store), Ok(0));
            let error = cursor.position_in(store + 1).unwrap_err();
            assert_eq!(error.code(), -20);
            assert!(error.to_string().contains(&cursor.to_bits().to_string()), "{error}");
        }
    }
}
