//! Everything that can go wrong at the border, and the border itself: [`guard`], which every function
//! of the header runs in.

use std::any::Any;
use std::ffi::c_int;
use std::panic::{AssertUnwindSafe, catch_unwind};

use keystore_core::{BatchError, Error};

use crate::status::{
    KS_GENERAL, KS_INVALID_ARGUMENT, KS_KEY_EXISTS, KS_KEY_NOT_FOUND, KS_LOCK_NOT_ACQUIRED,
    KS_NOT_INITIALISED, KS_OK, KS_OUT_OF_MEMORY, KS_UNSUPPORTED, note, note_text,
};

/// Why a call did not do its work.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    #[error(transparent)]
    Store(#[from] Error),
    #[error(transparent)]
    Batch(#[from] BatchError),
    #[error("entry {index} of the batch: {failure}")]
    Entry { index: usize, failure: Box<Failure> },
    #[error("{argument} is NULL: it must point to {expected}")]
    Null { argument: &'static str, expected: &'static str },
    #[error("{argument} has {length} bytes: no block of memory has more than {max}", max = isize::MAX)]
    Length { argument: &'static str, length: usize },
    #[error("{argument} is {size}: it must be sizeof({expected}), from {min} to {max} bytes")]
    StructSize { argument: &'static str, size: usize, expected: &'static str, min: usize, max: usize },
    #[error("options has a field that this library ({version}) does not know", version = env!("CARGO_PKG_VERSION"))]
    UnknownField,
    #[error("a value of {needed} bytes: the buffer has room for {capacity}")]
    BufferTooSmall { needed: usize, capacity: usize },
    #[error("out of memory: {requested} more bytes could not be allocated")]
    OutOfMemory { requested: usize },
    #[error("the key is not in the store")]
    KeyNotFound,
    #[error("the key is in the store already")]
    KeyExists,
    #[error("store is NULL: it must be what ks_open gave")]
    NoStore,
    #[error("store {handle:#x} is not open: it was closed, or ks_open never gave it")]
    NotOpen { handle: usize },
    #[error("there is no store: initialise_key_store makes it")]
    NotInitialised,
    #[error("value->data_size is 0: a value has at least 1 byte")]
    EmptyValue,
    #[error("the store is single-threaded: only the thread that opened it may use it")]
    OtherThread,
    #[error("ks_close from inside a callback of the store: it must return first")]
    CloseInCallback,
    #[error(
        "the callback answered {answer}: it must be KS_UPDATE_KEEP (0), KS_UPDATE_SET (1) or KS_UPDATE_DELETE (2)"
    )]
    UpdateAnswer { answer: c_int },
    #[error("caught a panic inside the library: {message}")]
    Panic { message: String },
}

impl Failure {
    fn status(&self) -> c_int {
        match self {
            Self::Store(error) => error.code(),
            Self::Batch(batch) => batch.error.code(),
            Self::Entry { failure, .. } => failure.status(),
            Self::Null { .. }
            | Self::Length { .. }
            | Self::StructSize { .. }
            | Self::BufferTooSmall { .. }
            | Self::EmptyValue
            | Self::UpdateAnswer { .. } => KS_INVALID_ARGUMENT,
            Self::OutOfMemory { .. } => KS_OUT_OF_MEMORY,
            Self::KeyNotFound => KS_KEY_NOT_FOUND,
            Self::KeyExists => KS_KEY_EXISTS,
            Self::NoStore | Self::NotOpen { .. } | Self::NotInitialised => KS_NOT_INITIALISED,
            Self::OtherThread | Self::UnknownField => KS_UNSUPPORTED,
            Self::CloseInCallback => KS_LOCK_NOT_ACQUIRED,
            Self::Panic { .. } => KS_GENERAL,
        }
    }

    /// Makes this the thread's last message, and returns its status.
    #[inline]
    fn report(&self) -> c_int {
        match self {
            Self::KeyNotFound => note_text(c"the key is not in the store"),
            Self::KeyExists => note_text(c"the key is in the store already"),
            _ => note(self),
        }
        self.status()
    }
}

/// Runs a call, and turns what came of it into a status: what failed is noted as the thread's last
/// message, and a panic goes no further.
///
/// `AssertUnwindSafe` rests on the store's promise that a panic leaves it whole; the library's own
/// state (the handles and the last message) is changed by single stores.
#[inline]
pub(crate) fn guard(call: impl FnOnce() -> Result<(), Failure>) -> c_int {
    match catch_unwind(AssertUnwindSafe(call)) {
        Ok(Ok(())) => KS_OK,
        Ok(Err(failure)) => failure.report(),
        Err(panic) => failure_of(panic).report(),
    }
}

/// The failure for a panic with this payload.
#[cold]
fn failure_of(panic: Box<dyn Any + Send>) -> Failure {
    let message = match panic.downcast::<String>() {
        Ok(message) => *message,
        Err(panic) => match panic.downcast::<&'static str>() {
            Ok(message) => (*message).to_owned(),
            Err(unknown) => {
                // Dropping a payload of an unknown type could panic again, outside the border.
                std::mem::forget(unknown);
                "no message".to_owned()
            }
        },
    };
    Failure::Panic { message }
}

#[cfg(test)]
mod tests {
    use std::ffi::CStr;

    use super::*;
    use crate::status::ks_last_error_message;

    fn last() -> String {
        // SAFETY: the text is one of this thread's, and nothing fails between here and the copy.
        unsafe { CStr::from_ptr(ks_last_error_message()) }.to_str().unwrap().to_owned()
    }

    #[test]
    fn a_panic_becomes_a_status_with_its_message() {
        assert_eq!(guard(|| panic!("slot {} is gone", 7)), -1);
        assert_eq!(last(), "caught a panic inside the library: slot 7 is gone");
        assert_eq!(guard(|| panic!("plain")), -1);
        assert_eq!(last(), "caught a panic inside the library: plain");
        assert_eq!(guard(|| std::panic::panic_any(7_u8)), -1);
        assert_eq!(last(), "caught a panic inside the library: no message");
    }

    #[test]
    fn a_success_keeps_the_last_message() {
        assert_eq!(guard(|| Err(Failure::KeyNotFound)), -41);
        assert_eq!(guard(|| Ok(())), 0);
        assert_eq!(last(), Failure::KeyNotFound.to_string());
        assert_eq!(guard(|| Err(Failure::KeyExists)), -42);
        assert_eq!(last(), Failure::KeyExists.to_string());
    }
}
