//! `cargo xtask soak`: checks every combination of backend and pool for a given time.

use std::io::IsTerminal;
use std::process::ExitCode;
use std::time::Duration;

use comfy_table::presets::UTF8_HORIZONTAL_ONLY;
use comfy_table::{CellAlignment, Table};
use indicatif::{HumanCount, ProgressBar, ProgressStyle};
use keystore::Combination;
use keystore_core::BackendKind;
use keystore_pool::PoolKind;
use keystore_text::{errln, outln};
use keystore_verify::soak::{self, Options, Outcome, Progress};
use keystore_verify::stress::Verdict;

use crate::test::Seconds;

/// Options of `cargo xtask soak`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Run for N minutes, shared by all combinations; 0.5 is half a minute
    #[arg(long, value_name = "N", value_parser = minutes)]
    minutes: Duration,
    /// Number of threads that make calls at once
    #[arg(long, value_name = "N", default_value_t = 4)]
    threads: usize,
    /// Check only this backend: rwlock, epoch or dashmap
    #[arg(long, value_name = "NAME")]
    backend: Option<BackendKind>,
    /// Check only this pool: slab, arena or system
    #[arg(long, value_name = "NAME")]
    pool: Option<PoolKind>,
    /// Seed of the random calls
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
    /// Maximum number of entries in the memory test; an entry has 25 KiB on average
    #[arg(long, value_name = "N", default_value_t = 40_000)]
    entries: usize,
    /// Print one JSON object per line for each combination, instead of the table
    #[arg(long)]
    json: bool,
}

/// Parses a number of minutes, above 0 and up to a week.
pub(crate) fn minutes(text: &str) -> Result<Duration, String> {
    const WEEK: f64 = 7.0 * 24.0 * 60.0;
    match text.parse::<f64>() {
        Ok(minutes) if minutes > 0.0 && minutes <= WEEK => {
            Ok(Duration::from_secs_f64(60.0 * minutes))
        }
        _ => Err("it must be a number above 0 and up to 10080 (a week)".to_owned()),
    }
}

/// Runs the checks. Returns 2 for invalid arguments, and 1 if a combination fails.
pub(crate) fn run(args: &Args) -> ExitCode {
    let chosen = |combination: &Combination| {
        args.backend.is_none_or(|backend| backend == combination.backend)
            && args.pool.is_none_or(|pool| pool == combination.pool)
    };
    let options = Options {
        combinations: Combination::all().into_iter().filter(chosen).collect(),
        threads: args.threads,
        seed: args.seed,
        time: args.minutes,
        entries: args.entries,
    };
    if let Err(error) = options.validate() {
        errln!("error: {error}");
        return ExitCode::from(2);
    }
    let line = live_line();
    let result = soak::run(&options, &mut |progress| show(&line, &options, progress));
    line.finish_and_clear();
    let outcomes = match result {
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
        outln!("{}", table(&outcomes));
        let operations: u64 = outcomes.iter().map(|outcome| outcome.operations).sum();
        let total: f64 = outcomes.iter().map(|outcome| outcome.seconds).sum();
        outln!(
            "{} calls on hot keys checked in {}, by {} threads and one that resizes the table, seed {}",
            HumanCount(operations),
            Seconds(Duration::from_secs_f64(total)),
            args.threads,
            args.seed
        );
    }
    let failed: Vec<&Outcome> =
        outcomes.iter().filter(|outcome| outcome.result == Verdict::Fail).collect();
    for outcome in &failed {
        errln!("{}", failure(outcome));
    }
    if failed.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn live_line() -> ProgressBar {
    let style = ProgressStyle::with_template("{elapsed} {msg}").expect("the template is valid");
    let line = ProgressBar::new_spinner().with_style(style);
    if std::io::stderr().is_terminal() {
        line.enable_steady_tick(Duration::from_secs(1));
    }
    line
}

fn show(line: &ProgressBar, options: &Options, progress: &Progress) {
    let (number, combination) = progress.combination;
    line.set_message(format!(
        "{number}/{} {combination}, {}: {} calls and {} histories checked, {} faults",
        options.combinations.len(),
        progress.step,
        HumanCount(progress.operations),
        HumanCount(progress.histories),
        progress.faults
    ));
}

/// Describes the faults of a combination.
fn failure(outcome: &Outcome) -> String {
    let Outcome { backend, pool, memory, .. } = outcome;
    let mut text = format!("error: {backend}+{pool} failed, seed {}", outcome.seed);
    if outcome.keys_lost > 0 {
        text += &format!("\n{} entries were missing or wrong", outcome.keys_lost);
    }
    if outcome.leaked_nodes > 0 {
        text += &format!("\ndropped stores leaked {} nodes in their pools", outcome.leaked_nodes);
    }
    if !memory.is_bounded() {
        text += &format!(
            "\nthe store ended with {} of resident memory (the limit is {}), and counted {} (the limit is {})",
            mebibytes(memory.end_bytes),
            mebibytes(memory.most_resident()),
            mebibytes(memory.end_counted),
            mebibytes(memory.most_counted())
        );
    }
    for violation in &outcome.violations {
        text += "\n";
        text += violation;
    }
    text
}

fn mebibytes(bytes: u64) -> String {
    format!("{:.1} MiB", bytes as f64 / f64::from(1 << 20))
}

fn table(outcomes: &[Outcome]) -> Table {
    let mut table = Table::new();
    table.load_style(UTF8_HORIZONTAL_ONLY).set_header([
        "backend",
        "pool",
        "calls",
        "histories",
        "longest",
        "resizes",
        "transient entries",
        "cycles",
        "start",
        "end",
        "fresh",
        "end/fresh",
        "left",
        "keys lost",
        "result",
    ]);
    for outcome in outcomes {
        let memory = &outcome.memory;
        table.add_row([
            outcome.backend.to_string(),
            outcome.pool.to_string(),
            outcome.operations.to_string(),
            outcome.histories.to_string(),
            outcome.longest.to_string(),
            outcome.resizes.to_string(),
            outcome.passers_by.to_string(),
            memory.cycles.to_string(),
            mebibytes(memory.start_bytes),
            mebibytes(memory.end_bytes),
            mebibytes(memory.fresh_bytes),
            format!("{:.1} %", memory.percent()),
            mebibytes(memory.left_bytes),
            outcome.keys_lost.to_string(),
            outcome.result.to_string(),
        ]);
    }
    for column in table.column_iter_mut().skip(2).take(12) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn minutes_may_be_broken_and_must_be_sensible() {
        assert_eq!(minutes("0.5"), Ok(Duration::from_secs(30)));
        assert_eq!(minutes("60"), Ok(Duration::from_secs(3600)));
        for wrong in ["0", "-1", "NaN", "inf", "20000", "an hour", ""] {
            assert!(minutes(wrong).is_err(), "{wrong}");
        }
    }
}
