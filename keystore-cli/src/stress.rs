//! `keystore stress`: the stress test of keystore-bench, for one combination of backend and pool or for all.

use std::io::Write;
use std::process::ExitCode;

use clap::CommandFactory;
use clap::builder::RangedU64ValueParser;
use clap::error::ErrorKind;
use indicatif::{ProgressBar, ProgressStyle};
use keystore_bench::Combination;
use keystore_bench::stress::{
    self, MAX_KEYS_PER_THREAD, MAX_THREADS, MAX_VALUE_SIZE, Options, Progress, Verdict,
};
use keystore_core::BackendKind;
use keystore_pool::PoolKind;

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
    #[command(flatten)]
    sizes: Sizes,
}

pub(crate) fn run(args: &Args) -> Result<ExitCode, Failure> {
    let options = Options { threads: args.threads, keys_per_thread: args.keys, value_size: args.value_size };
    if let Err(error) = options.validate() {
        crate::Command::command().error(ErrorKind::ValueValidation, error).exit();
    }
    let config = args.sizes.config();
    let mut out = std::io::stdout().lock();
    let (mut run, mut passed) = (0, 0);
    for combination in Combination::all() {
        let Combination { backend, pool } = combination;
        if !args.backend.includes(&backend) || !args.pool.includes(&pool) {
            continue;
        }
        if !args.json {
            writeln!(out, "Starting concurrency stress test: backend {backend}, pool {pool}")?;
        }
        let bar = bar(format!("{backend} on {pool}"));
        let outcome = stress::run(combination, &config, &options, &|progress| show(&bar, progress));
        bar.finish_and_clear();
        let outcome = outcome?;
        if args.json {
            writeln!(out, "{}", serde_json::to_string(&outcome)?)?;
        } else {
            report::stress(&mut out, &outcome)?;
            writeln!(out)?;
        }
        run += 1;
        passed += usize::from(outcome.result == Verdict::Pass);
    }
    if !args.json && run > 1 {
        writeln!(out, "{passed} of {run} combinations passed")?;
    }
    Ok(if passed == run { ExitCode::SUCCESS } else { ExitCode::FAILURE })
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
