//! What can go wrong while comparing.

use std::io;
use std::path::{Path, PathBuf};

/// The result of everything in this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why a comparison could not be made, or must not be believed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A workload that cannot be run as it is described.
    #[error("workload {workload:?}: {field} is {value}: it must be {expected}")]
    Workload {
        /// The workload's name.
        workload: String,
        /// The field that is wrong.
        field: &'static str,
        /// What it is.
        value: String,
        /// What it may be.
        expected: String,
    },
    /// A name that stands for nothing.
    #[error("{what} {name:?} is unknown: it must be {expected}")]
    Unknown {
        /// What was named: a combination, a workload.
        what: &'static str,
        /// The name.
        name: String,
        /// What there is.
        expected: String,
    },
    /// A file that could not be read or written.
    #[error("{}: {action}: {source}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What was tried: "cannot be read".
        action: &'static str,
        /// What the system said.
        source: io::Error,
    },
    /// A file that was read and does not hold what it must.
    #[error("{}:{line}: {reason}", path.display())]
    Line {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// What is wrong with it.
        reason: String,
    },
    /// A results file that this version does not read.
    #[error("{}: {reason}", path.display())]
    Results {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// A store refused an operation of a workload.
    #[error("{combination}, {workload}: {source}")]
    Store {
        /// The backend and the pool, `epoch+slab`.
        combination: String,
        /// The workload and the number of threads.
        workload: String,
        /// Why.
        source: keystore_core::Error,
    },
    /// The number of measured rows whose content was wrong afterwards.
    #[error("{rows} of {of} rows failed verification; the first is {first}")]
    Verification {
        /// Rows that failed.
        rows: usize,
        /// All rows.
        of: usize,
        /// The first one, and what was wrong with it.
        first: String,
    },
    /// A plot could not be drawn.
    #[error("drawing {plot}: {reason}")]
    Plot {
        /// The plot's file name.
        plot: String,
        /// Why.
        reason: String,
    },
}

impl Error {
    /// An [`Error::File`] for a failed read.
    pub fn unreadable(path: impl AsRef<Path>, source: io::Error) -> Self {
        Self::File { path: path.as_ref().to_owned(), action: "cannot be read", source }
    }

    /// An [`Error::File`] for a failed write.
    pub fn unwritable(path: impl AsRef<Path>, source: io::Error) -> Self {
        Self::File { path: path.as_ref().to_owned(), action: "cannot be written", source }
    }

    /// Whether the caller's wishes are at fault (exit code 2) and not what came of them (exit code 1).
    #[must_use]
    pub const fn is_usage(&self) -> bool {
        matches!(self, Self::Workload { .. } | Self::Unknown { .. })
    }
}
