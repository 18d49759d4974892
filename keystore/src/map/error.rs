//! Errors of the typed map.

use std::any::type_name;
use std::borrow::Cow;
use std::fmt;

use crate::{Error, code};

/// Why an operation of a [`Map`](super::Map) failed. An operation on a single key has changed
/// nothing then.
///
/// Later versions may add variants.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum MapError {
    /// The store failed.
    #[error(transparent)]
    Store(Error),
    /// A key or a value could not be turned into bytes.
    #[error(transparent)]
    Encode(EncodeError),
    /// The bytes of a key or a value in the store are not those of its type.
    #[error(transparent)]
    Decode(DecodeError),
}

/// Implements `From` as a function that is not inlined, so that a call that succeeds moves no
/// error.
macro_rules! from_cold {
    ($($variant:ident($error:ty)),*) => {$(
        impl From<$error> for MapError {
            #[cold]
            #[inline(never)]
            fn from(error: $error) -> Self {
                Self::$variant(error)
            }
        }
    )*};
}

from_cold!(Store(Error), Encode(EncodeError), Decode(DecodeError));

impl MapError {
    /// Returns the stable code, as [`Error::code`] does: the store's own code, or
    /// [`code::INVALID_ARGUMENT`] (-20) if a key or a value could not be encoded or decoded.
    #[must_use]
    pub const fn code(&self) -> i32 {
        match self {
            Self::Store(error) => error.code(),
            Self::Encode(_) | Self::Decode(_) => code::INVALID_ARGUMENT,
        }
    }
}

/// A key or a value that could not be turned into bytes.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("cannot encode {type_name}: {reason}")]
pub struct EncodeError {
    /// Name of the type, from [`type_name`].
    pub type_name: &'static str,
    /// Reason why it failed.
    pub reason: Cow<'static, str>,
}

impl EncodeError {
    /// Returns the error for a key or a value of type `T`.
    #[cold]
    pub fn new<T: ?Sized>(reason: impl Into<Cow<'static, str>>) -> Self {
        Self { type_name: type_name::<T>(), reason: reason.into() }
    }
}

/// Bytes that are not those of a key or a value of the type.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("cannot decode {type_name} from {found} bytes: {problem}")]
pub struct DecodeError {
    /// Name of the type, from [`type_name`].
    pub type_name: &'static str,
    /// Number of bytes found.
    pub found: usize,
    /// What is wrong with the bytes.
    pub problem: Problem,
}

/// What is wrong with bytes that could not be decoded.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Problem {
    /// The type has this number of bytes, always.
    Wanted(usize),
    /// The number of bytes may be right, but they are not those of the type.
    Reason(Cow<'static, str>),
}

impl DecodeError {
    /// Returns the error for `found` bytes that are not those of type `T`, for this reason.
    #[cold]
    pub fn new<T: ?Sized>(found: usize, reason: impl Into<Cow<'static, str>>) -> Self {
        Self { type_name: type_name::<T>(), found, problem: Problem::Reason(reason.into()) }
    }

    /// Returns the error for `found` bytes of a type `T` that always has `wanted` bytes.
    #[cold]
    #[must_use]
    pub fn length<T: ?Sized>(found: usize, wanted: usize) -> Self {
        Self { type_name: type_name::<T>(), found, problem: Problem::Wanted(wanted) }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Wanted(wanted) => write!(f, "it has {wanted} bytes"),
            Self::Reason(reason) => f.write_str(reason),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_names_the_type_and_the_lengths() {
        let error = MapError::from(DecodeError::length::<u64>(3, 8));
        assert_eq!(error.to_string(), "cannot decode u64 from 3 bytes: it has 8 bytes");
        assert_eq!(error.code(), -20);
        let error = MapError::from(DecodeError::new::<char>(4, "no such character"));
        assert_eq!(error.to_string(), "cannot decode char from 4 bytes: no such character");
        let error = MapError::from(EncodeError::new::<str>("too wide"));
        assert_eq!((error.code(), &*error.to_string()), (-20, "cannot encode str: too wide"));
    }

    #[test]
    fn an_error_of_the_store_keeps_its_text_and_its_code() {
        let store = Error::OutOfMemory { requested: 7 };
        let error = MapError::from(store.clone());
        assert_eq!((error.code(), error.to_string()), (store.code(), store.to_string()));
    }
}
