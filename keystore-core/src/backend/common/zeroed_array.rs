//! Arrays of zeroed cache lines, which tables are made of. They report a lack of memory.

use std::alloc::{Layout, alloc_zeroed, dealloc};
use std::fmt;
use std::hint::black_box;
use std::ptr::NonNull;

use crate::error::{Error, Result};
use crate::huge_pages::{HUGE_PAGE, Pages, advise_huge};
use crate::system_memory::check_fits;

/// Size and alignment of the elements of an array, bytes.
pub(crate) const CACHE_LINE: usize = 64;

/// Returns the alignment of an array of `bytes` bytes: the size of the pages that it is to lie in.
fn alignment(pages: Pages, bytes: usize) -> usize {
    if pages == Pages::Huge && bytes >= HUGE_PAGE { HUGE_PAGE } else { CACHE_LINE }
}

/// Types for which a line of zeros is a valid value, and which need no drop.
///
/// # Safety
/// An all-zero `Self` is valid, and `Self` is aligned to at most [`CACHE_LINE`].
pub(crate) unsafe trait Zeroable: Sized {
    /// Returns the value that zeros stand for. The model checker's atomics are more than their
    /// value, so they cannot be made by zeroing memory.
    #[cfg(loom)]
    fn zero() -> Self {
        // SAFETY: the trait's promise.
        unsafe { std::mem::zeroed() }
    }
}

/// An owned array of zero-initialised `T`, each on its own cache line or lines. The system
/// provides the pages of a large array when they are first touched. So making one takes no time in
/// proportion to its length.
pub(crate) struct ZeroedArray<T> {
    first: NonNull<T>,
    length: usize,
    block: NonNull<u8>,
    /// Layout that the block was allocated with.
    layout: Layout,
}

impl<T: Zeroable> ZeroedArray<T> {
    /// Makes an array of `length` zeroed elements. An array that the machine can never hold is
    /// refused before the allocator is asked, since an allocator may promise memory that does not
    /// exist.
    pub(crate) fn new(length: usize, pages: Pages) -> Result<Self> {
        let alignment = alignment(pages, length.saturating_mul(size_of::<T>()));
        let layout = Self::block_layout(length, alignment)?;
        check_fits(layout.size())?;
        // SAFETY: the layout has at least the bytes of one cache line. What is allocated and freed
        // unused the compiler may leave out, and take the allocator's consent for granted; a box
        // that it cannot look into forces it to ask.
        let block = NonNull::new(black_box(unsafe { alloc_zeroed(layout) }))
            .ok_or(Error::OutOfMemory { requested: layout.size() })?;
        // Asking for the alignment through the layout makes general allocators clear the whole
        // block by hand; asking for that much more and rounding up leaves large blocks to the
        // system, which clears pages when they are touched.
        let first = block.as_ptr().map_addr(|address| address.next_multiple_of(alignment)).cast();
        // SAFETY: rounding up stays within the block, which is not at the null address.
        let array = Self { first: unsafe { NonNull::new_unchecked(first) }, length, block, layout };
        #[cfg(loom)]
        for element in 0..length {
            // SAFETY: within the array, which nobody has seen.
            unsafe { array.first.add(element).write(T::zero()) };
        }
        if alignment == HUGE_PAGE {
            advise_huge(array.first.cast(), array.huge_page_bytes());
        }
        Ok(array)
    }

    /// Returns the bytes for which huge pages were requested: whole pages only.
    pub(crate) fn huge_page_bytes(&self) -> usize {
        let bytes = self.length * size_of::<T>();
        if self.layout.size() >= bytes + HUGE_PAGE { bytes / HUGE_PAGE * HUGE_PAGE } else { 0 }
    }

    /// Refuses an array of `length` elements if the machine cannot hold it, or the allocator
    /// refuses it now. Touches none of its memory.
    pub(crate) fn probe(length: usize) -> Result<()> {
        Self::new(length, Pages::Ordinary).map(drop)
    }

    fn block_layout(length: usize, alignment: usize) -> Result<Layout> {
        debug_assert!(align_of::<T>() <= CACHE_LINE);
        length
            .checked_mul(size_of::<T>())
            .and_then(|size| size.checked_add(alignment))
            .and_then(|size| Layout::from_size_align(size, 16).ok())
            .ok_or(Error::OutOfMemory { requested: usize::MAX })
    }

    /// Returns the bytes of an array of `length` elements.
    pub(crate) fn bytes(length: usize) -> usize {
        length.saturating_mul(size_of::<T>()).saturating_add(CACHE_LINE)
    }

    /// Returns the elements.
    #[inline]
    pub(crate) fn as_slice(&self) -> &[T] {
        // SAFETY: the block holds `length` elements from `first` on, all initialised by
        // `Zeroable`'s promise.
        unsafe { std::slice::from_raw_parts(self.first.as_ptr(), self.length) }
    }
}

impl<T> fmt::Debug for ZeroedArray<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ZeroedArray").field("length", &self.length).finish_non_exhaustive()
    }
}

impl<T> Drop for ZeroedArray<T> {
    fn drop(&mut self) {
        // SAFETY: the block was allocated with this layout.
        unsafe { dealloc(self.block.as_ptr(), self.layout) }
    }
}

// SAFETY: the array owns its elements.
unsafe impl<T: Send> Send for ZeroedArray<T> {}
// SAFETY: sharing the array shares its elements.
unsafe impl<T: Sync> Sync for ZeroedArray<T> {}

#[cfg(test)]
mod tests {
    use super::*;

    // SAFETY: zeros are numbers.
    unsafe impl Zeroable for [u64; 8] {}

    #[test]
    fn elements_are_zero_and_on_cache_lines() {
        for (length, pages) in [1, 3, 32_767, 32_768, 100_000]
            .into_iter()
            .flat_map(|n| [(n, Pages::Ordinary), (n, Pages::Huge)])
        {
            let array = ZeroedArray::<[u64; 8]>::new(length, pages).unwrap();
            assert_eq!(array.as_slice().len(), length);
            assert!(array.as_slice().iter().all(|line| *line == [0; 8]));
            let large = pages == Pages::Huge && length >= 32_768;
            let alignment = if large { HUGE_PAGE } else { CACHE_LINE };
            assert_eq!(array.as_slice().as_ptr().addr() % alignment, 0);
            assert_eq!(
                array.huge_page_bytes(),
                if large { length * 64 / HUGE_PAGE * HUGE_PAGE } else { 0 }
            );
        }
    }

    #[test]
    fn a_length_that_no_memory_has_is_an_error() {
        assert_eq!(
            ZeroedArray::<[u64; 8]>::new(usize::MAX / 8, Pages::Huge).unwrap_err().code(),
            -10
        );
        assert_eq!(ZeroedArray::<[u64; 8]>::new(usize::MAX, Pages::Huge).unwrap_err().code(), -10);
    }
}
