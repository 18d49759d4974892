//! Hooks that run when a thread ends.
//!
//! Stores and pools keep state for each live thread: its slot, its pin and its cached blocks. When
//! the thread ends, all of this must become available to other threads. A destructor of a
//! `thread_local!` is not enough, for two reasons:
//!
//! - Registering the destructor allocates memory inside the C library, and the process ends if
//!   there is none.
//! - If the destructor is registered late, while the thread's POSIX keys are destroyed, it never
//!   runs.
//!
//! So on Unix this module uses a POSIX key. Setting the key's value either needs no memory or
//! returns an error if there is none. If a key's destructor sets the value of a key, POSIX runs the
//! destructors again, in up to four rounds. So if a store is first used in such a destructor, the
//! next round runs the hooks. There is one exception: the hooks do not run if a store is first used
//! in the last round, by a destructor that has set its own key three times. A thread has no way to
//! find out that a round is the last one.
//!
//! The key's destructor is code of this library. If the library is unloaded, the key is deleted
//! first. So threads that end later do not call code that is no longer loaded.
//!
//! A crate that keeps state for each thread adds a [`Hook`] once. It calls [`arm`] whenever a
//! thread gets state that must be given back.

use std::ptr::null_mut;
use std::sync::atomic::{AtomicBool, AtomicPtr, Ordering};

/// A function that runs at the end of each thread that has called [`arm`].
#[derive(Debug)]
pub struct Hook {
    run: fn(),
    added: AtomicBool,
    next: AtomicPtr<Self>,
}

/// List of the hooks that were added, the last one first.
static HOOKS: AtomicPtr<Hook> = AtomicPtr::new(null_mut());

impl Hook {
    /// Creates a hook for `run`, which must not unwind. It may use stores and pools.
    #[must_use]
    pub const fn new(run: fn()) -> Self {
        Self { run, added: AtomicBool::new(false), next: AtomicPtr::new(null_mut()) }
    }

    /// Adds the hook, unless it was added before. Hooks run before the library gives back the
    /// thread's slot and pin, so a hook may use both.
    pub fn add(&'static self) {
        if self.added.swap(true, Ordering::Relaxed) {
            return;
        }
        let hook = std::ptr::from_ref(self).cast_mut();
        let mut first = HOOKS.load(Ordering::Relaxed);
        loop {
            self.next.store(first, Ordering::Relaxed);
            // Release: a thread that finds the hook also finds those behind it in the list.
            match HOOKS.compare_exchange(first, hook, Ordering::Release, Ordering::Relaxed) {
                Ok(_) => return,
                Err(now) => first = now,
            }
        }
    }
}

/// Runs all hooks, for a thread that is ending or is about to change its slot.
pub(crate) fn run_hooks() {
    let mut pointer = HOOKS.load(Ordering::Acquire);
    // SAFETY: only `add` puts hooks on the list, and they are static.
    while let Some(hook) = unsafe { pointer.as_ref() } {
        (hook.run)();
        pointer = hook.next.load(Ordering::Relaxed);
    }
}

/// Gives back all state that is kept for the calling thread.
fn give_back() {
    run_hooks();
    #[cfg(feature = "epoch")]
    crate::backend::epoch::leave_participant();
    crate::sync::thread_slot::release_slot();
}

/// Arranges that the hooks run when the calling thread ends. Costs only a few instructions if this
/// was arranged before.
///
/// Returns false if this cannot be arranged, because there is no memory for it or the thread's last
/// round of destructors may have begun. Then no state may be kept for the thread.
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

    /// Number of rounds in which the key's destructor is certain to run if the thread sets the
    /// value in each of them. POSIX has at least four rounds, and one may have begun before the
    /// first value was set.
    const ROUNDS: u32 = 3;

    /// Value of [`KEY`] before the key is created.
    const NONE: u64 = u64::MAX;
    /// Value of [`KEY`] when the library is being unloaded, or the process ends.
    const GONE: u64 = u64::MAX - 1;

    /// The key, or [`NONE`], or [`GONE`].
    static KEY: AtomicU64 = AtomicU64::new(NONE);

    // Neither variable has a destructor, since registering one could end the process.
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
        // SAFETY: `pthread_key_create` made the key; its value is never dereferenced.
        let set = unsafe { pthread_setspecific(key, without_provenance::<c_void>(1)) } == 0;
        ARMED.set(set);
        set
    }

    /// Returns the key. The first call creates it.
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
        // `atexit` returns an error if there is no memory to register the function. The key is kept
        // only if it can be deleted when the library is unloaded. SAFETY: `unloaded` does not
        // unwind, and is called before its code is unloaded.
        if known.is_ok() && unsafe { libc::atexit(unloaded) } != 0 {
            let _ = KEY.compare_exchange(key.into(), NONE, Ordering::AcqRel, Ordering::Relaxed);
        } else if known.is_ok() {
            return Some(key);
        }
        // SAFETY: `pthread_key_create` made the key, and it is deleted only here: `KEY` holds
        // another key, or none. If a thread has set a value of this key, the value is forgotten.
        unsafe { pthread_key_delete(key) };
        known.err().and_then(|key| pthread_key_t::try_from(key).ok())
    }

    /// Runs when the library is unloaded, and when the process ends.
    extern "C" fn unloaded() {
        if let Ok(key) = pthread_key_t::try_from(KEY.swap(GONE, Ordering::AcqRel)) {
            // SAFETY: `pthread_key_create` made the key, and the exchange above lets only one call
            // delete it.
            unsafe { pthread_key_delete(key) };
        }
    }

    /// Runs at the end of a thread that has set the key's value, once for each round in which the
    /// thread has set it.
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
