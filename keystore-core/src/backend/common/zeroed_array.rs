//! Arrays of zeroed cache lines, which tables consist of. A lack of memory is an error and does not
//! end the process.

use std::alloc::{Layout, alloc_zeroed, dealloc};
use std::fmt;
use std::hint::black_box;
use std::ptr::NonNull;

use crate::error::{Error, Result};
use crate::huge_pages::{HUGE_PAGE, Pages, advise_huge};
use crate::system_memory::check_fits;

/// Size of a cache line in bytes, and alignment of an array's elements.
pub(crate) const CACHE_LINE: usize = 64;

/// Returns the alignment of an array of `bytes` bytes. It is the size of a huge page if the array
/// is to lie in huge pages.
fn alignment(pages: Pages, bytes: usize) -> usize {
    if pages == Pages::Huge && bytes >= HUGE_PAGE { HUGE_PAGE } else { CACHE_LINE }
}

/// Types for which all zeros are a valid value, and which need no drop.
///
/// # Safety
/// An all-zero `Self` is valid, and `Self` is aligned to at most [`CACHE_LINE`].
pub(crate) unsafe trait Zeroable: Sized {
    /// Returns the value that zeros stand for. The model checker's atomics are more than plain
    /// memory, so they cannot be made by zeroing memory.
    #[cfg(loom)]
    fn zero() -> Self {
        // SAFETY: the trait's promise.
        unsafe { std::mem::zeroed() }
    }
}

/// An owned array of zero-initialised `T`, which starts at a cache line. The system provides the
/// pages of a large array when they are first touched. So the time to make a large array does not
/// depend on its length.
pub(crate) struct ZeroedArray<T> {
    first: NonNull<T>,
    length: usize,
    block: NonNull<u8>,
    /// Layout that the block was allocated with.
    layout: Layout,
}

impl<T: Zeroable> ZeroedArray<T> {
    /// Makes an array of `length` zeroed elements. If the machine can never hold the array, this
    /// fails without calling the allocator, since an allocator may promise memory that does not
    /// exist.
    pub(crate) fn new(length: usize, pages: Pages) -> Result<Self> {
        let alignment = alignment(pages, length.saturating_mul(size_of::<T>()));
        let layout = Self::block_layout(length, alignment)?;
        check_fits(layout.size())?;
        // SAFETY: the layout has at least the bytes of one cache line. The `black_box` forces the
        // compiler to call the allocator: it may remove an allocation that is freed without being
        // used, and then assume that the allocation succeeded.
        let block = NonNull::new(black_box(unsafe { alloc_zeroed(layout) }))
            .ok_or(Error::OutOfMemory { requested: layout.size() })?;
        // If the layout had this alignment, general allocators would clear the whole block by
        // writing to it. So this allocates more bytes and rounds the address up. Then the allocator
        // takes large blocks from the system, which clears pages when they are first touched.
        let first = block.as_ptr().map_addr(|address| address.next_multiple_of(alignment)).cast();
        // SAFETY: rounding up stays within the block, which is not at the null address.
        let array = Self { first: unsafe { NonNull::new_unchecked(first) }, length, block, layout };
        #[cfg(loom)]
        for element in 0..length {
            // SAFETY: the element is within the array, which no other code has seen.
            unsafe { array.first.add(element).write(T::zero()) };
        }
        if alignment == HUGE_PAGE {
            advise_huge(array.first.cast(), array.huge_page_bytes());
        }
        Ok(array)
    }

    /// Returns the number of bytes for which huge pages were requested. It counts only whole pages.
    pub(crate) fn huge_page_bytes(&self) -> usize {
        let bytes = self.length * size_of::<T>();
        if self.layout.size() >= bytes + HUGE_PAGE { bytes / HUGE_PAGE * HUGE_PAGE } else { 0 }
    }

    /// Returns an error if the machine cannot hold an array of `length` elements, or if the
    /// allocator cannot allocate it now. Touches none of its memory.
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

    /// Returns the size of an array of `length` elements in bytes.
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

// SAFETY: sending the array sends the elements that it owns.
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
