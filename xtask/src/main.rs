//! `cargo xtask …`: the commands for work on this project.
//!
//! They print with `outln!` and `errln!` of `keystore_text::console`, which never panic if the
//! output cannot be written.

#![deny(clippy::print_stdout, clippy::print_stderr)]

mod bench;
mod command;
mod fuzz;
mod header;
mod install;
mod model;
mod nightly;
mod plot;
mod sanitize;
mod soak;
mod stress;
mod test;

use std::process::ExitCode;

use clap::Parser;
use keystore_text::console;

/// Commands for work on this project.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
enum Command {
    /// Compare every backend on every pool, and plot the result.
    Bench(Box<bench::Args>),
    /// Draw plots of saved results.
    Plot(plot::Args),
    /// Run the stress test on all nine combinations of backend and pool.
    Stress(stress::Args),
    /// Check linearizability, memory and lost keys on every combination, for a given time.
    Soak(soak::Args),
    /// Check every interleaving of a few threads in the lock-free protocols with a model checker.
    Model(model::Args),
    /// Run the tests of all stores under a sanitizer, with the nightly toolchain.
    Sanitize(sanitize::Args),
    /// Run random sequences of calls from a fuzzer, with the nightly toolchain.
    Fuzz(fuzz::Args),
    /// Run every check that CI runs.
    Test(test::Args),
    /// Write the C header, or check that it is up to date.
    Header(header::Args),
    /// Install the C library: headers, shared and static library, pkg-config and CMake files.
    Install(install::Args),
}

fn main() -> ExitCode {
    let command = match Command::try_parse() {
        Ok(command) => command,
        Err(answer) => {
            let code = console::answer(answer.use_stderr(), &answer.render(), || answer.print());
            return console::finish(code);
        }
    };
    let code = match command {
        Command::Bench(args) => bench::run(&args),
        Command::Plot(args) => plot::run(&args),
        Command::Stress(args) => stress::run(&args),
        Command::Soak(args) => soak::run(&args),
        Command::Model(args) => model::run(&args),
        Command::Sanitize(args) => sanitize::run(&args),
        Command::Fuzz(args) => fuzz::run(&args),
        Command::Test(args) => test::run(&args),
        Command::Header(args) => header::run(&args),
        Command::Install(args) => install::run(&args),
    };
    console::finish(code)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use clap::Parser;
    use clap::error::ErrorKind;

    use super::Command;

    /// Returns the commands `cargo xtask …` of a page. In a block of code a command ends with its
    /// line or at a comment; in a sentence it ends at the backtick. Text that names no command,
    /// such as `…`, is left out.
    fn commands(page: &str) -> Vec<Vec<String>> {
        const XTASK: &str = "cargo xtask ";
        let mut commands = Vec::new();
        let joined = page.replace("cargo\nxtask", "cargo xtask").replace("\\\n", " ");
        for (at, _) in joined.match_indices(XTASK) {
            let rest = &joined[at + XTASK.len()..];
            let command = if joined[..at].ends_with('`') {
                rest.split('`').next()
            } else {
                rest.split(['\n', '#']).next()
            };
            let command = command.unwrap_or_default();
            let arguments = shlex::split(command).expect("the quotes of a command are closed");
            if arguments.first().is_some_and(|name| name.chars().all(|c| c.is_ascii_lowercase())) {
                commands.push(arguments);
            }
        }
        commands
    }

    #[test]
    fn every_command_that_a_page_shows_is_one_with_these_options() {
        let root =
            Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("xtask lies in the workspace");
        let mut pages = vec![root.join("README.md"), root.join("CONTRIBUTING.md")];
        for entry in root.join("docs").read_dir().expect("docs can be read") {
            pages.push(entry.expect("docs can be read").path());
        }
        let mut seen = 0;
        for page in
            pages.iter().filter(|page| page.extension().is_some_and(|extension| extension == "md"))
        {
            for arguments in commands(&std::fs::read_to_string(page).expect("the page can be read"))
            {
                let parsed =
                    Command::try_parse_from(["cargo xtask".to_owned()].iter().chain(&arguments));
                // A name alone is a mention of the command, so options may be missing.
                let is_name = arguments.len() == 1;
                let wrong = parsed
                    .err()
                    .filter(|error| !is_name || error.kind() != ErrorKind::MissingRequiredArgument);
                let said = wrong.map(|error| error.to_string());
                assert_eq!(said, None, "{}: cargo xtask {}", page.display(), arguments.join(" "));
                seen += 1;
            }
        }
        assert!(seen >= 30, "{seen} commands in all pages");
    }

    #[test]
    fn commands_are_found_in_blocks_and_in_sentences() {
        let page = "`cargo\nxtask bench\n--peers`, `cargo xtask …`\n\n    cargo xtask test --list   # the steps\n";
        assert_eq!(commands(page), [vec!["bench", "--peers"], vec!["test", "--list"]]);
    }
}
