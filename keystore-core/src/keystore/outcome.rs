//! The results of writes.

/// The effect of a write on its key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize, serde::Deserialize),
    serde(rename_all = "kebab-case")
)]
pub enum Change {
    /// The key was absent and is absent.
    Absent,
    /// The key was present and keeps its value.
    Kept,
    /// The key was absent and has a value now.
    Created,
    /// The key's value was replaced.
    Replaced,
    /// The key was removed.
    Deleted,
}

impl Change {
    /// Returns whether the write had an effect: the key was created, replaced or removed.
    #[must_use]
    pub const fn is_effective(self) -> bool {
        matches!(self, Self::Created | Self::Replaced | Self::Deleted)
    }
}

/// The result of [`Keystore::compare_exchange`](crate::Keystore::compare_exchange).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Exchange {
    /// The key had the expected value, and was changed.
    Exchanged,
    /// The key had this other value (`None`: absent), and is unchanged.
    Differs(Option<Vec<u8>>),
}
