//! `keystore shell`: verbs at a prompt, or from a pipe.

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

use crate::choice::{Choice, LongestLine};
use crate::complete::Completion;
use crate::failure::Failure;
use crate::style::{ESCAPES, Style};
use crate::verbs::{self, Next, Refusal};

#[derive(Debug, clap::Args)]
#[command(after_long_help = ESCAPES)]
pub(crate) struct Args {
    #[command(flatten)]
    choice: Choice,
    #[command(flatten)]
    longest_line: LongestLine,
    /// Print keys and values byte for byte, without escapes and quotes.
    #[arg(long)]
    raw: bool,
}

const PROMPT: &str = "keystore> ";

/// Terminals that cannot move the cursor, so that no line can be edited on them.
const PLAIN_TERMINALS: [&str; 3] = ["dumb", "cons25", "emacs"];

pub(crate) fn run(args: &Args) -> Result<ExitCode, Failure> {
    let store = args.choice.open()?;
    let style = Style::new(args.raw);
    if !io::stdin().is_terminal() {
        return lines(&store, style, args.longest_line, None);
    }
    // While a verb runs, Ctrl-C ends that and not the shell, for the store would go with it.
    // Without the handler it is as before.
    let _ = ctrlc::set_handler(|| verbs::INTERRUPTED.store(true, Ordering::Relaxed));
    let greeting = format!(
        "keystore: backend {}, pool {}. Type help for the verbs.",
        args.choice.backend, args.choice.pool
    );
    if can_edit() {
        prompt(store, style, &greeting)
    } else {
        lines(&store, style, args.longest_line, Some(&greeting))
    }
}

/// Whether a line can be edited where it is typed. The editor draws on standard output.
fn can_edit() -> bool {
    let is_plain =
        |terminal: String| PLAIN_TERMINALS.iter().any(|plain| terminal.eq_ignore_ascii_case(plain));
    io::stdout().is_terminal() && !std::env::var("TERM").is_ok_and(is_plain)
}

/// A person types at a terminal. What went wrong is said at once, and is not what the shell ends
/// with.
fn prompt(store: BoxedKeystore, style: Style, greeting: &str) -> Result<ExitCode, Failure> {
    let store = Rc::new(store);
    // Values may be secrets: the history stays in memory.
    let config = Config::builder().auto_add_history(true).completion_type(CompletionType::List).build();
    let mut editor = Editor::<Completion, MemHistory>::with_history(config, MemHistory::new())?;
    editor.set_helper(Some(Completion::new(Rc::clone(&store))));
    writeln!(Output, "{greeting}")?;
    loop {
        let typed = match editor.readline(PROMPT) {
            Ok(typed) => typed,
            // Ctrl-C gives up the line, Ctrl-D the shell. A window that changes its size changes
            // nothing.
            Err(ReadlineError::Interrupted | ReadlineError::Signal(_)) => continue,
            Err(ReadlineError::Eof) => return Ok(ExitCode::SUCCESS),
            Err(ReadlineError::Io(error)) if error.kind() == io::ErrorKind::InvalidData => {
                discard_typed();
                errln!(
                    "error: a byte that is not UTF-8: the line is dropped, and what was pasted with it. \
                     The byte ff is written \\xff"
                );
                continue;
            }
            Err(error) => return Err(error.into()),
        };
        // What is pasted comes as one, and may have many lines.
        verbs::INTERRUPTED.store(false, Ordering::Relaxed);
        for line in typed.lines() {
            match verbs::run(&store, line.as_bytes(), style, &mut Output) {
                Ok(Next::Go) => {}
                Ok(Next::Quit) => return Ok(ExitCode::SUCCESS),
                Err(Refusal::Output(error)) => return Err(error.into()),
                Err(refusal) => errln!("error: {refusal}"),
            }
            if verbs::INTERRUPTED.load(Ordering::Relaxed) {
                break; // and what was pasted behind it
            }
        }
    }
}

/// Drops what was typed and not read: the rest of a line of which a part is lost must not be taken
/// for a line.
fn discard_typed() {
    #[cfg(unix)]
    {
        use std::time::Duration;

        // The rest of a paste may still be on its way.
        std::thread::sleep(Duration::from_millis(100));
        // A terminal that refuses has nothing to drop.
        let _ = rustix::termios::tcflush(io::stdin(), rustix::termios::QueueSelector::IFlush);
    }
}

/// Lines come from a program; or, with a greeting, from a person at a terminal that has no editor.
///
/// From a program, a line that is refused is named by its number, the next is carried out, and the
/// exit code tells.
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
    // Opened by the first line, not before the prompt.
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

/// Carries out the next line; `None` at the end.
fn next(
    lines: &mut Lines,
    store: &BoxedKeystore,
    style: Style,
) -> Result<Option<Result<Next, Refusal>>, Failure> {
    Ok(match lines.advance()? {
        Found::End => None,
        Found::Malformed(reason) => Some(Err(Refusal::Malformed(reason))),
        Found::Whole => {
            verbs::INTERRUPTED.store(false, Ordering::Relaxed);
            Some(verbs::run(store, lines.line(), style, &mut Output))
        }
    })
}
