//! Choosing a backend at run time.
//!
//! A new backend gets a [`BackendKind`], and an arm in [`open`] that opens its store.

use std::fmt;
use std::str::FromStr;

use crate::allocator::NodeAllocator;
use crate::config::{Concurrency, Config};
use crate::error::{Error, Result};
use crate::keystore::Keystore;

/// A backend, by name. Parses from and prints as `rwlock`, `epoch` or `dashmap`. It may name a
/// backend that is not compiled in: [`open`] refuses such a backend. Take the default unless there
/// is a reason not to; docs/backends.md in the repository says why.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize, serde::Deserialize),
    serde(rename_all = "lowercase")
)]
#[non_exhaustive]
pub enum BackendKind {
    /// A lock in every bucket.
    #[default]
    RwLock,
    /// Lock-free, memory reclaimed by epochs.
    Epoch,
    /// dashmap's shards.
    DashMap,
}

impl BackendKind {
    /// All kinds. Do not rely on the length: a later version may have more.
    pub const ALL: [Self; 3] = [Self::RwLock, Self::Epoch, Self::DashMap];

    /// Returns the name that it parses from and prints as.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::RwLock => "rwlock",
            Self::Epoch => "epoch",
            Self::DashMap => "dashmap",
        }
    }
}

impl fmt::Display for BackendKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for BackendKind {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name).ok_or_else(|| {
            Error::invalid_argument("backend", format_args!("{name:?}"), "rwlock, epoch or dashmap")
        })
    }
}

/// A store whose backend was chosen at run time, and which may go to any thread.
pub type BoxedKeystore = Box<dyn Keystore + Send + Sync>;

/// Opens a store of this kind over this allocator.
///
/// # Errors
/// Returns
/// - -21 if a field of the configuration is outside its limits, or asks for single-threaded mode: a
///   box that goes to any thread cannot have it, see [`open_local`];
/// - -43 if the backend is not compiled in; the error names its feature;
/// - -10 if the first table cannot be allocated.
pub fn open<A>(kind: BackendKind, config: &Config, allocator: A) -> Result<BoxedKeystore>
where
    A: NodeAllocator + Send + Sync + 'static,
{
    if config.concurrency == Concurrency::SingleThreaded {
        return Err(Error::invalid_config(
            "concurrency",
            "single-threaded",
            "multi-threaded for a store that is shared (open_local opens a single-threaded one)",
        ));
    }
    Ok(match kind {
        #[cfg(feature = "rwlock")]
        BackendKind::RwLock => {
            crate::fallible::try_box(crate::RwLockKeystore::open(config, allocator)?)?
        }
        #[cfg(feature = "epoch")]
        BackendKind::Epoch => {
            crate::fallible::try_box(crate::EpochKeystore::open(config, allocator)?)?
        }
        #[cfg(feature = "dashmap")]
        BackendKind::DashMap => {
            crate::fallible::try_box(crate::DashMapKeystore::open(config, allocator)?)?
        }
        #[allow(unreachable_patterns, reason = "reached only where a backend's feature is off")]
        other => return Err(not_built(other, config, allocator)),
    })
}

/// Opens a store of this kind that stays on one thread. With [`Concurrency::SingleThreaded`] the
/// locked backend takes no locks; the other two are the same as in [`open`].
///
/// # Errors
/// The errors of [`open`], less single-threaded mode.
pub fn open_local<A>(kind: BackendKind, config: &Config, allocator: A) -> Result<Box<dyn Keystore>>
where
    A: NodeAllocator + Send + Sync + 'static,
{
    #[cfg(feature = "rwlock")]
    if kind == BackendKind::RwLock && config.concurrency == Concurrency::SingleThreaded {
        return Ok(crate::fallible::try_box(crate::LocalKeystore::open_local(config, allocator)?)?);
    }
    let config = Config { concurrency: Concurrency::MultiThreaded, ..config.clone() };
    open(kind, &config, allocator).map(|store| store as Box<dyn Keystore>)
}

/// Returns the error for a backend whose feature is off.
fn not_built<A>(kind: BackendKind, _: &Config, _: A) -> Error {
    let (operation, reason) = match kind {
        BackendKind::RwLock => ("opening the backend rwlock", "feature \"rwlock\" is not enabled"),
        BackendKind::Epoch => ("opening the backend epoch", "feature \"epoch\" is not enabled"),
        BackendKind::DashMap => {
            ("opening the backend dashmap", "feature \"dashmap\" is not enabled")
        }
    };
    Error::Unsupported { operation, reason }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::allocator::Global;

    #[test]
    fn kinds_parse_from_what_they_print() {
        for kind in BackendKind::ALL {
            assert_eq!(kind.to_string().parse::<BackendKind>().unwrap(), kind);
        }
    }

    #[test]
    fn stores_and_errors_may_go_to_any_thread() {
        fn any_thread<T: Send + Sync>() {}
        fn any_error<T: std::error::Error + Clone + Send + Sync + 'static>() {}
        #[cfg(feature = "rwlock")]
        any_thread::<crate::RwLockKeystore>();
        #[cfg(feature = "epoch")]
        any_thread::<crate::EpochKeystore>();
        #[cfg(feature = "dashmap")]
        any_thread::<crate::DashMapKeystore>();
        any_thread::<BoxedKeystore>();
        any_thread::<(Config, crate::Stats)>();
        any_error::<Error>();
        any_error::<crate::BatchError>();
    }

    #[test]
    fn an_unknown_backend_is_named_with_those_there_are() {
        let error = "btree".parse::<BackendKind>().unwrap_err();
        assert_eq!(error.to_string(), "backend is \"btree\": it must be rwlock, epoch or dashmap");
    }

    #[test]
    fn a_backend_that_is_not_compiled_in_is_refused_by_the_name_of_its_feature() {
        let config = Config::default();
        for kind in BackendKind::ALL {
            let built = match kind {
                BackendKind::RwLock => cfg!(feature = "rwlock"),
                BackendKind::Epoch => cfg!(feature = "epoch"),
                BackendKind::DashMap => cfg!(feature = "dashmap"),
            };
            let opened =
                [open(kind, &config, Global).err(), open_local(kind, &config, Global).err()];
            for error in opened {
                assert_eq!(error.is_none(), built, "{kind}: {error:?}");
                let Some(error) = error else { continue };
                let expected = format!(
                    "opening the backend {kind} is not supported: \
                     feature \"{kind}\" is not enabled"
                );
                assert_eq!((error.code(), error.to_string()), (-43, expected));
            }
        }
    }
}
