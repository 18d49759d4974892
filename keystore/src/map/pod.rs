//! The codec of plain data.

use bytemuck::checked::{CheckedCastError, try_pod_read_unaligned};
use bytemuck::{CheckedBitPattern, NoUninit, bytes_of};

use super::codec::serves_both;
use super::{Codec, DecodeError, Encode, MapError, StandardCodec, View};

/// The codec of plain data: types of a fixed size whose bytes in memory are their bytes in the
/// store. Nothing is converted, and nothing is allocated.
///
/// These are all types that implement [`bytemuck::Pod`], and also `bool`, `char` and enums that
/// implement [`NoUninit`] and [`CheckedBitPattern`]. Derive the traits for a type of your own:
///
/// ```
/// use keystore::bytemuck;
/// use keystore::map::{Map, MapError, Pod};
///
/// #[derive(Clone, Copy, Debug, PartialEq, bytemuck::Pod, bytemuck::Zeroable)]
/// #[bytemuck(crate = "keystore::bytemuck")]
/// #[repr(C)]
/// struct Balance {
///     cents: i64,
///     transfers: u64,
/// }
///
/// # #[cfg(any(feature = "epoch", feature = "rwlock", feature = "dashmap"))] {
/// let map: Map<u64, Balance, Pod> = Map::new();
/// map.insert(7, Balance { cents: 50, transfers: 1 })?;
/// assert_eq!(map.get_with(&7, |balance| balance.cents)?, Some(50));
/// # }
/// # Ok::<(), MapError>(())
/// ```
///
/// The bytes are those of this machine: numbers have its byte order. Keys are equal if their bytes
/// are: `0.0` and `-0.0` are two keys.
#[derive(Clone, Copy, Debug)]
pub struct Pod;

serves_both!(Pod);

/// The bytes of plain data. Their number is known when the program is compiled.
#[derive(Clone, Copy, Debug)]
pub struct PodBytes<'a, T>(&'a T);

impl<T: NoUninit> AsRef<[u8]> for PodBytes<'_, T> {
    #[inline]
    fn as_ref(&self) -> &[u8] {
        bytes_of(self.0)
    }
}

impl<T: NoUninit> Encode<T> for Pod {
    type Encoded<'a> = PodBytes<'a, T>;

    #[inline]
    fn encode(value: &T) -> Result<PodBytes<'_, T>, MapError> {
        Ok(PodBytes(value))
    }
}

impl<T: NoUninit + CheckedBitPattern> Codec<T> for Pod {
    #[inline]
    fn decode(bytes: &[u8]) -> Result<T, MapError> {
        try_pod_read_unaligned(bytes).map_err(|error| not_plain_data::<T>(bytes.len(), error))
    }
}

#[cold]
#[inline(never)]
fn not_plain_data<T>(found: usize, error: CheckedCastError) -> MapError {
    match error {
        CheckedCastError::InvalidBitPattern => {
            DecodeError::new::<T>(found, "the type has no value with these bits").into()
        }
        CheckedCastError::PodCastError(_) => DecodeError::length::<T>(found, size_of::<T>()).into(),
    }
}

impl<T: NoUninit + CheckedBitPattern> View<T> for Pod {
    type View<'a> = T;

    #[inline]
    fn view(bytes: &[u8]) -> Result<T, MapError> {
        Self::decode(bytes)
    }
}

/// Makes [`Pod`] the standard codec of types.
macro_rules! standard {
    ($($type:ty),*) => {$(
        impl StandardCodec for $type {
            type Codec = Pod;
        }
    )*};
}

standard!(u8, u16, u32, u64, u128, usize, i8, i16, i32, i64, i128, isize, f32, f64, bool, char);

impl<T: bytemuck::Pod, const N: usize> StandardCodec for [T; N] {
    type Codec = Pod;
}
