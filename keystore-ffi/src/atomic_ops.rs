//! Reading and writing in one step: no other write to the key comes between.

use std::ffi::{c_int, c_void};
use std::ptr;

use keystore_core::{Error, Exchange, MAX_VALUE_LEN, Update};

use crate::bytes::{BytesError, Out, Owned, OwnedOut, ks_bytes, optional_slice, slice};
use crate::callback::{calling_back, function};
use crate::failure::{Failure, guard};
use crate::handle::{self, ks_store};

/// Answer of a ks_update_fn: leave the key as it is.
pub const KS_UPDATE_KEEP: c_int = 0;
/// Answer of a ks_update_fn: give the key the new value.
pub const KS_UPDATE_SET: c_int = 1;
/// Answer of a ks_update_fn: remove the key.
pub const KS_UPDATE_DELETE: c_int = 2;

/// What ks_update asks what to do with a key: one of KS_UPDATE_…
///
/// `old_value` is NULL where the key has no value; otherwise it points to `old_len` bytes that
/// belong to the store, to be read before the callback returns. With KS_UPDATE_SET, `new_value`
/// says what the key gets: bytes that stay the caller's, that are copied before ks_update
/// returns, and that must stay as they are until then. May be called again, with the newer
/// value, where another thread changes the key meanwhile: only the last answer counts.
/// Otherwise the rules of ks_read_fn.
pub type ks_update_fn = Option<
    unsafe extern "C-unwind" fn(
        context: *mut c_void,
        old_value: *const c_void,
        old_len: usize,
        new_value: *mut ks_bytes,
    ) -> c_int,
>;

/// Removes `key`, and gives the value that it had as memory of its own. One step: of several
/// threads that take one key, one succeeds. ks_store_stats counts it among the adds, as all
/// that read and write in one step.
///
/// @param value where the value's address goes: the caller's from here on, to be given back by
/// ks_free. As in ks_get_owned.
/// @param value_len where the value's length goes.
/// @return as ks_get_owned. If the value cannot be copied, the key stays.
///
/// # Safety
/// As for ks_get_owned.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ks_take(
    store: *mut ks_store,
    key: *const c_void,
    key_len: usize,
    value: *mut *mut c_void,
    value_len: *mut usize,
) -> c_int {
    guard(|| {
        // SAFETY: the caller promises that both are NULL or can be written.
        let out = unsafe { OwnedOut::new("value", value, value_len) }?;
        // SAFETY: the caller promises that nobody closes the store meanwhile.
        let store = unsafe { handle::opened(store) }?.keystore()?;
        // SAFETY: the caller promises that the key is NULL or can be read.
        let key = unsafe { slice("key", key, key_len) }?;
        // Copied while the key is held, so that a value which cannot be copied is not lost.
        let mut taken = Err(Failure::KeyNotFound);
        store.update_dyn(key, &mut |old| {
            taken = match old {
                Some(old) => Owned::copy(old).map_err(Failure::from),
                None => Err(Failure::KeyNotFound),
            };
            if taken.is_ok() { Update::Delete } else { Update::Keep }
        })?;
        out.write(taken?);
        Ok(())
    })
}

/// Changes `key` from the value `expected` to the value `new_value` where it is `expected` now,
/// as one step.
///
/// NULL with a length of 0 stands for "no value" on either side: so a key can be created only
/// if absent, or removed only if it has a value. An address that is not NULL, with a length of
/// 0, stands for the value of 0 bytes.
///
/// @param exchanged where it goes whether the key was as expected and has been changed; false
/// where the call fails.
/// @param actual where the value goes that the key had instead, as memory of its own, to be
/// given back by ks_free; NULL goes there where it had none, and where it was exchanged. May be
/// NULL, together with actual_len: then the caller does not get it.
/// @param actual_len where that value's length goes.
/// @return KS_OK, exchanged or not; and the failures of ks_set, with KS_INVALID_ARGUMENT also
/// where `exchanged` is NULL.
///
/// # Safety
/// `key`, `expected` and `new_value` are NULL or point to as many bytes as their lengths say;
/// `exchanged`, `actual` and `actual_len` are NULL or can be written. Any thread may call this
/// while the store is open.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ks_compare_exchange(
    store: *mut ks_store,
    key: *const c_void,
    key_len: usize,
    expected: *const c_void,
    expected_len: usize,
    new_value: *const c_void,
    new_len: usize,
    exchanged: *mut bool,
    actual: *mut *mut c_void,
    actual_len: *mut usize,
) -> c_int {
    guard(|| {
        // SAFETY: the caller promises that `exchanged` is NULL or can be written.
        let exchanged = unsafe { Out::new("exchanged", exchanged) }?;
        exchanged.write(false);
        let actual = if actual.is_null() && actual_len.is_null() {
            None
        } else {
            // SAFETY: the caller promises that both are NULL or can be written.
            Some(unsafe { OwnedOut::new("actual", actual, actual_len) }?)
        };
        // SAFETY: the caller promises that nobody closes the store meanwhile.
        let store = unsafe { handle::opened(store) }?.keystore()?;
        // SAFETY: the caller promises that the key is NULL or can be read.
        let key = unsafe { slice("key", key, key_len) }?;
        // SAFETY: the caller promises that the value is NULL or can be read.
        let expected = unsafe { optional_slice("expected", expected, expected_len) }?;
        // SAFETY: the caller promises that the value is NULL or can be read.
        let new = unsafe { optional_slice("new_value", new_value, new_len) }?;
        match (store.compare_exchange(key, expected, new)?, actual) {
            (Exchange::Exchanged, _) => exchanged.write(true),
            (Exchange::Differs(Some(value)), Some(actual)) => actual.write(Owned::copy(&value)?),
            (Exchange::Differs(_), _) => {}
        }
        Ok(())
    })
}

/// Shows the value of `key` to a callback, and does with the key what that answers, as one
/// step.
///
/// @param decide is called on this thread before ks_update returns, and again where another
/// thread changes the key meanwhile.
/// @param context is handed to `decide` as it is; may be NULL.
/// @return KS_OK; KS_INVALID_ARGUMENT if `decide` is NULL, if its answer is none of
/// KS_UPDATE_…, if its new value is NULL with a length, or for a key or value outside its
/// limits; and the other failures of ks_set. After each of them the store is as before.
///
/// # Safety
/// `key` is NULL or points to `key_len` bytes; `decide` keeps the rules of ks_update_fn. Any
/// thread may call this while the store is open.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ks_update(
    store: *mut ks_store,
    key: *const c_void,
    key_len: usize,
    decide: ks_update_fn,
    context: *mut c_void,
) -> c_int {
    guard(|| {
        let decide = function("decide", decide)?;
        // SAFETY: the caller promises that nobody closes the store meanwhile.
        let opened = unsafe { handle::opened(store) }?.keystore()?;
        // SAFETY: the caller promises that the key is NULL or can be read.
        let key = unsafe { slice("key", key, key_len) }?;
        let ask = |old: Option<&[u8]>| -> Result<Update, Failure> {
            let (data, len) = old.map_or((ptr::null(), 0), |old| (old.as_ptr().cast(), old.len()));
            let mut new = ks_bytes { data: ptr::null(), len: 0 };
            // SAFETY: the caller promises a function of this type; the old value is readable
            // until it returns.
            match unsafe { decide(context, data, len, &raw mut new) } {
                KS_UPDATE_KEEP => Ok(Update::Keep),
                KS_UPDATE_DELETE => Ok(Update::Delete),
                KS_UPDATE_SET => {
                    // SAFETY: the callback promises that its bytes can be read.
                    let new = unsafe { slice("new_value", new.data, new.len) }?;
                    // Before it is copied: what is too long may not even be there.
                    if new.len() > MAX_VALUE_LEN {
                        return Err(
                            Error::ValueLength { length: new.len(), max: MAX_VALUE_LEN }.into()
                        );
                    }
                    let mut copy = Vec::new();
                    copy.try_reserve_exact(new.len())
                        .map_err(|_| BytesError::OutOfMemory { requested: new.len() })?;
                    copy.extend_from_slice(new);
                    Ok(Update::Set(copy))
                }
                answer => Err(Failure::UpdateAnswer { answer }),
            }
        };
        // Only the last answer counts, so only its failure does.
        let mut answered = Ok(());
        let mut decide = |old: Option<&[u8]>| match ask(old) {
            Ok(update) => {
                answered = Ok(());
                update
            }
            Err(failure) => {
                answered = Err(failure);
                Update::Keep
            }
        };
        calling_back(store, || opened.update_dyn(key, &mut decide))?;
        answered
    })
}
