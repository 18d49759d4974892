//! The `keystore` command: stress the store, load real data into it, try it at a prompt.
//!
//! `choice` arguments that commands share · `stress`, `load`, `shell`, `pages` the commands ·
//! `entries` entries in the lines of a file · `top` the largest values · `verbs` what the shell can
//! do · `words` how a line of the shell is read · `complete` the shell's Tab key · `report`
//! statistics for people · `style` how keys and values are printed · `failure` what can go wrong.
//!
//! Text is read by `keystore_text::input` and printed by `keystore_text::console`: no command
//! prints in another way, and foreign text is shown by `show` and its like.
//!
//! Exit codes: 0 if all went well, 1 for a failure, 2 for wrong arguments.

#![deny(clippy::print_stdout, clippy::print_stderr)]

mod choice;
mod complete;
mod entries;
mod failure;
mod load;
mod pages;
mod report;
mod shell;
mod stress;
mod style;
mod top;
mod verbs;
mod words;

use std::process::ExitCode;

use clap::Parser;
use keystore_text::console;
use keystore_text::errln;

use self::failure::Failure;

#[cfg(feature = "mimalloc")]
#[global_allocator]
static GLOBAL: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// A concurrent in-process key-value store, to stress, to fill and to try.
#[derive(Debug, Parser)]
#[command(
    name = "keystore",
    version,
    arg_required_else_help = true,
    after_help = "Exit codes: 0 all went well; 1 a failure; 2 wrong arguments."
)]
enum Command {
    /// Set, get and contend with very many threads, and check that nothing is lost, wrong or there twice.
    Stress(stress::Args),
    /// Load a file and report entries, memory and time.
    Load(load::Args),
    /// Work on an empty store at a prompt, or by verbs from a pipe.
    Shell(shell::Args),
    /// Print the completion script of a shell, for it to read at its start.
    Completions(pages::CompletionsArgs),
    /// Print the manual page of this command, or of one of those above, for `man -l -`.
    Man(pages::ManArgs),
}

fn main() -> ExitCode {
    let done = Command::try_parse().map_err(Failure::from).and_then(|command| match command {
        Command::Stress(args) => stress::run(&args),
        Command::Load(args) => load::run(&args),
        Command::Shell(args) => shell::run(&args),
        Command::Completions(args) => pages::completions(&args),
        Command::Man(args) => pages::man(&args),
    });
    console::finish(done.unwrap_or_else(|failure| tell(&failure)))
}

/// Says what went wrong, or what was asked for instead: the exit code.
fn tell(failure: &Failure) -> ExitCode {
    let Failure::Usage(answer) = failure else {
        errln!("keystore: {failure}");
        return ExitCode::FAILURE;
    };
    console::answer(answer.use_stderr(), &answer.render(), || answer.print())
}
