//! Peers: other people's maps, as stores that the harness can drive beside ours.
//!
//! A store that is only compared with itself is always the fastest. So the maps that a Rust
//! programmer would otherwise take stand here behind the same [`Keystore`](keystore::Keystore), and
//! run the same scenarios, under the same threads, allocator and check.
//!
//! # What is fair
//!
//! - All peers have `Box<[u8]>` keys and values: bytes of any length, in the fewest bytes, with the
//!   fewest waits for memory. All have the hasher that our stores have by default, through `Hash
//!   for [u8]`, as their users would.
//! - Each is opened as by its own `default()`, and grows from there.
//! - Each is used as its documentation says is best. Lookups, removals and, where it can,
//!   overwriting take the key as borrowed bytes, and nothing is copied that need not be. A map that
//!   locks overwrites a value of the same length in place; a map with guards takes one for a whole
//!   batch.
//! - After loading, each is walked once before it is measured. papaya and scc move the entries of a
//!   table that has grown a few at a time, with later calls, and a short run would measure that.
//!   Ours are measured as loading leaves them.
//! - Between the harness and the peer is one call through a pointer, the same that our stores pay,
//!   and nothing else: no check of lengths, no counters.
//!
//! # What a peer does not promise
//!
//! The adapter adds nothing to a peer, so some promises of the trait are not kept here: keys and
//! values of any length are taken, the empty key too; where memory is short the process ends; a
//! closure that calls the same store may deadlock. `retain` and `clear` go key by key; `reserve`
//! and `shrink` are refused (-43), for they mean something else in each, or need the map alone; of
//! the statistics only the count of entries is told.
//!
//! Their names are always there, so that results with them can be read; the maps themselves need
//! the feature `peers`.
//!
//! One file to each peer, one trait (`map`) that they implement (`pinned` does most of it for two),
//! one adapter that makes a store of it.

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
    /// scc's `HashIndex`: as that, with readers that take no lock.
    #[serde(rename = "scc-hashindex")]
    SccHashIndex,
    /// dashmap as its users have it: boxed keys and values in locked shards.
    #[serde(rename = "dashmap-boxes")]
    DashMap,
    /// flurry's `HashMap`: Java's `ConcurrentHashMap`.
    Flurry,
    /// hashbrown's table, which is std's, in shards behind parking_lot's locks.
    #[serde(rename = "sharded-rwlock")]
    Sharded,
}

impl PeerKind {
    /// All of them.
    pub const ALL: [Self; 6] = [
        Self::Papaya,
        Self::SccHashMap,
        Self::SccHashIndex,
        Self::DashMap,
        Self::Flurry,
        Self::Sharded,
    ];

    /// Returns the name it parses from and prints as.
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

    /// Returns the crate that it comes from.
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

    /// Returns the version of that crate which the workspace's lock file names.
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
    /// -43 where the feature `peers` is off.
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

    /// Returns an empty store of this kind: none, for the feature `peers` is off.
    ///
    /// # Errors
    /// -43.
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
