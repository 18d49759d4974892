//! Files and lines that cannot be read or written.

use std::io;
use std::path::{Path, PathBuf};

use crate::console::show_path;

/// The result of reading and writing.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// A file that cannot be read or written, or a line that cannot be taken.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A file that cannot be read or written.
    #[error("{}: {action}: {source}", show_path(path))]
    File {
        /// The file.
        path: PathBuf,
        /// The attempt: "cannot be read".
        action: &'static str,
        /// The system's error.
        source: io::Error,
    },
    /// A line that does not hold what it must.
    #[error("{}:{line}: {reason}", show_path(path))]
    Line {
        /// The file.
        path: PathBuf,
        /// Number of the line, from 1.
        line: usize,
        /// What is wrong with it.
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

    /// Returns whether the input is at fault (exit code 2) and not the system (exit code 1).
    #[must_use]
    pub fn is_usage(&self) -> bool {
        match self {
            Self::Line { .. } => true,
            Self::File { action, .. } => *action == UNREADABLE,
        }
    }
}
