//! Code that several backends share.

pub(crate) mod cursor;
#[cfg(any(feature = "rwlock", feature = "epoch", feature = "dashmap"))]
pub(crate) mod hint;
#[cfg(any(feature = "rwlock", feature = "epoch"))]
pub(crate) mod load_factor;
#[cfg(any(feature = "rwlock", feature = "epoch"))]
pub(crate) mod tagged_ptr;
#[cfg(any(feature = "rwlock", feature = "epoch"))]
pub(crate) mod tags;
pub(crate) mod zeroed_array;
