//! `cargo xtask …`: the project's own commands.
//!
//! They print with `outln!` and `errln!`, which never panic: see `keystore_bench::console`.

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
use keystore_bench::console;

/// The project's own commands.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
enum Command {
    /// Compare every backend on every pool, and plot the result.
    Bench(Box<bench::Args>),
    /// Draw results that were measured before.
    Plot(plot::Args),
    /// Run the stress test over all nine combinations.
    Stress(stress::Args),
    /// Check every combination for as long as you like: linearizability, memory, lost keys.
    Soak(soak::Args),
    /// Check the lock-free protocols with a model checker: every interleaving of a few threads.
    Model(model::Args),
    /// Run the tests of all stores under a sanitizer, with the nightly toolchain.
    Sanitize(sanitize::Args),
    /// Try sequences of calls that a fuzzer makes, with the nightly toolchain.
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
