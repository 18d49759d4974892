//! The maps of others, which only those who ask for them compile.

use std::path::Path;
use std::process::{Command, ExitCode};

use keystore_text::errln;

/// Whether this program has them.
pub(super) const fn are_here() -> bool {
    cfg!(feature = "peers")
}

/// Builds this program with them and runs it with the same arguments: its exit code.
pub(super) fn run_with_them() -> ExitCode {
    let status = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
        .args(["run", "--quiet", "--release", "--package", "xtask", "--features", "peers", "--manifest-path"])
        .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("Cargo.toml"))
        .arg("--")
        .args(std::env::args_os().skip(1))
        .status();
    match status {
        // Whoever was ended by a signal has no code.
        Ok(status) => ExitCode::from(status.code().and_then(|code| u8::try_from(code).ok()).unwrap_or(1)),
        Err(error) => {
            errln!("error: cargo cannot be run to build the peers: {error}");
            ExitCode::FAILURE
        }
    }
}
