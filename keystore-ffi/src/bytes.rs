//! Memory that crosses the C boundary: byte strings that come in, and results that go out.

use std::ffi::{c_int, c_void};
use std::ptr::{self, NonNull};

use crate::status::{KS_INVALID_ARGUMENT, KS_OUT_OF_MEMORY};

/// The reason why bytes or a place that the C caller named cannot be used.
#[derive(Clone, Copy, Debug, thiserror::Error)]
pub enum BytesError {
    /// An address is NULL but must not be.
    #[error("{argument} is NULL: it must point to {expected}")]
    Null {
        /// The argument's name.
        argument: &'static str,
        /// Description of what it must point to.
        expected: &'static str,
    },
    /// A length is greater than any block of memory.
    #[error("{argument} has {length} bytes: no block of memory has more than {max}", max = isize::MAX)]
    Length {
        /// The argument's name.
        argument: &'static str,
        /// Its length in bytes.
        length: usize,
    },
    /// There is no memory for a copy.
    #[error("out of memory: {requested} more bytes could not be allocated")]
    OutOfMemory {
        /// Bytes that the copy requires.
        requested: usize,
    },
}

impl BytesError {
    pub(crate) const fn status(self) -> c_int {
        match self {
            Self::Null { .. } | Self::Length { .. } => KS_INVALID_ARGUMENT,
            Self::OutOfMemory { .. } => KS_OUT_OF_MEMORY,
        }
    }
}

/// A byte string: an address and a length. The bytes belong to the program that fills it in.
#[derive(Clone, Copy)]
#[repr(C)]
pub struct ks_bytes {
    /// The first byte; may be NULL if `len` is 0.
    pub data: *const c_void,
    /// Number of bytes.
    pub len: usize,
}

/// Returns the `length` bytes at `data`; NULL with a length of 0 is the empty string.
///
/// # Errors
/// [`BytesError`] if `data` is NULL and `length` is not 0, or `length` is greater than any
/// block of memory.
///
/// # Safety
/// `data` is NULL, or `length` bytes there can be read and no thread changes them while the
/// returned slice is in use.
#[inline]
pub unsafe fn slice<'a>(
    argument: &'static str,
    data: *const c_void,
    length: usize,
) -> Result<&'a [u8], BytesError> {
    if data.is_null() {
        return if length == 0 {
            Ok(&[])
        } else {
            Err(BytesError::Null { argument, expected: "its bytes" })
        };
    }
    if length > isize::MAX as usize {
        return Err(BytesError::Length { argument, length });
    }
    // SAFETY: the caller promises `length` readable bytes, and they are no more than a slice
    // can have.
    Ok(unsafe { std::slice::from_raw_parts(data.cast(), length) })
}

/// Does what [`slice`] does, but returns `None` for NULL with a length of 0.
///
/// # Safety
/// As for [`slice`].
#[inline]
pub(crate) unsafe fn optional_slice<'a>(
    argument: &'static str,
    data: *const c_void,
    length: usize,
) -> Result<Option<&'a [u8]>, BytesError> {
    if data.is_null() && length == 0 {
        return Ok(None);
    }
    // SAFETY: the caller promises what `slice` requires.
    unsafe { slice(argument, data, length) }.map(Some)
}

/// Returns the `count` items at `data`.
///
/// # Safety
/// `data` is NULL, or `count` items of `T` there can be read and are aligned, and no thread changes
/// them while the returned slice is in use.
pub(crate) unsafe fn array<'a, T>(
    argument: &'static str,
    data: *const T,
    count: usize,
) -> Result<&'a [T], BytesError> {
    if count == 0 {
        return Ok(&[]);
    }
    if data.is_null() {
        return Err(BytesError::Null { argument, expected: "an array" });
    }
    check_count::<T>(argument, count)?;
    // SAFETY: the caller promises `count` readable items, and they take no more bytes than a
    // slice can have.
    Ok(unsafe { std::slice::from_raw_parts(data, count) })
}

/// Checks that `count` items fit a block of memory.
fn check_count<T>(argument: &'static str, count: usize) -> Result<(), BytesError> {
    match count.checked_mul(size_of::<T>()) {
        Some(bytes) if bytes <= isize::MAX as usize => Ok(()),
        bytes => Err(BytesError::Length { argument, length: bytes.unwrap_or(usize::MAX) }),
    }
}

/// Returns the first of `count` places for results, after the same checks as [`array`].
pub(crate) fn out_array<T>(
    argument: &'static str,
    places: *mut T,
    count: usize,
) -> Result<NonNull<T>, BytesError> {
    check_count::<T>(argument, count)?;
    match NonNull::new(places) {
        Some(places) => Ok(places),
        None if count == 0 => Ok(NonNull::dangling()),
        None => Err(BytesError::Null { argument, expected: "as many values as count says" }),
    }
}

/// A place of the caller's that a result is written to. It need not be initialised.
#[derive(Clone, Copy)]
pub struct Out<T>(NonNull<T>);

impl<T> Out<T> {
    /// Wraps the place that the C caller named.
    ///
    /// # Errors
    /// [`BytesError::Null`] if the address is NULL.
    ///
    /// # Safety
    /// `place` is NULL, or a `T` can be written there while the returned value is in use, and no
    /// other thread reads or writes it in that time.
    #[inline]
    pub unsafe fn new(argument: &'static str, place: *mut T) -> Result<Self, BytesError> {
        NonNull::new(place)
            .map(Self)
            .ok_or_else(|| BytesError::Null { argument, expected: "where the result goes" })
    }

    /// Writes the result.
    #[inline]
    pub fn write(self, value: T) {
        // SAFETY: `new` was promised a place that can be written.
        unsafe { self.0.write(value) }
    }
}

/// A copy of a value in memory from the system's `malloc`, which C can free. A NUL follows the
/// value, so that a text can be used as a string. The copy is freed on drop unless
/// [`Owned::into_raw`] hands it over.
pub struct Owned {
    data: NonNull<u8>,
    length: usize,
}

impl Owned {
    /// Copies a value.
    ///
    /// # Errors
    /// [`BytesError::OutOfMemory`] if there is no memory for it.
    pub fn copy(value: &[u8]) -> Result<Self, BytesError> {
        let length = value.len();
        let requested = length.saturating_add(1);
        // SAFETY: `malloc` may be called with any number of bytes.
        let data = NonNull::new(unsafe { libc::malloc(requested) }.cast::<u8>())
            .ok_or_else(|| BytesError::OutOfMemory { requested })?;
        // SAFETY: the block is fresh, so it does not overlap the value, and has room for it.
        unsafe { ptr::copy_nonoverlapping(value.as_ptr(), data.as_ptr(), length) };
        // SAFETY: the block has one byte more than the value.
        unsafe { data.add(length).write(0) };
        Ok(Self { data, length })
    }

    /// Returns the block and the value's length. From then on, freeing the block is the caller's
    /// duty.
    pub fn into_raw(self) -> (*mut c_void, usize) {
        let raw = (self.data.as_ptr().cast(), self.length);
        std::mem::forget(self);
        raw
    }
}

impl Drop for Owned {
    fn drop(&mut self) {
        // SAFETY: the block came from `malloc`, and nobody else has it.
        unsafe { libc::free(self.data.as_ptr().cast()) };
    }
}

/// The two places that an owned value is written to: its address and its length.
pub(crate) struct OwnedOut {
    data: Out<*mut c_void>,
    length: Out<usize>,
}

impl OwnedOut {
    /// Wraps both places, and writes NULL and 0 to them until there is a value.
    ///
    /// # Safety
    /// Each is NULL or as [`Out::new`] requires.
    pub(crate) unsafe fn new(
        argument: &'static str,
        data: *mut *mut c_void,
        length: *mut usize,
    ) -> Result<Self, BytesError> {
        // SAFETY: the caller promises it.
        let data = unsafe { Out::new(argument, data) }?;
        data.write(ptr::null_mut());
        // SAFETY: the caller promises it.
        let length = unsafe { Out::new("the length of the value", length) }?;
        length.write(0);
        Ok(Self { data, length })
    }

    pub(crate) fn write(self, value: Owned) {
        let (data, length) = value.into_raw();
        self.data.write(data);
        self.length.write(length);
    }
}
