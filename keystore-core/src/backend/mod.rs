//! The backends, each behind the trait [`Table`](crate::table::Table).
//!
//! No backend uses another's code. What several of them need is in `common`. To add a backend,
//! write its `Table` here, and name it in [`BackendKind`](crate::BackendKind) and `open`.

pub(crate) mod common;
#[cfg(feature = "dashmap")]
pub(crate) mod dashmap;
#[cfg(feature = "epoch")]
pub(crate) mod epoch;
#[cfg(feature = "rwlock")]
pub(crate) mod rwlock;
