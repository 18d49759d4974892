//! libkeystore: the store, for C and for every language that can call C.
//!
//! # The idea
//!
//! C has no generics, no `Result` and no borrowing. So each fact that the Rust store expresses in
//! types is expressed here in one plain way, the same in every function:
//!
//! - A store is a *handle* ([`ks_store`]), not an address: a number that only this library can look
//!   up. A handle that is NULL, that is closed or that never was one returns an error code. The
//!   caller must ensure only that no thread closes a store during another thread's call.
//! - Keys and values go in as pointer and length, and are copied: the library keeps no pointer to
//!   the caller's memory. A value comes out in one of three ways: into the caller's buffer
//!   ([`ks_get`]), as memory that the caller frees with [`ks_free`] ([`ks_get_owned`]), or by being
//!   shown to a callback in place ([`ks_read`]).
//! - Every function that can fail returns a status: [`KS_OK`] or a negative code, the same as
//!   [`Error::code`](keystore_core::Error::code). [`ks_last_error_message`] returns the details:
//!   the value that was wrong and the limit that it broke. Each thread has its own last message.
//! - A struct that may get more fields is passed with its size, so that programs and libraries of
//!   different versions understand each other.
//! - A panic never crosses the C boundary: it becomes [`KS_GENERAL`] with its message.
//!
//! The names are those of the header, `include/keystore.h`. cbindgen makes the header from these
//! sources: `cargo xtask header` writes it, and the comments on the functions here are its
//! documentation. So they are written for a C programmer.
//!
//! # Where things are
//!
//! `status` the codes and the last message · `failure` everything that can go wrong, and the
//! function that turns it into a code · `options` the options that a store is opened with ·
//! `handle` handles and what they stand for · `bytes` memory that comes in and goes out · `store`
//! opening, closing and the operations on one key · `callback` values shown in place · `atomic_ops`
//! reading and writing in one step · `batch` many keys at once · `stats` the statistics and the
//! counters of a store.
//!
//! The interface of the C predecessor is in a separate library, `keystore-legacy` in the folder
//! `legacy`, which includes this one.

#![allow(non_camel_case_types, reason = "the types are named as in the C header")]
#![allow(
    clippy::unnecessary_lazy_evaluations,
    reason = "a failure that is made ahead of time is dropped again on every call that succeeds: 15 ns each"
)]

mod atomic_ops;
mod batch;
mod bytes;
mod callback;
mod failure;
mod handle;
mod options;
mod stats;
mod status;
mod store;

/// The conversion code of the C boundary, for the library that has the C predecessor's interface.
/// Not for other callers.
#[doc(hidden)]
pub mod border {
    pub use crate::bytes::{BytesError, Out, Owned, slice};
    pub use crate::failure::{Failure, guard};
}

pub use atomic_ops::{
    KS_UPDATE_DELETE, KS_UPDATE_KEEP, KS_UPDATE_SET, ks_compare_exchange, ks_take, ks_update,
    ks_update_fn,
};
pub use batch::{
    ks_delete_many, ks_get_many, ks_read_many, ks_read_many_fn, ks_set_many, ks_value,
};
pub use bytes::ks_bytes;
pub use callback::{ks_for_each, ks_for_each_fn, ks_read, ks_read_fn, ks_scan, ks_scan_fn};
pub use handle::ks_store;
pub use options::{
    KS_BACKEND_DASHMAP, KS_BACKEND_EPOCH, KS_BACKEND_RWLOCK, KS_CONCURRENCY_MULTI_THREADED,
    KS_CONCURRENCY_SINGLE_THREADED, KS_NO_LOCK_TIMEOUT, KS_NO_MEMORY_LIMIT, KS_POOL_ARENA,
    KS_POOL_SLAB, KS_POOL_SYSTEM, ks_backend, ks_concurrency, ks_options, ks_options_init, ks_pool,
};
pub use stats::{ks_counters, ks_stats, ks_store_counters, ks_store_stats};
pub use status::{
    KS_GENERAL, KS_INVALID_ARGUMENT, KS_INVALID_CONFIG, KS_KEY_EXISTS, KS_KEY_NOT_FOUND,
    KS_LOCK_NOT_ACQUIRED, KS_NOT_INITIALISED, KS_OK, KS_OUT_OF_MEMORY, KS_UNSUPPORTED,
    ks_last_error_message, ks_strerror, ks_version,
};
pub use store::{
    ks_clear, ks_close, ks_count, ks_delete, ks_exists, ks_free, ks_get, ks_get_owned, ks_insert,
    ks_open, ks_reserve, ks_set, ks_shrink,
};
