//! Failures after the arguments were parsed. Each ends the command with exit code 1, except for
//! [`Failure::Usage`].

use std::io;
use std::path::PathBuf;

use keystore_core::Error;
use keystore_text::console::{show_name, show_path};
use keystore_verify::stress::StressError;

#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    #[error(transparent)]
    Usage(#[from] clap::Error),
    /// A failed write. Standard output never causes this failure, because `keystore_text::console`
    /// records its errors and reports them at the end.
    #[error("output: {0}")]
    Output(#[from] io::Error),
    /// An unreadable file, or a malformed line of it.
    #[error(transparent)]
    Input(#[from] keystore_text::Error),
    #[error("{}: no value is a number, so no value is the largest", show_path(path))]
    NothingNumeric { path: PathBuf },
    #[error(
        "the address space is limited to {limit} bytes (ulimit -v): this command needs {} or more",
        crate::memory::LEAST_ADDRESS_SPACE
    )]
    AddressSpace { limit: u64 },
    #[error("key not found: {}", show_name(.key))]
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
