//! Values shown in place: the operations that call back.
//!
//! While a callback runs, the store is in use by the thread that runs it, so it must not be
//! closed there. A thread's callbacks that are under way are kept as a list through its stack,
//! innermost first.

use std::cell::Cell;
use std::ffi::{c_int, c_void};
use std::ops::ControlFlow;
use std::ptr;

use crate::bytes::{BytesError, slice};
use crate::failure::{Failure, guard};
use crate::handle::{self, ks_store};

/// A call under way on this thread that may run callbacks.
struct Call {
    store: *mut ks_store,
    outer: *const Call,
}

thread_local! {
    static INNERMOST: Cell<*const Call> = const { Cell::new(ptr::null()) };
}

/// Runs `call`, which may run callbacks of `store`.
pub(crate) fn calling_back<R>(store: *mut ks_store, call: impl FnOnce() -> R) -> R {
    /// Takes the innermost call off the list, also when a panic passes through.
    struct Leave(*const Call);
    impl Drop for Leave {
        fn drop(&mut self) {
            INNERMOST.set(self.0);
        }
    }

    let this = Call { store, outer: INNERMOST.get() };
    let _leave = Leave(this.outer);
    INNERMOST.set(&raw const this);
    call()
}

/// Whether this thread is inside a callback of `store`.
pub(crate) fn is_inside(store: *mut ks_store) -> bool {
    let mut next = INNERMOST.get();
    // SAFETY: the calls on the list are on this thread's stack, and each leaves the list before
    // its frame ends.
    while let Some(call) = unsafe { next.as_ref() } {
        if call.store == store {
            return true;
        }
        next = call.outer;
    }
    false
}

/// What ks_read shows a value to.
///
/// `value` points to `value_len` bytes that belong to the store: read them, and keep no pointer
/// into them past the callback's return. The callback may call any function of the store but
/// ks_close; one that would have to wait for a lock that is held answers KS_LOCK_NOT_ACQUIRED.
/// It must return: an exception that leaves it ends the process, and a longjmp out of it is
/// undefined.
pub type ks_read_fn = Option<
    unsafe extern "C-unwind" fn(context: *mut c_void, value: *const c_void, value_len: usize),
>;

/// What ks_for_each shows each entry to: 0 goes on to the next, anything else stops.
///
/// As for ks_read_fn, for the key and the value both.
pub type ks_for_each_fn = Option<
    unsafe extern "C-unwind" fn(
        context: *mut c_void,
        key: *const c_void,
        key_len: usize,
        value: *const c_void,
        value_len: usize,
    ) -> c_int,
>;

/// The callback, where there is one.
pub(crate) fn function<F>(argument: &'static str, callback: Option<F>) -> Result<F, Failure> {
    callback.ok_or_else(|| BytesError::Null { argument, expected: "a function" }.into())
}

/// Shows the value of `key` to a callback in place, without a copy. The callback is not called
/// where the key has none.
///
/// @param visit is called once at most, before ks_read returns, on this thread.
/// @param context is handed to `visit` as it is; may be NULL.
/// @return KS_OK; KS_KEY_NOT_FOUND; KS_OUT_OF_MEMORY; KS_INVALID_ARGUMENT if `visit` is NULL
/// or for a key outside its limits; KS_LOCK_NOT_ACQUIRED if it may not wait for a lock, or
/// not that long; KS_NOT_INITIALISED; KS_UNSUPPORTED from another thread than a single-threaded
/// store's own.
///
/// # Safety
/// `key` is NULL or points to `key_len` bytes; `visit` keeps the rules of ks_read_fn. Any
/// thread may call this while the store is open.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ks_read(
    store: *mut ks_store,
    key: *const c_void,
    key_len: usize,
    visit: ks_read_fn,
    context: *mut c_void,
) -> c_int {
    guard(|| {
        let visit = function("visit", visit)?;
        // SAFETY: the caller promises that nobody closes the store meanwhile.
        let opened = unsafe { handle::opened(store) }?.keystore()?;
        // SAFETY: the caller promises that the key is NULL or can be read.
        let key = unsafe { slice("key", key, key_len) }?;
        // SAFETY: the caller promises a function of this type, and the value is readable until
        // it returns.
        let mut show = |value: &[u8]| unsafe { visit(context, value.as_ptr().cast(), value.len()) };
        let found = calling_back(store, || opened.read_dyn(key, &mut show))?;
        if found { Ok(()) } else { Err(Failure::KeyNotFound) }
    })
}

/// Shows every entry to a callback until that stops, in no particular order: each entry that is
/// there throughout, and none twice, also while others write. O(n).
///
/// @param visit is called on this thread, before ks_for_each returns; 0 goes on, anything else
/// stops.
/// @param context is handed to `visit` as it is; may be NULL.
/// @return KS_OK, stopped or not; KS_OUT_OF_MEMORY; KS_INVALID_ARGUMENT if `visit` is NULL;
/// KS_LOCK_NOT_ACQUIRED if it may not wait for a lock, or not that long; KS_NOT_INITIALISED;
/// KS_UNSUPPORTED from another thread than a single-threaded store's own.
///
/// # Safety
/// `visit` keeps the rules of ks_read_fn. Any thread may call this while the
/// store is open.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ks_for_each(
    store: *mut ks_store,
    visit: ks_for_each_fn,
    context: *mut c_void,
) -> c_int {
    guard(|| {
        let visit = function("visit", visit)?;
        // SAFETY: the caller promises that nobody closes the store meanwhile.
        let opened = unsafe { handle::opened(store) }?.keystore()?;
        let mut show = |key: &[u8], value: &[u8]| {
            let (key, key_len) = (key.as_ptr().cast(), key.len());
            // SAFETY: the caller promises a function of this type; key and value are readable
            // until it returns.
            let answer =
                unsafe { visit(context, key, key_len, value.as_ptr().cast(), value.len()) };
            if answer == 0 { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
        };
        calling_back(store, || opened.for_each_dyn(&mut show))?;
        Ok(())
    })
}
