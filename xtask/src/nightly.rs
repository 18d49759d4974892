//! The nightly toolchain, which sanitizers and the fuzzer need.

use std::path::Path;

use crate::command::CommandLine;

/// Targets that support sanitizers. The fuzzer uses a sanitizer too.
const TARGETS: [&str; 4] = [
    "x86_64-unknown-linux-gnu",
    "aarch64-unknown-linux-gnu",
    "x86_64-apple-darwin",
    "aarch64-apple-darwin",
];

/// Makes a command of the nightly toolchain.
pub(crate) fn command(arguments: &str) -> CommandLine {
    CommandLine::new("rustup", &format!("run nightly {arguments}"))
}

/// Returns the toolchain's host target. The error says what to install, or that the system is not
/// supported.
pub(crate) fn target(root: &Path) -> Result<String, String> {
    let version = command("rustc -vV").output(root).map_err(|failure| {
        format!(
            "this command needs the nightly toolchain ({failure}); install it:\n    \
             rustup toolchain install nightly --profile minimal --component rust-src"
        )
    })?;
    let target = version.lines().find_map(|line| line.strip_prefix("host: ")).unwrap_or_default();
    if TARGETS.contains(&target) {
        Ok(target.to_owned())
    } else {
        Err(format!("sanitizers support {}, but this system is {target:?}", TARGETS.join(", ")))
    }
}

/// Checks that the source of the standard library is installed, so that it can be built.
pub(crate) fn check_source(root: &Path) -> Result<(), String> {
    let sysroot = command("rustc --print sysroot").output(root)?;
    if Path::new(sysroot.trim()).join("lib/rustlib/src/rust/library/std/src/lib.rs").exists() {
        return Ok(());
    }
    Err("this command needs the source of the standard library; install it:\n    \
         rustup component add rust-src --toolchain nightly"
        .to_owned())
}
