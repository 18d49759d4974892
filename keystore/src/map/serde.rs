//! The codec of types that serde can serialise.

use std::hint::black_box;

use keystore_core::fallible::{try_reserve, try_vec};
use postcard::ser_flavors::Flavor;
use postcard::{serialize_with_flavor, take_from_bytes};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::codec::serves_both;
use super::{Codec, DecodeError, Encode, EncodeError, MapError, View};
use crate::Error;

/// The codec of types that implement serde's `Serialize` and `Deserialize`. The bytes are those of
/// [postcard](https://docs.rs/postcard), which are short and the same on all machines.
///
/// ```
/// use keystore::map::{Map, MapError, Serde};
/// use serde::{Deserialize, Serialize};
///
/// #[derive(Debug, PartialEq, Serialize, Deserialize)]
/// struct Account {
///     name: String,
///     cents: i64,
/// }
///
/// # #[cfg(any(feature = "epoch", feature = "rwlock", feature = "dashmap"))] {
/// let map: Map<String, Account, Serde> = Map::new();
/// map.insert("ann".to_owned(), Account { name: "Ann".to_owned(), cents: 50 })?;
/// assert_eq!(map.get("ann")?.map(|account| account.cents), Some(50));
/// # }
/// # Ok::<(), MapError>(())
/// ```
///
/// # Memory
///
/// If there is no memory for the bytes of a value, that is an error. A value of at least
/// [`PROBED`](Self::PROBED) bytes is decoded only if as much memory is free. Apart from this check,
/// serde's implementations for `String`, `Vec` and others allocate as such types do: they end the
/// process if there is no memory at all.
#[derive(Clone, Copy, Debug)]
pub struct Serde;

impl Serde {
    /// Least number of bytes for which [`decode`](Codec::decode) first checks that there is memory.
    pub const PROBED: usize = 1024;
}

serves_both!(Serde);

/// Bytes of a value that is being serialised, and the error if memory ran out.
#[derive(Default)]
struct Buffer {
    bytes: Vec<u8>,
    refused: Option<Error>,
}

impl Flavor for &mut Buffer {
    type Output = ();

    fn try_push(&mut self, byte: u8) -> postcard::Result<()> {
        self.try_extend(&[byte])
    }

    fn try_extend(&mut self, bytes: &[u8]) -> postcard::Result<()> {
        if let Err(error) = try_reserve(&mut self.bytes, bytes.len()) {
            self.refused = Some(error);
            return Err(postcard::Error::SerializeBufferFull);
        }
        self.bytes.extend_from_slice(bytes);
        Ok(())
    }

    fn finalize(self) -> postcard::Result<()> {
        Ok(())
    }
}

fn encode<T: Serialize + ?Sized>(value: &T) -> Result<Vec<u8>, MapError> {
    let mut buffer = Buffer::default();
    match serialize_with_flavor(value, &mut buffer) {
        Ok(()) => Ok(buffer.bytes),
        Err(error) => Err(match buffer.refused {
            Some(refused) => refused.into(),
            None => EncodeError::new::<T>(reason(&error)).into(),
        }),
    }
}

/// Returns the reason of an error, in words of this crate if there are such.
fn reason(error: &postcard::Error) -> &'static str {
    use postcard::Error::*;

    match error {
        SerializeSeqLengthUnknown => "a sequence or a map does not know its length",
        WontImplement => {
            "the type cannot be read without its name or its length (`deserialize_any`)"
        }
        DeserializeUnexpectedEnd => "they end within the value",
        DeserializeBadVarint => "a number has too many bytes",
        DeserializeBadBool => "a bool is neither 0 nor 1",
        DeserializeBadChar => "a character does not exist",
        DeserializeBadUtf8 => "a text is not UTF-8",
        DeserializeBadOption => "an option is neither absent nor present",
        DeserializeBadEnum => "an enum has no such variant",
        SerdeSerCustom | SerdeDeCustom => "an implementation of serde's traits refused it",
        _ => "postcard refused it",
    }
}

impl<T: Serialize> Encode<T> for Serde {
    type Encoded<'a>
        = Vec<u8>
    where
        T: 'a;

    fn encode(value: &T) -> Result<Vec<u8>, MapError> {
        encode(value)
    }
}

impl Encode<str> for Serde {
    type Encoded<'a> = Vec<u8>;

    fn encode(value: &str) -> Result<Vec<u8>, MapError> {
        encode(value)
    }
}

impl<T: Serialize + DeserializeOwned> Codec<T> for Serde {
    fn decode(bytes: &[u8]) -> Result<T, MapError> {
        if bytes.len() >= Self::PROBED {
            // Without the black box the compiler leaves the allocation out.
            drop(black_box(try_vec::<u8>(bytes.len())?));
        }
        match take_from_bytes(bytes) {
            Ok((value, [])) => Ok(value),
            Ok((_, rest)) => {
                Err(DecodeError::length::<T>(bytes.len(), bytes.len() - rest.len()).into())
            }
            Err(error) => Err(DecodeError::new::<T>(bytes.len(), reason(&error)).into()),
        }
    }
}

impl<T: Serialize + DeserializeOwned> View<T> for Serde {
    type View<'a> = T;

    fn view(bytes: &[u8]) -> Result<T, MapError> {
        Self::decode(bytes)
    }
}
