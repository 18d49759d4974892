//! Printing for people: what the commands write to standard output and standard error.
//!
//! Two rules hold for everything that the commands print.
//!
//! 1. *Printing never stops the work.* Standard output may be a full disk, or a pipe whose reader
//!    has left. [`Output`] then keeps the first failure and drops what follows. [`finish`] turns
//!    the failure into the exit code when the work is done. A message for standard error that
//!    nobody can receive is left out. The macros of the standard library panic instead, so the
//!    commands deny them by lint and use [`outln!`](crate::outln) and [`errln!`](crate::errln).
//! 2. *Foreign text does not control the terminal.* Keys, values, file names and the texts of
//!    parsers go through [`show`] and its like, which escape what a terminal would obey or hide.
//!    The macros check once more: they escape such characters in whatever text reaches them.

mod show;

use std::fmt;
use std::io::{self, Write};
use std::process::ExitCode;
use std::sync::OnceLock;

pub use self::show::{Shown, is_plain, show, show_name, show_path, show_text};

/// The first failure to write to standard output.
static FAILURE: OnceLock<io::Error> = OnceLock::new();

/// Standard output, for writers that must not stop.
///
/// No call returns an error. The first failure is kept for [`finish`], and what is written after it
/// is dropped, so that no output has a hole in it. Each line is flushed at its end.
#[derive(Clone, Copy, Debug, Default)]
pub struct Output;

impl Write for Output {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        note(|| io::stdout().write_all(bytes));
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        note(|| io::stdout().flush());
        Ok(())
    }
}

/// Gives the answer of a parser of arguments, and returns the exit code: 2 for wrong arguments, 0
/// for help that was asked for.
///
/// The text of an error names the arguments, so it is made harmless, which costs its colours. Help
/// is what `print` prints.
#[must_use]
pub fn answer(
    is_error: bool,
    text: &dyn fmt::Display,
    print: impl FnOnce() -> io::Result<()>,
) -> ExitCode {
    if is_error {
        for line in text.to_string().lines() {
            crate::errln!("{}", cut(line));
        }
        return ExitCode::from(2);
    }
    note(print);
    ExitCode::SUCCESS
}

/// Writes, unless that has failed before, and keeps the failure.
fn note(write: impl FnOnce() -> io::Result<()>) {
    if FAILURE.get().is_none()
        && let Err(error) = write()
    {
        // Another thread may have been first; one failure is enough.
        let _ = FAILURE.set(error);
    }
}

/// Returns the exit code of a command that is done, after what is still buffered has been written.
///
/// This is `code`, unless standard output could not be written: then the failure is told on
/// standard error and the code is 1. A reader that has left (`… | head`) has seen enough and
/// changes nothing.
#[must_use]
pub fn finish(code: ExitCode) -> ExitCode {
    note(|| io::stdout().flush());
    match FAILURE.get() {
        None => code,
        Some(error) if error.kind() == io::ErrorKind::BrokenPipe => code,
        Some(error) => {
            crate::errln!("error: standard output: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Writes text to standard output. For [`outln!`](crate::outln).
pub fn print(text: fmt::Arguments<'_>) {
    // `Output` returns no error.
    let _ = Output.write_all(harmless(&text.to_string()).as_bytes());
}

/// Writes text to standard error, or leaves it out if that fails. For [`errln!`](crate::errln).
pub fn complain(text: fmt::Arguments<'_>) {
    // In one write, so that lines of several processes do not mix. Nobody could be told of a
    // failure.
    let _ = io::stderr().write_all(harmless(&text.to_string()).as_bytes());
}

/// Returns the line, without its middle if it is longer than 1,000 characters: it may name an
/// argument of any length, and what is wrong with that stands at its end.
fn cut(line: &str) -> String {
    let start = |index: usize| line.char_indices().nth(index).map(|(at, _)| at);
    let end = |index: usize| line.char_indices().nth_back(index).map(|(at, _)| at);
    match (start(1000), start(400), end(399)) {
        (Some(_), Some(start), Some(end)) => {
            format!("{}… ({} bytes) …{}", &line[..start], line.len(), &line[end..])
        }
        _ => line.to_owned(),
    }
}

/// Returns the text with the characters escaped that a terminal obeys or hides. Line ends and tabs
/// stay.
fn harmless(text: &str) -> String {
    let mut harmless = String::with_capacity(text.len());
    for character in text.chars() {
        if is_plain(character) || matches!(character, '\n' | '\t') {
            harmless.push(character);
        } else {
            harmless.extend(character.escape_unicode());
        }
    }
    harmless
}

/// Returns the text as one line for a page: line ends and tabs become spaces, and the characters
/// that a reader's program would obey or hide are escaped.
#[must_use]
pub fn one_line(text: &str) -> String {
    harmless(text).replace(['\n', '\t'], " ")
}

/// Prints a line to standard output. Unlike `println!`, it never panics: see
/// [`console`](crate::console).
#[macro_export]
macro_rules! outln {
    ($($text:tt)*) => { $crate::console::print(format_args!("{}\n", format_args!($($text)*))) };
}

/// Prints a line to standard error. Unlike `eprintln!`, it never panics: see
/// [`console`](crate::console).
#[macro_export]
macro_rules! errln {
    ($($text:tt)*) => { $crate::console::complain(format_args!("{}\n", format_args!($($text)*))) };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_that_reaches_the_terminal_by_any_way_cannot_control_it() {
        assert_eq!(harmless("a\tb\nnaïve 表"), "a\tb\nnaïve 表");
        assert_eq!(harmless("\u{1b}[31m\u{7}\r\u{202e}"), "\\u{1b}[31m\\u{7}\\u{d}\\u{202e}");
        // What was escaped before is not escaped again.
        assert_eq!(harmless("caf\\xe9"), "caf\\xe9");
    }

    #[test]
    fn an_argument_of_any_length_is_named_in_short() {
        assert_eq!(cut("short"), "short");
        assert_eq!(cut(&"é".repeat(1001)), format!("{0}… (2002 bytes) …{0}", "é".repeat(400)));
    }
}
