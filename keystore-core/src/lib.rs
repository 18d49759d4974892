//! keystore-core: a concurrent, in-process key-value store, byte keys to byte values.
//!
//! # The idea
//!
//! An entry is a *node*: one allocation that holds key and value side by side. A *table* is an
//! array of buckets, each one cache line of slots; a slot is a 16-bit tag of the key's hash and the
//! node's address in one word. A lookup hashes the key once, waits for one line of the table,
//! compares tags, and waits for one node: two waits for memory, where a map of boxed keys and
//! values has four. Tables grow with their content. With the first two backends that is a bucket or
//! a few at a time, and no call waits for a whole table to be copied. dashmap copies one of its
//! shards at a time, within one call.
//!
//! Two traits stand between the parts:
//!
//! - [`Keystore`] is what a store can do, whatever is behind it. The *backends* implement it.
//! - [`NodeAllocator`] is where nodes come from. The *pools* of keystore-pool implement it;
//!   [`Global`] is the trivial one, so this crate is useful alone.
//!
//! Any backend runs on any allocator.
//!
//! # Choosing a backend
//!
//! | | [`RwLockKeystore`] | [`EpochKeystore`] | [`DashMapKeystore`] |
//! |---|---|---|---|
//! | readers | share a bucket's lock | wait for nobody | share a shard's lock |
//! | writers | lock one bucket | lock-free | lock one shard |
//! | overwriting | in place if it fits | a new node each time | in place if it fits |
//! | removed memory | at once | when no reader can see it any more | at once |
//! | the table grows | one bucket at a time | some buckets at a time | one shard at a time, under its lock |
//! | a closure that calls the store | refused (-30) if it would wait | answered, but for a write to the key it decides about (-30) | refused (-30) if it would wait |
//!
//! Begin with [`RwLockKeystore`]: it is good at everything, best at overwriting and counting, and
//! gives memory back at once. Take [`EpochKeystore`] if many threads mostly read, or read in
//! batches, and [`LocalKeystore`] on a single thread. [`DashMapKeystore`] is there if dashmap is
//! what you know. Then measure with your own load: `cargo xtask bench` compares them all.
//!
//! ```
//! # #[cfg(feature = "rwlock")] fn main() -> keystore_core::Result<()> {
//! use keystore_core::{Config, Global, Keystore, RwLockKeystore, Update};
//!
//! let config = Config { initial_buckets: 1024, ..Config::default() };
//! let store = RwLockKeystore::open(&config, Global)?;
//! std::thread::scope(|scope| {
//!     for _ in 0..4 {
//!         scope.spawn(|| {
//!             for _ in 0..1000 {
//!                 store.update(b"visits", |old| {
//!                     let visits = old.map_or(0, |v| u64::from_le_bytes(v.try_into().unwrap()));
//!                     Update::Set((visits + 1).to_le_bytes().to_vec())
//!                 })?;
//!             }
//!             Ok::<_, keystore_core::Error>(())
//!         });
//!     }
//! });
//! assert_eq!(store.get(b"visits")?, Some(4000_u64.to_le_bytes().to_vec()));
//! # Ok(()) }
//! # #[cfg(not(feature = "rwlock"))] fn main() {}
//! ```
//!
//! At run time, [`open`] takes a [`BackendKind`] and gives a boxed store.
//!
//! # Forking
//!
//! A child of `fork` has a copy of each store, apart from the parent's and as good, if no thread
//! was inside a call of any store of the process at that instant, had a session open, or was just
//! ending (Linux, if the program's allocator works in a child, as that of glibc does).
//! Otherwise what that thread held is held without end. docs/backends.md in the repository says
//! what that means for each backend and pool, and what a child needs to start threads of its own.
//!
//! # Features
//!
//! `rwlock`, `epoch`: these backends, on by default. `dashmap`: that backend, off by default, since
//! it brings dashmap and what that depends on. A build without a backend does not compile it or
//! what only it depends on; [`open`] then refuses it by the name of its feature. `serde`:
//! `Serialize` and `Deserialize` for the configuration, the statistics and the kinds.
//!
//! # Where things are
//!
//! `keystore` the trait and its promises · `store` the operations, written once for all backends,
//! batches and sessions · `table` what a backend provides · `backend` the three backends, `open`
//! the choice between them · `node` an entry's bytes · `hash` how the bits of a hash are used ·
//! `account` limits and counts · `sync` what threads share. The whole map is docs/architecture.md
//! in the repository.

// On docs.rs: which feature brings an item.
#![cfg_attr(docsrs, feature(doc_cfg))]
#![cfg_attr(
    not(all(feature = "rwlock", feature = "epoch", feature = "dashmap")),
    allow(
        dead_code,
        unreachable_code,
        reason = "a build without a backend leaves unused what only that backend needs"
    )
)]

mod account;
mod allocator;
mod backend;
mod config;
mod error;
mod error_counts;
#[doc(hidden)]
pub mod fallible;
mod hash;
#[doc(hidden)]
pub mod huge_pages;
mod keystore;
mod node;
mod open;
mod stats;
mod store;
mod sync;
pub mod system_memory;
mod table;

pub use account::sharded;
pub use allocator::{Global, NodeAllocator};
#[cfg(feature = "dashmap")]
pub use backend::dashmap::{DashMapKeystore, DashMapTable};
#[cfg(feature = "epoch")]
pub use backend::epoch::{EpochKeystore, EpochTable};
#[cfg(feature = "rwlock")]
pub use backend::rwlock::{
    BucketLock, LocalKeystore, NoLock, RwLockKeystore, RwLockTable, SharedLock,
};
pub use config::{Concurrency, Config, Shrinking};
pub use error::{BatchError, Error, Result, code};
pub use error_counts::ErrorCounts;
pub use hash::{DefaultHasher, KeyHasher};
pub use keystore::{Change, Exchange, Keystore, Update};
pub use node::{MAX_KEY_LEN, MAX_VALUE_LEN};
pub use open::{BackendKind, BoxedKeystore, open, open_local};
pub use stats::{
    CollisionStats, EntryStats, MemoryStats, Metadata, NodeOperationStats, OperationStats,
    PoolStats, Stats,
};
pub use store::Store;
pub use store::session::Session;
#[cfg(loom)]
#[doc(hidden)]
pub use sync::loom_model;
pub use sync::{thread_exit, thread_slot};
