//! `keystore shell`: runs operations from a prompt or a pipe.

use std::io::{self, IsTerminal, Write};
use std::path::Path;
use std::process::ExitCode;
use std::rc::Rc;
use std::sync::atomic::Ordering;

use keystore_core::BoxedKeystore;
use keystore_text::console::{self, Output};
use keystore_text::errln;
use keystore_text::input::{Found, Input, Lines};
use rustyline::Editor;
use rustyline::config::{CompletionType, Config};
use rustyline::error::ReadlineError;
use rustyline::history::MemHistory;

use crate::args::{LongestLine, StoreArgs};
use crate::complete::Completion;
use crate::failure::Failure;
use crate::operations::{self, Next, Refusal};
use crate::style::{ESCAPES, Style};

#[derive(Debug, clap::Args)]
#[command(after_long_help = ESCAPES)]
pub(crate) struct Args {
    #[command(flatten)]
    store: StoreArgs,
    #[command(flatten)]
    longest_line: LongestLine,
    /// Print keys and values byte for byte, without escapes or quotes.
    #[arg(long)]
    raw: bool,
}

const PROMPT: &str = "keystore> ";

/// Terminals that cannot move the cursor, so lines cannot be edited on them.
const PLAIN_TERMINALS: [&str; 3] = ["dumb", "cons25", "emacs"];

pub(crate) fn run(args: &Args) -> Result<ExitCode, Failure> {
    let store = args.store.open()?;
    let style = Style::new(args.raw);
    if !io::stdin().is_terminal() {
        return lines(&store, style, args.longest_line, None);
    }
    // While an operation runs, Ctrl-C ends only the operation, because the end of the shell would
    // lose the store. If the handler cannot be set, Ctrl-C ends the shell.
    let _ = ctrlc::set_handler(|| operations::INTERRUPTED.store(true, Ordering::Relaxed));
    let greeting = format!(
        "keystore: backend {}, pool {}. Type `help` for the operations.",
        args.store.backend, args.store.pool
    );
    if can_edit() {
        prompt(store, style, &greeting)
    } else {
        lines(&store, style, args.longest_line, Some(&greeting))
    }
}

/// Returns true if lines can be edited at the terminal. The editor draws on standard output.
fn can_edit() -> bool {
    let is_plain =
        |terminal: String| PLAIN_TERMINALS.iter().any(|plain| terminal.eq_ignore_ascii_case(plain));
    io::stdout().is_terminal() && !std::env::var("TERM").is_ok_and(is_plain)
}

/// Runs lines that a person types at a terminal. Refused lines do not change the exit code, because
/// the person sees each error at once.
fn prompt(store: BoxedKeystore, style: Style, greeting: &str) -> Result<ExitCode, Failure> {
    let store = Rc::new(store);
    // The history stays in memory, because values may be secrets.
    let config =
        Config::builder().auto_add_history(true).completion_type(CompletionType::List).build();
    let mut editor = Editor::<Completion, MemHistory>::with_history(config, MemHistory::new())?;
    editor.set_helper(Some(Completion::new(Rc::clone(&store))));
    writeln!(Output, "{greeting}")?;
    loop {
        let typed = match editor.readline(PROMPT) {
            Ok(typed) => typed,
            // Ctrl-C drops the line and Ctrl-D ends the shell. A resized window has no effect.
            Err(ReadlineError::Interrupted | ReadlineError::Signal(_)) => continue,
            Err(ReadlineError::Eof) => return Ok(ExitCode::SUCCESS),
            Err(ReadlineError::Io(error)) if error.kind() == io::ErrorKind::InvalidData => {
                discard_typed();
                errln!(
                    "error: a byte is not UTF-8; the line and all that was pasted with it is dropped. \
                     Write the byte ff as \\xff"
                );
                continue;
            }
            Err(error) => return Err(error.into()),
        };
        // A paste arrives as one text of several lines.
        operations::INTERRUPTED.store(false, Ordering::Relaxed);
        for line in typed.lines() {
            match operations::run(&store, line.as_bytes(), style, &mut Output) {
                Ok(Next::Go) => {}
                Ok(Next::Quit) => return Ok(ExitCode::SUCCESS),
                Err(Refusal::Output(error)) => return Err(error.into()),
                Err(refusal) => errln!("error: {refusal}"),
            }
            if operations::INTERRUPTED.load(Ordering::Relaxed) {
                break; // Skip the other lines of a paste.
            }
        }
    }
}

/// Drops the typed bytes that were not read yet. They are the rest of a line whose start is lost,
/// and must not run as a line.
fn discard_typed() {
    #[cfg(unix)]
    {
        use std::time::Duration;

        // The rest of a paste may still be on its way.
        std::thread::sleep(Duration::from_millis(100));
        // If the call fails, there is nothing to drop.
        let _ = rustix::termios::tcflush(io::stdin(), rustix::termios::QueueSelector::IFlush);
    }
}

/// Runs lines from a program or, with a greeting, from a person at a terminal without an editor.
///
/// For a program, an error names the line by number, the next line runs, and the exit code is 1 at
/// the end.
fn lines(
    store: &BoxedKeystore,
    style: Style,
    longest: LongestLine,
    greeting: Option<&str>,
) -> Result<ExitCode, Failure> {
    let is_watched = greeting.is_some();
    if let Some(greeting) = greeting {
        errln!("{greeting}");
    }
    let ask = || {
        if is_watched {
            console::complain(format_args!("{PROMPT}"));
        }
    };
    ask();
    // The first prompt is already printed, because opening waits for the first line.
    let mut lines = Input::open(Path::new("-"))?.lines(longest.bytes());
    let mut code = ExitCode::SUCCESS;
    while let Some(done) = next(&mut lines, store, style)? {
        match done {
            Ok(Next::Go) => {}
            Ok(Next::Quit) => break,
            Err(Refusal::Output(error)) => return Err(error.into()),
            Err(refusal) if is_watched => errln!("error: {refusal}"),
            Err(refusal) => {
                errln!("line {}: {refusal}", lines.number());
                code = ExitCode::FAILURE;
            }
        }
        ask();
    }
    Ok(code)
}

/// Runs the next line. Returns `None` at the end of the input.
fn next(
    lines: &mut Lines,
    store: &BoxedKeystore,
    style: Style,
) -> Result<Option<Result<Next, Refusal>>, Failure> {
    Ok(match lines.advance()? {
        Found::End => None,
        Found::Malformed(reason) => Some(Err(Refusal::Malformed(reason))),
        Found::Whole => {
            operations::INTERRUPTED.store(false, Ordering::Relaxed);
            Some(operations::run(store, lines.line(), style, &mut Output))
        }
    })
}
