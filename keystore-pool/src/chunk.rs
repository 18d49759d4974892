//! Memory from the system, 2 MiB at a time.
//!
//! A *chunk* is [`CHUNK`] bytes at a multiple of [`CHUNK`]: one huge page, if the system has those.
//! On Unix a chunk is mapped directly, so that it really goes back to the system when a pool
//! releases it. Elsewhere, and under Miri, which has no `mmap`, it comes from the global allocator.

use std::ptr::NonNull;

use keystore_core::huge_pages::{HUGE_PAGE, Pages, advise_huge};
use keystore_core::{Error, Result};

use crate::primitive::access;

/// Size and alignment of a chunk, bytes.
pub(crate) const CHUNK: usize = HUGE_PAGE;

/// Chunks that were mapped together and are handed out one by one.
///
/// Dropping it returns the rest to the system. The chunks in it have not been touched: on Unix they
/// take address space and no memory.
#[derive(Debug)]
pub(crate) struct Reserve(system::Reserve);

impl Reserve {
    /// A reserve without chunks.
    pub(crate) const EMPTY: Self = Self(system::Reserve::EMPTY);

    /// Maps `count` chunks.
    ///
    /// # Errors
    /// -10 if the system refuses.
    pub(crate) fn new(count: usize) -> Result<Self> {
        let bytes = count.saturating_mul(CHUNK);
        // No object is larger than `isize::MAX`, and rounding to the alignment takes a chunk more.
        if bytes > isize::MAX as usize - CHUNK {
            return Err(Error::OutOfMemory { requested: bytes });
        }
        if count == 0 {
            return Ok(Self::EMPTY);
        }
        system::Reserve::new(count).map(Self).ok_or(Error::OutOfMemory { requested: bytes })
    }

    /// Removes a chunk, whose content is undefined. The caller owns it until it [releases](release)
    /// it.
    pub(crate) fn take(&mut self, pages: Pages) -> Option<NonNull<u8>> {
        let chunk = self.0.take()?;
        if pages == Pages::Huge {
            advise_huge(chunk, CHUNK);
        }
        Some(chunk)
    }
}

/// Returns a chunk to the system.
///
/// # Safety
/// `chunk` came from [`Reserve::take`], and nothing uses it from here on.
pub(crate) unsafe fn release(chunk: NonNull<u8>) {
    access::unmapped(chunk, CHUNK);
    // SAFETY: the caller promises that the chunk came from `take` and is not used any more.
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
            // The mapping is not aligned. Map a chunk more, and unmap what lies before and behind.
            // SAFETY: it was mapped just above with this length, and nothing uses it.
            unsafe { unmap(next, bytes) };
            let start = map(bytes + CHUNK)?;
            let before = start.addr().next_multiple_of(CHUNK) - start.addr();
            // SAFETY: `before` and `bytes` together lie within the mapping, and nothing uses its
            // ends. Page sizes divide `CHUNK` and the mapping starts on a page, so both ends are
            // whole pages.
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
            // SAFETY: these chunks are mapped, and `take` has not handed them out.
            unsafe { unmap(self.next, self.left * CHUNK) };
        }
    }

    // SAFETY: a reserve owns its memory, and any thread may use and unmap it.
    unsafe impl Send for Reserve {}

    fn map(bytes: usize) -> Option<*mut u8> {
        let access = ProtFlags::READ | ProtFlags::WRITE;
        // SAFETY: a new anonymous mapping, at an address that the system chooses, touches no memory
        // that is in use.
        let memory = unsafe { mmap_anonymous(null_mut(), bytes, access, MapFlags::PRIVATE) };
        memory.ok().map(<*mut _>::cast)
    }

    /// Returns memory to the system.
    ///
    /// # Safety
    /// The bytes are whole pages of a mapping that this module made, and nothing uses them.
    unsafe fn unmap(start: *mut u8, bytes: usize) {
        if bytes > 0 {
            // SAFETY: the caller promises that these are pages of ours that nothing uses. The call
            // fails only if splitting a mapping exceeds the process's limit of mappings. The pages
            // then stay mapped: a leak, and no danger.
            let _ = unsafe { munmap(start.cast(), bytes) };
        }
    }

    pub(super) unsafe fn release(chunk: NonNull<u8>) {
        // SAFETY: the caller promises that nothing uses the chunk, and `new` mapped it.
        unsafe { unmap(chunk.as_ptr(), CHUNK) };
    }
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

    /// Chunks that are linked through their first word.
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
                // SAFETY: the chunk was just allocated, is aligned, and is longer than a pointer.
                unsafe { chunk.cast::<*mut u8>().write(reserve.first) };
                reserve.first = chunk.as_ptr();
            }
            Some(reserve)
        }

        pub(super) fn take(&mut self) -> Option<NonNull<u8>> {
            let chunk = NonNull::new(self.first)?;
            // SAFETY: `new` wrote the address of the next chunk to the start of each.
            self.first = unsafe { chunk.cast::<*mut u8>().read() };
            Some(chunk)
        }
    }

    impl Drop for Reserve {
        fn drop(&mut self) {
            while let Some(chunk) = self.take() {
                // SAFETY: the chunk was in the reserve, so it was not handed out.
                unsafe { release(chunk) };
            }
        }
    }

    // SAFETY: a reserve owns its memory, and any thread may use and free it.
    unsafe impl Send for Reserve {}

    pub(super) unsafe fn release(chunk: NonNull<u8>) {
        // SAFETY: `new` allocated it with this layout, and the caller promises that nothing uses
        // it.
        unsafe { dealloc(chunk.as_ptr(), LAYOUT) };
    }
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
            // SAFETY: the test owns the chunk.
            unsafe { chunk.write_bytes(number as u8 + 1, CHUNK) };
        }
        for (number, chunk) in chunks.into_iter().enumerate() {
            // SAFETY: it was written just above, and is not used after its release.
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
