//! A pool that several owners share.

use std::fmt;
use std::ops::Deref;
use std::process::abort;
use std::ptr::NonNull;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};

use keystore_core::{Error, Result};

/// Owns a `T` together with its clones: `Arc`, but it reports that there is no memory. `Arc::new`
/// ends the process, and stable Rust has no other.
pub struct Shared<T>(NonNull<Counted<T>>);

struct Counted<T> {
    owners: AtomicUsize,
    value: T,
}

impl<T> Shared<T> {
    /// Shares a value, with one owner for now.
    ///
    /// # Errors
    /// -10 if there is no memory for it.
    pub fn new(value: T) -> Result<Self> {
        let mut one = Vec::new();
        let requested = size_of::<Counted<T>>();
        one.try_reserve_exact(1).map_err(|_| Error::OutOfMemory { requested })?;
        one.push(Counted { owners: AtomicUsize::new(1), value });
        let first = Box::into_raw(one.into_boxed_slice()).cast::<Counted<T>>();
        // SAFETY: a box is not at address 0.
        Ok(Self(unsafe { NonNull::new_unchecked(first) }))
    }
}

impl<T> Deref for Shared<T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        // SAFETY: valid while it has owners.
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
        // SAFETY: valid while it has owners.
        let owners = unsafe { &self.0.as_ref().owners };
        // Owners that are forgotten count on: their number must not come round to 0.
        if owners.fetch_add(1, Relaxed) > isize::MAX as usize {
            abort();
        }
        Self(self.0)
    }
}

impl<T> Drop for Shared<T> {
    fn drop(&mut self) {
        // SAFETY: valid while it has owners. Release: what this one did comes before the end.
        if unsafe { self.0.as_ref() }.owners.fetch_sub(1, Release) > 1 {
            return;
        }
        // SAFETY: as above. Acquire: what the others did comes before this. A load and not a fence,
        // which ThreadSanitizer does not understand.
        unsafe { self.0.as_ref() }.owners.load(Acquire);
        let one = NonNull::slice_from_raw_parts(self.0, 1);
        // SAFETY: it came from a boxed slice of one, and this was the last owner.
        drop(unsafe { Box::from_raw(one.as_ptr()) });
    }
}

// SAFETY: each owner may use the value, and the last one drops it.
unsafe impl<T: Send + Sync> Send for Shared<T> {}
// SAFETY: as above.
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
