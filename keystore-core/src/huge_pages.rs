//! Huge pages: memory that the system maps 2 MiB at a time.
//!
//! A huge page saves entries of the processor's translation cache (TLB), so random reads of a large
//! table miss it less often. Linux gives huge pages to memory that is advised with `madvise`, if
//! the kernel was built and set up for them. Elsewhere the advice does nothing. The module is
//! public so that the pools can use it too. It is no part of the documented interface.

use std::ptr::NonNull;

/// The size and alignment of a huge page on x86-64 and, with 4 KiB pages, on AArch64.
pub const HUGE_PAGE: usize = 2 << 20;

/// The kind of pages to request for memory. A system without huge pages gives ordinary ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pages {
    /// The pages that the system gives without advice.
    Ordinary,
    /// Huge pages.
    Huge,
}

impl Pages {
    /// Returns [`Huge`](Self::Huge) if `huge` is true.
    #[must_use]
    pub fn new(huge: bool) -> Self {
        if huge { Self::Huge } else { Self::Ordinary }
    }
}

/// Advises the system to use huge pages for `bytes` bytes from `start` on. Both are multiples of
/// [`HUGE_PAGE`]. If the system refuses, the memory stays in ordinary pages.
#[cfg(all(any(target_os = "linux", target_os = "android"), not(miri)))]
pub fn advise_huge(start: NonNull<u8>, bytes: usize) {
    use rustix::mm::{Advice, madvise};
    // SAFETY: this advice changes neither the content of memory nor who may use it. For addresses
    // that are not mapped, and in a kernel without huge pages, the call fails and does nothing.
    let _ = unsafe { madvise(start.as_ptr().cast(), bytes, Advice::LinuxHugepage) };
}

/// Does nothing: this system accepts no advice on huge pages.
#[cfg(not(all(any(target_os = "linux", target_os = "android"), not(miri))))]
pub fn advise_huge(_: NonNull<u8>, _: usize) {}
