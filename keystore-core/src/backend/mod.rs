//! The backends. Each implements the trait [`Table`](crate::table::Table).
//!
//! No backend uses another backend's code. Code that several backends need is in `common`.
//!
//! # Adding a backend
//!
//! 1. Implement `Table` in a module here. Export the name of the store in `lib.rs`, and in the
//!    `lib.rs` of the crate `keystore`.
//! 2. Add a Cargo feature with the backend's name to `keystore-core` and to `keystore`. The crates
//!    that use all backends (`keystore-bench`, `keystore-cli`, `keystore-ffi`, `keystore-verify`)
//!    list it in their dependencies.
//! 3. In `open.rs`, add the backend to [`BackendKind`](crate::BackendKind), to `BackendKind::ALL`,
//!    and to [`open`](crate::open()).
//! 4. Add it to the tests that name the type of each store. These are `statics`, `printing` and
//!    `threads` in `keystore/tests/conformance`, and `keystore/tests/support/hashing.rs`. They fail
//!    until the backend is there. All other tests of whole stores find it in `BackendKind::ALL`.
//! 5. Add its feature to the builds with a single feature, in `xtask/src/test/step.rs` and
//!    `xtask/src/test/without.rs`.

pub(crate) mod common;
#[cfg(feature = "dashmap")]
pub(crate) mod dashmap;
#[cfg(feature = "epoch")]
pub(crate) mod epoch;
#[cfg(feature = "rwlock")]
pub(crate) mod rwlock;
