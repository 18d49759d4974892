//! `cargo xtask fuzz`: runs fuzzed sequences of calls on every backend, and compares the results
//! with a map of the standard library.
//!
//! The fuzzer is LLVM's libFuzzer, run by cargo-fuzz under AddressSanitizer. It starts with the
//! corpus of the repository, which the tests replay, and saves new inputs in `target/fuzz-corpus`.
//! `--keep` adds those that reach new code to the corpus.

use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use keystore_bench::{errln, outln};

use crate::command::CommandLine;
use crate::nightly;
use crate::soak::minutes;

/// Corpus in the repository.
const CORPUS: &str = "keystore-pool/fuzz/corpus/sequences";

/// Inputs that earlier runs found.
const FOUND: &str = "target/fuzz-corpus";

/// Options of `cargo xtask fuzz`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Run for N minutes; 0.5 is half a minute
    #[arg(long, value_name = "N", value_parser = minutes)]
    minutes: Duration,
    /// Afterwards, add the inputs that reach new code to the corpus
    #[arg(long)]
    keep: bool,
}

/// Runs the fuzzer. Returns 2 if the system or the toolchain does not support it, and 1 if a
/// sequence fails; libFuzzer prints the file of that sequence.
pub(crate) fn run(args: &Args) -> ExitCode {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("xtask lies in the workspace");
    if let Err(reason) = check_tools(root) {
        errln!("error: {reason}");
        return ExitCode::from(2);
    }
    if let Err(error) = std::fs::create_dir_all(root.join(FOUND)) {
        errln!("error: {FOUND} cannot be created: {error}");
        return ExitCode::FAILURE;
    }
    for command in commands(args) {
        outln!("{command}");
        if let Err(reason) = command.run(root) {
            errln!("error: {reason}");
            return ExitCode::FAILURE;
        }
    }
    ExitCode::SUCCESS
}

/// Checks that the toolchain and cargo-fuzz are installed.
fn check_tools(root: &Path) -> Result<(), String> {
    nightly::target(root)?;
    nightly::command("cargo fuzz --version").output(root).map(drop).map_err(|failure| {
        format!("this command needs cargo-fuzz ({failure}); install it:\n    cargo install cargo-fuzz")
    })
}

fn commands(args: &Args) -> Vec<CommandLine> {
    let fuzz = |options: &str| {
        nightly::command(&format!("cargo fuzz run --fuzz-dir keystore-pool/fuzz sequences {options}"))
    };
    let seconds = args.minutes.as_secs().max(1);
    let mut commands = vec![fuzz(&format!(
        "{FOUND} {CORPUS} -- -max_total_time={seconds} -max_len=4096 -print_final_stats=1"
    ))];
    if args.keep {
        commands.push(fuzz(&format!("{CORPUS} {FOUND} -- -set_cover_merge=1 -max_len=4096")));
    }
    commands
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_found_is_kept_apart_unless_it_is_asked_for() {
        let commands = |keep| commands(&Args { minutes: Duration::from_secs(90), keep });
        let [run] = &commands(false)[..] else { panic!("one command") };
        assert_eq!(
            run.to_string(),
            "rustup run nightly cargo fuzz run --fuzz-dir keystore-pool/fuzz sequences target/fuzz-corpus \
             keystore-pool/fuzz/corpus/sequences -- -max_total_time=90 -max_len=4096 -print_final_stats=1"
        );
        assert!(commands(true)[1].to_string().contains("sequences target/fuzz-corpus -- -set_cover_merge=1"));
    }

    #[test]
    fn the_corpus_is_where_the_tests_look_for_it() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
        assert!(root.join(CORPUS).is_dir());
    }
}
