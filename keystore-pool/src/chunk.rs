//! Memory from the system, 2 MiB at a time.
//!
//! A *chunk* is [`CHUNK`] bytes at a multiple of [`CHUNK`]: one huge page where the system has those. On Unix chunks are
//! mapped straight from the system, so that what a pool gives back is really given back; elsewhere (and under Miri,
//! which knows no system) they come from the global allocator.

use std::ptr::NonNull;

use keystore_core::{Error, Result};

use crate::primitive::watch;

/// Bytes of a chunk, and its alignment: the size of a huge page on x86-64 and, with 4 KiB pages, on AArch64.
pub(crate) const CHUNK: usize = 2 << 20;

/// Whether a chunk is to lie in a huge page. It is a wish: a system that has none gives ordinary memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pages {
    Ordinary,
    Huge,
}

/// Chunks that were had from the system together and are handed out one by one; dropping it gives back the rest. Those
/// not yet handed out have not been touched: on Unix they take address space and no memory.
#[derive(Debug)]
pub(crate) struct Reserve(system::Reserve);

impl Reserve {
    /// Of no chunks.
    pub(crate) const EMPTY: Self = Self(system::Reserve::EMPTY);

    /// Of `count` chunks, or -10.
    pub(crate) fn new(count: usize) -> Result<Self> {
        let bytes = count.saturating_mul(CHUNK);
        // No object is larger than `isize::MAX`, and rounding to the alignment takes a chunk more.
        if bytes > isize::MAX as usize - CHUNK {
            return Err(Error::OutOfMemory { requested: bytes });
        }
        match count {
            0 => Ok(Self::EMPTY),
            _ => system::Reserve::new(count).map(Self).ok_or(Error::OutOfMemory { requested: bytes }),
        }
    }

    /// The next chunk, whose content is undefined. The caller owns it until it [releases](release) it.
    pub(crate) fn take(&mut self, pages: Pages) -> Option<NonNull<u8>> {
        let chunk = self.0.take()?;
        if pages == Pages::Huge {
            system::advise_huge(chunk);
        }
        Some(chunk)
    }
}

/// Gives a chunk back to the system.
///
/// # Safety
/// `chunk` came from [`Reserve::take`], and nobody uses it from here on.
pub(crate) unsafe fn release(chunk: NonNull<u8>) {
    watch::ended(chunk, CHUNK);
    // SAFETY: the caller's promise.
    unsafe { system::release(chunk) }
}

#[cfg(all(unix, not(miri)))]
mod system {
    use std::ptr::{NonNull, null_mut};

    use rustix::mm::{MapFlags, ProtFlags, mmap_anonymous, munmap};

    use super::CHUNK;

    #[derive(Debug)]
    pub(super) struct Reserve {
        next: *mut u8,
        left: usize,
    }

    impl Reserve {
        pub(super) const EMPTY: Self = Self { next: null_mut(), left: 0 };

        pub(super) fn new(count: usize) -> Option<Self> {
            let bytes = count * CHUNK;
            let next = map(bytes)?;
            if next.addr().is_multiple_of(CHUNK) {
                return Some(Self { next, left: count });
            }
            // Not on a boundary: take a chunk more than needed, and give back what lies before and behind.
            // SAFETY: mapped just above with this length, and used by nobody.
            unsafe { unmap(next, bytes) };
            let start = map(bytes + CHUNK)?;
            let before = start.addr().next_multiple_of(CHUNK) - start.addr();
            // SAFETY: `before` and `bytes` together lie within the mapping, whose ends are used by nobody. Page sizes
            // divide `CHUNK`, and the mapping starts on a page, so both ends are whole pages.
            unsafe {
                let next = start.add(before);
                unmap(start, before);
                unmap(next.add(bytes), CHUNK - before);
                Some(Self { next, left: count })
            }
        }

        pub(super) fn take(&mut self) -> Option<NonNull<u8>> {
            self.left = self.left.checked_sub(1)?;
            let chunk = self.next;
            self.next = chunk.wrapping_add(CHUNK);
            NonNull::new(chunk)
        }
    }

    impl Drop for Reserve {
        fn drop(&mut self) {
            // SAFETY: the chunks left were handed to nobody.
            unsafe { unmap(self.next, self.left * CHUNK) };
        }
    }

    // SAFETY: a reserve owns its memory, which is bound to no thread.
    unsafe impl Send for Reserve {}

    fn map(bytes: usize) -> Option<*mut u8> {
        // SAFETY: a new anonymous mapping, at an address of the system's choice, touches no memory that is in use.
        let memory = unsafe {
            mmap_anonymous(null_mut(), bytes, ProtFlags::READ | ProtFlags::WRITE, MapFlags::PRIVATE)
        };
        memory.ok().map(<*mut _>::cast)
    }

    /// # Safety
    /// Whole pages, of one mapping of ours, that nobody uses.
    unsafe fn unmap(start: *mut u8, bytes: usize) {
        if bytes > 0 {
            // SAFETY: the caller's promise. It fails only where splitting a mapping passes the process's limit of
            // mappings; the pages then stay with the process, which is a leak and no danger.
            let _ = unsafe { munmap(start.cast(), bytes) };
        }
    }

    pub(super) unsafe fn release(chunk: NonNull<u8>) {
        // SAFETY: the caller's promise.
        unsafe { unmap(chunk.as_ptr(), CHUNK) };
    }

    #[cfg(any(target_os = "linux", target_os = "android"))]
    pub(super) fn advise_huge(chunk: NonNull<u8>) {
        use rustix::mm::{Advice, madvise};
        // SAFETY: a whole mapped chunk; the advice changes neither its content nor who may use it. Where it fails, the
        // kernel was built without huge pages.
        let _ = unsafe { madvise(chunk.as_ptr().cast(), CHUNK, Advice::LinuxHugepage) };
    }

    #[cfg(not(any(target_os = "linux", target_os = "android")))]
    pub(super) fn advise_huge(_: NonNull<u8>) {}
}

#[cfg(not(all(unix, not(miri))))]
mod system {
    use std::alloc::{Layout, alloc, dealloc};
    use std::ptr::{NonNull, null_mut};

    use super::CHUNK;

    const LAYOUT: Layout = match Layout::from_size_align(CHUNK, CHUNK) {
        Ok(layout) => layout,
        Err(_) => unreachable!(),
    };

    /// Chunks linked through their first word.
    #[derive(Debug)]
    pub(super) struct Reserve {
        first: *mut u8,
    }

    impl Reserve {
        pub(super) const EMPTY: Self = Self { first: null_mut() };

        pub(super) fn new(count: usize) -> Option<Self> {
            let mut reserve = Self::EMPTY;
            for _ in 0..count {
                // SAFETY: the layout has a size.
                let chunk = NonNull::new(unsafe { alloc(LAYOUT) })?;
                // SAFETY: the chunk is ours, and a word fits it.
                unsafe { chunk.cast::<*mut u8>().write(reserve.first) };
                reserve.first = chunk.as_ptr();
            }
            Some(reserve)
        }

        pub(super) fn take(&mut self) -> Option<NonNull<u8>> {
            let chunk = NonNull::new(self.first)?;
            // SAFETY: a chunk of the reserve begins with the address of the next.
            self.first = unsafe { chunk.cast::<*mut u8>().read() };
            Some(chunk)
        }
    }

    impl Drop for Reserve {
        fn drop(&mut self) {
            while let Some(chunk) = self.take() {
                // SAFETY: handed to nobody.
                unsafe { release(chunk) };
            }
        }
    }

    // SAFETY: a reserve owns its memory, which is bound to no thread.
    unsafe impl Send for Reserve {}

    pub(super) unsafe fn release(chunk: NonNull<u8>) {
        // SAFETY: allocated with this layout; the caller gives it up.
        unsafe { dealloc(chunk.as_ptr(), LAYOUT) };
    }

    pub(super) fn advise_huge(_: NonNull<u8>) {}
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chunks_are_aligned_writable_and_apart() {
        let mut reserve = Reserve::new(3).unwrap();
        let chunks: Vec<_> = std::iter::from_fn(|| reserve.take(Pages::Huge)).collect();
        assert_eq!(chunks.len(), 3);
        for (number, chunk) in chunks.iter().enumerate() {
            assert_eq!(chunk.as_ptr().addr() % CHUNK, 0);
            // SAFETY: the chunk is ours.
            unsafe { chunk.write_bytes(number as u8 + 1, CHUNK) };
        }
        for (number, chunk) in chunks.into_iter().enumerate() {
            // SAFETY: written just above; nobody uses it after its release.
            unsafe {
                assert_eq!(chunk.add(CHUNK - 1).read(), number as u8 + 1);
                release(chunk);
            }
        }
    }

    #[test]
    fn a_reserve_that_no_machine_has_is_refused() {
        for count in [usize::MAX, usize::MAX / CHUNK, isize::MAX as usize / CHUNK] {
            assert_eq!(Reserve::new(count).unwrap_err().code(), -10);
        }
    }
}
