//! The backends. Each implements the trait [`Table`](crate::table::Table).
//!
//! No backend uses another backend's code. Code that several backends need is in `common`. To add a
//! backend, implement `Table` in a module here, and add the backend to
//! [`BackendKind`](crate::BackendKind) and `open`.

pub(crate) mod common;
#[cfg(feature = "dashmap")]
pub(crate) mod dashmap;
#[cfg(feature = "epoch")]
pub(crate) mod epoch;
#[cfg(feature = "rwlock")]
pub(crate) mod rwlock;
