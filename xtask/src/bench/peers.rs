//! Builds and runs this program with the maps of other projects, which are compiled only on
//! request.

use std::path::Path;
use std::process::{Command, ExitCode};

use keystore_text::errln;

use crate::command::cargo;

/// Returns whether this program was compiled with the maps of other projects.
pub(super) const fn are_compiled() -> bool {
    cfg!(feature = "peers")
}

/// Rebuilds this program with the maps of other projects, runs it with the same arguments, and
/// returns its exit code.
pub(super) fn run_with_peers() -> ExitCode {
    let status = Command::new(cargo())
        .args([
            "run",
            "--quiet",
            "--release",
            "--package",
            "xtask",
            "--features",
            "peers",
            "--manifest-path",
        ])
        .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("Cargo.toml"))
        .arg("--")
        .args(std::env::args_os().skip(1))
        .status();
    match status {
        // A process that a signal terminated has no exit code.
        Ok(status) => {
            ExitCode::from(status.code().and_then(|code| u8::try_from(code).ok()).unwrap_or(1))
        }
        Err(error) => {
            errln!("error: cargo could not be started to build the peers: {error}");
            ExitCode::FAILURE
        }
    }
}
