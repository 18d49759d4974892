//! A map of Rust types over a store of bytes.
//!
//! A [`Map`] turns keys and values into bytes and keeps them in a [`Keystore`], so it has what the
//! store has: any backend and pool, a memory limit, linearizable operations, and errors in place of
//! aborts. All methods take `&self`. Put a map behind an [`Arc`](std::sync::Arc), or into a static,
//! and all threads share it.
//!
//! ```
//! # #[cfg(any(feature = "epoch", feature = "rwlock", feature = "dashmap"))] {
//! use keystore::Map;
//!
//! let words: Map<String, u64> = Map::new();
//! words.insert("tea".to_owned(), 1)?;
//! words.fetch_add("tea", 1)?;
//! assert_eq!(words.get("tea")?, Some(2));
//! # }
//! # Ok::<(), keystore::MapError>(())
//! ```
//!
//! # Codecs
//!
//! A *codec* says how a type becomes bytes. The third parameter of a map names it:
//!
//! | map | keys and values |
//! |---|---|
//! | `Map<String, u64>` | each type's own codec, see [`StandardCodec`] |
//! | `Map<u64, Point, Pod>` | plain data, by [`bytemuck`]: no conversion, no allocation |
//! | `Map<String, Vec<u8>, Bytes>` | text and bytes as they are |
//! | `Map<String, Account, Serde>` | whatever serde can serialise (with the feature `serde`) |
//! | `Map<u64, Account, (Pod, Serde)>` | a codec for the keys, another for the values |
//!
//! A codec of your own implements [`Encode`] and [`Codec`].
//!
//! Two keys are equal if their bytes are. Bytes that are not those of the type can be in the store
//! only if they were put there by other means than this map. Then the method returns a
//! [`DecodeError`], and the entry stays as it is.
//!
//! # Stores
//!
//! The fourth parameter is the store. [`Map::new`] opens a [`DefaultStore`], and [`Map::over`]
//! takes any store, one that is shared too:
//!
//! ```
//! # #[cfg(all(feature = "rwlock", feature = "slab"))] fn main() -> keystore::Result<()> {
//! use keystore::map::Pod;
//! use keystore::{Config, Map, RwLockKeystore, SlabPool};
//!
//! let config = Config { memory_limit: Some(1 << 30), ..Config::default() };
//! let store = RwLockKeystore::open(&config, SlabPool::from_config(&config)?)?;
//! let map: Map<u64, u64, Pod, _> = Map::over(store);
//! # drop(map);
//! # Ok(()) }
//! # #[cfg(not(all(feature = "rwlock", feature = "slab")))] fn main() {}
//! ```
//!
//! # Closures
//!
//! A closure that is passed to a method runs within the operation. In the backends with locks
//! (rwlock, dashmap) it runs under the lock of its key's bucket or shard, once. Other threads may
//! wait for it, so it should be short. If it calls the map itself, the inner call returns
//! [`Error::Busy`](crate::Error::Busy) in place of a deadlock. In the lock-free backend (epoch), it
//! holds nobody up, and runs again if another thread changes the key in the meantime.
//!
//! A closure that panics changes nothing, and the map stays usable.

mod bytes;
mod codec;
mod collect;
mod compute;
mod counter;
mod error;
mod insert_with;
mod iter;
mod pod;
mod read;
#[cfg(feature = "serde")]
mod serde;
mod write;

use std::fmt;
use std::marker::PhantomData;

pub use bytes::Bytes;
pub use codec::{Codec, Codecs, Encode, Standard, StandardCodec, View};
pub use counter::Integer;
pub use error::{DecodeError, EncodeError, MapError, Problem};
pub use iter::Items;
pub use pod::{Pod, PodBytes};
#[cfg(feature = "serde")]
pub use serde::Serde;

use crate::Keystore;

/// The store of a map that names none: the lock-free backend if it is compiled in, else `rwlock`,
/// else `dashmap`, on the global allocator.
#[cfg(feature = "epoch")]
pub type DefaultStore = crate::EpochKeystore;
/// The store of a map that names none: the lock-free backend if it is compiled in, else `rwlock`,
/// else `dashmap`, on the global allocator.
#[cfg(all(feature = "rwlock", not(feature = "epoch")))]
pub type DefaultStore = crate::RwLockKeystore;
/// The store of a map that names none: the lock-free backend if it is compiled in, else `rwlock`,
/// else `dashmap`, on the global allocator.
#[cfg(all(feature = "dashmap", not(any(feature = "epoch", feature = "rwlock"))))]
pub type DefaultStore = crate::DashMapKeystore;
/// The store of a map that names none. In this build no backend is compiled in, so it cannot be
/// opened.
#[cfg(not(any(feature = "epoch", feature = "rwlock", feature = "dashmap")))]
pub type DefaultStore = crate::BoxedKeystore;

/// A concurrent map from `K` to `V`. `C` turns them into bytes, and `S` is the store that has the
/// bytes. See the [module](self).
pub struct Map<K, V, C = Standard, S = DefaultStore> {
    store: S,
    /// The map holds no key, no value and no codec, so it can be sent and shared if the store can.
    types: PhantomData<fn() -> (K, V, C)>,
}

#[cfg(any(feature = "epoch", feature = "rwlock", feature = "dashmap"))]
impl<K, V, C> Map<K, V, C> {
    /// Returns an empty map over a new [`DefaultStore`].
    ///
    /// # Panics
    /// If the first table, about 16 KiB, cannot be allocated. [`open`](Self::open) returns an error
    /// in that case.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Returns an empty map over a new [`DefaultStore`] with this configuration.
    ///
    /// # Errors
    /// Returns -21 if the configuration is outside its limits, and -10 if there is no memory.
    pub fn open(config: &crate::Config) -> Result<Self, MapError> {
        Ok(Self::over(DefaultStore::open(config, crate::Global)?))
    }
}

impl<K, V, C, S> Map<K, V, C, S> {
    /// Returns the map of the entries of `store`, which may have entries already.
    #[must_use]
    pub const fn over(store: S) -> Self {
        Self { store, types: PhantomData }
    }

    /// Returns the store, for the operations that a map does not have, such as `reserve`, `stats`
    /// and sessions. A change to the store is a change to the map.
    #[must_use]
    pub const fn store(&self) -> &S {
        &self.store
    }

    /// Returns the store without the map.
    #[must_use]
    pub fn into_store(self) -> S {
        self.store
    }
}

impl<K, V, C, S: Default> Default for Map<K, V, C, S> {
    fn default() -> Self {
        Self::over(S::default())
    }
}

/// Prints the number of entries, and no keys or values.
impl<K, V, C, S: Keystore> fmt::Debug for Map<K, V, C, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut map = f.debug_struct("Map");
        if let Ok(entries) = self.store.len() {
            map.field("entries", &entries);
        }
        map.finish_non_exhaustive()
    }
}
