//! A backend on a pool.

use std::fmt;

use keystore_core::{BackendKind, BoxedKeystore, Config, open};
use keystore_pool::{AnyPool, PoolKind};
use serde::{Deserialize, Serialize};

/// A backend on a pool. Prints as `epoch+slab`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Combination {
    /// The backend.
    pub backend: BackendKind,
    /// The pool.
    pub pool: PoolKind,
}

impl Combination {
    /// Every backend on every pool.
    #[must_use]
    pub fn all() -> Vec<Self> {
        BackendKind::ALL
            .into_iter()
            .flat_map(|backend| PoolKind::ALL.into_iter().map(move |pool| Self { backend, pool }))
            .collect()
    }

    /// A new store of this combination.
    ///
    /// # Errors
    /// Those of [`AnyPool::new`] and [`open`].
    pub fn open(self, config: &Config) -> keystore_core::Result<BoxedKeystore> {
        open(self.backend, config, AnyPool::new(self.pool, config)?)
    }
}

impl fmt::Display for Combination {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&format!("{}+{}", self.backend, self.pool))
    }
}
