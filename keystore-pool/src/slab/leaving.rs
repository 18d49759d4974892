//! Threads that end: their magazines go back to the depots of all pools.
//!
//! Few blocks are in a thread's magazines, but each keeps its span, and so its chunk, from going back, and nobody else can get
//! at them. So a thread that ends leaves none. It finds the pools in a list of all that there are, whose lock it holds
//! meanwhile: no pool ends under its hands.
//!
//! A thread does so when its thread-local variables are destroyed. What destructors that run after this one free stays in the
//! place of the thread, for the next one to have it.

use std::ptr::NonNull;

use keystore_core::{Error, Result};
use parking_lot::Mutex;

use super::Core;

/// All pools.
static POOLS: Mutex<Vec<Listed>> = Mutex::new(Vec::new());

struct Listed(NonNull<Core>);

// SAFETY: the parts of a pool may be used by any thread.
unsafe impl Send for Listed {}

thread_local! {
    static LEAVING: Leaving = const { Leaving };
}

struct Leaving;

impl Drop for Leaving {
    fn drop(&mut self) {
        for pool in POOLS.lock().iter() {
            // SAFETY: a pool leaves the list, whose lock is held, before it ends.
            unsafe { pool.0.as_ref() }.take_over_magazines();
        }
    }
}

/// Sees to it that this thread gives its magazines up when it ends.
pub(super) fn note_thread() {
    // A model's threads are all on one of the system's, whose end is not theirs.
    if cfg!(not(loom)) {
        // A thread that is past that keeps what it gets from here on.
        let _ = LEAVING.try_with(|_| ());
    }
}

/// Puts a pool on the list.
///
/// # Errors
/// -10 where the list cannot grow.
///
/// # Safety
/// The pool stays where it is, and is valid, until [`strike_out`].
pub(super) unsafe fn list(pool: NonNull<Core>) -> Result<()> {
    let mut pools = POOLS.lock();
    pools.try_reserve(1).map_err(|_| Error::OutOfMemory { requested: size_of::<Listed>() })?;
    pools.push(Listed(pool));
    Ok(())
}

/// Takes a pool off the list. No thread that ends is at it from here on.
pub(super) fn strike_out(pool: NonNull<Core>) {
    POOLS.lock().retain(|listed| listed.0 != pool);
}
