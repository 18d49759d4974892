//! Everything that can go wrong at the C boundary, and [`guard`], which turns it into a status
//! code. Every function of the header that can fail runs inside `guard`.

use std::any::Any;
use std::borrow::Cow;
use std::ffi::c_int;
use std::panic::{AssertUnwindSafe, catch_unwind};

use keystore_core::{BatchError, Error};

use crate::bytes::BytesError;
use crate::status::{
    KS_GENERAL, KS_INVALID_ARGUMENT, KS_INVALID_CONFIG, KS_KEY_EXISTS, KS_KEY_NOT_FOUND,
    KS_LOCK_NOT_ACQUIRED, KS_NOT_INITIALISED, KS_OK, KS_UNSUPPORTED, note, note_text,
};

/// The reason why a call failed. No variant allocates, so that a program that has run out of memory
/// still gets its code and message.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// The store's own error.
    #[error(transparent)]
    Store(#[from] Error),
    /// The store's own error, at one entry of a batch.
    #[error(transparent)]
    Batch(#[from] BatchError),
    /// Bytes or a place that the C caller named cannot be used.
    #[error(transparent)]
    Bytes(#[from] BytesError),
    /// One entry of a batch names bytes that cannot be used.
    #[error("entry {index} of the batch: {error}")]
    Entry {
        /// Position of the entry, from 0.
        index: usize,
        /// Why its bytes cannot be used.
        error: BytesError,
    },
    /// A struct size that no version of this library has.
    #[error(
        "{argument} is {size}: it must be sizeof({expected}), which is {known} in this library ({version})",
        version = env!("CARGO_PKG_VERSION")
    )]
    StructSize {
        /// The argument's name.
        argument: &'static str,
        /// The size that the caller gave.
        size: usize,
        /// The struct's name.
        expected: &'static str,
        /// The struct's size in this version.
        known: usize,
    },
    /// A field that only later versions have is not at its default.
    #[error(
        "options has a field that this library ({version}) does not know: byte {offset} is {byte}, and must be 0",
        version = env!("CARGO_PKG_VERSION")
    )]
    UnknownField {
        /// Offset in the struct, in bytes, of the first byte that is not 0.
        offset: usize,
        /// That byte.
        byte: u8,
    },
    /// An option has a number without a meaning.
    #[error("configuration: {field} is {value}: it must be {expected}")]
    Option {
        /// The field's name.
        field: &'static str,
        /// The number that the caller gave.
        value: i32,
        /// Description of the allowed numbers.
        expected: &'static str,
    },
    /// The caller's buffer is too small.
    #[error("a value of {needed} bytes: the buffer has room for {capacity}")]
    BufferTooSmall {
        /// The value's length in bytes.
        needed: usize,
        /// The buffer's length in bytes.
        capacity: usize,
    },
    /// The key has no value.
    #[error("the key is not in the store")]
    KeyNotFound,
    /// The key has a value already.
    #[error("the key is in the store already")]
    KeyExists,
    /// The handle is NULL.
    #[error("store is NULL: it must be what ks_open gave")]
    NoStore,
    /// The handle is not open.
    #[error("store {handle:#x} is not open: it was closed, or ks_open never gave it")]
    NotOpen {
        /// The handle, as a number.
        handle: usize,
    },
    /// The store is single-threaded, and another thread than its own made the call.
    #[error("the store is single-threaded: only the thread that opened it may use it")]
    OtherThread,
    /// A callback tried to close the store that runs it.
    #[error("ks_close from inside a callback of the store: it must return first")]
    CloseInCallback,
    /// A callback returned a number without a meaning.
    #[error(
        "the callback answered {answer}: it must be KS_UPDATE_KEEP (0), KS_UPDATE_SET (1) or KS_UPDATE_DELETE (2)"
    )]
    UpdateAnswer {
        /// The answer.
        answer: c_int,
    },
    /// A failure whose message has no numbers, with its code.
    #[error("{text}")]
    Fixed {
        /// The code, one of `KS_…`.
        status: c_int,
        /// The message.
        text: &'static str,
    },
    /// A bug in the library: a panic that was caught at the C boundary.
    #[error("caught a panic inside the library: {message}")]
    Panic {
        /// The message of the panic.
        message: Cow<'static, str>,
    },
}

impl Failure {
    fn status(&self) -> c_int {
        match self {
            Self::Store(error) => error.code(),
            Self::Batch(batch) => batch.error.code(),
            Self::Bytes(error) | Self::Entry { error, .. } => error.status(),
            Self::StructSize { .. } | Self::BufferTooSmall { .. } | Self::UpdateAnswer { .. } => {
                KS_INVALID_ARGUMENT
            }
            Self::Option { .. } => KS_INVALID_CONFIG,
            Self::KeyNotFound => KS_KEY_NOT_FOUND,
            Self::KeyExists => KS_KEY_EXISTS,
            Self::NoStore | Self::NotOpen { .. } => KS_NOT_INITIALISED,
            Self::OtherThread | Self::UnknownField { .. } => KS_UNSUPPORTED,
            Self::CloseInCallback => KS_LOCK_NOT_ACQUIRED,
            Self::Fixed { status, .. } => *status,
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

/// Runs a call and returns its status. A failure becomes the thread's last message. A panic stops
/// here and becomes a failure.
///
/// `AssertUnwindSafe` is justified by the store's promise that a panic leaves it consistent. The
/// library's own state (the handles and the last message) is changed by single stores.
#[inline]
pub fn guard(call: impl FnOnce() -> Result<(), Failure>) -> c_int {
    match catch_unwind(AssertUnwindSafe(call)) {
        Ok(Ok(())) => KS_OK,
        Ok(Err(failure)) => failure.report(),
        Err(panic) => failure_of(panic).report(),
    }
}

/// Returns the failure for a panic with this payload.
#[cold]
fn failure_of(panic: Box<dyn Any + Send>) -> Failure {
    let message = match panic.downcast::<String>() {
        Ok(message) => Cow::Owned(*message),
        Err(panic) => match panic.downcast::<&'static str>() {
            Ok(message) => Cow::Borrowed(*message),
            Err(unknown) => {
                // Dropping a payload of an unknown type could panic again, outside `guard`.
                std::mem::forget(unknown);
                Cow::Borrowed("no message")
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
        // SAFETY: the text is one of this thread's, and nothing fails before it is copied.
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
