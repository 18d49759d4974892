//! Errors and their stable codes.
//!
//! A code is a negative number that never changes its meaning. It is the same in Rust
//! ([`Error::code`]) and in the C library; 0 is success. An error carries what a person needs to
//! act on it: the value that was wrong and the limit it broke. `docs/error-codes.md` lists all
//! codes, those that are only reserved too.

use std::fmt::{self, Display, Write};

/// The result of every operation of the store.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Stable error codes as numbers, for use across a language border.
pub mod code {
    /// Success.
    pub const OK: i32 = 0;
    /// A failure without a more specific code: a panic inside the library that was caught at the
    /// border to C.
    pub const GENERAL: i32 = -1;
    /// The system refused memory, or the configured memory limit would be exceeded.
    pub const OUT_OF_MEMORY: i32 = -10;
    /// An argument is outside its limits.
    pub const INVALID_ARGUMENT: i32 = -20;
    /// A configuration value is outside its limits.
    pub const INVALID_CONFIG: i32 = -21;
    /// A lock was not taken, because the caller may itself hold up the lock's holder, or because
    /// the wait took too long. Or a closure wrote the key that it decides about.
    pub const LOCK_NOT_ACQUIRED: i32 = -30;
    /// The store has not been opened, or was closed.
    pub const NOT_INITIALISED: i32 = -40;
    /// The key is not in the store.
    pub const KEY_NOT_FOUND: i32 = -41;
    /// The key is already in the store.
    pub const KEY_EXISTS: i32 = -42;
    /// This backend or this build cannot do that.
    pub const UNSUPPORTED: i32 = -43;
    /// A pool with a hard capacity has no capacity left.
    pub const POOL_EXHAUSTED: i32 = -51;
    /// A pool got a pointer that is not one of its live nodes (checked in debug builds).
    pub const POOL_CORRUPT: i32 = -52;
    /// A file does not exist.
    pub const FILE_NOT_FOUND: i32 = -60;
    /// A file could not be read or written, or does not have the promised form.
    pub const FILE: i32 = -61;
}

/// Why an operation could not do its work. The store is whole after each of them.
///
/// Later versions may add variants. They do not add fields to a variant: a
/// [`NodeAllocator`](crate::NodeAllocator) or store of another crate makes errors too.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The allocator or the system refused memory.
    #[error("out of memory: {requested} more bytes could not be allocated")]
    OutOfMemory {
        /// Bytes asked for by the call that failed.
        requested: usize,
    },
    /// The store would exceed the memory limit of its [`Config`](crate::Config).
    #[error(
        "out of memory: {requested} more bytes would exceed the store's memory limit of {limit} \
         bytes ({used} in use)"
    )]
    MemoryLimit {
        /// Bytes requested by the call that failed.
        requested: usize,
        /// Bytes in use at the time of the call.
        used: u64,
        /// Configured limit in bytes.
        limit: u64,
    },
    /// A key that is empty or too long.
    #[error("a key of {length} bytes: keys have 1 to {max} bytes")]
    KeyLength {
        /// Length of the key in bytes.
        length: usize,
        /// Greatest length of a key in bytes.
        max: usize,
    },
    /// A value that is too long.
    #[error("a value of {length} bytes: values have at most {max} bytes")]
    ValueLength {
        /// Length of the value in bytes.
        length: usize,
        /// Greatest length of a value in bytes.
        max: usize,
    },
    /// An argument that is outside its limits.
    #[error("{argument} is {value}: it must be {expected}")]
    InvalidArgument {
        /// Name of the argument.
        argument: &'static str,
        /// What it was.
        value: String,
        /// What it may be.
        expected: &'static str,
    },
    /// A configuration value that is outside its limits.
    #[error("configuration: {field} is {value}: it must be {expected}")]
    InvalidConfig {
        /// The field's name in [`Config`](crate::Config).
        field: &'static str,
        /// What it was.
        value: String,
        /// What it may be.
        expected: &'static str,
    },
    /// The call came from inside a closure that the same thread runs for an operation. It would
    /// have to wait for a lock, or write the key that the closure decides about. Either might
    /// never end, so it is refused at once.
    #[error(
        "{operation} from inside a closure of a store would wait for what the closure itself holds up: it is refused"
    )]
    Busy {
        /// The operation that was refused.
        operation: &'static str,
    },
    /// A lock was held by others for as long as
    /// [`Config::lock_timeout`](crate::Config::lock_timeout) lets a call wait.
    #[error("{operation} waited {waited:?} for a lock that others hold, and gave up")]
    LockTimeout {
        /// The operation that gave up.
        operation: &'static str,
        /// How long a call waits for a lock.
        waited: std::time::Duration,
    },
    /// This backend, or this build, cannot do that.
    #[error("{operation} is not supported: {reason}")]
    Unsupported {
        /// What was asked.
        operation: &'static str,
        /// Why it cannot be.
        reason: &'static str,
    },
    /// A pool with a hard capacity has none left.
    #[error(
        "pool exhausted: {requested} more bytes asked of a pool whose capacity is {capacity} bytes"
    )]
    PoolExhausted {
        /// Bytes asked for by the call that failed.
        requested: usize,
        /// The pool's capacity, bytes.
        capacity: usize,
    },
}

impl Error {
    /// Returns the stable code: negative, and the same in every release and in C.
    #[must_use]
    pub const fn code(&self) -> i32 {
        match self {
            Self::OutOfMemory { .. } | Self::MemoryLimit { .. } => code::OUT_OF_MEMORY,
            Self::KeyLength { .. } | Self::ValueLength { .. } | Self::InvalidArgument { .. } => {
                code::INVALID_ARGUMENT
            }
            Self::InvalidConfig { .. } => code::INVALID_CONFIG,
            Self::Busy { .. } | Self::LockTimeout { .. } => code::LOCK_NOT_ACQUIRED,
            Self::Unsupported { .. } => code::UNSUPPORTED,
            Self::PoolExhausted { .. } => code::POOL_EXHAUSTED,
        }
    }

    /// Returns the error with the name of the operation that the caller asked for, if the error
    /// names one. An operation made of others uses it.
    #[must_use]
    pub(crate) fn of_operation(mut self, name: &'static str) -> Self {
        if let Self::Busy { operation } | Self::LockTimeout { operation, .. } = &mut self {
            *operation = name;
        }
        self
    }

    /// Returns an [`Error::InvalidArgument`] for `argument`.
    pub fn invalid_argument(
        argument: &'static str,
        value: impl Display,
        expected: &'static str,
    ) -> Self {
        Self::InvalidArgument { argument, value: shown(value), expected }
    }

    /// Returns an [`Error::InvalidConfig`] for `field`.
    pub fn invalid_config(
        field: &'static str,
        value: impl Display,
        expected: &'static str,
    ) -> Self {
        Self::InvalidConfig { field, value: shown(value), expected }
    }
}

/// Returns `value` as text, cut short if memory runs out: an error must not end the process.
fn shown(value: impl Display) -> String {
    /// A text that stops growing if there is no memory.
    struct Fallible(String);
    impl Write for Fallible {
        fn write_str(&mut self, text: &str) -> fmt::Result {
            self.0.try_reserve(text.len()).map_err(|_| fmt::Error)?;
            self.0.push_str(text);
            Ok(())
        }
    }

    let mut text = Fallible(String::new());
    // An error means that memory ran out. The text keeps what was written before.
    let _ = write!(text, "{value}");
    text.0
}

/// Why a batch stopped. A batch is one operation per key, in order: those before `index` are in
/// effect, the one at `index` failed and changed nothing, those after it were not tried.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("entry {index} of the batch: {error}")]
pub struct BatchError {
    /// Position of the entry that failed, from 0.
    pub index: usize,
    /// Reason why it failed.
    #[source]
    pub error: Error,
}

impl From<BatchError> for Error {
    fn from(batch: BatchError) -> Self {
        batch.error
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_names_the_value_and_the_limit() {
        let error = Error::KeyLength { length: 70_000, max: 65_535 };
        assert_eq!(error.to_string(), "a key of 70000 bytes: keys have 1 to 65535 bytes");
        assert_eq!(error.code(), -20);
        let error = Error::invalid_config("initial_buckets", 3, "a power of two");
        assert_eq!(
            error.to_string(),
            "configuration: initial_buckets is 3: it must be a power of two"
        );
        assert_eq!(error.code(), -21);
    }

    #[test]
    fn a_batch_error_says_where_and_keeps_the_code() {
        let batch = BatchError { index: 7, error: Error::KeyLength { length: 0, max: 65_535 } };
        assert_eq!(
            batch.to_string(),
            "entry 7 of the batch: a key of 0 bytes: keys have 1 to 65535 bytes"
        );
        assert_eq!(Error::from(batch).code(), -20);
    }
}
