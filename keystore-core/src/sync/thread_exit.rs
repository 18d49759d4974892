//! What runs when a thread ends.
//!
//! Stores and pools keep something for each live thread: its number, its pin, its cached blocks.
//! When the thread ends, all of it must pass to other threads. A destructor of a `thread_local!` is
//! not enough, for two reasons:
//!
//! - To register one takes memory inside the C library, and the process ends if there is none.
//! - One that is registered late, while the thread's POSIX keys are being destroyed, never runs.
//!
//! So on Unix this uses a POSIX key. To set its value needs no memory or reports that there was
//! none, and POSIX calls the destructors of keys again, up to four rounds, if one of them sets a
//! value. A store that is first used in such a destructor is noticed in the next round. What is
//! first used in the last round, by a destructor that has set its own key three times, is not
//! noticed: nothing tells a thread that this is its last round.
//!
//! The key's destructor is code of this library. If the library is unloaded, the key is deleted
//! first, so threads that end later do not call code that is gone.
//!
//! A crate that keeps something for each thread adds a [`Hook`] once, and calls [`arm`] whenever a
//! thread begins to have something to give back.

use std::ptr::null_mut;
use std::sync::atomic::{AtomicBool, AtomicPtr, Ordering};

/// A function that runs when a thread ends, after each [`arm`].
#[derive(Debug)]
pub struct Hook {
    run: fn(),
    added: AtomicBool,
    next: AtomicPtr<Self>,
}

/// The hooks that were added, the last one first.
static HOOKS: AtomicPtr<Hook> = AtomicPtr::new(null_mut());

impl Hook {
    /// Makes a hook for `run`, which must not unwind. It may use stores and pools.
    #[must_use]
    pub const fn new(run: fn()) -> Self {
        Self { run, added: AtomicBool::new(false), next: AtomicPtr::new(null_mut()) }
    }

    /// Adds the hook, unless that was done. Hooks run before the library gives back the thread's
    /// own number and pin, so a hook may use both.
    pub fn add(&'static self) {
        if self.added.swap(true, Ordering::Relaxed) {
            return;
        }
        let hook = std::ptr::from_ref(self).cast_mut();
        let mut first = HOOKS.load(Ordering::Relaxed);
        loop {
            self.next.store(first, Ordering::Relaxed);
            // Release: a thread that finds the hook finds what it hangs on.
            match HOOKS.compare_exchange(first, hook, Ordering::Release, Ordering::Relaxed) {
                Ok(_) => return,
                Err(now) => first = now,
            }
        }
    }
}

/// Runs the hooks that were added, for a thread which ends or changes its number.
pub(crate) fn run_hooks() {
    let mut pointer = HOOKS.load(Ordering::Acquire);
    // SAFETY: only `add` puts hooks on the list, and they are static.
    while let Some(hook) = unsafe { pointer.as_ref() } {
        (hook.run)();
        pointer = hook.next.load(Ordering::Relaxed);
    }
}

/// Gives back everything that is kept for the calling thread.
fn give_back() {
    run_hooks();
    #[cfg(feature = "epoch")]
    crate::backend::epoch::leave_participant();
    crate::sync::thread_slot::release_slot();
}

/// Has the hooks run when the calling thread ends. Costs a few instructions if that was done
/// before.
///
/// Returns false if that cannot be arranged: there is no memory for it, or the thread's last round
/// of destructors has begun. Nothing may be kept for the thread then.
#[must_use]
#[inline]
pub fn arm() -> bool {
    key::arm()
}

#[cfg(unix)]
mod key {
    use std::cell::Cell;
    use std::ffi::c_void;
    use std::ptr::without_provenance;
    use std::sync::atomic::{AtomicU64, Ordering};

    use libc::{pthread_key_create, pthread_key_delete, pthread_key_t, pthread_setspecific};

    /// Rounds in which the key's destructor surely runs for a thread whose values are set in each
    /// of them. POSIX has four rounds at least, and one may have begun before the first value was
    /// set.
    const ROUNDS: u32 = 3;

    /// No key was made yet.
    const NONE: u64 = u64::MAX;
    /// The library is being unloaded, or the process ends.
    const GONE: u64 = u64::MAX - 1;

    /// The key, or [`NONE`] or [`GONE`].
    static KEY: AtomicU64 = AtomicU64::new(NONE);

    // Neither has a destructor: to register one could end the process.
    thread_local! {
        static ARMED: Cell<bool> = const { Cell::new(false) };
        static ROUND: Cell<u32> = const { Cell::new(0) };
    }

    #[inline]
    pub(super) fn arm() -> bool {
        ARMED.get() || set_value()
    }

    #[cold]
    fn set_value() -> bool {
        if ROUND.get() >= ROUNDS {
            return false;
        }
        let Some(key) = key() else { return false };
        // SAFETY: the key was made by `pthread_key_create`; its value is never read through.
        let set = unsafe { pthread_setspecific(key, without_provenance::<c_void>(1)) } == 0;
        ARMED.set(set);
        set
    }

    /// Returns the key, which the first call makes.
    fn key() -> Option<pthread_key_t> {
        match KEY.load(Ordering::Acquire) {
            GONE => None,
            NONE => make_key(),
            key => pthread_key_t::try_from(key).ok(),
        }
    }

    fn make_key() -> Option<pthread_key_t> {
        let mut key: pthread_key_t = 0;
        // SAFETY: `key` may be written, and `thread_ends` does not unwind.
        if unsafe { pthread_key_create(&raw mut key, Some(thread_ends)) } != 0 {
            return None;
        }
        let known = KEY.compare_exchange(NONE, key.into(), Ordering::AcqRel, Ordering::Acquire);
        // A C library that has no memory for another function to call at the end says so. The code
        // then has to stay loaded, which it does in a program; the key is kept only if it can be
        // deleted. SAFETY: `unloaded` stays loaded until it is called.
        if known.is_ok() && unsafe { libc::atexit(unloaded) } != 0 {
            let _ = KEY.compare_exchange(key.into(), NONE, Ordering::AcqRel, Ordering::Relaxed);
        } else if known.is_ok() {
            return Some(key);
        }
        // SAFETY: another thread's key is in its place, or none; a value that a thread set under
        // this one meanwhile is forgotten.
        unsafe { pthread_key_delete(key) };
        known.err().and_then(|key| pthread_key_t::try_from(key).ok())
    }

    /// Runs when the library is unloaded, and when the process ends.
    extern "C" fn unloaded() {
        if let Ok(key) = pthread_key_t::try_from(KEY.swap(GONE, Ordering::AcqRel)) {
            // SAFETY: made by `pthread_key_create`, and deleted once.
            unsafe { pthread_key_delete(key) };
        }
    }

    /// Runs when a thread ends that has armed the key, once for each round in which it did.
    unsafe extern "C" fn thread_ends(_: *mut c_void) {
        ROUND.set(ROUND.get() + 1);
        ARMED.set(false);
        super::give_back();
    }

    #[cfg(test)]
    pub(super) fn is_armed() -> bool {
        ARMED.get()
    }
}

#[cfg(not(unix))]
mod key {
    use std::cell::Cell;

    thread_local! {
        static ARMED: Cell<bool> = const { Cell::new(false) };
        static AT_END: AtEnd = const { AtEnd };
    }

    struct AtEnd;

    impl Drop for AtEnd {
        fn drop(&mut self) {
            ARMED.set(false);
            super::give_back();
        }
    }

    #[inline]
    pub(super) fn arm() -> bool {
        if !ARMED.get() {
            // Fails if the destructor has begun to run.
            ARMED.set(AT_END.try_with(|_| ()).is_ok());
        }
        ARMED.get()
    }

    #[cfg(test)]
    pub(super) fn is_armed() -> bool {
        ARMED.get()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicUsize;

    use super::*;

    static RUNS: AtomicUsize = AtomicUsize::new(0);
    static COUNTED: Hook = Hook::new(|| {
        if COUNTS.get() {
            RUNS.fetch_add(1, Ordering::Relaxed);
        }
    });

    thread_local!(static COUNTS: std::cell::Cell<bool> = const { std::cell::Cell::new(false) });

    #[test]
    fn a_hook_runs_once_for_a_thread_that_armed_it_and_not_for_another() {
        COUNTED.add();
        COUNTED.add();
        let runs = |armed: bool| {
            let before = RUNS.load(Ordering::Relaxed);
            let thread = move || {
                COUNTS.set(true);
                assert!(!armed || arm() && arm() && key::is_armed());
            };
            std::thread::spawn(thread).join().unwrap();
            RUNS.load(Ordering::Relaxed) - before
        };
        assert_eq!((runs(true), runs(false)), (1, 0));
    }
}
