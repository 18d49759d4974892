//! Provisional: every kind is the system's allocator.
use keystore_core::{Config, Error, Global, NodeAllocator, PoolStats, Result};
use std::alloc::Layout;
use std::fmt;
use std::ptr::NonNull;
use std::str::FromStr;

/// A pool, by name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(rename_all = "lowercase"))]
pub enum PoolKind {
    /// Size classes.
    Slab,
    /// Bump allocation.
    Arena,
    /// The global allocator.
    System,
}

impl PoolKind {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Slab, Self::Arena, Self::System];
    /// The name it parses from and prints as.
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
        Self::ALL
            .into_iter()
            .find(|kind| kind.name() == name)
            .ok_or_else(|| Error::invalid_argument("pool", format_args!("{name:?}"), "slab, arena or system"))
    }
}

/// The pool chosen at run time.
#[derive(Clone, Debug)]
pub struct AnyPool;

impl AnyPool {
    /// A pool of this kind.
    ///
    /// # Errors
    /// -21.
    pub fn new(_: PoolKind, config: &Config) -> Result<Self> {
        config.validate()?;
        Ok(Self)
    }
}

// SAFETY: forwards to `Global`.
unsafe impl NodeAllocator for AnyPool {
    fn allocate(&self, layout: Layout) -> Result<NonNull<u8>> {
        Global.allocate(layout)
    }
    unsafe fn deallocate(&self, block: NonNull<u8>, layout: Layout) {
        // SAFETY: forwarded.
        unsafe { Global.deallocate(block, layout) }
    }
    fn stats(&self) -> PoolStats {
        PoolStats::default()
    }
}
