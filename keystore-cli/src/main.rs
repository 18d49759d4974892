//! The `keystore` command: stress the store, load real data into it, try it at a prompt.
//!
//! `choice` which store to open · `stress`, `load`, `shell` the three commands · `input` reading entries from files · `top` the
//! largest values · `verbs` what the shell can do · `complete` the shell's Tab key · `report` statistics for people · `text` bytes
//! as text · `failure` what can go wrong.
//!
//! Exit codes: 0 where all went well, 1 for a failure, 2 for wrong arguments.

mod choice;
mod complete;
mod failure;
mod input;
mod load;
mod report;
mod shell;
mod stress;
mod text;
mod top;
mod verbs;

use std::process::ExitCode;

use clap::Parser;

/// A concurrent in-process key-value store, to stress, to fill and to try.
#[derive(Debug, Parser)]
#[command(name = "keystore", version, arg_required_else_help = true)]
enum Command {
    /// Set, get and contend with very many threads, and check that nothing is lost, wrong or there twice.
    Stress(stress::Args),
    /// Load a file and report entries, memory and time.
    Load(load::Args),
    /// Work on an empty store at a prompt, or by verbs from a pipe.
    Shell(shell::Args),
}

fn main() -> ExitCode {
    let done = match Command::parse() {
        Command::Stress(args) => stress::run(&args),
        Command::Load(args) => load::run(&args),
        Command::Shell(args) => shell::run(&args),
    };
    match done {
        Ok(code) => code,
        // Whoever reads our output has seen enough (`keystore load … | head`).
        Err(failure) if failure.is_closed_pipe() => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("keystore: {failure}");
            ExitCode::FAILURE
        }
    }
}
