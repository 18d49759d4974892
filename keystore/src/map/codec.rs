//! Codecs: how keys and values become bytes, and bytes become keys and values.

use super::MapError;

/// Turns keys or values of type `T` into bytes. See [`Codec`].
///
/// A map finds an entry by the bytes of its key. So two keys that are equal must have equal bytes,
/// and a borrowed form of a key (`str` of `String`) must have the bytes of the key itself.
pub trait Encode<T: ?Sized> {
    /// Bytes of a value: a borrow of it, an array, or a vector.
    type Encoded<'a>: AsRef<[u8]>
    where
        T: 'a;

    /// Returns the bytes of a value.
    ///
    /// # Errors
    /// Returns [`EncodeError`](super::EncodeError) if the value has no such bytes, and -10 if there
    /// is no memory for them.
    fn encode(value: &T) -> Result<Self::Encoded<'_>, MapError>;
}

/// Turns keys or values of type `T` into bytes and back. Implement it for a codec of your own:
///
/// ```
/// use keystore::map::{Codec, DecodeError, Encode, Map, MapError, Pod};
///
/// /// Numbers of four bytes, the highest byte first.
/// struct BigEndian;
///
/// impl Encode<u32> for BigEndian {
///     type Encoded<'a> = [u8; 4];
///
///     fn encode(value: &u32) -> Result<[u8; 4], MapError> {
///         Ok(value.to_be_bytes())
///     }
/// }
///
/// impl Codec<u32> for BigEndian {
///     fn decode(bytes: &[u8]) -> Result<u32, MapError> {
///         let array = bytes.try_into().map_err(|_| DecodeError::length::<u32>(bytes.len(), 4))?;
///         Ok(u32::from_be_bytes(array))
///     }
/// }
///
/// # #[cfg(any(feature = "epoch", feature = "rwlock", feature = "dashmap"))] {
/// let map: Map<u32, u64, (BigEndian, Pod)> = Map::new();
/// map.insert(258, 7)?;
/// assert_eq!(map.store().get(&[0, 0, 1, 2])?, Some(7_u64.to_ne_bytes().to_vec()));
/// # use keystore::Keystore;
/// # }
/// # Ok::<(), MapError>(())
/// ```
pub trait Codec<T>: Encode<T> {
    /// Returns the value that has these bytes.
    ///
    /// The map may call it while the store holds a lock. It must not wait for another thread.
    ///
    /// # Errors
    /// Returns [`DecodeError`](super::DecodeError) if the bytes are not those of a value, and -10
    /// if there is no memory for it.
    fn decode(bytes: &[u8]) -> Result<T, MapError>;
}

/// A codec that can show a value without a copy of it on the heap: see
/// [`Map::get_with`](super::Map::get_with).
pub trait View<T>: Codec<T> {
    /// Form in which a value is shown: `&str` for a `String`, for example.
    type View<'a>;

    /// Returns the view of the value that has these bytes.
    ///
    /// # Errors
    /// Returns the errors of [`Codec::decode`].
    fn view(bytes: &[u8]) -> Result<Self::View<'_>, MapError>;
}

/// The codecs of a map: one for its keys, one for its values.
///
/// [`Pod`](super::Pod), [`Bytes`](super::Bytes) and `Serde` serve both. A pair `(KC, VC)` of any
/// two codecs names one for each.
pub trait Codecs<K, V> {
    /// Codec of the keys.
    type Key: Codec<K>;
    /// Codec of the values.
    type Value: Codec<V>;
}

impl<K, V, KC: Codec<K>, VC: Codec<V>> Codecs<K, V> for (KC, VC) {
    type Key = KC;
    type Value = VC;
}

/// Implements [`Codecs`] for a codec that serves both the keys and the values.
macro_rules! serves_both {
    ($codec:ty) => {
        impl<K, V> $crate::map::Codecs<K, V> for $codec
        where
            Self: $crate::map::Codec<K> + $crate::map::Codec<V>,
        {
            type Key = Self;
            type Value = Self;
        }
    };
}
pub(super) use serves_both;

/// The default codecs of a map: each type has its own, by [`StandardCodec`].
///
/// Numbers, `bool`, `char` and arrays of plain data have [`Pod`](super::Pod). `String`, `Vec<u8>`
/// and their boxed forms have [`Bytes`](super::Bytes).
#[derive(Clone, Copy, Debug)]
pub struct Standard;

impl<K: StandardCodec, V: StandardCodec> Codecs<K, V> for Standard {
    type Key = K::Codec;
    type Value = V::Codec;
}

/// A type with a codec of its own, so that a map of it needs to name none.
///
/// ```
/// use keystore::map::{Map, MapError, Pod, StandardCodec};
/// use keystore::bytemuck;
///
/// #[derive(Clone, Copy, Debug, PartialEq, bytemuck::Pod, bytemuck::Zeroable)]
/// #[bytemuck(crate = "keystore::bytemuck")]
/// #[repr(C)]
/// struct Point {
///     x: f64,
///     y: f64,
/// }
///
/// impl StandardCodec for Point {
///     type Codec = Pod;
/// }
///
/// # #[cfg(any(feature = "epoch", feature = "rwlock", feature = "dashmap"))] {
/// let map: Map<String, Point> = Map::new();
/// map.insert("origin".to_owned(), Point { x: 0.0, y: 0.0 })?;
/// assert_eq!(map.get("origin")?, Some(Point { x: 0.0, y: 0.0 }));
/// # }
/// # Ok::<(), MapError>(())
/// ```
pub trait StandardCodec: Sized {
    /// Codec of the type.
    type Codec: Codec<Self>;
}
