//! `keystore shell`: verbs at a prompt, or from a pipe.

use std::io::{self, BufRead, IsTerminal, Write};
use std::process::ExitCode;
use std::rc::Rc;

use keystore_core::BoxedKeystore;
use rustyline::Editor;
use rustyline::config::{CompletionType, Config};
use rustyline::error::ReadlineError;
use rustyline::history::MemHistory;

use crate::choice::Choice;
use crate::complete::Completion;
use crate::failure::Failure;
use crate::verbs::{self, Next, Refusal};

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    choice: Choice,
}

pub(crate) fn run(args: &Args) -> Result<ExitCode, Failure> {
    let store = args.choice.open()?;
    if io::stdin().is_terminal() { prompt(store, &args.choice) } else { pipe(&store) }
}

/// A person types. What went wrong is said at once, and is not what the shell ends with.
fn prompt(store: BoxedKeystore, choice: &Choice) -> Result<ExitCode, Failure> {
    let store = Rc::new(store);
    // Values may be secrets: the history stays in memory.
    let config = Config::builder().auto_add_history(true).completion_type(CompletionType::List).build();
    let mut editor = Editor::<Completion, MemHistory>::with_history(config, MemHistory::new())?;
    editor.set_helper(Some(Completion::new(Rc::clone(&store))));
    println!("keystore: backend {}, pool {}. Type help for the verbs.", choice.backend, choice.pool);
    loop {
        match editor.readline("keystore> ") {
            Ok(line) => match verbs::run(&store, line.as_bytes(), &mut io::stdout().lock()) {
                Ok(Next::Go) => {}
                Ok(Next::Quit) => return Ok(ExitCode::SUCCESS),
                Err(Refusal::Output(error)) => return Err(error.into()),
                Err(refusal) => eprintln!("error: {refusal}"),
            },
            // Ctrl-C gives up the line, Ctrl-D the shell.
            Err(ReadlineError::Interrupted) => {}
            Err(ReadlineError::Eof) => return Ok(ExitCode::SUCCESS),
            Err(error) => return Err(error.into()),
        }
    }
}

/// A program writes. A line that is refused is named by its number, the next is carried out, and the exit code tells.
fn pipe(store: &BoxedKeystore) -> Result<ExitCode, Failure> {
    let mut input = io::stdin().lock();
    // Flushed at each line's end, for a program that waits for each answer.
    let mut out = io::stdout().lock();
    let mut line = Vec::new();
    let mut code = ExitCode::SUCCESS;
    for number in 1_u64.. {
        line.clear();
        if input.read_until(b'\n', &mut line).map_err(Failure::Input)? == 0 {
            break;
        }
        while line.last().is_some_and(|end| matches!(end, b'\n' | b'\r')) {
            line.pop();
        }
        match verbs::run(store, &line, &mut out) {
            Ok(Next::Go) => {}
            Ok(Next::Quit) => break,
            Err(Refusal::Output(error)) => return Err(error.into()),
            Err(refusal) => {
                out.flush()?;
                eprintln!("line {number}: {refusal}");
                code = ExitCode::FAILURE;
            }
        }
    }
    out.flush()?;
    Ok(code)
}
