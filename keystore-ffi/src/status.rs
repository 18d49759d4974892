//! Status codes, their texts, and the last message of each thread.

use std::cell::{Cell, UnsafeCell};
use std::ffi::{CStr, c_char, c_int};
use std::fmt::{self, Display, Write};

use keystore_core::code;

/// Success.
pub const KS_OK: c_int = 0;
/// A failure without a code of its own: a bug in the library, caught before it could do harm.
pub const KS_GENERAL: c_int = -1;
/// No memory was available, from the system or within the store's memory limit. Nothing has
/// changed.
pub const KS_OUT_OF_MEMORY: c_int = -10;
/// An argument is outside its limits, or is NULL but must not be; or a buffer is too small.
pub const KS_INVALID_ARGUMENT: c_int = -20;
/// A field of the options is outside its limits.
pub const KS_INVALID_CONFIG: c_int = -21;
/// The call is inside a callback and would have to wait for a lock that the callback may hold. Or
/// the call has waited for a lock for as long as ks_options.lock_timeout_ns allows.
pub const KS_LOCK_NOT_ACQUIRED: c_int = -30;
/// The store is NULL, closed, or was never opened.
pub const KS_NOT_INITIALISED: c_int = -40;
/// The key is not in the store.
pub const KS_KEY_NOT_FOUND: c_int = -41;
/// The key is in the store already.
pub const KS_KEY_EXISTS: c_int = -42;
/// This store does not support the call.
pub const KS_UNSUPPORTED: c_int = -43;

// cbindgen requires literals; this assertion checks that they are the codes of the core.
const _: () = assert!(
    KS_OK == code::OK
        && KS_GENERAL == code::GENERAL
        && KS_OUT_OF_MEMORY == code::OUT_OF_MEMORY
        && KS_INVALID_ARGUMENT == code::INVALID_ARGUMENT
        && KS_INVALID_CONFIG == code::INVALID_CONFIG
        && KS_LOCK_NOT_ACQUIRED == code::LOCK_NOT_ACQUIRED
        && KS_NOT_INITIALISED == code::NOT_INITIALISED
        && KS_KEY_NOT_FOUND == code::KEY_NOT_FOUND
        && KS_KEY_EXISTS == code::KEY_EXISTS
        && KS_UNSUPPORTED == code::UNSUPPORTED
);

/// Returns the text of a code of docs/error-codes.md, the reserved ones included.
const fn text_of(status: c_int) -> &'static CStr {
    match status {
        code::OK => c"success",
        code::GENERAL => c"general failure",
        code::OUT_OF_MEMORY => c"out of memory",
        -11 => c"resource could not be initialised",
        -12 => c"resource could not be cleaned up",
        code::INVALID_ARGUMENT => c"invalid argument",
        code::INVALID_CONFIG => c"invalid configuration",
        code::LOCK_NOT_ACQUIRED => c"lock not acquired",
        -31 => c"lock not released",
        code::NOT_INITIALISED => c"store not initialised",
        code::KEY_NOT_FOUND => c"key not found",
        code::KEY_EXISTS => c"key exists",
        code::UNSUPPORTED => c"unsupported operation",
        -44 => c"bucket full",
        -45 => c"bucket update failed",
        -46 => c"node update failed",
        -47 => c"unsupported node operation",
        -48 => c"node creation failed",
        -50 => c"pool not initialised",
        code::POOL_EXHAUSTED => c"pool exhausted",
        code::POOL_CORRUPT => c"pool corrupt",
        code::FILE_NOT_FOUND => c"file not found",
        code::FILE => c"file could not be read or written",
        -70 => c"hash failure",
        -71 => c"bucket index out of range",
        _ => c"unknown status code",
    }
}

/// Largest size of a stored message in bytes, its NUL included. A longer message is cut off between
/// two characters.
const MESSAGE_CAPACITY: usize = 512;

/// A thread's last message. It lies in the thread's own memory. So recording an error allocates
/// nothing, and a program that has run out of memory still gets the message.
struct LastMessage {
    /// The message, unless `formatted` is set: a static text.
    shown: Cell<&'static CStr>,
    /// Whether `buffer` holds the message instead.
    formatted: Cell<bool>,
    buffer: UnsafeCell<[u8; MESSAGE_CAPACITY]>,
}

thread_local! {
    static LAST_MESSAGE: LastMessage = const {
        LastMessage {
            shown: Cell::new(c""),
            formatted: Cell::new(false),
            buffer: UnsafeCell::new([0; MESSAGE_CAPACITY]),
        }
    };
}

/// Makes `text` this thread's last message. This costs two stores: the failure for an absent key
/// must be cheap.
#[inline]
pub(crate) fn note_text(text: &'static CStr) {
    LAST_MESSAGE.with(|last| {
        last.shown.set(text);
        last.formatted.set(false);
    });
}

/// Makes the text of `message` this thread's last message.
#[cold]
pub(crate) fn note(message: &dyn Display) {
    LAST_MESSAGE.with(|last| {
        // Formatted in a separate place and then copied: the formatting may itself record a
        // message.
        let mut text = Truncated { bytes: [0; MESSAGE_CAPACITY], length: 0 };
        // `Truncated` returns an error once it is full, which stops the formatting. The text up to
        // there is kept.
        let _ = write!(text, "{message}");
        // SAFETY: the buffer belongs to this thread alone, and no reference into it exists: C holds
        // a raw pointer, whose text is documented to change with the thread's next failing call.
        unsafe { *last.buffer.get() = text.bytes };
        last.formatted.set(true);
    });
}

/// A text of at most [`MESSAGE_CAPACITY`] bytes with its NUL.
struct Truncated {
    bytes: [u8; MESSAGE_CAPACITY],
    length: usize,
}

impl Write for Truncated {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for character in text.chars() {
            // A NUL would end the text for C.
            let character = if character == '\0' { ' ' } else { character };
            let end = self.length + character.len_utf8();
            if end >= MESSAGE_CAPACITY {
                return Err(fmt::Error);
            }
            character.encode_utf8(&mut self.bytes[self.length..end]);
            self.length = end;
        }
        Ok(())
    }
}

/// Returns a short text for a status code, and "unknown status code" for any other number.
///
/// The text is static: never free it. Any thread may call this.
#[unsafe(no_mangle)]
pub extern "C" fn ks_strerror(status: c_int) -> *const c_char {
    text_of(status).as_ptr()
}

/// Returns the message of the last call that failed on this thread: the value that was wrong, and
/// the limit that it broke. It is the empty string if no call has failed yet. A call that succeeds
/// does not change it. UTF-8, at most 511 bytes.
///
/// The text belongs to the library and to the calling thread: never free it. Copy it if you need it
/// after the thread's next failing call.
#[unsafe(no_mangle)]
pub extern "C" fn ks_last_error_message() -> *const c_char {
    LAST_MESSAGE.with(|last| {
        if last.formatted.get() {
            last.buffer.get().cast::<c_char>()
        } else {
            last.shown.get().as_ptr()
        }
    })
}

/// Returns the version of the running library, for example "0.1.0".
///
/// The text is static: never free it. Any thread may call this.
#[unsafe(no_mangle)]
pub extern "C" fn ks_version() -> *const c_char {
    const VERSION: &CStr =
        match CStr::from_bytes_with_nul(concat!(env!("CARGO_PKG_VERSION"), "\0").as_bytes()) {
            Ok(version) => version,
            Err(_) => panic!("a version has no NUL inside"),
        };
    VERSION.as_ptr()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn last() -> String {
        // SAFETY: the text is one of this thread's, and nothing fails before it is copied.
        unsafe { CStr::from_ptr(ks_last_error_message()) }.to_str().unwrap().to_owned()
    }

    #[test]
    fn a_message_is_kept_for_its_thread_alone() {
        std::thread::spawn(|| {
            assert_eq!(last(), "");
            note(&"first");
            std::thread::spawn(|| assert_eq!(last(), "")).join().unwrap();
            assert_eq!(last(), "first");
            note_text(c"second");
            assert_eq!(last(), "second");
            note(&"third");
            assert_eq!(last(), "third");
        })
        .join()
        .unwrap();
    }

    #[test]
    fn a_long_message_is_cut_off_at_a_character() {
        note(&"é".repeat(1000));
        assert_eq!(last(), "é".repeat(255));
        note(&"a\0b");
        assert_eq!(last(), "a b");
    }

    #[test]
    fn every_error_of_the_core_has_a_text() {
        for status in [0, -1, -10, -20, -21, -30, -40, -41, -42, -43, -51, -52, -60, -61] {
            assert_ne!(text_of(status), c"unknown status code", "{status}");
        }
        assert_eq!(text_of(-999), c"unknown status code");
        assert_eq!(text_of(c_int::MIN), c"unknown status code");
    }
}
