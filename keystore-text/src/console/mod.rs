//! Prints text for people: everything that the commands write to standard output and standard
//! error.
//!
//! Two rules apply to all output of the commands.
//!
//! 1. *Printing never stops the work.* Standard output may be a full disk, or a pipe whose reader
//!    has ended. [`Output`] then keeps the first error and drops the rest of the output. [`finish`]
//!    turns the error into the exit code when the work is done. A message for standard error is
//!    dropped if it cannot be written. The macros of the standard library panic instead, so the
//!    commands deny them by lint and use [`outln!`](crate::outln) and [`errln!`](crate::errln).
//! 2. *Foreign text does not control the terminal.* Keys, values, file names and the messages of
//!    parsers go through [`show`] or a variant, which escapes control and invisible characters. As
//!    a second line of defence, the macros escape such characters in all text that they print.

mod show;

use std::fmt;
use std::io::{self, Write};
use std::process::ExitCode;
use std::sync::OnceLock;

pub use self::show::{Shown, is_plain, show, show_name, show_path, show_text};

/// The first error of a write to standard output.
static FAILURE: OnceLock<io::Error> = OnceLock::new();

/// Standard output, for writers that must not stop.
///
/// No method returns an error. The first error is kept for [`finish`], and all later output is
/// dropped, so that the output has no gap. Each line is flushed at its end.
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

/// Prints the answer of an argument parser. Returns the exit code: 2 for wrong arguments, and 0 for
/// help that was requested.
///
/// The text of an error contains the arguments, so it is escaped, which removes its colours. Help
/// is printed by `print`.
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

/// Writes unless an earlier write failed. Keeps the error if this write fails.
fn note(write: impl FnOnce() -> io::Result<()>) {
    if FAILURE.get().is_none()
        && let Err(error) = write()
    {
        // Another thread may have set its error first. One error is enough.
        let _ = FAILURE.set(error);
    }
}

/// Writes the output that is still buffered. Returns the exit code of the command.
///
/// The exit code is `code`, unless standard output could not be written: then the error is printed
/// to standard error, and the exit code is 1. A reader that ends early (`… | head`) is not an
/// error.
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

/// Writes text to standard output. Use [`outln!`](crate::outln) instead.
pub fn print(text: fmt::Arguments<'_>) {
    // `Output` returns no errors.
    let _ = Output.write_all(harmless(&text.to_string()).as_bytes());
}

/// Writes text to standard error, or drops it if that fails. Use [`errln!`](crate::errln) instead.
pub fn complain(text: fmt::Arguments<'_>) {
    // A single write keeps the lines of several processes apart. A failure cannot be reported
    // anywhere.
    let _ = io::stderr().write_all(harmless(&text.to_string()).as_bytes());
}

/// Returns a line without its middle if it is longer than 1,000 characters. A line may quote an
/// argument of any length, and the error is at its end.
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

/// Escapes the characters that control a terminal or are invisible. Line ends and tabs are kept.
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

/// Returns text as a single line for a page. Line ends and tabs become spaces, and control and
/// invisible characters are escaped.
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
        // Escapes are not escaped again.
        assert_eq!(harmless("caf\\xe9"), "caf\\xe9");
    }

    #[test]
    fn an_argument_of_any_length_is_named_in_short() {
        assert_eq!(cut("short"), "short");
        assert_eq!(cut(&"é".repeat(1001)), format!("{0}… (2002 bytes) …{0}", "é".repeat(400)));
    }
}
