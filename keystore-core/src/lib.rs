//! A concurrent, in-process key-value store: byte keys to byte values.
//!
//! An entry is a *node*: one allocation that holds the key and the value side by side. A *table* is
//! an array of *buckets*, and a bucket is one cache line of *slots*. A slot is one word: a 16-bit
//! tag of the key's hash, and the node's address. A lookup hashes the key once, waits for one cache
//! line of the table, compares tags, and waits for one node. That is two waits for memory; a map of
//! boxed keys and values has four.
//!
//! Tables grow with their content. The `rwlock` and `epoch` backends move one bucket or a few at a
//! time, so no call waits until a whole table is copied. The `dashmap` backend copies one of its
//! shards at a time, within one call.
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
//!                     Update::set((visits + 1).to_le_bytes().to_vec())
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
//! # Two traits
//!
//! - [`Keystore`] is what a store can do, whatever is behind it. The *backends* implement it.
//! - [`NodeAllocator`] is where nodes come from. The *pools* of keystore-pool implement it.
//!   [`Global`] is a trivial implementation, so this crate is useful alone.
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
//! | removed memory | freed at once | freed when no reader can see it any more | freed at once |
//! | growth | one bucket at a time | some buckets at a time | one shard at a time, locked |
//!
//! Start with [`RwLockKeystore`]: it is good at everything, best at overwriting and counting, and
//! frees memory at once. Take [`EpochKeystore`] if many threads mostly read, or read in batches,
//! and [`LocalKeystore`] on a single thread. [`DashMapKeystore`] is for those who know dashmap.
//! Then measure with your own load: `cargo xtask bench` compares them all.
//!
//! A closure may call the store that called it. In the backends with locks, the inner call returns
//! [`Error::Busy`] (-30) if it would have to wait for a lock. In the lock-free backend the inner
//! call is refused (-30) only if it writes the key that the closure decides about.
//!
//! [`open`] chooses the backend at run time: it takes a [`BackendKind`] and returns a boxed store.
//!
//! # Forking
//!
//! A child of `fork` has a copy of each store, which works and is separate from the parent's. This
//! holds on Linux if the program's allocator works in a child, as glibc's does, and if at the
//! instant of the fork no thread of the process was inside a call of any store, had a session open,
//! or was just ending. Otherwise the locks and pins of such a thread are never released in the
//! child. docs/backends.md in the repository says what that means for each backend and pool, and
//! what a child needs to start threads.
//!
//! # Features
//!
//! - `rwlock`, `epoch`: these backends, on by default.
//! - `dashmap`: that backend, off by default, since it brings dashmap and what that depends on.
//! - `serde`: `Serialize` and `Deserialize` for the configuration, the statistics and the kinds.
//!
//! A build without a backend compiles neither the backend nor what only it depends on; [`open`]
//! then returns an error that names the feature.
//!
//! # Where things are
//!
//! | module | content |
//! |---|---|
//! | `keystore` | the trait [`Keystore`]: the operations and their promises |
//! | `config`, `open` | how a store is opened |
//! | `error`, `error_counts`, `stats` | error codes and statistics |
//! | `store` | [`Store`]: each operation, made once for all backends; sessions; batches |
//! | `table` | the trait that a backend implements |
//! | `backend` | the three backends: `rwlock`, `epoch`, `dashmap`, and what they share |
//! | `node`, `hash` | an entry's bytes; how the bits of a hash are used |
//! | `allocator` | the trait [`NodeAllocator`], and [`Global`] |
//! | `account` | a store's node heap with its memory limit, and its counters |
//! | `sync` | atomics for the model checker, thread slots, thread exit, reentrancy |
//! | `fallible`, `huge_pages`, `system_memory` | allocation without aborts; the system's limits |
//!
//! docs/architecture.md in the repository has the whole map.

// docs.rs shows which feature enables an item.
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
mod scan;
mod stats;
mod store;
mod sync;
pub mod system_memory;
mod table;
mod update;

pub use account::sharded;
pub use allocator::{Global, NodeAllocator};
#[cfg(feature = "dashmap")]
pub use backend::dashmap::{DashMapKeystore, DashMapTable};
#[cfg(feature = "epoch")]
pub use backend::epoch::{EpochKeystore, EpochTable, ValueGuard};
#[cfg(feature = "rwlock")]
pub use backend::rwlock::{
    BucketLock, LocalKeystore, NoLock, RwLockKeystore, RwLockTable, SharedLock,
};
pub use config::{Concurrency, Config, Shrinking};
pub use error::{BatchError, Error, Result, code};
pub use error_counts::ErrorCounts;
pub use hash::{DefaultHasher, KeyHasher};
pub use keystore::{Change, Exchange, Keystore};
pub use node::{MAX_KEY_LEN, MAX_VALUE_LEN};
pub use open::{BackendKind, BoxedKeystore, open, open_local};
pub use scan::{Entries, OwnedEntry, ScanCursor};
pub use stats::{
    CollisionStats, Counters, EntryStats, MemoryStats, Metadata, NodeOperationStats,
    OperationStats, PoolStats, Stats,
};
pub use store::Store;
pub use store::dyn_session::DynSession;
pub use store::hashed_key::HashedKey;
pub use store::session::Session;
#[cfg(loom)]
#[doc(hidden)]
pub use sync::loom_model;
pub use sync::{thread_exit, thread_slot};
pub use update::{Fill, NewValue, Update};
