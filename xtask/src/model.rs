//! `cargo xtask model`: the models of the lock-free protocols, run by the model checker loom.
//!
//! The models are tests of the crates whose code they run, compiled only with `--cfg loom`. The profile `model` keeps what is built
//! so in a folder of its own. The command is printed: with a model's name in place of `models::` it runs that one.

use std::path::Path;
use std::process::ExitCode;

use crate::command::CommandLine;

/// Options.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// More preemptions and more executions of each: minutes instead of seconds
    #[arg(long)]
    thorough: bool,
}

/// Runs them: 1 where one fails.
pub(crate) fn run(args: &Args) -> ExitCode {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("xtask lies in the workspace");
    let command = command(args);
    println!("{command}");
    match command.run(root) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn command(args: &Args) -> CommandLine {
    let command = CommandLine::cargo(
        "test --quiet --package keystore-core --lib --no-default-features --features epoch --profile model \
         models:: -- --nocapture",
    )
    .with("RUSTFLAGS", "--cfg loom");
    if args.thorough { command.with("KEYSTORE_MODELS_THOROUGH", "1") } else { command }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_thorough_form_is_asked_for_by_a_variable() {
        let [short, long] = [false, true].map(|thorough| command(&Args { thorough }).to_string());
        let variable = "KEYSTORE_MODELS_THOROUGH=\"1\" ";
        assert_eq!(long.replace(variable, ""), short);
        assert!(
            long.contains(variable) && short.starts_with("RUSTFLAGS=\"--cfg loom\" cargo test "),
            "{short}"
        );
    }
}
