//! A box that others may point into while its owner moves.

use std::fmt;
use std::ops::Deref;
use std::ptr::NonNull;

use keystore_core::Result;
use keystore_core::fallible::try_box;

/// Owns a `T` at a fixed address. A `Box` does so, too, but claims to be the only pointer to its
/// value whenever it moves. This one allows others.
pub(super) struct AliasableBox<T>(NonNull<T>);

impl<T> AliasableBox<T> {
    /// Puts a value in a box.
    ///
    /// # Errors
    /// -10 if there is no memory for it.
    pub(super) fn new(value: T) -> Result<Self> {
        let value = Box::into_raw(try_box(value)?);
        // SAFETY: a box is not at address 0.
        Ok(Self(unsafe { NonNull::new_unchecked(value) }))
    }

    /// Returns the value for writing. Nothing else uses the value any more.
    pub(super) fn get_mut(&mut self) -> &mut T {
        // SAFETY: the value lives as long as the box, which is borrowed exclusively.
        unsafe { self.0.as_mut() }
    }
}

impl<T> Deref for AliasableBox<T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        // SAFETY: the value lives as long as the box, which is borrowed.
        unsafe { self.0.as_ref() }
    }
}

impl<T: fmt::Debug> fmt::Debug for AliasableBox<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}

impl<T> Drop for AliasableBox<T> {
    fn drop(&mut self) {
        // SAFETY: `new` got the address from a box, and this is the only place that frees it.
        drop(unsafe { Box::from_raw(self.0.as_ptr()) });
    }
}

// SAFETY: it owns its value, as a `Box` does.
unsafe impl<T: Send> Send for AliasableBox<T> {}
// SAFETY: sharing it shares its value, as with a `Box`.
unsafe impl<T: Sync> Sync for AliasableBox<T> {}
