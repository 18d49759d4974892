//! Describes the load on a store.
//!
//! `scenario` describes a load; `operation`, `distribution`, `size` and `keys` are its parts.
//! `stream` draws the operations of each thread, and `trace` reads recorded operations. `suite`
//! reads files of scenarios.

pub(crate) mod distribution;
pub(crate) mod keys;
pub(crate) mod operation;
pub(crate) mod path;
pub(crate) mod scenario;
pub(crate) mod size;
pub(crate) mod stream;
pub(crate) mod suite;
pub(crate) mod trace;
