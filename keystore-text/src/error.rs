//! The error for files and lines that cannot be read or written.

use std::io;
use std::path::{Path, PathBuf};

use crate::console::show_path;

/// The result of reading or writing.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// A file that cannot be read or written, or a line that is malformed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A file that cannot be read or written.
    #[error("{}: {action}: {source}", show_path(path))]
    File {
        /// Path of the file.
        path: PathBuf,
        /// Failed action, such as "cannot be read".
        action: &'static str,
        /// Error of the system.
        source: io::Error,
    },
    /// A malformed line.
    #[error("{}:{line}: {reason}", show_path(path))]
    Line {
        /// Path of the file.
        path: PathBuf,
        /// Number of the line, from 1.
        line: usize,
        /// Reason why the line is malformed.
        reason: String,
    },
}

const UNREADABLE: &str = "cannot be read";

impl Error {
    /// Returns an [`Error::File`] for a failed read.
    pub fn unreadable(path: impl AsRef<Path>, source: io::Error) -> Self {
        Self::File { path: path.as_ref().to_owned(), action: UNREADABLE, source }
    }

    /// Returns an [`Error::File`] for a failed write.
    pub fn unwritable(path: impl AsRef<Path>, source: io::Error) -> Self {
        Self::File { path: path.as_ref().to_owned(), action: "cannot be written", source }
    }

    /// Returns an [`Error::Line`].
    pub fn line(path: impl AsRef<Path>, line: usize, reason: impl Into<String>) -> Self {
        Self::Line { path: path.as_ref().to_owned(), line, reason: reason.into() }
    }

    /// Returns whether the input is wrong (exit code 2), as opposed to a failure of the system
    /// (exit code 1).
    #[must_use]
    pub fn is_usage(&self) -> bool {
        match self {
            Self::Line { .. } => true,
            Self::File { action, .. } => *action == UNREADABLE,
        }
    }
}
