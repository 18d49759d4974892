//! The codec of values that are bytes already.

use keystore_core::fallible::try_vec;

use super::codec::serves_both;
use super::{Codec, DecodeError, Encode, MapError, StandardCodec, View};

/// The codec of vectors and boxed slices of bytes, of text, and of arrays of bytes. The bytes in
/// the store are those of the value.
///
/// Text is checked to be UTF-8 when it is read.
#[derive(Clone, Copy, Debug)]
pub struct Bytes;

serves_both!(Bytes);

/// Implements [`Encode`] by a borrow of the value.
macro_rules! borrows {
    ($($type:ty),*) => {$(
        impl Encode<$type> for Bytes {
            type Encoded<'a> = &'a [u8];

            #[inline]
            fn encode(value: &$type) -> Result<&[u8], MapError> {
                Ok(value.as_ref())
            }
        }
    )*};
}

borrows!([u8], Vec<u8>, Box<[u8]>, str, String);

impl Encode<Box<str>> for Bytes {
    type Encoded<'a> = &'a [u8];

    #[inline]
    fn encode(value: &Box<str>) -> Result<&[u8], MapError> {
        Ok(value.as_bytes())
    }
}

impl<const N: usize> Encode<[u8; N]> for Bytes {
    type Encoded<'a> = &'a [u8];

    #[inline]
    fn encode(value: &[u8; N]) -> Result<&[u8], MapError> {
        Ok(value)
    }
}

/// Returns a copy of `bytes`, or -10 if there is no memory for it.
fn copy(bytes: &[u8]) -> Result<Vec<u8>, MapError> {
    let mut copy = try_vec(bytes.len())?;
    copy.extend_from_slice(bytes);
    Ok(copy)
}

/// Returns the text that has these bytes.
fn text<T>(bytes: &[u8]) -> Result<&str, MapError> {
    str::from_utf8(bytes).map_err(|error| not_text::<T>(bytes.len(), error))
}

#[cold]
fn not_text<T>(found: usize, error: std::str::Utf8Error) -> MapError {
    use std::fmt::Write;

    let mut reason = String::new();
    // The longest text has 63 bytes and a number. Without memory for it, the error has no position.
    if reason.try_reserve(96).is_ok() {
        // Writing to a string with enough memory cannot fail.
        let _ = write!(reason, "it is not UTF-8 from byte {} on", error.valid_up_to());
        return DecodeError::new::<T>(found, reason).into();
    }
    DecodeError::new::<T>(found, "it is not UTF-8").into()
}

/// Implements [`Codec`], [`View`] and [`StandardCodec`] for a type whose view is a borrow.
macro_rules! decodes {
    ($($type:ty, $view:ty, $view_of:expr, $copy_of:expr;)*) => {$(
        impl Codec<$type> for Bytes {
            #[inline]
            fn decode(bytes: &[u8]) -> Result<$type, MapError> {
                $copy_of(bytes)
            }
        }

        impl View<$type> for Bytes {
            type View<'a> = &'a $view;

            #[inline]
            fn view(bytes: &[u8]) -> Result<&$view, MapError> {
                $view_of(bytes)
            }
        }

        impl StandardCodec for $type {
            type Codec = Bytes;
        }
    )*};
}

decodes! {
    Vec<u8>, [u8], Ok, copy;
    Box<[u8]>, [u8], Ok, |bytes| copy(bytes).map(Vec::into_boxed_slice);
    String, str, text::<String>, string::<String>;
    Box<str>, str, text::<Box<str>>, |bytes| string::<Box<str>>(bytes).map(String::into_boxed_str);
}

/// Returns a copy of the text that has these bytes.
fn string<T>(bytes: &[u8]) -> Result<String, MapError> {
    let text = text::<T>(bytes)?;
    let mut string = String::new();
    string
        .try_reserve_exact(text.len())
        .map_err(|_| crate::Error::OutOfMemory { requested: text.len() })?;
    string.push_str(text);
    Ok(string)
}

impl<const N: usize> Codec<[u8; N]> for Bytes {
    #[inline]
    fn decode(bytes: &[u8]) -> Result<[u8; N], MapError> {
        bytes.try_into().map_err(|_| DecodeError::length::<[u8; N]>(bytes.len(), N).into())
    }
}

impl<const N: usize> View<[u8; N]> for Bytes {
    type View<'a> = &'a [u8; N];

    #[inline]
    fn view(bytes: &[u8]) -> Result<&[u8; N], MapError> {
        bytes.try_into().map_err(|_| DecodeError::length::<[u8; N]>(bytes.len(), N).into())
    }
}
