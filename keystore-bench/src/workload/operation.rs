//! Operations on a store, and the shares of them that make a load.

use serde::{Deserialize, Serialize};

/// The shares of the operations, in percent of all calls; they add up to 100.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Mix {
    /// Looks a key up and looks at its value in place.
    pub get: u8,
    /// Looks up a batch of keys at once.
    pub get_many: u8,
    /// Gives a key a value, present or not.
    pub set: u8,
    /// Gives each key of a batch a value.
    pub set_many: u8,
    /// Gives a key a value if it is absent.
    pub insert: u8,
    /// Reads a key's value and replaces it, as one step.
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

    /// Returns the shares added up, percent.
    pub(crate) fn sum(self) -> u32 {
        self.shares().iter().map(|&(_, share)| u32::from(share)).sum()
    }

    /// Returns the operation that `percentile`, 0 to 99, falls on.
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

/// What an operation does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// See [`Mix::get`].
    Get,
    /// See [`Mix::get_many`]. Each key of a batch is an operation of its own.
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
    /// Returns whether it may change what the store holds.
    #[must_use]
    pub const fn is_write(self) -> bool {
        !matches!(self, Self::Get | Self::GetMany)
    }

    /// Returns whether it removes its key.
    #[must_use]
    pub const fn is_delete(self) -> bool {
        matches!(self, Self::Delete | Self::DeleteMany)
    }

    /// Returns whether it takes several keys in one call.
    #[must_use]
    pub const fn is_batch(self) -> bool {
        matches!(self, Self::GetMany | Self::SetMany | Self::DeleteMany)
    }

    /// Returns whether it carries a value.
    #[must_use]
    pub const fn has_value(self) -> bool {
        matches!(self, Self::Set | Self::SetMany | Self::Insert | Self::Update)
    }

    /// Returns its name, as the fields of [`Mix`] have it.
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
