//! Keys that name their purpose, and values that can be traced to their key and writer.
//!
//! ```text
//! key    | family: u8 | 0 0 0 | owner: u32 BE | index: u64 BE |
//! value  | stamp: u64 LE | check words: u64 LE each ...        | cut to the value's length
//! ```
//!
//! The check words are computed from the key, the stamp and the length. So one word of another
//! value, of another key or of a longer or shorter value makes a value invalid.

use std::fmt;

use crate::mix::mix;

/// Length of a key in bytes.
pub(super) const KEY_LEN: usize = 16;

/// Length of the shortest value that carries a stamp and at least one check word, in bytes.
pub(super) const MIN_STAMPED_LEN: usize = 16;

/// Purpose of a key, which decides what must be true of it at the end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Family {
    /// Set by one thread alone: present, with the value that its key determines.
    Own = b'o',
    /// Incremented by `update`: the stamp is the count, which at the end is the number of updates.
    Counter = b'c',
    /// Inserted by all threads: exactly one thread has won, and the stamp names it.
    Claim = b'i',
    /// Set, read, taken and deleted by all threads. The number of creations minus the number of
    /// removals is 1 if the key is present, and 0 if it is absent. The stamp names the writer.
    Register = b'r',
    /// Incremented by `compare_exchange`: the stamp is the number of exchanges that succeeded.
    Exchange = b'x',
}

impl Family {
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Own => "own key",
            Self::Counter => "counter",
            Self::Claim => "claim",
            Self::Register => "register",
            Self::Exchange => "exchange counter",
        }
    }
}

/// A key, split into its parts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct KeyId {
    pub(super) family: Family,
    /// The thread that an own key belongs to; 0 for shared keys.
    pub(super) owner: u32,
    pub(super) index: u64,
}

impl KeyId {
    pub(super) const fn own(owner: usize, index: usize) -> Self {
        Self { family: Family::Own, owner: owner as u32, index: index as u64 }
    }

    pub(super) const fn shared(family: Family, index: usize) -> Self {
        Self { family, owner: 0, index: index as u64 }
    }

    #[inline]
    pub(super) fn encode(self) -> [u8; KEY_LEN] {
        let mut key = [0; KEY_LEN];
        key[0] = self.family as u8;
        key[4..8].copy_from_slice(&self.owner.to_be_bytes());
        key[8..].copy_from_slice(&self.index.to_be_bytes());
        key
    }

    /// Returns the key's parts; `None` if no stress test made it.
    pub(super) fn decode(key: &[u8]) -> Option<Self> {
        let family = match *key.first()? {
            b'o' => Family::Own,
            b'c' => Family::Counter,
            b'i' => Family::Claim,
            b'r' => Family::Register,
            b'x' => Family::Exchange,
            _ => return None,
        };
        let owner = u32::from_be_bytes(key.get(4..8)?.try_into().ok()?);
        let index = u64::from_be_bytes(key.get(8..)?.try_into().ok()?);
        let id = Self { family, owner, index };
        (id.encode() == key).then_some(id)
    }

    /// Returns a number that differs from key to key.
    #[inline]
    fn seed(self) -> u64 {
        mix(self.index ^ mix(u64::from(self.owner) ^ (self.family as u64) << 32))
    }
}

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.family {
            Family::Own => write!(f, "own key {} of thread {}", self.index, self.owner),
            family => write!(f, "{} {}", family.name(), self.index),
        }
    }
}

/// Returns the words of a value, the stamp first.
#[inline]
fn words(id: KeyId, stamp: u64, len: usize) -> impl Iterator<Item = [u8; 8]> {
    let seed = mix(id.seed() ^ mix(stamp ^ (len as u64) << 40));
    std::iter::once(stamp).chain((1..).map(move |word| mix(seed ^ word))).map(u64::to_le_bytes)
}

/// Fills `value` with the content for `stamp`.
#[inline]
pub(super) fn write(id: KeyId, stamp: u64, value: &mut [u8]) {
    let len = value.len();
    for (part, word) in value.chunks_mut(8).zip(words(id, stamp, len)) {
        part.copy_from_slice(&word[..part.len()]);
    }
}

/// Returns the stamp of a complete value of this key; `None` for any other bytes.
#[inline]
pub(super) fn stamp(id: KeyId, value: &[u8]) -> Option<u64> {
    if value.len() < MIN_STAMPED_LEN {
        return None;
    }
    let stamp = u64::from_le_bytes(value[..8].try_into().ok()?);
    is_value(id, stamp, value).then_some(stamp)
}

/// Returns whether `value` has the content for `stamp`.
#[inline]
pub(super) fn is_value(id: KeyId, stamp: u64, value: &[u8]) -> bool {
    value
        .chunks(8)
        .zip(words(id, stamp, value.len()))
        .all(|(part, word)| *part == word[..part.len()])
}

/// Returns the stamp of an own key's value. Its bytes differ from key to key, even if values are
/// too short for a check word.
#[inline]
pub(super) fn own_stamp(id: KeyId) -> u64 {
    mix(id.seed())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_come_apart_as_they_were_put_together() {
        for id in [KeyId::own(999, 12_345), KeyId::shared(Family::Exchange, 7)] {
            assert_eq!(KeyId::decode(&id.encode()), Some(id));
        }
        for foreign in [&b""[..], b"o", b"other than ours!", &[b'o'; 17], &[b'z'; 16]] {
            assert_eq!(KeyId::decode(foreign), None, "{foreign:?}");
        }
    }

    #[test]
    fn a_value_is_known_by_its_stamp_and_any_changed_byte_is_seen() {
        let id = KeyId::shared(Family::Register, 3);
        for len in [16, 17, 32, 61] {
            let mut value = vec![0; len];
            write(id, 42, &mut value);
            assert_eq!(stamp(id, &value), Some(42));
            assert_eq!(stamp(KeyId::shared(Family::Register, 4), &value), None, "of another key");
            assert_eq!(stamp(id, &value[..len - 1]), None, "cut short");
            for byte in 0..len {
                value[byte] ^= 1;
                assert_eq!(stamp(id, &value), None, "byte {byte} of {len}");
                value[byte] ^= 1;
            }
        }
    }

    #[test]
    fn half_of_one_value_and_half_of_another_is_neither() {
        let id = KeyId::shared(Family::Register, 3);
        let (mut old, mut new) = ([0; 32], [0; 32]);
        write(id, 1, &mut old);
        write(id, 2, &mut new);
        old[..16].copy_from_slice(&new[..16]);
        assert_eq!(stamp(id, &old), None);
    }
}
