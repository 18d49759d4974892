//! The nightly toolchain, for what stable Rust does not have: sanitizers and the fuzzer's instrumentation.

use std::path::Path;

use crate::command::CommandLine;

/// Targets that sanitizers are for; the fuzzer uses one.
const TARGETS: [&str; 4] =
    ["x86_64-unknown-linux-gnu", "aarch64-unknown-linux-gnu", "x86_64-apple-darwin", "aarch64-apple-darwin"];

/// A command of the nightly toolchain.
pub(crate) fn command(arguments: &str) -> CommandLine {
    CommandLine::new("rustup", &format!("run nightly {arguments}"))
}

/// The toolchain's own target, or what to install and where it can be.
pub(crate) fn target(root: &Path) -> Result<String, String> {
    let version = command("rustc -vV").output(root).map_err(|failure| {
        format!(
            "this needs Rust's nightly toolchain ({failure}); install it:\n    rustup toolchain install nightly --profile \
             minimal --component rust-src"
        )
    })?;
    let target = version.lines().find_map(|line| line.strip_prefix("host: ")).unwrap_or_default();
    if TARGETS.contains(&target) {
        Ok(target.to_owned())
    } else {
        Err(format!("sanitizers are for {}, and this is {target:?}", TARGETS.join(", ")))
    }
}

/// Whether the source of the standard library is there, to build it anew.
pub(crate) fn has_source(root: &Path) -> Result<(), String> {
    let sysroot = command("rustc --print sysroot").output(root)?;
    if Path::new(sysroot.trim()).join("lib/rustlib/src/rust/library/std/src/lib.rs").exists() {
        return Ok(());
    }
    Err("this needs the source of the standard library; install it:\n    rustup component add rust-src --toolchain nightly"
        .to_owned())
}
