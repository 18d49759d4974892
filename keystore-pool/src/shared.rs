//! A pool that several owners share.

use std::fmt;
use std::ops::Deref;
use std::process::abort;
use std::ptr::NonNull;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};

use keystore_core::Result;
use keystore_core::fallible::try_box;

/// Owns a `T` together with its clones, as `Arc` does, but reports a lack of memory. `Arc::new`
/// ends the process instead, and stable Rust has no other constructor.
pub struct Shared<T>(NonNull<Counted<T>>);

struct Counted<T> {
    owners: AtomicUsize,
    value: T,
}

impl<T> Shared<T> {
    /// Makes the first owner of a value.
    ///
    /// # Errors
    /// -10 if there is no memory for it.
    pub fn new(value: T) -> Result<Self> {
        let counted = Box::into_raw(try_box(Counted { owners: AtomicUsize::new(1), value })?);
        // SAFETY: a box is not at address 0.
        Ok(Self(unsafe { NonNull::new_unchecked(counted) }))
    }
}

impl<T> Deref for Shared<T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        // SAFETY: the value lives while it has owners, and `self` is one.
        unsafe { &self.0.as_ref().value }
    }
}

impl<T: fmt::Debug> fmt::Debug for Shared<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}

impl<T> Clone for Shared<T> {
    fn clone(&self) -> Self {
        // SAFETY: the value lives while it has owners, and `self` is one.
        let owners = unsafe { &self.0.as_ref().owners };
        // Owners that are leaked stay in the count, which must not overflow to 0.
        if owners.fetch_add(1, Relaxed) > isize::MAX as usize {
            abort();
        }
        Self(self.0)
    }
}

impl<T> Drop for Shared<T> {
    fn drop(&mut self) {
        // Release: what this owner did happens before the value is dropped.
        // SAFETY: the value lives while it has owners, and `self` is one until the subtraction.
        if unsafe { self.0.as_ref() }.owners.fetch_sub(1, Release) > 1 {
            return;
        }
        // Acquire: what the other owners did happens before this. It is a load and not a fence,
        // because ThreadSanitizer does not understand fences.
        // SAFETY: this was the last owner, so no other thread drops the value.
        unsafe { self.0.as_ref() }.owners.load(Acquire);
        // SAFETY: `new` got the address from a box, and this was the last owner.
        drop(unsafe { Box::from_raw(self.0.as_ptr()) });
    }
}

// SAFETY: each owner may use the value from its thread (`Sync`), and the last one drops it
// (`Send`).
unsafe impl<T: Send + Sync> Send for Shared<T> {}
// SAFETY: a reference to an owner can be cloned into an owner, so `Send` is needed here, too.
unsafe impl<T: Send + Sync> Sync for Shared<T> {}

#[cfg(all(test, not(loom)))]
mod tests {
    use std::sync::atomic::AtomicU32;

    use super::*;

    #[test]
    fn the_last_owner_drops_the_value_once() {
        static DROPS: AtomicU32 = AtomicU32::new(0);
        struct Counts;
        impl Drop for Counts {
            fn drop(&mut self) {
                DROPS.fetch_add(1, Relaxed);
            }
        }
        let first = Shared::new(Counts).unwrap();
        std::thread::scope(|scope| {
            for _ in 0..8 {
                let own = first.clone();
                scope.spawn(move || (0..100).for_each(|_| drop(own.clone())));
            }
        });
        assert_eq!(DROPS.load(Relaxed), 0);
        drop(first);
        assert_eq!(DROPS.load(Relaxed), 1);
    }
}
