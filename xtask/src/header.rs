//! `cargo xtask header`: generates the C header from the sources of keystore-ffi.
//!
//! cbindgen runs here, not in a build script, because a build of the library must not wait for it.
//! The header is checked in. `--check`, which CI runs, fails if the header is out of date.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use keystore_text::errln;

/// Source files, in the order of their declarations in the header.
const SOURCES: [&str; 9] =
    ["status", "options", "handle", "bytes", "store", "callback", "atomic_ops", "batch", "stats"];

/// Options of `cargo xtask header`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Write nothing, and fail if the header is out of date.
    #[arg(long)]
    check: bool,
}

/// Writes or checks the header.
pub(crate) fn run(args: &Args) -> ExitCode {
    match if args.check { check() } else { write() } {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            errln!("cargo xtask header: {error}");
            ExitCode::FAILURE
        }
    }
}

/// A failure to write or check the header.
#[derive(Debug)]
enum Error {
    Generate(String),
    File(PathBuf, io::Error),
    OutOfDate(String),
}

impl std::fmt::Display for Error {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Generate(why) => write!(f, "the header cannot be generated: {why}"),
            Self::File(path, error) => write!(f, "{}: {error}", path.display()),
            Self::OutOfDate(difference) => {
                write!(
                    f,
                    "keystore-ffi/include/keystore.h is out of date: run `cargo xtask header`\n{difference}"
                )
            }
        }
    }
}

/// Writes the header.
fn write() -> Result<(), Error> {
    let path = header_path();
    fs::write(&path, generate()?).map_err(|error| Error::File(path, error))
}

/// Compares the header with the generated text.
fn check() -> Result<(), Error> {
    let path = header_path();
    let current = fs::read_to_string(&path).map_err(|error| Error::File(path, error))?;
    match first_difference(&current, &generate()?) {
        None => Ok(()),
        Some(difference) => Err(Error::OutOfDate(difference)),
    }
}

fn crate_path() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).with_file_name("keystore-ffi")
}

fn header_path() -> PathBuf {
    crate_path().join("include/keystore.h")
}

/// Generates the header from the sources.
fn generate() -> Result<String, Error> {
    let root = crate_path();
    let config =
        cbindgen::Config::from_file(root.join("cbindgen.toml")).map_err(Error::Generate)?;
    let bindings = SOURCES
        .iter()
        .fold(cbindgen::Builder::new().with_config(config), |builder, source| {
            builder.with_src(root.join("src").join(source).with_extension("rs"))
        })
        .generate()
        .map_err(|error| Error::Generate(error.to_string()))?;
    let mut header = Vec::new();
    bindings.write(&mut header);
    String::from_utf8(header).map_err(|error| Error::Generate(error.to_string()))
}

/// Returns the first line in which two texts differ, in both versions; `None` if they are equal.
fn first_difference(current: &str, generated: &str) -> Option<String> {
    if current == generated {
        return None;
    }
    let (mut current, mut generated) = (current.lines(), generated.lines());
    let mut number = 0;
    loop {
        number += 1;
        match (current.next(), generated.next()) {
            (None, None) => return Some("  only the line ends differ".to_owned()),
            (current, generated) if current == generated => {}
            (current, generated) => {
                let show = |line: Option<&str>| line.unwrap_or("(the end of the file)").to_owned();
                return Some(format!(
                    "  line {number} is:        {}\n  it should be:  {}",
                    show(current),
                    show(generated)
                ));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_difference_is_shown() {
        assert_eq!(first_difference("a\nb\n", "a\nb\n"), None);
        let difference = first_difference("a\nb\n", "a\nc\n").unwrap();
        assert!(
            difference.contains("line 2 is:        b") && difference.ends_with("c"),
            "{difference}"
        );
        assert!(first_difference("a\n", "a\nb\n").unwrap().contains("end of the file"));
        assert!(first_difference("a\r\n", "a\n").unwrap().contains("line ends"));
    }
}
