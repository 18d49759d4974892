//! Provides peers: maps from other crates that the harness measures beside our stores.
//!
//! A store that is only compared with itself is always the fastest. So this module puts the maps
//! that a Rust programmer would otherwise use behind the [`Keystore`](keystore::Keystore) trait.
//! They run the same scenarios with the same threads, the same allocator and the same verification.
//!
//! # How the comparison is kept fair
//!
//! - All peers have `Box<[u8]>` keys and values. This is the std type for bytes of any length that
//!   takes the least memory and the fewest memory accesses. All peers use the default hasher of our
//!   stores, through `Hash for [u8]`, as their users would.
//! - Each peer is created with its own `default()`, and grows from there.
//! - Each peer is used as its documentation recommends. Lookups and removals take the key as
//!   borrowed bytes, and so does overwriting if the map supports it. Nothing is copied without
//!   need. A map with locks overwrites a value of the same length in place. A map with guards takes
//!   one guard for a whole batch.
//! - After loading, the harness scans each peer once before it measures it. After a table has
//!   grown, papaya and scc move its entries a few at a time during later calls. Without the scan, a
//!   short run would measure that work. Our stores are measured as loading leaves them.
//! - The harness calls a peer through one function pointer, as it calls our stores. The adapter
//!   adds nothing else: no check of lengths and no counters.
//!
//! # What a peer does not promise
//!
//! The adapter adds nothing to a peer, so peers break some promises of the trait. They accept keys
//! and values of any length, including the empty key. If memory runs out, the process ends. A
//! closure that calls the same store may deadlock. `retain` and `clear` remove one key at a time.
//! `reserve` and `shrink` return -43, because they mean something different in each peer or need
//! exclusive access to the map. The statistics contain only the number of entries.
//!
//! The names of the peers are always compiled, so that results that contain them can be read. The
//! maps themselves need the feature `peers`.
//!
//! Each peer has its own file, which implements the trait in `map`. `pinned` implements most of it
//! for flurry and papaya. `adapter` makes a store of any map with that trait.

use std::fmt;
use std::str::FromStr;

use keystore::BoxedKeystore;
#[cfg(feature = "peers")]
use keystore::DefaultHasher;
use serde::{Deserialize, Serialize};

use crate::error::Error;

#[cfg(feature = "peers")]
mod adapter;
#[cfg(feature = "peers")]
mod dashmap;
#[cfg(feature = "peers")]
mod flurry;
#[cfg(feature = "peers")]
mod map;
#[cfg(feature = "peers")]
mod papaya;
#[cfg(feature = "peers")]
mod pinned;
#[cfg(feature = "peers")]
mod scc_hash_index;
#[cfg(feature = "peers")]
mod scc_hash_map;
#[cfg(feature = "peers")]
mod sharded;
#[cfg(all(test, feature = "peers"))]
mod tests;

#[cfg(feature = "peers")]
use adapter::Peer;
#[cfg(feature = "peers")]
use map::{Bytes, Map};

/// A peer, by name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PeerKind {
    /// papaya's `HashMap`: lock-free open addressing.
    Papaya,
    /// scc's `HashMap`: a lock in every bucket.
    #[serde(rename = "scc-hashmap")]
    SccHashMap,
    /// scc's `HashIndex`: like scc's `HashMap`, but readers take no lock.
    #[serde(rename = "scc-hashindex")]
    SccHashIndex,
    /// dashmap with boxed keys and values, through its ordinary interface: locked shards.
    #[serde(rename = "dashmap-boxes")]
    DashMap,
    /// flurry's `HashMap`: Java's `ConcurrentHashMap`.
    Flurry,
    /// hashbrown's table, which std also uses, in shards behind parking_lot's locks.
    #[serde(rename = "sharded-rwlock")]
    Sharded,
}

impl PeerKind {
    /// All peers.
    pub const ALL: [Self; 6] = [
        Self::Papaya,
        Self::SccHashMap,
        Self::SccHashIndex,
        Self::DashMap,
        Self::Flurry,
        Self::Sharded,
    ];

    /// Returns the name that [`FromStr`] parses and [`Display`](fmt::Display) prints.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Papaya => "papaya",
            Self::SccHashMap => "scc-hashmap",
            Self::SccHashIndex => "scc-hashindex",
            Self::DashMap => "dashmap-boxes",
            Self::Flurry => "flurry",
            Self::Sharded => "sharded-rwlock",
        }
    }

    /// Returns the name of the crate that provides it.
    #[must_use]
    pub const fn package(self) -> &'static str {
        match self {
            Self::Papaya => "papaya",
            Self::SccHashMap | Self::SccHashIndex => "scc",
            Self::DashMap => "dashmap",
            Self::Flurry => "flurry",
            Self::Sharded => "hashbrown",
        }
    }

    /// Returns the version of that crate in the workspace's lock file.
    #[must_use]
    pub const fn version(self) -> &'static str {
        match self {
            Self::Papaya => "0.2.5",
            Self::SccHashMap | Self::SccHashIndex => "3.8.8",
            Self::DashMap => "6.2.1",
            Self::Flurry => "0.5.2",
            Self::Sharded => "0.17.1",
        }
    }

    /// Returns an empty store of this kind.
    ///
    /// # Errors
    /// -43 if the feature `peers` is off.
    #[cfg(feature = "peers")]
    pub fn open(self) -> keystore::Result<BoxedKeystore> {
        Ok(match self {
            Self::Papaya => boxed::<::papaya::HashMap<Bytes, Bytes, DefaultHasher>>(),
            Self::SccHashMap => boxed::<scc::HashMap<Bytes, Bytes, DefaultHasher>>(),
            Self::SccHashIndex => boxed::<scc::HashIndex<Bytes, Bytes, DefaultHasher>>(),
            Self::DashMap => boxed::<::dashmap::DashMap<Bytes, Bytes, DefaultHasher>>(),
            Self::Flurry => boxed::<::flurry::HashMap<Bytes, Bytes, DefaultHasher>>(),
            Self::Sharded => boxed::<sharded::Sharded>(),
        })
    }

    /// Returns an error, because the feature `peers` is off.
    ///
    /// # Errors
    /// Always -43.
    #[cfg(not(feature = "peers"))]
    pub fn open(self) -> keystore::Result<BoxedKeystore> {
        Err(keystore::Error::Unsupported {
            operation: "opening a peer",
            reason: "the feature \"peers\" is off",
        })
    }
}

#[cfg(feature = "peers")]
fn boxed<M: Map + Default + Send + Sync + 'static>() -> BoxedKeystore {
    Box::new(Peer(M::default()))
}

impl fmt::Display for PeerKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for PeerKind {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self, Error> {
        let named = Self::ALL.into_iter().find(|kind| kind.name() == name);
        named.ok_or_else(|| Error::unknown("peer", name, &Self::ALL.map(Self::name)))
    }
}
