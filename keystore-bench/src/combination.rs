//! A backend on a pool, and choosing some of them by name.

use std::fmt;
use std::str::FromStr;

use keystore_core::{BackendKind, BoxedKeystore, Config, open};
use keystore_pool::{AnyPool, PoolKind};
use serde::{Deserialize, Serialize};

use crate::error::Error;

/// A backend on a pool. Prints as and parses from `epoch+slab`.
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

/// Some of the combinations: `epoch+slab`, or `rwlock+*`, or `*+arena`. A backend alone stands for it on every pool.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Selection {
    backend: Option<BackendKind>,
    pool: Option<PoolKind>,
}

impl Selection {
    /// Whether it selects this combination.
    #[must_use]
    pub fn matches(&self, combination: Combination) -> bool {
        self.backend.is_none_or(|backend| backend == combination.backend)
            && self.pool.is_none_or(|pool| pool == combination.pool)
    }

    /// The combinations that any of some selections selects; all of them where there is no selection.
    #[must_use]
    pub fn select(selections: &[Self]) -> Vec<Combination> {
        let selected = |combination: &Combination| {
            selections.is_empty() || selections.iter().any(|selection| selection.matches(*combination))
        };
        Combination::all().into_iter().filter(selected).collect()
    }
}

impl FromStr for Selection {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let unknown = || Error::Unknown {
            what: "combination",
            name: text.to_owned(),
            expected: format!(
                "BACKEND+POOL with BACKEND one of {}, POOL one of {}, and * for any",
                BackendKind::ALL.map(BackendKind::name).join(", "),
                PoolKind::ALL.map(PoolKind::name).join(", ")
            ),
        };
        fn part<T: FromStr>(name: &str) -> Option<Option<T>> {
            if name == "*" { Some(None) } else { name.parse().ok().map(Some) }
        }
        let (backend, pool) = text.split_once('+').unwrap_or((text, "*"));
        Ok(Self { backend: part(backend).ok_or_else(unknown)?, pool: part(pool).ok_or_else(unknown)? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn selected(patterns: &[&str]) -> Vec<String> {
        let selections: Vec<Selection> = patterns.iter().map(|text| text.parse().unwrap()).collect();
        Selection::select(&selections).iter().map(Combination::to_string).collect()
    }

    #[test]
    fn patterns_select_combinations() {
        assert_eq!(selected(&[]).len(), 9);
        assert_eq!(selected(&["*"]).len(), 9);
        assert_eq!(selected(&["epoch+slab"]), ["epoch+slab"]);
        assert_eq!(selected(&["rwlock"]), ["rwlock+slab", "rwlock+arena", "rwlock+system"]);
        assert_eq!(
            selected(&["*+arena", "epoch+arena", "dashmap+slab"]),
            ["rwlock+arena", "epoch+arena", "dashmap+slab", "dashmap+arena"]
        );
    }

    #[test]
    fn an_unknown_combination_is_named_with_those_there_are() {
        for wrong in ["btree", "epoch+heap", "", "+", "epoch+slab+arena"] {
            let error = wrong.parse::<Selection>().unwrap_err();
            assert!(error.is_usage());
            assert!(error.to_string().starts_with(&format!("combination {wrong:?} is unknown")), "{error}");
            assert!(error.to_string().contains("rwlock, epoch, dashmap"), "{error}");
        }
    }
}
