//! A pool that is chosen at run time.

use std::alloc::Layout;
use std::fmt;
use std::ptr::NonNull;
use std::str::FromStr;

use keystore_core::{Config, Error, NodeAllocator, PoolStats, Result};

#[cfg(feature = "arena")]
use crate::ArenaPool;
#[cfg(feature = "slab")]
use crate::SlabPool;
use crate::shared::Shared;
use crate::system::SystemPool;

/// The name of a pool: `slab`, `arena` or `system`.
///
/// It also parses and prints the names of pools that are not compiled in, but [`AnyPool::new`]
/// refuses these. The default is the pool to take unless there is a reason for another.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "lowercase"))]
#[non_exhaustive]
pub enum PoolKind {
    /// Size classes and per-thread caches.
    #[default]
    Slab,
    /// Bump allocation.
    Arena,
    /// The global allocator.
    System,
}

impl PoolKind {
    /// All kinds. A later version may have more: do not rely on the length.
    pub const ALL: [Self; 3] = [Self::Slab, Self::Arena, Self::System];

    /// Returns the name that it parses from and prints as.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Slab => "slab",
            Self::Arena => "arena",
            Self::System => "system",
        }
    }
}

impl fmt::Display for PoolKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for PoolKind {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self> {
        const EXPECTED: &str = "slab, arena or system";
        let unknown = || Error::invalid_argument("pool", format_args!("{name:?}"), EXPECTED);
        Self::ALL.into_iter().find(|kind| kind.name() == name).ok_or_else(unknown)
    }
}

/// A pool of a kind that is chosen at run time.
///
/// Clones are the same pool. Its memory is freed when the last clone is dropped. Each call costs
/// one branch more than the pool's own call.
///
/// ```
/// # fn main() -> keystore_core::Result<()> {
/// use keystore_core::{BackendKind, Config, open};
/// use keystore_pool::{AnyPool, PoolKind};
///
/// let config = Config::default();
/// let pool = AnyPool::new("system".parse::<PoolKind>()?, &config)?;
/// let store = open(BackendKind::RwLock, &config, pool.clone())?;
/// store.set(b"key", b"value")?;
/// assert_eq!(store.stats()?.pool.live_nodes, 1);
/// # Ok(()) }
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum AnyPool {
    /// Size classes and per-thread caches.
    #[cfg(feature = "slab")]
    Slab(Shared<SlabPool>),
    /// Bump allocation.
    #[cfg(feature = "arena")]
    Arena(Shared<ArenaPool>),
    /// The global allocator.
    System(Shared<SystemPool>),
}

impl AnyPool {
    /// Makes a pool of this kind, and preallocates what `config` asks for.
    ///
    /// # Errors
    /// -21 for a configuration outside its limits, -43 if the pool is not compiled in (it names the
    /// feature), -10 if there is no memory.
    pub fn new(kind: PoolKind, config: &Config) -> Result<Self> {
        config.validate()?;
        match kind {
            #[cfg(feature = "slab")]
            PoolKind::Slab => Shared::new(SlabPool::from_config(config)?).map(Self::Slab),
            #[cfg(not(feature = "slab"))]
            PoolKind::Slab => {
                Err(feature_disabled("making the pool slab", "feature \"slab\" is not enabled"))
            }
            #[cfg(feature = "arena")]
            PoolKind::Arena => Shared::new(ArenaPool::from_config(config)?).map(Self::Arena),
            #[cfg(not(feature = "arena"))]
            PoolKind::Arena => {
                Err(feature_disabled("making the pool arena", "feature \"arena\" is not enabled"))
            }
            PoolKind::System => Shared::new(SystemPool::new()?).map(Self::System),
        }
    }

    /// Returns the kind of the pool.
    #[must_use]
    pub fn kind(&self) -> PoolKind {
        match self {
            #[cfg(feature = "slab")]
            Self::Slab(_) => PoolKind::Slab,
            #[cfg(feature = "arena")]
            Self::Arena(_) => PoolKind::Arena,
            Self::System(_) => PoolKind::System,
        }
    }
}

/// Returns the error for a pool whose feature is off.
#[cfg(not(all(feature = "slab", feature = "arena")))]
fn feature_disabled(operation: &'static str, reason: &'static str) -> Error {
    Error::Unsupported { operation, reason }
}

/// Evaluates an expression with the pool inside an [`AnyPool`].
macro_rules! dispatch {
    ($any:expr, $pool:ident => $call:expr) => {
        match $any {
            #[cfg(feature = "slab")]
            AnyPool::Slab($pool) => $call,
            #[cfg(feature = "arena")]
            AnyPool::Arena($pool) => $call,
            AnyPool::System($pool) => $call,
        }
    };
}

// SAFETY: every call goes to the one pool inside, which keeps the trait's promises. Clones share
// that pool, and it lives until the last clone is dropped.
unsafe impl NodeAllocator for AnyPool {
    #[inline(always)]
    fn allocate(&self, layout: Layout) -> Result<NonNull<u8>> {
        dispatch!(self, pool => pool.allocate(layout))
    }

    #[inline(always)]
    unsafe fn deallocate(&self, block: NonNull<u8>, layout: Layout) {
        // SAFETY: the caller promises that the block came from a clone of `self`, which is the same
        // pool, with this layout, and that nothing uses it.
        dispatch!(self, pool => unsafe { pool.deallocate(block, layout) })
    }

    fn stats(&self) -> PoolStats {
        dispatch!(self, pool => pool.stats())
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn kinds_parse_from_what_they_print() {
        for kind in PoolKind::ALL {
            assert_eq!(kind.to_string().parse::<PoolKind>().unwrap(), kind);
        }
    }

    #[test]
    fn an_unknown_pool_is_named_with_those_there_are() {
        let error = "pond".parse::<PoolKind>().unwrap_err();
        assert_eq!(error.to_string(), "pool is \"pond\": it must be slab, arena or system");
        assert_eq!(error.code(), -20);
    }

    #[test]
    fn a_bad_configuration_makes_no_pool() {
        for kind in PoolKind::ALL {
            let config = Config { preallocation: 1.5, ..Config::default() };
            assert_eq!(AnyPool::new(kind, &config).unwrap_err().code(), -21);
        }
    }

    #[test]
    fn clones_share_one_pool_and_those_not_built_are_refused_by_the_name_of_their_feature() {
        for kind in PoolKind::ALL {
            let built = match kind {
                PoolKind::Slab => cfg!(feature = "slab"),
                PoolKind::Arena => cfg!(feature = "arena"),
                PoolKind::System => true,
            };
            let pool = match AnyPool::new(kind, &Config::default()) {
                Ok(pool) => pool,
                Err(error) => {
                    assert!(!built, "{error}");
                    let expected = format!(
                        "making the pool {kind} is not supported: \
                         feature \"{kind}\" is not enabled"
                    );
                    assert_eq!((error.code(), error.to_string()), (-43, expected));
                    continue;
                }
            };
            assert!(built);
            assert_eq!(pool.kind(), kind);
            let layout = Layout::new::<[u64; 11]>();
            let clone = pool.clone();
            let block = clone.allocate(layout).unwrap();
            assert_eq!((pool.stats().live_nodes, pool.stats().live_bytes), (1, 88));
            drop(clone);
            // SAFETY: allocated above with this layout, from a clone of this pool.
            unsafe { pool.deallocate(block, layout) };
            assert_eq!(pool.stats().live_nodes, 0);
        }
    }

    #[cfg(feature = "serde")]
    #[test]
    fn kinds_are_their_names_in_serde() {
        for kind in PoolKind::ALL {
            let json = serde_json::to_string(&kind).unwrap();
            assert_eq!(json, format!("\"{kind}\""));
            assert_eq!(serde_json::from_str::<PoolKind>(&json).unwrap(), kind);
        }
    }
}
