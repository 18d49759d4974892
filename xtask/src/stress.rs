//! `cargo xtask stress`: runs the stress test on every combination of backend and pool, and prints
//! one table.

use std::process::ExitCode;

use indicatif::{ProgressBar, ProgressStyle};
use keystore::Combination;
use keystore_text::{errln, outln};
use keystore_verify::stress::{self, Options, Outcome, StressError, Verdict};

/// Options of `cargo xtask stress`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Number of threads, which all run at once
    #[arg(long, value_name = "N", default_value_t = Options::default().threads)]
    threads: usize,
    /// Number of keys that each thread sets and gets
    #[arg(long, value_name = "N", default_value_t = Options::default().keys_per_thread)]
    keys: usize,
    /// Size of each value in bytes
    #[arg(long, value_name = "BYTES", default_value_t = Options::default().value_size)]
    value_size: usize,
    /// Print one JSON object per line for each combination, instead of the table
    #[arg(long)]
    json: bool,
}

/// Runs the tests. Returns 2 for invalid arguments, and 1 if a combination fails.
pub(crate) fn run(args: &Args) -> ExitCode {
    let options =
        Options { threads: args.threads, keys_per_thread: args.keys, value_size: args.value_size };
    if let Err(error) = options.validate() {
        errln!("error: {error}");
        return ExitCode::from(2);
    }
    let outcomes = match stress_all(&options) {
        Ok(outcomes) => outcomes,
        Err(error) => {
            errln!("error: {error}");
            return ExitCode::FAILURE;
        }
    };
    if args.json {
        for outcome in &outcomes {
            outln!("{}", serde_json::to_string(outcome).expect("an outcome is plain data"));
        }
    } else {
        outln!("{}", stress::table(&outcomes));
        outln!(
            "{} threads, {} keys each, values of {} bytes; operations are sets and gets of each thread's own keys",
            args.threads,
            args.keys,
            args.value_size
        );
        for (outcome, example) in outcomes
            .iter()
            .flat_map(|outcome| outcome.faults.examples.iter().map(move |e| (outcome, e)))
        {
            outln!("{}+{}: {example}", outcome.backend, outcome.pool);
        }
    }
    let passed = outcomes.iter().all(|outcome| outcome.result == Verdict::Pass);
    if passed { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn stress_all(options: &Options) -> Result<Vec<Outcome>, StressError> {
    let combinations = Combination::all();
    let style =
        ProgressStyle::with_template("{pos}/{len} {msg} {elapsed}").expect("the template is valid");
    let bar = ProgressBar::new(combinations.len() as u64).with_style(style);
    let outcomes = combinations
        .into_iter()
        .map(|combination| {
            bar.set_message(combination.to_string());
            let outcome =
                stress::run(combination, &keystore_core::Config::default(), options, &|_| {});
            bar.inc(1);
            outcome
        })
        .collect();
    bar.finish_and_clear();
    outcomes
}
