//! Operations on a store, and the mix of operations in a load.

use serde::{Deserialize, Serialize};

/// The share of each operation, in percent of all calls. The shares add up to 100.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Mix {
    /// Looks up a key and reads its value in place.
    pub get: u8,
    /// Looks up a batch of keys in one call.
    pub get_many: u8,
    /// Sets the value of a key, whether it is present or not.
    pub set: u8,
    /// Sets the values of a batch of keys.
    pub set_many: u8,
    /// Sets the value of a key if the key is absent.
    pub insert: u8,
    /// Reads the value of a key and replaces it, in one atomic step.
    pub update: u8,
    /// Removes a key.
    pub delete: u8,
    /// Removes a batch of keys.
    pub delete_many: u8,
}

impl Mix {
    pub(crate) fn shares(self) -> [(Kind, u8); 8] {
        [
            (Kind::Get, self.get),
            (Kind::GetMany, self.get_many),
            (Kind::Set, self.set),
            (Kind::SetMany, self.set_many),
            (Kind::Insert, self.insert),
            (Kind::Update, self.update),
            (Kind::Delete, self.delete),
            (Kind::DeleteMany, self.delete_many),
        ]
    }

    /// Returns whether any of the calls takes several keys.
    pub(crate) fn has_batches(self) -> bool {
        self.shares().iter().any(|&(kind, share)| kind.is_batch() && share > 0)
    }

    /// Returns the sum of the shares in percent.
    pub(crate) fn sum(self) -> u32 {
        self.shares().iter().map(|&(_, share)| u32::from(share)).sum()
    }

    /// Returns the operation for a random `percentile` from 0 to 99.
    pub(crate) fn pick(self, percentile: u8) -> Kind {
        let mut end = 0;
        for (kind, share) in self.shares() {
            end += share;
            if percentile < end {
                return kind;
            }
        }
        unreachable!("the shares of a validated mix add up to 100")
    }
}

impl std::fmt::Display for Mix {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut separator = "";
        for (kind, share) in self.shares().into_iter().filter(|&(_, share)| share > 0) {
            write!(f, "{separator}{share} % {}", kind.name())?;
            separator = ", ";
        }
        Ok(())
    }
}

/// The kind of an operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// See [`Mix::get`].
    Get,
    /// See [`Mix::get_many`]. Each key of a batch counts as one operation.
    GetMany,
    /// See [`Mix::set`].
    Set,
    /// See [`Mix::set_many`].
    SetMany,
    /// See [`Mix::insert`].
    Insert,
    /// See [`Mix::update`].
    Update,
    /// See [`Mix::delete`].
    Delete,
    /// See [`Mix::delete_many`].
    DeleteMany,
}

impl Kind {
    /// Returns whether the operation can change the content of the store.
    #[must_use]
    pub const fn is_write(self) -> bool {
        !matches!(self, Self::Get | Self::GetMany)
    }

    /// Returns whether the operation removes its key.
    #[must_use]
    pub const fn is_delete(self) -> bool {
        matches!(self, Self::Delete | Self::DeleteMany)
    }

    /// Returns whether one call takes several keys.
    #[must_use]
    pub const fn is_batch(self) -> bool {
        matches!(self, Self::GetMany | Self::SetMany | Self::DeleteMany)
    }

    /// Returns whether the operation carries a value.
    #[must_use]
    pub const fn has_value(self) -> bool {
        matches!(self, Self::Set | Self::SetMany | Self::Insert | Self::Update)
    }

    /// Returns the name of the operation, equal to the field name in [`Mix`].
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Get => "get",
            Self::GetMany => "get_many",
            Self::Set => "set",
            Self::SetMany => "set_many",
            Self::Insert => "insert",
            Self::Update => "update",
            Self::Delete => "delete",
            Self::DeleteMany => "delete_many",
        }
    }
}
