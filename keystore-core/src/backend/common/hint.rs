//! Hints to the processor and the compiler: they change no result.

/// Asks the processor for the cache line at `address`, which need not be valid.
#[cfg(any(feature = "rwlock", feature = "epoch"))]
#[inline]
pub(crate) fn prefetch<T>(at: *const T) {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: a prefetch is a hint: it reads nothing that the program can see and faults on no
    // address.
    unsafe {
        std::arch::x86_64::_mm_prefetch::<{ std::arch::x86_64::_MM_HINT_T0 }>(at.cast());
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = at;
}

/// Does `work` in a call of its own, which the compiler inlines nothing over.
///
/// An operation that finds its key at the first look is fast because it is short: everything it
/// needs stays in registers. The processor overlaps the memory waits of as many operations as its
/// queues have room for their instructions, loads and stores. So if a register is saved and
/// restored for a rare case, every operation pays for it as soon as the table is larger than the
/// cache.
#[cold]
#[inline(never)]
pub(crate) fn cold<R>(work: impl FnOnce() -> R) -> R {
    work()
}
