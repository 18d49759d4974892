//! Hints to the processor and the compiler. They change no result.

/// Prefetches the cache line at `at`, which need not be a valid address.
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

/// Runs `work` in a separate function that is never inlined.
///
/// Use it for rare cases, so that the common case stays short. An operation that finds its key in
/// the first bucket is fast because it needs few instructions and keeps all its data in registers.
/// The processor overlaps the memory waits of several operations, as many as fit into its queues of
/// instructions, loads and stores. If a rare case made an operation save and restore registers,
/// fewer operations would fit. So every operation would be slower as soon as the table is larger
/// than the cache.
#[cold]
#[inline(never)]
pub(crate) fn cold<R>(work: impl FnOnce() -> R) -> R {
    work()
}
