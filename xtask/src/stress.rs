//! `cargo xtask stress`.

use std::process::ExitCode;

/// Options.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {}

/// Runs it.
pub(crate) fn run(_: &Args) -> ExitCode {
    ExitCode::FAILURE
}
