//! `cargo xtask header`: the C header, from the sources of keystore-ffi.
//!
//! cbindgen runs here and not in a build script, so that nobody who builds the library pays for it;
//! the header is checked in, and `--check` (which CI runs) says when it is out of date.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use keystore_text::errln;

/// The sources, in the order in which the header shows what they declare.
const SOURCES: [&str; 9] =
    ["status", "options", "handle", "bytes", "store", "callback", "one_step", "batch", "stats"];

/// Options.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Write nothing: fail where the header is not what the sources say.
    #[arg(long)]
    check: bool,
}

/// Runs it.
pub(crate) fn run(args: &Args) -> ExitCode {
    match if args.check { check() } else { write() } {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            errln!("cargo xtask header: {error}");
            ExitCode::FAILURE
        }
    }
}

/// What can go wrong, as it is told.
#[derive(Debug)]
enum Error {
    Generate(String),
    File(PathBuf, io::Error),
    OutOfDate(String),
}

impl std::fmt::Display for Error {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Generate(why) => write!(f, "the header cannot be made: {why}"),
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

/// Compares the header with what the sources say.
fn check() -> Result<(), Error> {
    let path = header_path();
    let there = fs::read_to_string(&path).map_err(|error| Error::File(path, error))?;
    match first_difference(&there, &generate()?) {
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

/// The header that the sources ask for.
fn generate() -> Result<String, Error> {
    let root = crate_path();
    let config = cbindgen::Config::from_file(root.join("cbindgen.toml")).map_err(Error::Generate)?;
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

/// The first line in which two texts differ, both ways; `None` where they are the same.
fn first_difference(there: &str, wanted: &str) -> Option<String> {
    if there == wanted {
        return None;
    }
    let (mut there, mut wanted) = (there.lines(), wanted.lines());
    let mut number = 0;
    loop {
        number += 1;
        match (there.next(), wanted.next()) {
            (None, None) => return Some("  they differ in how lines end".to_owned()),
            (there, wanted) if there == wanted => {}
            (there, wanted) => {
                let show = |line: Option<&str>| line.unwrap_or("(the end of the file)").to_owned();
                return Some(format!(
                    "  line {number} is:        {}\n  it should be:  {}",
                    show(there),
                    show(wanted)
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
        assert!(difference.contains("line 2 is:        b") && difference.ends_with("c"), "{difference}");
        assert!(first_difference("a\n", "a\nb\n").unwrap().contains("end of the file"));
        assert!(first_difference("a\r\n", "a\n").unwrap().contains("lines end"));
    }
}
