//! What the closure of an update returns: keep the key, remove it, or give it a new value.

use std::borrow::Cow;
use std::fmt;

use crate::error::{Error, Result};
use crate::fallible::try_vec;
use crate::node::MAX_VALUE_LEN;

/// The result of the closure of [`Keystore::update`](crate::Keystore::update): what to do with the
/// key.
///
/// ```
/// # #[cfg(feature = "rwlock")] fn main() -> keystore_core::Result<()> {
/// use keystore_core::{Keystore, RwLockKeystore, Update};
///
/// // A counter of eight bytes. Nothing is allocated for the new value.
/// let count = |old: Option<&[u8]>| {
///     let old = old.and_then(|bytes| bytes.try_into().ok()).map_or(0, u64::from_le_bytes);
///     Update::set((old + 1).to_le_bytes())
/// };
/// let store = RwLockKeystore::default();
/// store.update(b"visits", count)?;
/// store.update(b"visits", count)?;
/// assert_eq!(store.get(b"visits")?, Some(2_u64.to_le_bytes().to_vec()));
/// # Ok(()) }
/// # #[cfg(not(feature = "rwlock"))] fn main() {}
/// ```
#[derive(Clone, Debug)]
pub enum Update<'v> {
    /// Leave the key as it is.
    Keep,
    /// Give the key this value.
    Set(NewValue<'v>),
    /// Remove the key.
    Delete,
}

impl<'v> Update<'v> {
    /// Returns the update that gives the key this value: bytes, text, an array or a vector.
    #[inline]
    pub fn set(value: impl Into<NewValue<'v>>) -> Self {
        Self::Set(value.into())
    }

    /// Returns the update that gives the key a value of `length` bytes, which `fill` writes. See
    /// [`NewValue::filled`].
    #[inline]
    pub fn fill(length: usize, fill: &'v Fill<'v>) -> Self {
        Self::Set(NewValue::filled(length, fill))
    }
}

/// A function that writes a new value. It gets the old value (`None`: absent) and the new bytes,
/// which are zero.
pub type Fill<'v> = dyn Fn(Option<&[u8]>, &mut [u8]) + 'v;

/// Maximum length in bytes of an array that becomes a [`NewValue`].
const MAX_ARRAY: usize = 64;

/// A new value: borrowed bytes, a vector, an array of at most 64 bytes, or a length and a function
/// that writes the bytes. Only the vector has an allocation of its own.
///
/// A longer array is a compile error:
///
/// ```compile_fail,E0080
/// let _ = keystore_core::NewValue::from([0_u8; 65]);
/// ```
#[derive(Clone)]
pub struct NewValue<'v>(Content<'v>);

#[derive(Clone)]
enum Content<'v> {
    Borrowed(&'v [u8]),
    Owned(Vec<u8>),
    Array { length: u8, bytes: [u8; MAX_ARRAY] },
    Filled { length: usize, fill: &'v Fill<'v> },
}

/// The bytes of a new value, or the way to make them.
#[derive(Clone, Copy)]
pub(crate) enum Source<'a> {
    Bytes(&'a [u8]),
    Filled { length: usize, fill: &'a Fill<'a> },
}

impl Source<'_> {
    /// Returns the length of the value.
    #[inline]
    pub(crate) fn len(&self) -> usize {
        match self {
            Self::Bytes(bytes) => bytes.len(),
            Self::Filled { length, .. } => *length,
        }
    }
}

impl<'v> NewValue<'v> {
    /// Returns a value of `length` bytes, which `fill` writes where the value will stay. So a long
    /// value is not written twice.
    ///
    /// `fill` may be called again, like the closure of the update, and the rules for that closure
    /// hold for it too. If it panics, nothing has changed. It may borrow what the caller has:
    ///
    /// ```
    /// # #[cfg(feature = "rwlock")] fn main() -> keystore_core::Result<()> {
    /// use keystore_core::{Keystore, RwLockKeystore, Update};
    ///
    /// let parts = vec![b"head".to_vec(), b"tail".to_vec()];
    /// let fill = |_: Option<&[u8]>, new: &mut [u8]| {
    ///     new[..4].copy_from_slice(&parts[0]);
    ///     new[4..].copy_from_slice(&parts[1]);
    /// };
    /// let store = RwLockKeystore::default();
    /// store.update(b"joined", |_| Update::fill(8, &fill))?;
    /// assert_eq!(store.get(b"joined")?, Some(b"headtail".to_vec()));
    /// # Ok(()) }
    /// # #[cfg(not(feature = "rwlock"))] fn main() {}
    /// ```
    #[inline]
    pub fn filled(length: usize, fill: &'v Fill<'v>) -> Self {
        Self(Content::Filled { length, fill })
    }

    /// Returns the bytes, for an implementation of [`Keystore`](crate::Keystore). `old` is the
    /// value that the key has. Only a value from [`filled`](Self::filled) needs an allocation.
    ///
    /// # Errors
    /// Returns -20 if the value is too long, and -10 if there is no memory for it.
    pub fn bytes(&self, old: Option<&[u8]>) -> Result<Cow<'_, [u8]>> {
        match self.source() {
            Source::Bytes(bytes) => Ok(Cow::Borrowed(bytes)),
            Source::Filled { length, .. } if length > MAX_VALUE_LEN => {
                Err(Error::ValueLength { length, max: MAX_VALUE_LEN })
            }
            Source::Filled { length, fill } => {
                let mut bytes = try_vec(length)?;
                bytes.resize(length, 0);
                fill(old, &mut bytes);
                Ok(Cow::Owned(bytes))
            }
        }
    }

    #[inline(always)]
    pub(crate) fn source(&self) -> Source<'_> {
        match &self.0 {
            Content::Borrowed(bytes) => Source::Bytes(bytes),
            Content::Owned(bytes) => Source::Bytes(bytes),
            Content::Array { length, bytes } => Source::Bytes(&bytes[..usize::from(*length)]),
            Content::Filled { length, fill } => Source::Filled { length: *length, fill: *fill },
        }
    }
}

impl<'v> From<&'v [u8]> for NewValue<'v> {
    #[inline]
    fn from(bytes: &'v [u8]) -> Self {
        Self(Content::Borrowed(bytes))
    }
}

impl<'v, const N: usize> From<&'v [u8; N]> for NewValue<'v> {
    #[inline]
    fn from(bytes: &'v [u8; N]) -> Self {
        Self(Content::Borrowed(bytes))
    }
}

impl<'v> From<&'v str> for NewValue<'v> {
    #[inline]
    fn from(text: &'v str) -> Self {
        Self(Content::Borrowed(text.as_bytes()))
    }
}

impl From<Vec<u8>> for NewValue<'_> {
    #[inline]
    fn from(bytes: Vec<u8>) -> Self {
        Self(Content::Owned(bytes))
    }
}

impl From<String> for NewValue<'_> {
    #[inline]
    fn from(text: String) -> Self {
        Self(Content::Owned(text.into_bytes()))
    }
}

impl<const N: usize> From<[u8; N]> for NewValue<'_> {
    #[inline]
    fn from(array: [u8; N]) -> Self {
        const { assert!(N <= MAX_ARRAY, "an array of at most 64 bytes becomes a value") };
        let mut bytes = [0; MAX_ARRAY];
        bytes[..N].copy_from_slice(&array);
        Self(Content::Array { length: N as u8, bytes })
    }
}

impl fmt::Debug for NewValue<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.source() {
            Source::Bytes(bytes) => f.debug_tuple("NewValue").field(&bytes).finish(),
            Source::Filled { length, .. } => {
                f.debug_struct("NewValue").field("length", &length).finish_non_exhaustive()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_of_value_gives_its_bytes() {
        let fill: &Fill<'_> =
            &|old, new| new.copy_from_slice(&[old.map_or(0, <[u8]>::len) as u8; 3]);
        for (value, expected) in [
            (NewValue::from(&b"ab"[..]), &b"ab"[..]),
            (NewValue::from(b"ab"), b"ab"),
            (NewValue::from("ab"), b"ab"),
            (NewValue::from("ab".to_owned()), b"ab"),
            (NewValue::from(b"ab".to_vec()), b"ab"),
            (NewValue::from(*b"ab"), b"ab"),
            (NewValue::from([7; 64]), &[7; 64]),
            (NewValue::from([]), b""),
            (NewValue::filled(3, fill), &[5; 3]),
        ] {
            assert_eq!(value.bytes(Some(b"12345")).as_deref(), Ok(expected));
        }
        let long = NewValue::filled(MAX_VALUE_LEN + 1, fill);
        assert_eq!(long.bytes(None).unwrap_err().code(), -20);
    }
}
