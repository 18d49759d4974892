//! A value that stays where it is when its owner moves, so that others may hold its address.

use std::fmt;
use std::ops::Deref;
use std::ptr::NonNull;

use keystore_core::{Error, Result};

/// Owns a `T` at an address that does not change. Unlike a `Box`, it may be pointed to by others
/// while its owner moves.
pub(crate) struct Stable<T>(NonNull<T>);

impl<T> Stable<T> {
    /// Puts a value where it stays.
    ///
    /// # Errors
    /// -10 if there is no memory for it.
    pub(crate) fn new(value: T) -> Result<Self> {
        let mut one = Vec::new();
        one.try_reserve_exact(1).map_err(|_| Error::OutOfMemory { requested: size_of::<T>() })?;
        one.push(value);
        let first = Box::into_raw(one.into_boxed_slice()).cast::<T>();
        // SAFETY: a box is not at address 0.
        Ok(Self(unsafe { NonNull::new_unchecked(first) }))
    }

    /// The value, for the last time before it is dropped. Nobody else looks at it any more.
    pub(crate) fn get_mut(&mut self) -> &mut T {
        // SAFETY: valid until it is dropped, and borrowed with its owner.
        unsafe { self.0.as_mut() }
    }
}

impl<T> Deref for Stable<T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        // SAFETY: valid until it is dropped.
        unsafe { self.0.as_ref() }
    }
}

impl<T: fmt::Debug> fmt::Debug for Stable<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}

impl<T> Drop for Stable<T> {
    fn drop(&mut self) {
        let one = NonNull::slice_from_raw_parts(self.0, 1);
        // SAFETY: it came from a boxed slice of one, and is dropped once.
        drop(unsafe { Box::from_raw(one.as_ptr()) });
    }
}

// SAFETY: it owns its value.
unsafe impl<T: Send> Send for Stable<T> {}
// SAFETY: sharing it shares its value.
unsafe impl<T: Sync> Sync for Stable<T> {}
