//! `cargo xtask sanitize`: runs the tests of every store under AddressSanitizer (with
//! LeakSanitizer) or ThreadSanitizer, with the nightly toolchain.
//!
//! AddressSanitizer reports any use of freed or foreign memory. At the end of the program,
//! LeakSanitizer reports leaked memory.
//!
//! ThreadSanitizer reports data races: accesses of two threads to the same memory that nothing
//! orders. It must see all code. So the standard library is built with it, too. And rustix calls
//! the C library, whose calls ThreadSanitizer sees, and not the system. Otherwise memory that was
//! unmapped and mapped again would look like the same memory.
//!
//! ThreadSanitizer does not understand fences. crossbeam-epoch avoids them in this build and our
//! own code does not depend on one, so no report is suppressed.

use std::path::Path;
use std::process::ExitCode;
use std::time::Instant;

use clap::ValueEnum;
use keystore_text::{errln, outln};

use crate::command::CommandLine;
use crate::nightly;
use crate::test::Seconds;

/// Options of `cargo xtask sanitize`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Sanitizer to run under
    sanitizer: Sanitizer,
    /// Run only the concurrency checks of the conformance suite
    #[arg(long)]
    short: bool,
}

/// A sanitizer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Sanitizer {
    /// reports uses of freed or foreign memory, and leaks
    Address,
    /// reports data races
    Thread,
}

/// Runs the tests. Returns 2 if the system or the toolchain does not support it, and 1 if a test
/// fails or the sanitizer reports something.
pub(crate) fn run(args: &Args) -> ExitCode {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("xtask lies in the workspace");
    let target = match check_tools(root, args.sanitizer) {
        Ok(target) => target,
        Err(reason) => {
            errln!("error: {reason}");
            return ExitCode::from(2);
        }
    };
    for command in commands(args, &target) {
        outln!("== {command}");
        let started = Instant::now();
        if let Err(reason) = command.run(root) {
            errln!("error: {reason}");
            return ExitCode::FAILURE;
        }
        outln!("== passed in {}", Seconds(started.elapsed()));
    }
    outln!("no report");
    ExitCode::SUCCESS
}

/// Checks that the sanitizer's tools are installed. Returns the target to build for.
fn check_tools(root: &Path, sanitizer: Sanitizer) -> Result<String, String> {
    let target = nightly::target(root)?;
    if sanitizer == Sanitizer::Thread {
        nightly::check_source(root)?;
    }
    Ok(target)
}

/// Returns the commands: the unit tests, the conformance suite, the bugs of other maps, which
/// include those of borrowed values, and the stress and linearizability tests on every combination.
fn commands(args: &Args, target: &str) -> Vec<CommandLine> {
    // The harness's own allocator would hide the use of memory from a sanitizer.
    const BENCH: &str =
        "-p keystore-verify --lib --no-default-features -- every_combination_passes";
    let tests: &[&str] = match (args.sanitizer, args.short) {
        (_, true) => &["-p keystore --test conformance -- concurrency::"],
        (Sanitizer::Address, false) => &[
            "-p keystore-core -p keystore-pool --lib --all-features",
            "-p keystore --test conformance --test model --test others",
            BENCH,
        ],
        (Sanitizer::Thread, false) => &[
            "-p keystore-core -p keystore-pool --lib --all-features",
            "-p keystore --test conformance --test others",
            BENCH,
        ],
    };
    let build = match args.sanitizer {
        Sanitizer::Address => "",
        Sanitizer::Thread => "-Zbuild-std",
    };
    tests
        .iter()
        .map(|tests| {
            with_options(args.sanitizer, &format!("cargo test --target {target} {build} {tests}"))
        })
        .collect()
}

/// Adds the compiler flags that insert the checks, and the options of the sanitizer. An allocation
/// that is too large must fail and not end the process, because some tests expect the failure.
fn with_options(sanitizer: Sanitizer, command: &str) -> CommandLine {
    let command = nightly::command(command);
    match sanitizer {
        Sanitizer::Address => command
            .with("RUSTFLAGS", "-Zsanitizer=address --cfg crossbeam_sanitize")
            .with("ASAN_OPTIONS", "allocator_may_return_null=1:detect_stack_use_after_return=1"),
        Sanitizer::Thread => command
            .with("RUSTFLAGS", "-Zsanitizer=thread --cfg crossbeam_sanitize --cfg rustix_use_libc")
            .with("TSAN_OPTIONS", "allocator_may_return_null=1"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_can_be_typed_as_they_are_printed() {
        let args = Args { sanitizer: Sanitizer::Thread, short: true };
        let [command] = &commands(&args, "x86_64-unknown-linux-gnu")[..] else {
            panic!("one command")
        };
        assert_eq!(
            command.to_string(),
            "RUSTFLAGS=\"-Zsanitizer=thread --cfg crossbeam_sanitize --cfg rustix_use_libc\" \
             TSAN_OPTIONS=\"allocator_may_return_null=1\" rustup run nightly cargo \
             test --target x86_64-unknown-linux-gnu -Zbuild-std -p keystore --test conformance -- concurrency::"
        );
    }

    #[test]
    fn a_sanitizer_sees_the_stress_test_without_the_harness_s_allocator() {
        for sanitizer in Sanitizer::value_variants() {
            let commands =
                commands(&Args { sanitizer: *sanitizer, short: false }, "x86_64-unknown-linux-gnu");
            assert!(
                commands
                    .iter()
                    .any(|command| command.to_string().contains("--no-default-features"))
            );
        }
    }
}
