//! Failpoints: where a test can stop a thread, to show that no other thread needs it to go on. They
//! cost nothing outside tests.

/// Where a write is between two of its steps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Failpoint {
    /// A key was found, and its slot is about to be exchanged.
    Decided,
    /// An insertion is pending in its slot.
    Placed,
    /// It was resolved, and is about to be committed.
    Resolved,
    /// A larger or smaller array was hung on the table's.
    NextInstalled,
    /// A chunk of units was claimed.
    Claimed,
    /// The links of a bucket that is being moved are frozen, its slots are not.
    LinksFrozen,
    /// All of it is frozen.
    Frozen,
    /// The new bucket is filled, and not settled.
    Filled,
    /// A unit has moved; its old chain is not retired.
    BucketFinished,
    /// A move is done, and its array is about to become the table's.
    Moved,
    /// It is; the old one is not retired.
    Finished,
    /// The thread holds a bag of garbage.
    BagHeld,
    /// The thread has made the others' pins invalid, and is about to take them back.
    Revoking,
}

/// Tells the test, if there is one, that the thread is at this point.
#[cfg(not(test))]
#[inline(always)]
pub(super) fn hit(_: Failpoint) {}

#[cfg(test)]
pub(super) use super::tests::failpoints::hit;
