//! The stores that can be compared (backends on pools, and third-party maps), and their selection
//! by name.

use std::fmt;
use std::ops::ControlFlow;
use std::str::FromStr;

use keystore::{BackendKind, BoxedKeystore, Combination, Config, Keystore, PoolKind};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::error::{Error, nearest};
use crate::peers::PeerKind;

/// A store that is compared. Its text form is `BACKEND+POOL`, for example `epoch+slab`, or a peer's
/// name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Candidate {
    /// One of ours: a backend on a pool.
    Ours(Combination),
    /// A third-party map.
    Peer(PeerKind),
}

impl Candidate {
    /// Returns every combination of ours.
    #[must_use]
    pub fn ours() -> Vec<Self> {
        Combination::all().into_iter().map(Self::Ours).collect()
    }

    /// Returns every combination of ours, and every peer.
    #[must_use]
    pub fn all() -> Vec<Self> {
        Self::ours().into_iter().chain(PeerKind::ALL.into_iter().map(Self::Peer)).collect()
    }

    /// Returns whether it is a third-party map.
    #[must_use]
    pub const fn is_peer(self) -> bool {
        matches!(self, Self::Peer(_))
    }

    /// Returns the backend and the pool, if it is one of ours.
    #[must_use]
    pub const fn combination(self) -> Option<Combination> {
        match self {
            Self::Ours(combination) => Some(combination),
            Self::Peer(_) => None,
        }
    }

    /// Returns a new store. Peers ignore the configuration: each is opened by its own `default()`
    /// and grows from there.
    ///
    /// # Errors
    /// Returns the errors of [`Combination::open`], and -43 for a peer if the feature `peers` is
    /// off.
    pub fn open(self, config: &Config) -> keystore::Result<BoxedKeystore> {
        match self {
            Self::Ours(combination) => combination.open(config),
            Self::Peer(peer) => peer.open(),
        }
    }
}

impl Candidate {
    /// Scans a peer once after loading, so that it completes a resize. papaya and scc resize
    /// incrementally: later calls move a few entries each, and a scan of all entries moves the
    /// rest. Our own stores are measured in the state that loading leaves. O(entries).
    ///
    /// # Errors
    /// Returns the errors of the scan.
    pub(crate) fn finish_growing(
        self,
        store: &(dyn Keystore + Send + Sync),
    ) -> keystore::Result<()> {
        if self.is_peer() {
            store.for_each_dyn(&mut |_, _| ControlFlow::Continue(()))?;
        }
        Ok(())
    }
}

impl fmt::Display for Candidate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ours(combination) => combination.fmt(f),
            Self::Peer(peer) => peer.fmt(f),
        }
    }
}

impl FromStr for Candidate {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let all = Self::all();
        let names: Vec<String> = all.iter().map(Self::to_string).collect();
        let named = all.iter().zip(&names).find(|(_, name)| *name == text);
        named.map(|(&candidate, _)| candidate).ok_or_else(|| Error::unknown("store", text, &names))
    }
}

impl Serialize for Candidate {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Candidate {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

/// A pattern that selects candidates: `epoch+slab`, `rwlock+*`, `*+arena`, or a peer's name. The
/// name of a backend without a pool selects this backend on every pool. `*` alone selects every
/// combination.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Selection {
    /// Combinations of a backend and a pool.
    Combinations {
        /// The backend, or `None` for any backend.
        backend: Option<BackendKind>,
        /// The pool, or `None` for any pool.
        pool: Option<PoolKind>,
    },
    /// A peer.
    Peer(PeerKind),
}

impl Selection {
    /// Returns whether it selects this candidate.
    #[must_use]
    pub fn matches(self, candidate: Candidate) -> bool {
        match (self, candidate) {
            (Self::Combinations { backend, pool }, Candidate::Ours(combination)) => {
                backend.is_none_or(|backend| backend == combination.backend)
                    && pool.is_none_or(|pool| pool == combination.pool)
            }
            (Self::Peer(selected), Candidate::Peer(peer)) => selected == peer,
            _ => false,
        }
    }

    /// Returns those of `candidates` that match at least one selection. Returns all of them if
    /// `selections` is empty.
    #[must_use]
    pub fn select(selections: &[Self], candidates: &[Candidate]) -> Vec<Candidate> {
        let selected = |candidate: &Candidate| {
            selections.is_empty()
                || selections.iter().any(|selection| selection.matches(*candidate))
        };
        candidates.iter().copied().filter(selected).collect()
    }
}

impl FromStr for Selection {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        if let Ok(peer) = text.parse() {
            return Ok(Self::Peer(peer));
        }
        let unknown = || {
            let names: Vec<String> = Candidate::all().iter().map(Candidate::to_string).collect();
            Error::Unknown {
                what: "store",
                name: text.to_owned(),
                expected: format!(
                    "BACKEND+POOL with BACKEND one of {}, POOL one of {}, and * for any, or a peer: {}{}",
                    BackendKind::ALL.map(BackendKind::name).join(", "),
                    PoolKind::ALL.map(PoolKind::name).join(", "),
                    PeerKind::ALL.map(PeerKind::name).join(", "),
                    nearest(text, names.iter().map(String::as_str))
                ),
            }
        };
        fn part<T: FromStr>(name: &str) -> Option<Option<T>> {
            if name == "*" { Some(None) } else { name.parse().ok().map(Some) }
        }
        let (backend, pool) = text.split_once('+').unwrap_or((text, "*"));
        Ok(Self::Combinations {
            backend: part(backend).ok_or_else(unknown)?,
            pool: part(pool).ok_or_else(unknown)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn selected(patterns: &[&str]) -> Vec<String> {
        let selections: Vec<Selection> =
            patterns.iter().map(|text| text.parse().unwrap()).collect();
        Selection::select(&selections, &Candidate::all()).iter().map(Candidate::to_string).collect()
    }

    #[test]
    fn patterns_select_candidates() {
        assert_eq!(selected(&[]).len(), 9 + PeerKind::ALL.len());
        assert_eq!(selected(&["*"]).len(), 9);
        assert_eq!(selected(&["epoch+slab"]), ["epoch+slab"]);
        assert_eq!(selected(&["rwlock"]), ["rwlock+slab", "rwlock+arena", "rwlock+system"]);
        assert_eq!(
            selected(&["*+arena", "epoch+arena", "papaya", "dashmap+slab"]),
            ["rwlock+arena", "epoch+arena", "dashmap+slab", "dashmap+arena", "papaya"]
        );
    }

    #[test]
    fn an_unknown_store_is_named_with_those_there_are_and_the_nearest() {
        for wrong in ["btree", "epoch+heap", "", "+", "epoch+slab+arena"] {
            let error = wrong.parse::<Selection>().unwrap_err();
            assert!(error.is_usage());
            assert!(
                error.to_string().starts_with(&format!("store {wrong:?} is unknown")),
                "{error}"
            );
            assert!(error.to_string().contains("rwlock, epoch, dashmap"), "{error}");
        }
        let error = "epoch+slap".parse::<Selection>().unwrap_err().to_string();
        assert!(error.ends_with("did you mean \"epoch+slab\"?"), "{error}");
    }

    #[test]
    fn a_candidate_is_written_as_its_name() {
        for candidate in Candidate::all() {
            let text = serde_json::to_string(&candidate).unwrap();
            assert_eq!(text, format!("\"{candidate}\""));
            assert_eq!(serde_json::from_str::<Candidate>(&text).unwrap(), candidate);
        }
        assert!(serde_json::from_str::<Candidate>("\"epoch+heap\"").is_err());
    }
}
