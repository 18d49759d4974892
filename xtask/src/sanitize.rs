//! `cargo xtask sanitize`: the tests of every store under AddressSanitizer (and LeakSanitizer) or ThreadSanitizer.
//!
//! Sanitizers are the nightly compiler's. AddressSanitizer sees a use of memory that was freed or is not one's own, and at the
//! end what nobody gave back. ThreadSanitizer sees accesses of two threads to the same memory that nothing orders; it must see
//! all code, so the standard library is built with it, and rustix, which makes system calls by itself, uses the C library: memory that
//! was given back to the system and had again would look as if it were the same. Of a fence it understands nothing: crossbeam-epoch does without where it is
//! built for it, and nothing else of ours needs one, so no report is suppressed.

use std::path::Path;
use std::process::ExitCode;
use std::time::Instant;

use clap::ValueEnum;
use keystore_text::{errln, outln};

use crate::command::CommandLine;
use crate::nightly;
use crate::test::Seconds;

/// Options.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// What to look for
    sanitizer: Sanitizer,
    /// Only the conformance suite's checks of concurrency
    #[arg(long)]
    short: bool,
}

/// A sanitizer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Sanitizer {
    /// uses of freed and of foreign memory, and leaks
    Address,
    /// accesses by two threads that nothing orders
    Thread,
}

/// Runs it: 2 where the system or the toolchain cannot, 1 where a test fails or a sanitizer reports something.
pub(crate) fn run(args: &Args) -> ExitCode {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("xtask lies in the workspace");
    let target = match look(root, args.sanitizer) {
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

/// The target to build for, where all is installed that this takes.
fn look(root: &Path, sanitizer: Sanitizer) -> Result<String, String> {
    let target = nightly::target(root)?;
    if sanitizer == Sanitizer::Thread {
        nightly::has_source(root)?;
    }
    Ok(target)
}

/// What is run: the unit tests, the conformance suite, and the stress and linearizability tests on every combination.
fn commands(args: &Args, target: &str) -> Vec<CommandLine> {
    // The harness's own allocator would hide from a sanitizer what is done with memory.
    const BENCH: &str = "-p keystore-verify --lib --no-default-features -- every_combination_passes";
    let tests: &[&str] = match (args.sanitizer, args.short) {
        (_, true) => &["-p keystore-pool --test conformance -- concurrency::"],
        (Sanitizer::Address, false) => &[
            "-p keystore-core -p keystore-pool --lib --all-features",
            "-p keystore-pool --test conformance --test model",
            BENCH,
        ],
        (Sanitizer::Thread, false) => &[
            "-p keystore-core -p keystore-pool --lib --all-features",
            "-p keystore-pool --test conformance",
            BENCH,
        ],
    };
    let build = match args.sanitizer {
        Sanitizer::Address => "",
        Sanitizer::Thread => "-Zbuild-std",
    };
    tests
        .iter()
        .map(|tests| with_options(args.sanitizer, &format!("cargo test --target {target} {build} {tests}")))
        .collect()
}

/// With what makes the compiler insert the checks, and the sanitizer's own options. Tests run in their package's folder, so that
/// is where paths begin. Tests ask for more memory than there is and want to be refused.
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
        let [command] = &commands(&args, "x86_64-unknown-linux-gnu")[..] else { panic!("one command") };
        assert_eq!(
            command.to_string(),
            "RUSTFLAGS=\"-Zsanitizer=thread --cfg crossbeam_sanitize --cfg rustix_use_libc\" \
             TSAN_OPTIONS=\"allocator_may_return_null=1\" rustup run nightly cargo \
             test --target x86_64-unknown-linux-gnu -Zbuild-std -p keystore-pool --test conformance -- concurrency::"
        );
    }

    #[test]
    fn a_sanitizer_sees_the_stress_test_without_the_harness_s_allocator() {
        for sanitizer in Sanitizer::value_variants() {
            let commands =
                commands(&Args { sanitizer: *sanitizer, short: false }, "x86_64-unknown-linux-gnu");
            assert!(commands.iter().any(|command| command.to_string().contains("--no-default-features")));
        }
    }
}
