//! Counters: numbers that are changed in place.

use std::borrow::Borrow;

use super::{Codec, Codecs, Encode, Map, MapError, Pod};
use crate::{Keystore, Update};

/// The types of counters: `u64` and `i64`.
pub trait Integer: sealed::Integer {}

impl Integer for u64 {}
impl Integer for i64 {}

mod sealed {
    use bytemuck::{CheckedBitPattern, NoUninit};

    /// Arithmetic of a counter.
    pub trait Integer: NoUninit + CheckedBitPattern + Ord {
        const ZERO: Self;

        fn plus(self, other: Self) -> Self;
        fn minus(self, other: Self) -> Self;
        fn to_bytes(self) -> [u8; 8];
    }

    macro_rules! integers {
        ($($type:ty),*) => {$(
            impl Integer for $type {
                const ZERO: Self = 0;

                #[inline]
                fn plus(self, other: Self) -> Self {
                    self.wrapping_add(other)
                }

                #[inline]
                fn minus(self, other: Self) -> Self {
                    self.wrapping_sub(other)
                }

                #[inline]
                fn to_bytes(self) -> [u8; 8] {
                    self.to_ne_bytes()
                }
            }
        )*};
    }

    integers!(u64, i64);
}

/// Counters. Each method is one atomic step, and returns the value before it, as the methods of
/// [`AtomicU64`](std::sync::atomic::AtomicU64) do. `None` says that the key was absent: then the
/// sum and the difference begin at 0, and the maximum and the minimum are the operand.
///
/// No method allocates memory of its own. In the backends with locks, a counter that is present is
/// changed where it lies.
impl<K, V: Integer, C: Codecs<K, V, Value = Pod>, S: Keystore> Map<K, V, C, S> {
    /// Adds `operand` to the value of `key`, which wraps around on overflow. Returns the value
    /// before.
    ///
    /// ```
    /// # #[cfg(any(feature = "epoch", feature = "rwlock", feature = "dashmap"))] {
    /// use keystore::Map;
    ///
    /// let visits: Map<String, u64> = Map::new();
    /// assert_eq!(visits.fetch_add("home", 1)?, None);
    /// assert_eq!(visits.fetch_add("home", 1)?, Some(1));
    /// # }
    /// # Ok::<(), keystore::MapError>(())
    /// ```
    ///
    /// # Errors
    /// Returns the errors of [`Keystore::set`], and [`MapError`] if the key cannot be encoded or
    /// the value has not 8 bytes.
    #[inline]
    pub fn fetch_add<Q: ?Sized>(&self, key: &Q, operand: V) -> Result<Option<V>, MapError>
    where
        K: Borrow<Q>,
        C::Key: Encode<Q>,
    {
        self.fetch(key, |old| old.unwrap_or(V::ZERO).plus(operand))
    }

    /// Subtracts `operand` from the value of `key`, which wraps around on overflow. Returns the
    /// value before.
    ///
    /// # Errors
    /// Returns the errors of [`fetch_add`](Self::fetch_add).
    #[inline]
    pub fn fetch_sub<Q: ?Sized>(&self, key: &Q, operand: V) -> Result<Option<V>, MapError>
    where
        K: Borrow<Q>,
        C::Key: Encode<Q>,
    {
        self.fetch(key, |old| old.unwrap_or(V::ZERO).minus(operand))
    }

    /// Gives `key` the greater of its value and `operand`. Returns the value before.
    ///
    /// # Errors
    /// Returns the errors of [`fetch_add`](Self::fetch_add).
    #[inline]
    pub fn fetch_max<Q: ?Sized>(&self, key: &Q, operand: V) -> Result<Option<V>, MapError>
    where
        K: Borrow<Q>,
        C::Key: Encode<Q>,
    {
        self.fetch(key, |old| old.map_or(operand, |old| old.max(operand)))
    }

    /// Gives `key` the lesser of its value and `operand`. Returns the value before.
    ///
    /// # Errors
    /// Returns the errors of [`fetch_add`](Self::fetch_add).
    #[inline]
    pub fn fetch_min<Q: ?Sized>(&self, key: &Q, operand: V) -> Result<Option<V>, MapError>
    where
        K: Borrow<Q>,
        C::Key: Encode<Q>,
    {
        self.fetch(key, |old| old.map_or(operand, |old| old.min(operand)))
    }

    #[inline]
    fn fetch<Q: ?Sized>(&self, key: &Q, new: impl Fn(Option<V>) -> V) -> Result<Option<V>, MapError>
    where
        K: Borrow<Q>,
        C::Key: Encode<Q>,
    {
        let key = C::Key::encode(key)?;
        loop {
            let mut previous = None;
            self.store.update(key.as_ref(), |old| {
                previous = old.map(|bytes| Pod::decode(bytes).ok());
                match previous {
                    Some(None) => Update::Keep,
                    Some(old) => Update::set(new(old).to_bytes()),
                    None => Update::set(new(None).to_bytes()),
                }
            })?;
            match previous {
                Some(Some(value)) => return Ok(Some(value)),
                None => return Ok(None),
                Some(None) => self.check_value(key.as_ref())?,
            }
        }
    }
}
