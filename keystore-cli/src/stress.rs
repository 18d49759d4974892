//! `keystore stress`: the stress test of keystore-verify, for one combination of backend and pool or for all.

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

use crate::choice::{OneOrAll, Sizes, backend_or_all, pool_or_all};
use crate::failure::Failure;
use crate::report;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The backend to stress, or all of them.
    #[arg(long, default_value = "all", value_parser = backend_or_all())]
    backend: OneOrAll<BackendKind>,
    /// The pool to stress it on, or all of them.
    #[arg(long, default_value = "all", value_parser = pool_or_all())]
    pool: OneOrAll<PoolKind>,
    /// Threads, all at work at once.
    #[arg(long, value_name = "N", default_value_t = Options::default().threads,
          value_parser = RangedU64ValueParser::<usize>::new().range(1..=MAX_THREADS as u64))]
    threads: usize,
    /// Keys that each thread sets and gets.
    #[arg(long, value_name = "N", default_value_t = Options::default().keys_per_thread,
          value_parser = RangedU64ValueParser::<usize>::new().range(1..=MAX_KEYS_PER_THREAD as u64))]
    keys: usize,
    /// Bytes of each value.
    #[arg(long, value_name = "BYTES", default_value_t = Options::default().value_size,
          value_parser = RangedU64ValueParser::<usize>::new().range(0..=MAX_VALUE_SIZE as u64))]
    value_size: usize,
    /// Print one JSON object for each combination, on its own line.
    #[arg(long)]
    json: bool,
    /// Print all that was measured of each combination; otherwise only of one that failed, and a
    /// table.
    #[arg(long, conflicts_with = "json")]
    verbose: bool,
    #[command(flatten)]
    sizes: Sizes,
}

pub(crate) fn run(args: &Args) -> Result<ExitCode, Failure> {
    let options = Options { threads: args.threads, keys_per_thread: args.keys, value_size: args.value_size };
    if let Err(error) = options.validate() {
        return Err(crate::Command::command().error(ErrorKind::ValueValidation, error).into());
    }
    let chosen = |combination: &Combination| {
        args.backend.includes(&combination.backend) && args.pool.includes(&combination.pool)
    };
    let combinations: Vec<Combination> = Combination::all().into_iter().filter(chosen).collect();
    let mut outcomes = Vec::new();
    let done = stress_each(args, &options, &combinations, &mut outcomes);
    // Also if one of them could not be carried out: the others were.
    let passed = outcomes.iter().filter(|outcome| outcome.result == Verdict::Pass).count();
    if !args.json && combinations.len() > 1 {
        writeln!(Output, "\n{}", stress::table(&outcomes))?;
        writeln!(Output, "{passed} of {} combinations passed", combinations.len())?;
    }
    done?;
    Ok(if passed == combinations.len() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Stresses one combination after another. All is told of one that fails, or if there is only one,
/// or if that is asked for.
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

/// A bar on standard error; hidden where that is no terminal.
fn bar(prefix: String) -> ProgressBar {
    let style = ProgressStyle::with_template("{prefix} {msg:11} [{wide_bar}] {percent:>3} % {elapsed}")
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
