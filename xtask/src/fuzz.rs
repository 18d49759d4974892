//! `cargo xtask fuzz`: runs fuzzed sequences of calls on every backend, and compares the results
//! with a map of the standard library.
//!
//! The fuzzer is LLVM's libFuzzer, by cargo-fuzz, under AddressSanitizer. It begins with the corpus
//! of the repository, which the tests replay, and keeps what it finds beyond that in
//! `target/fuzz-corpus`. `--keep` adds to the corpus the inputs that reach code which the corpus
//! does not reach.
//!
//! The repository has the corpus as one file: see [`packed`]. libFuzzer reads a folder of files. So
//! a run unpacks the corpus to `target/fuzz-kept`, and `--keep` packs that folder again.

#[path = "../../keystore/tests/support/packed.rs"]
mod packed;

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use keystore_text::{errln, outln};

use crate::command::CommandLine;
use crate::nightly;
use crate::soak::minutes;

/// File of the inputs that the repository keeps.
const CORPUS: &str = "keystore/tests/corpus.hex";

/// Folder of the same inputs, a file each.
const KEPT: &str = "target/fuzz-kept";

/// Folder of the inputs that runs find.
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
    match fuzz(root, args) {
        Ok(()) => ExitCode::SUCCESS,
        Err(reason) => {
            errln!("error: {reason}");
            ExitCode::FAILURE
        }
    }
}

/// Unpacks the corpus, runs the fuzzer, and packs the corpus if it may have grown.
fn fuzz(root: &Path, args: &Args) -> Result<(), String> {
    let (corpus, kept) = (root.join(CORPUS), root.join(KEPT));
    fs::create_dir_all(root.join(FOUND))
        .map_err(|error| format!("{FOUND}: cannot be made: {error}"))?;
    unpack(&corpus, &kept)?;
    for command in commands(args) {
        outln!("{command}");
        command.run(root)?;
    }
    if args.keep {
        let inputs = pack(&kept, &corpus)?;
        outln!("{CORPUS} has {inputs} inputs");
    }
    Ok(())
}

/// Deletes `folder`, makes it again, and writes every input of the file `corpus` to a file in it.
fn unpack(corpus: &Path, folder: &Path) -> Result<(), String> {
    let failed = |path: &Path, error: io::Error| format!("{}: {error}", path.display());
    let text = fs::read_to_string(corpus).map_err(|error| failed(corpus, error))?;
    let inputs = packed::unpack(&text).map_err(|line| format!("{}: {line}", corpus.display()))?;
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(failed(folder, error)),
        _ => fs::create_dir_all(folder).map_err(|error| failed(folder, error))?,
    }
    for (number, input) in inputs.iter().enumerate() {
        let path = folder.join(format!("{number:04}"));
        fs::write(&path, input).map_err(|error| failed(&path, error))?;
    }
    Ok(())
}

/// Writes the files of `folder` to the file `corpus`, and returns their number. Files of the same
/// content count once. The old file stays until the new one is whole.
fn pack(folder: &Path, corpus: &Path) -> Result<usize, String> {
    let read = || -> io::Result<BTreeSet<Vec<u8>>> {
        fs::read_dir(folder)?.map(|entry| fs::read(entry?.path())).collect()
    };
    let inputs = read().map_err(|error| format!("{}: {error}", folder.display()))?;
    let fresh = corpus.with_extension("new");
    fs::write(&fresh, packed::pack(&inputs))
        .and_then(|()| fs::rename(&fresh, corpus))
        .map_err(|error| format!("{}: {error}", corpus.display()))?;
    Ok(inputs.len())
}

/// Checks that the toolchain and cargo-fuzz are installed.
fn check_tools(root: &Path) -> Result<(), String> {
    nightly::target(root)?;
    nightly::command("cargo fuzz --version").output(root).map(drop).map_err(|failure| {
        format!(
            "this command needs cargo-fuzz ({failure}); install it:\n    cargo install cargo-fuzz"
        )
    })
}

fn commands(args: &Args) -> Vec<CommandLine> {
    let fuzz = |options: &str| {
        nightly::command(&format!("cargo fuzz run --fuzz-dir keystore/fuzz sequences {options}"))
    };
    let seconds = args.minutes.as_secs().max(1);
    let mut commands = vec![fuzz(&format!(
        "{FOUND} {KEPT} -- -max_total_time={seconds} -max_len=4096 -print_final_stats=1"
    ))];
    if args.keep {
        commands.push(fuzz(&format!("{KEPT} {FOUND} -- -set_cover_merge=1 -max_len=4096")));
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
            "rustup run nightly cargo fuzz run --fuzz-dir keystore/fuzz sequences target/fuzz-corpus \
             target/fuzz-kept -- -max_total_time=90 -max_len=4096 -print_final_stats=1"
        );
        let merge = commands(true)[1].to_string();
        assert!(
            merge.contains("sequences target/fuzz-kept target/fuzz-corpus -- -set_cover_merge=1"),
            "{merge}"
        );
    }

    #[test]
    fn the_corpus_is_where_the_tests_look_for_it() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
        assert!(root.join(CORPUS).is_file());
    }

    #[test]
    fn the_corpus_unpacks_to_files_and_packs_to_the_same_and_what_is_new() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
        let directory = tempfile::tempdir().unwrap();
        let (corpus, folder) = (directory.path().join("corpus.hex"), directory.path().join("kept"));
        fs::copy(root.join(CORPUS), &corpus).unwrap();
        let before = fs::read_to_string(&corpus).unwrap();
        // The second call deletes what the first one left behind.
        for stale in [false, true] {
            if stale {
                fs::write(folder.join("stale"), "stale").unwrap();
            }
            unpack(&corpus, &folder).unwrap();
            let count = fs::read_dir(&folder).unwrap().count();
            assert_eq!(pack(&folder, &corpus), Ok(count));
            assert_eq!(fs::read_to_string(&corpus).unwrap(), before);
        }
        let count = fs::read_dir(&folder).unwrap().count();
        fs::copy(folder.join("0000"), folder.join("twice")).unwrap();
        fs::write(folder.join("new"), b"\x00a new input").unwrap();
        assert_eq!(pack(&folder, &corpus), Ok(count + 1));
        let after = fs::read_to_string(&corpus).unwrap();
        let new: Vec<&str> =
            after.lines().filter(|line| !before.lines().any(|old| old == *line)).collect();
        assert_eq!(new, ["0061206e657720696e707574"]);
        fs::write(&corpus, "# nothing\nno input\n").unwrap();
        let error = unpack(&corpus, &folder).unwrap_err();
        assert!(error.ends_with("corpus.hex: line 2: \"no input\""), "{error}");
    }
}
