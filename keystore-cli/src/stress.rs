//! `keystore stress`: runs the stress test on one or all combinations of backend and pool.

use std::io::Write;
use std::process::ExitCode;

use clap::CommandFactory;
use clap::builder::RangedU64ValueParser;
use clap::error::ErrorKind;
use indicatif::{ProgressBar, ProgressStyle};
use keystore::Combination;
use keystore_core::BackendKind;
use keystore_pool::PoolKind;
use keystore_text::console::Output;
use keystore_verify::stress::{
    self, MAX_KEYS_PER_THREAD, MAX_THREADS, MAX_VALUE_SIZE, Options, Outcome, Progress, Verdict,
};

use crate::args::{OneOrAll, Sizes, backend_or_all, pool_or_all};
use crate::failure::Failure;
use crate::report;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Backend to test, or all.
    #[arg(long, default_value = "all", value_parser = backend_or_all())]
    backend: OneOrAll<BackendKind>,
    /// Pool to test, or all.
    #[arg(long, default_value = "all", value_parser = pool_or_all())]
    pool: OneOrAll<PoolKind>,
    /// Number of threads, which all run at once.
    #[arg(long, value_name = "N", default_value_t = Options::default().threads,
          value_parser = RangedU64ValueParser::<usize>::new().range(1..=MAX_THREADS as u64))]
    threads: usize,
    /// Number of keys that each thread sets and gets.
    #[arg(long, value_name = "N", default_value_t = Options::default().keys_per_thread,
          value_parser = RangedU64ValueParser::<usize>::new().range(1..=MAX_KEYS_PER_THREAD as u64))]
    keys: usize,
    /// Size of each value in bytes.
    #[arg(long, value_name = "BYTES", default_value_t = Options::default().value_size,
          value_parser = RangedU64ValueParser::<usize>::new().range(0..=MAX_VALUE_SIZE as u64))]
    value_size: usize,
    /// Print one JSON object per line for each combination.
    #[arg(long)]
    json: bool,
    /// Print the full result of each combination. By default, only failed ones are printed in full.
    #[arg(long, conflicts_with = "json")]
    verbose: bool,
    #[command(flatten)]
    sizes: Sizes,
}

pub(crate) fn run(args: &Args) -> Result<ExitCode, Failure> {
    let options =
        Options { threads: args.threads, keys_per_thread: args.keys, value_size: args.value_size };
    if let Err(error) = options.validate() {
        return Err(crate::Command::command().error(ErrorKind::ValueValidation, error).into());
    }
    let chosen = |combination: &Combination| {
        args.backend.includes(&combination.backend) && args.pool.includes(&combination.pool)
    };
    let combinations: Vec<Combination> = Combination::all().into_iter().filter(chosen).collect();
    let mut outcomes = Vec::new();
    let done = stress_each(args, &options, &combinations, &mut outcomes);
    // The table is printed even if a combination could not run, because the others did.
    let passed = outcomes.iter().filter(|outcome| outcome.result == Verdict::Pass).count();
    if !args.json && combinations.len() > 1 {
        writeln!(Output, "\n{}", stress::table(&outcomes))?;
        writeln!(Output, "{passed} of {} combinations passed", combinations.len())?;
    }
    done?;
    Ok(if passed == combinations.len() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Tests one combination after another. Prints the full result of a combination if it fails, if it
/// is the only one, or with `--verbose`.
fn stress_each(
    args: &Args,
    options: &Options,
    combinations: &[Combination],
    outcomes: &mut Vec<Outcome>,
) -> Result<(), Failure> {
    let config = args.sizes.config();
    let mut out = Output;
    for &combination in combinations {
        let Combination { backend, pool } = combination;
        let is_detailed = args.verbose || combinations.len() == 1;
        if !args.json && is_detailed {
            writeln!(out, "Starting concurrency stress test: backend {backend}, pool {pool}")?;
        }
        let bar = bar(format!("{backend} on {pool}"));
        let outcome = stress::run(combination, &config, options, &|progress| show(&bar, progress));
        bar.finish_and_clear();
        let outcome = outcome?;
        if args.json {
            writeln!(out, "{}", serde_json::to_string(&outcome)?)?;
        } else {
            let is_failed = outcome.result == Verdict::Fail;
            if !is_detailed {
                writeln!(out, "{backend} on {pool}: {}", outcome.result)?;
            }
            if is_detailed || is_failed {
                report::stress(&mut out, &outcome)?;
                writeln!(out)?;
            }
        }
        outcomes.push(outcome);
    }
    Ok(())
}

/// Returns a progress bar on standard error. It is hidden if standard error is not a terminal.
fn bar(prefix: String) -> ProgressBar {
    let style =
        ProgressStyle::with_template("{prefix} {msg:11} [{wide_bar}] {percent:>3} % {elapsed}")
            .expect("the template is valid")
            .progress_chars("=> ");
    ProgressBar::new(0).with_style(style).with_prefix(prefix)
}

fn show(bar: &ProgressBar, progress: Progress) {
    match progress {
        Progress::Begin(step, pieces) => {
            bar.set_length(pieces);
            bar.set_position(0);
            bar.set_message(step.name());
        }
        Progress::Advance(pieces) => bar.inc(pieces),
    }
}
