//! What can go wrong while comparing.

use std::io;
use std::path::{Path, PathBuf};

use keystore_text::console::show_path;

use crate::results::Results;

/// The result of everything in this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why a comparison could not be made, or must not be believed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A scenario that cannot be run as it is described.
    #[error("scenario {scenario:?}: {field} is {value}: it must be {expected}")]
    Scenario {
        /// The scenario's name.
        scenario: String,
        /// The field that is wrong.
        field: &'static str,
        /// What it is.
        value: String,
        /// What it may be.
        expected: String,
    },
    /// A scenario file with a scenario that another file has too.
    #[error("{}: scenario {scenario:?}: another file has one of this name", show_path(path))]
    Suite {
        /// The file.
        path: PathBuf,
        /// The scenario's name.
        scenario: String,
    },
    /// A name that stands for nothing.
    #[error("{what} {name:?} is unknown: it must be {expected}")]
    Unknown {
        /// What was named: a store, a scenario, a suite.
        what: &'static str,
        /// The name.
        name: String,
        /// What there is.
        expected: String,
    },
    /// A name under which results cannot be saved.
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
    /// A file that cannot be read or written, or a line of it that does not hold what it must.
    #[error(transparent)]
    Text(#[from] keystore_text::Error),
    /// A results file that this version does not read.
    #[error("{}: {reason}", show_path(path))]
    Results {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// A store refused an operation of a scenario.
    #[error("{store}, {scenario}: {source}")]
    Store {
        /// The store, `epoch+slab`.
        store: String,
        /// The scenario and the number of threads.
        scenario: String,
        /// Why.
        source: keystore::Error,
    },
    /// A run failed after other runs had been measured. What was measured is kept.
    #[error("{source}")]
    Unfinished {
        /// The results of the runs before.
        results: Box<Results>,
        /// The failure.
        source: Box<Self>,
    },
    /// Threads of a burst that could not be started, or panicked.
    #[error("{scenario}: a burst of {threads} threads: {reason}")]
    Threads {
        /// The scenario.
        scenario: String,
        /// Number of threads that it asks for.
        threads: usize,
        /// What happened.
        reason: String,
    },
    /// An option that none of the scenarios can follow.
    #[error("{option} changes none of these scenarios: {reason}")]
    NoEffect {
        /// The option, `--seconds`.
        option: &'static str,
        /// What a scenario must have for it.
        reason: &'static str,
    },
    /// A comparison with results that have no row in common.
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
    /// A comparison in which no row has enough rounds to detect a difference.
    #[error(
        "no row can be told to be slower: the most rounds of a row are {new} now and {old} in the baseline, \
         and it takes {needed} of each"
    )]
    TooFewRounds {
        /// Most rounds of a row that was measured now.
        new: usize,
        /// Most rounds of a row of the baseline.
        old: usize,
        /// Rounds of both that are enough.
        needed: usize,
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
    /// Rows that became slower than they may.
    #[error(
        "{rows} of {of} rows became slower by more than {percent} percent; the worst is {worst}"
    )]
    Slower {
        /// Rows that did.
        rows: usize,
        /// All rows that were compared.
        of: usize,
        /// What they may lose.
        percent: f64,
        /// The row that lost most, and how much.
        worst: String,
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
    /// Returns an [`Error::Unknown`] for a name that is none of those known, with the nearest of
    /// them.
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

    /// Returns an [`Error::Text`] for a line that does not hold what it must.
    pub(crate) fn line(path: impl AsRef<Path>, line: usize, reason: impl Into<String>) -> Self {
        keystore_text::Error::line(path, line, reason).into()
    }

    /// Returns whether what was asked for or given is at fault (exit code 2) and not what came of
    /// it (exit code 1).
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

/// `; did you mean "epoch+slab"?`, where one of `names` is near to `name`; otherwise nothing.
pub(crate) fn nearest<'a>(name: &str, names: impl Iterator<Item = &'a str>) -> String {
    let likeness = |other: &str| strsim::jaro_winkler(&name.to_lowercase(), &other.to_lowercase());
    names
        .map(|other| (likeness(other), other))
        .filter(|&(likeness, _)| likeness > 0.75)
        .max_by(|(a, _), (b, _)| a.total_cmp(b))
        .map_or(String::new(), |(_, other)| format!("; did you mean {other:?}?"))
}
