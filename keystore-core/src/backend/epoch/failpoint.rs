//! Failpoints: places at which a test can stop a thread, to show that the other threads do not need
//! it to continue. They cost nothing outside tests.

/// A place between two steps of an operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Failpoint {
    /// A write has found its key, and is about to exchange the slot.
    Decided,
    /// An insertion is pending in its slot.
    Placed,
    /// An insertion was resolved, and is about to be committed.
    Resolved,
    /// A larger or smaller array was installed as the next one.
    NextInstalled,
    /// A chunk of units was claimed.
    Claimed,
    /// The links of a bucket that is being migrated are frozen, but its slots are not.
    LinksFrozen,
    /// All links and slots of a unit's sources are frozen.
    Frozen,
    /// A new bucket is filled, but not finished.
    Filled,
    /// A unit has migrated, but its old chains are not retired.
    BucketFinished,
    /// All units have migrated, and the new array is about to become the table's.
    Moved,
    /// The new array is the table's, but the old one is not retired.
    Finished,
    /// The thread holds the lock of a bag of garbage.
    BagHeld,
    /// The thread has made other threads' pins invalid, and is about to revoke them.
    Revoking,
}

/// Tells the test that the thread is at this point. Does nothing outside tests.
#[cfg(not(test))]
#[inline(always)]
pub(super) fn hit(_: Failpoint) {}

#[cfg(test)]
pub(super) use super::tests::failpoints::hit;
