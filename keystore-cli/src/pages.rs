//! `keystore completions` and `keystore man`: files that a packager installs with the command.

use std::io::Write;
use std::process::ExitCode;

use clap::CommandFactory;
use clap::builder::PossibleValuesParser;
use clap_complete::Shell;
use clap_mangen::Man;
use keystore_text::console::Output;

use crate::failure::Failure;

#[derive(Debug, clap::Args)]
pub(crate) struct CompletionsArgs {
    /// Shell to make the script for.
    shell: Shell,
}

/// Prints a completion script.
pub(crate) fn completions(args: &CompletionsArgs) -> Result<ExitCode, Failure> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut crate::Command::command(), "keystore", &mut script);
    Output.write_all(&script)?;
    Ok(ExitCode::SUCCESS)
}

#[derive(Debug, clap::Args)]
pub(crate) struct ManArgs {
    /// Command to print the page of [default: `keystore` itself].
    #[arg(value_parser = PossibleValuesParser::new(["stress", "load", "shell", "completions", "man"]))]
    command: Option<String>,
}

/// Prints a manual page.
pub(crate) fn man(args: &ManArgs) -> Result<ExitCode, Failure> {
    let mut command = crate::Command::command();
    command.build();
    let page = match &args.command {
        None => command,
        // The argument parser accepts only existing names, and `build` has set the full name.
        Some(name) => command.find_subcommand(name).cloned().unwrap_or(command),
    };
    let mut text = Vec::new();
    Man::new(page).render(&mut text)?;
    Output.write_all(&text)?;
    Ok(ExitCode::SUCCESS)
}
