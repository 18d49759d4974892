//! The combination of a backend and a pool, by name.

use std::fmt;
use std::str::FromStr;

use crate::{AnyPool, BackendKind, BoxedKeystore, Config, Error, PoolKind, Result};

/// A backend on a pool. It parses from its name and prints as its name, for example `rwlock+slab`.
/// Take the default unless you have a reason for another combination.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Combination {
    /// Backend of the combination.
    pub backend: BackendKind,
    /// Pool that the backend runs on.
    pub pool: PoolKind,
}

impl Combination {
    /// Returns every backend on every pool.
    #[must_use]
    pub fn all() -> Vec<Self> {
        BackendKind::ALL
            .into_iter()
            .flat_map(|backend| PoolKind::ALL.into_iter().map(move |pool| Self { backend, pool }))
            .collect()
    }

    /// Opens a store of this combination.
    ///
    /// # Errors
    /// Returns the errors of [`AnyPool::new`] and [`keystore_core::open`]: -21 for a bad
    /// configuration, -43 for a backend or pool whose feature is off, -10 if there is no memory.
    pub fn open(self, config: &Config) -> Result<BoxedKeystore> {
        keystore_core::open(self.backend, config, AnyPool::new(self.pool, config)?)
    }
}

impl fmt::Display for Combination {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&format!("{}+{}", self.backend, self.pool))
    }
}

impl FromStr for Combination {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self> {
        let Some((backend, pool)) = name.split_once('+') else {
            return Err(Error::invalid_argument(
                "combination",
                format_args!("{name:?}"),
                "a backend and a pool, as in rwlock+slab",
            ));
        };
        Ok(Self { backend: backend.parse()?, pool: pool.parse()? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn combinations_parse_from_what_they_print() {
        assert_eq!(Combination::all().len(), 9);
        for combination in Combination::all() {
            assert_eq!(combination.to_string().parse::<Combination>().unwrap(), combination);
        }
    }

    #[test]
    fn an_unknown_combination_is_named() {
        let error = "epoch".parse::<Combination>().unwrap_err();
        assert_eq!(
            error.to_string(),
            "combination is \"epoch\": it must be a backend and a pool, as in rwlock+slab"
        );
        assert!("epoch+pond".parse::<Combination>().unwrap_err().to_string().contains("pond"));
    }
}
