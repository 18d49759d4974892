//! Keeping what is seldom done out of the way of what is done most often.

/// Does `work` by a call of its own, which nothing is inlined over.
///
/// A verb that finds its key where it looks first is fast because it is short: everything it needs stays in registers. A
/// processor waits for memory on behalf of as many operations at once as its queues hold of their instructions, loads and
/// stores; so a register that is saved and restored, for the sake of a case that does not arise, is paid for whenever the
/// table is larger than the cache.
#[cold]
#[inline(never)]
pub(crate) fn apart<R>(work: impl FnOnce() -> R) -> R {
    work()
}
