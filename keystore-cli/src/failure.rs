//! What can go wrong after the arguments were accepted. Each ends the command with exit code 1.

use std::io;
use std::path::PathBuf;

use keystore_bench::stress::StressError;
use keystore_core::Error;

use crate::text::show;

#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    #[error("standard output: {0}")]
    Output(#[from] io::Error),
    #[error("standard input: {0}")]
    Input(io::Error),
    #[error("{}: {source}", path.display())]
    File { path: PathBuf, source: io::Error },
    #[error("{}:{line}: {reason}", path.display())]
    Line { path: PathBuf, line: u64, reason: String },
    #[error("{}: no value is a number, so there are no largest", path.display())]
    NothingNumeric { path: PathBuf },
    #[error("key not found: {}", show(.key))]
    KeyNotFound { key: Vec<u8> },
    #[error(transparent)]
    Store(#[from] Error),
    #[error(transparent)]
    Stress(#[from] StressError),
    #[error("the prompt: {0}")]
    Prompt(#[from] rustyline::error::ReadlineError),
    #[error("JSON: {0}")]
    Json(#[from] serde_json::Error),
}

impl Failure {
    /// Whether standard output goes to somebody who does not read any more.
    pub(crate) fn is_closed_pipe(&self) -> bool {
        matches!(self, Self::Output(error) if error.kind() == io::ErrorKind::BrokenPipe)
    }
}
