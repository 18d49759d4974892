//! The errors of this crate.

use std::io;
use std::path::{Path, PathBuf};

use keystore_text::console::show_path;

use crate::results::Results;

/// The result type of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// The reason why a comparison could not be made, or why its numbers cannot be trusted.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A scenario has a field whose value is not allowed.
    #[error("scenario {scenario:?}: {field} is {value}: it must be {expected}")]
    Scenario {
        /// The scenario's name.
        scenario: String,
        /// The wrong field.
        field: &'static str,
        /// The field's value.
        value: String,
        /// The values that are allowed.
        expected: String,
    },
    /// Two scenario files contain a scenario of the same name.
    #[error("{}: scenario {scenario:?}: another file has one of this name", show_path(path))]
    Suite {
        /// The second file.
        path: PathBuf,
        /// The scenario's name.
        scenario: String,
    },
    /// A name is unknown.
    #[error("{what} {name:?} is unknown: it must be {expected}")]
    Unknown {
        /// The kind of thing that was named: a store, a scenario or a suite.
        what: &'static str,
        /// The unknown name.
        name: String,
        /// The known names.
        expected: String,
    },
    /// Results cannot be saved under a name.
    #[error(
        "results cannot be saved under the name {name:?}: it must have 1 to {longest} bytes of letters, \
         digits, \"-\", \"_\" and \".\", and not begin with \".\""
    )]
    SavedName {
        /// The name.
        name: String,
        /// Longest name in bytes.
        longest: usize,
    },
    /// A file cannot be read or written, or one of its lines is invalid.
    #[error(transparent)]
    Text(#[from] keystore_text::Error),
    /// This version cannot read a results file.
    #[error("{}: {reason}", show_path(path))]
    Results {
        /// The file.
        path: PathBuf,
        /// The defect of the file.
        reason: String,
    },
    /// A store refused an operation of a scenario.
    #[error("{store}, {scenario}: {source}")]
    Store {
        /// The store, for example `epoch+slab`.
        store: String,
        /// The scenario and the number of threads.
        scenario: String,
        /// The store's error.
        source: keystore::Error,
    },
    /// A run failed after other runs had been measured.
    #[error("{source}")]
    Unfinished {
        /// The results of the earlier runs.
        results: Box<Results>,
        /// The failure.
        source: Box<Self>,
    },
    /// A thread of a burst could not be started, or it panicked.
    #[error("{scenario}: a burst of {threads} threads: {reason}")]
    Threads {
        /// The scenario.
        scenario: String,
        /// Number of threads in the burst.
        threads: usize,
        /// The cause.
        reason: String,
    },
    /// An option has no effect on any of the scenarios.
    #[error("{option} changes none of these scenarios: {reason}")]
    NoEffect {
        /// The option, for example `--seconds`.
        option: &'static str,
        /// The reason, which says what a scenario needs for the option to have an effect.
        reason: &'static str,
    },
    /// Two results that are to be compared have no row in common.
    #[error(
        "nothing can be compared: no row of this run is in the baseline; this run has {new}; the baseline \
         has {old}; rows are the same if store, threads and every field of the scenario are, the seed too"
    )]
    NothingInCommon {
        /// Rows of this run.
        new: String,
        /// Rows of the baseline.
        old: String,
    },
    /// No row of a comparison has enough rounds to detect a difference.
    #[error(
        "no row can be told to be slower: the most rounds of a row are {new} now and {old} in the baseline, \
         and it takes {needed} of each"
    )]
    TooFewRounds {
        /// Largest number of rounds of a row in this run.
        new: usize,
        /// Largest number of rounds of a row in the baseline.
        old: usize,
        /// Number of rounds that a comparison needs in each of the two.
        needed: usize,
    },
    /// Stores failed the check of their content after a run.
    #[error("{rows} of {of} rows failed verification; the first is {first}")]
    Verification {
        /// Number of rows that failed.
        rows: usize,
        /// Number of all rows.
        of: usize,
        /// The first failed row, with its faults.
        first: String,
    },
    /// Rows became slower by more than the limit.
    #[error(
        "{rows} of {of} rows became slower by more than {percent} percent; the worst is {worst}"
    )]
    Slower {
        /// Number of rows that did.
        rows: usize,
        /// Number of rows that were compared.
        of: usize,
        /// Loss of speed that is allowed, in percent.
        percent: f64,
        /// The row that lost most, with its loss.
        worst: String,
    },
    /// A plot could not be drawn.
    #[error("drawing {plot}: {reason}")]
    Plot {
        /// The plot's file name.
        plot: String,
        /// The cause.
        reason: String,
    },
}

impl Error {
    /// Returns an [`Error::Unknown`] that lists the known names and suggests the most similar one.
    pub(crate) fn unknown(what: &'static str, name: &str, known: &[impl AsRef<str>]) -> Self {
        let known: Vec<&str> = known.iter().map(AsRef::as_ref).collect();
        let expected =
            format!("one of {}{}", known.join(", "), nearest(name, known.iter().copied()));
        Self::Unknown { what, name: name.to_owned(), expected }
    }

    /// Returns an [`Error::Text`] for a failed read.
    pub fn unreadable(path: impl AsRef<Path>, source: io::Error) -> Self {
        keystore_text::Error::unreadable(path, source).into()
    }

    /// Returns an [`Error::Text`] for a failed write.
    pub fn unwritable(path: impl AsRef<Path>, source: io::Error) -> Self {
        keystore_text::Error::unwritable(path, source).into()
    }

    /// Returns an [`Error::Text`] for an invalid line of a file.
    pub(crate) fn line(path: impl AsRef<Path>, line: usize, reason: impl Into<String>) -> Self {
        keystore_text::Error::line(path, line, reason).into()
    }

    /// Returns whether the arguments or input files are at fault (exit code 2). If not, the run or
    /// its results are (exit code 1).
    #[must_use]
    pub fn is_usage(&self) -> bool {
        match self {
            Self::Scenario { .. }
            | Self::Suite { .. }
            | Self::Unknown { .. }
            | Self::SavedName { .. }
            | Self::Results { .. }
            | Self::NoEffect { .. }
            | Self::NothingInCommon { .. }
            | Self::TooFewRounds { .. } => true,
            Self::Text(error) => error.is_usage(),
            Self::Unfinished { source, .. } => source.is_usage(),
            Self::Store { .. }
            | Self::Threads { .. }
            | Self::Verification { .. }
            | Self::Slower { .. }
            | Self::Plot { .. } => false,
        }
    }
}

/// Returns `; did you mean "epoch+slab"?` with the most similar of `names`. Returns an empty string
/// if none is similar to `name`.
pub(crate) fn nearest<'a>(name: &str, names: impl Iterator<Item = &'a str>) -> String {
    let likeness = |other: &str| strsim::jaro_winkler(&name.to_lowercase(), &other.to_lowercase());
    names
        .map(|other| (likeness(other), other))
        .filter(|&(likeness, _)| likeness > 0.75)
        .max_by(|(a, _), (b, _)| a.total_cmp(b))
        .map_or(String::new(), |(_, other)| format!("; did you mean {other:?}?"))
}
