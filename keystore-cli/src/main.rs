//! The `keystore` command: stress-tests a store, loads real data into one, opens one at a prompt.
//!
//! | module | holds |
//! |---|---|
//! | `stress`, `load`, `shell`, `pages` | the commands |
//! | `args` | the arguments that commands share |
//! | `entries` | parsers of the entries in a file |
//! | `top` | the search for the largest values |
//! | `operations` | the operations of the shell |
//! | `words` | the parser of a line of the shell |
//! | `complete` | completion in the shell |
//! | `memory` | the check of the address space |
//! | `report` | statistics and results as text |
//! | `style` | how keys and values are printed |
//! | `failure` | the errors |
//!
//! All input text is read by `keystore_text::input`, and all output goes through
//! `keystore_text::console`. Text from outside is escaped by `show` and its variants, so that it
//! cannot control the terminal.
//!
//! Exit codes: 0 for success, 1 for a failure, 2 for wrong arguments.

#![deny(clippy::print_stdout, clippy::print_stderr)]

mod args;
mod complete;
mod entries;
mod failure;
mod load;
mod memory;
mod operations;
mod pages;
mod report;
mod shell;
mod stress;
mod style;
mod top;
mod words;

use std::process::ExitCode;

use clap::Parser;
use keystore_text::console;
use keystore_text::errln;

use self::failure::Failure;

#[cfg(feature = "mimalloc")]
#[global_allocator]
static GLOBAL: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Stress-test, fill and try a concurrent in-process key-value store.
#[derive(Debug, Parser)]
#[command(
    name = "keystore",
    version,
    arg_required_else_help = true,
    after_help = "Exit codes: 0 success; 1 failure; 2 wrong arguments."
)]
enum Command {
    /// Run very many threads on a store, and check that no entry is lost, wrong or duplicated.
    Stress(stress::Args),
    /// Load a file, and report entries, memory and time.
    Load(load::Args),
    /// Run operations on an empty store, from a prompt or a pipe.
    Shell(shell::Args),
    /// Print a completion script, which the shell reads when it starts.
    Completions(pages::CompletionsArgs),
    /// Print the manual page of this command or of one above, for `man -l -`.
    Man(pages::ManArgs),
}

fn main() -> ExitCode {
    let done = Command::try_parse().map_err(Failure::from).and_then(|command| match command {
        Command::Stress(args) => memory::check().and_then(|()| stress::run(&args)),
        Command::Load(args) => memory::check().and_then(|()| load::run(&args)),
        Command::Shell(args) => memory::check().and_then(|()| shell::run(&args)),
        Command::Completions(args) => pages::completions(&args),
        Command::Man(args) => pages::man(&args),
    });
    console::finish(done.unwrap_or_else(|failure| print_failure(&failure)))
}

/// Prints a failure, or the help that was requested. Returns the exit code.
fn print_failure(failure: &Failure) -> ExitCode {
    let Failure::Usage(answer) = failure else {
        errln!("keystore: {failure}");
        return ExitCode::FAILURE;
    };
    console::answer(answer.use_stderr(), &answer.render(), || answer.print())
}
