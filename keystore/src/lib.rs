//! keystore: a concurrent, in-process key-value store that maps byte keys to byte values.
//!
//! This is the crate to start from. It re-exports [`keystore_core`] (the trait [`Keystore`] and its
//! three backends) and [`keystore_pool`] (the pools that entries come from), and names each backend
//! on each pool as a [`Combination`].
//!
//! ```
//! # #[cfg(all(feature = "rwlock", feature = "slab"))] fn main() -> keystore::Result<()> {
//! use keystore::{Combination, Config, Keystore};
//!
//! let store = Combination::default().open(&Config::default())?;
//! store.set(b"answer", b"42")?;
//! assert_eq!(store.get(b"answer")?.as_deref(), Some(&b"42"[..]));
//! # Ok(()) }
//! # #[cfg(not(all(feature = "rwlock", feature = "slab")))] fn main() {}
//! ```
//!
//! A store that is chosen at run time is a [`BoxedKeystore`]. A store whose backend and pool are
//! known when the program is compiled is faster, and takes closures of any type:
//!
//! ```
//! # #[cfg(all(feature = "rwlock", feature = "slab"))] fn main() -> keystore::Result<()> {
//! use keystore::{Config, Keystore, RwLockKeystore, SlabPool};
//!
//! let config = Config { initial_buckets: 1024, ..Config::default() };
//! let store = RwLockKeystore::open(&config, SlabPool::from_config(&config)?)?;
//! store.set(b"answer", b"42")?;
//! assert_eq!(store.read(b"answer", |value| value.len())?, Some(2));
//! # Ok(()) }
//! # #[cfg(not(all(feature = "rwlock", feature = "slab")))] fn main() {}
//! ```
//!
//! A [`Map`] keeps Rust types in a store. It has the methods of a hash map, and each returns a
//! `Result`; [`map`] says how types become bytes:
//!
//! ```
//! # #[cfg(any(feature = "epoch", feature = "rwlock", feature = "dashmap"))] {
//! use keystore::Map;
//!
//! let visits: Map<String, u64> = Map::new();
//! std::thread::scope(|scope| {
//!     for _ in 0..4 {
//!         scope.spawn(|| visits.fetch_add("home", 1));
//!     }
//! });
//! assert_eq!(visits.get("home")?, Some(4));
//! # }
//! # Ok::<(), keystore::MapError>(())
//! ```
//!
//! # Coming from another crate
//!
//! In the repository, four pages list the methods of another crate with the matching calls of
//! [`Map`], show both side by side, and name the traps: `docs/coming-from-dashmap.md`,
//! `docs/coming-from-scc.md`, `docs/coming-from-papaya.md` and `docs/coming-from-moka.md`.
//!
//! # Features
//!
//! Each backend (`rwlock`, `epoch`, `dashmap`) and each pool (`slab`, `arena`) is a feature. All
//! are on by default. A build without one of them does not compile it, nor the dependencies that
//! only it has. `serde` adds `Serialize` and `Deserialize` to the configuration, the statistics and
//! the kinds, and the codec `Serde` to the map. `metrics` and `prometheus` export a store's
//! counters to monitoring systems: see `docs/metrics.md` in the repository.

// On docs.rs, show which feature each item needs.
#![cfg_attr(docsrs, feature(doc_cfg))]

mod combination;
#[cfg(any(feature = "metrics", feature = "prometheus"))]
pub mod export;
pub mod map;

pub use bytemuck;
pub use combination::Combination;
#[doc(inline)]
pub use keystore_core::*;
#[doc(inline)]
pub use keystore_pool::*;
#[cfg(feature = "serde")]
pub use map::Serde;
pub use map::{Bytes, Codec, Map, MapError, Pod};

// These items are re-exported by name, too. So if a program uses one whose feature is off, the
// compiler's error names that feature.
#[cfg(feature = "rwlock")]
pub use keystore_core::{
    BucketLock, LocalKeystore, NoLock, RwLockKeystore, RwLockTable, SharedLock,
};
#[cfg(feature = "dashmap")]
pub use keystore_core::{DashMapKeystore, DashMapTable};
#[cfg(feature = "epoch")]
pub use keystore_core::{EpochKeystore, EpochTable};
#[cfg(feature = "arena")]
pub use keystore_pool::{ArenaOptions, ArenaPool};
#[cfg(feature = "slab")]
pub use keystore_pool::{SlabOptions, SlabPool, WhenFull};

/// The examples of the page about monitoring.
#[cfg(all(doctest, feature = "rwlock", feature = "metrics", feature = "prometheus"))]
#[doc = include_str!("../../docs/metrics.md")]
mod monitoring {}

/// The examples in the pages for users of other crates, which must compile and run. They are built
/// with the features of this build, so they need those that the pages use.
#[cfg(all(
    doctest,
    feature = "rwlock",
    feature = "epoch",
    feature = "dashmap",
    feature = "slab",
    feature = "serde"
))]
mod coming_from {
    #[doc = include_str!("../../docs/coming-from-dashmap.md")]
    struct DashMap;

    #[doc = include_str!("../../docs/coming-from-scc.md")]
    struct Scc;

    #[doc = include_str!("../../docs/coming-from-papaya.md")]
    struct Papaya;

    #[doc = include_str!("../../docs/coming-from-moka.md")]
    struct Moka;
}
