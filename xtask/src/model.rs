//! `cargo xtask model`: runs the models of the lock-free protocols and of the pools under the model
//! checker loom.
//!
//! The models are tests in the crates whose code they run, compiled only with `--cfg loom`. The
//! profile `model` keeps this build in a separate folder. The commands are printed; to run one
//! model, put its name in place of `models::`.

use std::path::Path;
use std::process::ExitCode;

use keystore_text::{errln, outln};

use crate::command::CommandLine;

/// Options of `cargo xtask model`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Allow more preemptions and executions of each model, which takes minutes instead of seconds
    #[arg(long)]
    thorough: bool,
}

/// Runs the models. Returns 1 if one fails.
pub(crate) fn run(args: &Args) -> ExitCode {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("xtask lies in the workspace");
    for command in commands(args) {
        outln!("{command}");
        if let Err(error) = command.run(root) {
            errln!("error: {error}");
            return ExitCode::FAILURE;
        }
    }
    ExitCode::SUCCESS
}

/// Returns the commands for the models of the table and for the models of the pools.
fn commands(args: &Args) -> [CommandLine; 2] {
    ["keystore-core --no-default-features --features epoch", "keystore-pool"].map(|package| {
        let command = CommandLine::cargo(&format!(
            "test --quiet --package {package} --lib --profile model models:: -- --nocapture"
        ))
        .with("RUSTFLAGS", "--cfg loom");
        if args.thorough { command.with("KEYSTORE_MODELS_THOROUGH", "1") } else { command }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_thorough_form_is_asked_for_by_a_variable() {
        let [short, long] = [false, true]
            .map(|thorough| commands(&Args { thorough }).map(|command| command.to_string()));
        let variable = "KEYSTORE_MODELS_THOROUGH=\"1\" ";
        for (short, long) in short.iter().zip(&long) {
            assert_eq!(&long.replace(variable, ""), short);
            assert!(
                long.contains(variable)
                    && short.starts_with("RUSTFLAGS=\"--cfg loom\" cargo test "),
                "{short}"
            );
        }
    }
}
