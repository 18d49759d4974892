//! `cargo xtask fuzz`: sequences of calls made from any bytes, on every backend, against a map of the standard library.
//!
//! The fuzzer is LLVM's libFuzzer, by cargo-fuzz, under AddressSanitizer. It begins with the corpus of the repository, which the
//! tests replay, and keeps what it finds beyond that in `target/fuzz-corpus`. What of it reaches code that the corpus does
//! not is moved there with `--keep`.

use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use keystore_text::{errln, outln};

use crate::command::CommandLine;
use crate::nightly;
use crate::soak::minutes;

/// What the repository keeps.
const CORPUS: &str = "keystore-pool/fuzz/corpus/sequences";

/// What runs find.
const FOUND: &str = "target/fuzz-corpus";

/// Options.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Minutes to go on; 0.5 is half a minute
    #[arg(long, value_name = "N", value_parser = minutes)]
    minutes: Duration,
    /// Afterwards move to the corpus what reaches code that it does not reach
    #[arg(long)]
    keep: bool,
}

/// Runs it: 2 where the system or the toolchain cannot, 1 where a sequence fails; libFuzzer says which, and where it wrote it.
pub(crate) fn run(args: &Args) -> ExitCode {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("xtask lies in the workspace");
    if let Err(reason) = look(root) {
        errln!("error: {reason}");
        return ExitCode::from(2);
    }
    if let Err(error) = std::fs::create_dir_all(root.join(FOUND)) {
        errln!("error: {FOUND}: cannot be made: {error}");
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

/// Looks for the toolchain and for cargo-fuzz.
fn look(root: &Path) -> Result<(), String> {
    nightly::target(root)?;
    nightly::command("cargo fuzz --version").output(root).map(drop).map_err(|failure| {
        format!("this needs cargo-fuzz ({failure}); install it:\n    cargo install cargo-fuzz")
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
