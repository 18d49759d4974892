//! `cargo xtask bench`: compare every backend on every pool, and plot the result.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};
use keystore_bench::{
    Error, Keys, Plan, Progress, Result, Results, Rounds, Selection, Sizes, Workload, report, standard,
};

/// Options.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Smaller and shorter, for a first look: done within 30 seconds
    #[arg(long)]
    quick: bool,
    /// Take the keys from this file, one a line, instead of making them
    #[arg(long, value_name = "FILE")]
    keys_from: Option<PathBuf>,
    /// Where the results, the plots and the report go [default: target/bench of the repository]
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Numbers of threads, as 1,2,8 [default: 1,2,4, or 1,2 with --quick]
    #[arg(long, value_name = "N,…", value_delimiter = ',')]
    threads: Vec<usize>,
    /// Only these combinations, as epoch+slab,rwlock+* [default: all]
    #[arg(long, value_name = "BACKEND+POOL,…", value_delimiter = ',')]
    only: Vec<Selection>,
    /// Only these workloads, by name, as "get Zipf,95/5 Zipf" [default: all]
    #[arg(long, value_name = "NAME,…", value_delimiter = ',')]
    workloads: Vec<String>,
    /// Keys of a loaded store; an empty one grows to as many, and to ten times that
    #[arg(long, value_name = "N", conflicts_with = "keys_from")]
    keys: Option<usize>,
    /// Bytes of a value
    #[arg(long, value_name = "BYTES", default_value_t = 64)]
    value_size: usize,
    /// Measure exactly so many rounds, however long they take
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    rounds: Option<u16>,
    /// List the workloads and stop
    #[arg(long)]
    list: bool,
}

/// Runs it: 2 for arguments that cannot be, 1 for a failure, a failed verification included.
pub(crate) fn run(args: &Args) -> ExitCode {
    match compare(args) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::from(if error.is_usage() { 2 } else { 1 })
        }
    }
}

fn compare(args: &Args) -> Result<()> {
    let begun = Instant::now();
    let (sizes, keys) = sizes_and_keys(args)?;
    let workloads = selected(standard(&sizes), &args.workloads)?;
    if args.list {
        for workload in &workloads {
            println!("{:14} {}", workload.name, workload.about);
        }
        return Ok(());
    }
    let budget = Duration::from_secs(if args.quick { 26 } else { 165 }).saturating_sub(begun.elapsed());
    let plan = Plan {
        workloads,
        combinations: Selection::select(&args.only),
        keys: &keys,
        rounds: match args.rounds {
            Some(rounds) => Rounds { at_most: rounds.into(), budget: None },
            None => Rounds { at_most: 5, budget: Some(budget) },
        },
    };
    plan.validate()?;
    let out = args.out.clone().unwrap_or_else(default_folder);
    report::make_folder(&out)?;
    let results = with_progress(&plan)?;
    let report = report::write(&results, &out)?;
    println!("{}", report::text(&results));
    println!("{}\nReport: {}", verified_text(&results), report.display());
    results.verify()
}

/// `target/bench` of this repository, wherever the command is given.
fn default_folder() -> PathBuf {
    let repository = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap_or(Path::new("."));
    repository.join("target").join("bench")
}

/// How large everything is, and the keys. All keys of a file take part, or, where it has to be quick, the first of them.
fn sizes_and_keys(args: &Args) -> Result<(Sizes, Keys)> {
    let (keys, grow_keys, seconds) =
        if args.quick { (50_000, 20_000, 0.03) } else { (200_000, 100_000, 0.1) };
    let grow_keys = args.keys.unwrap_or(grow_keys);
    let mut threads = match (args.threads.as_slice(), args.quick) {
        ([], true) => vec![1, 2],
        ([], false) => vec![1, 2, 4],
        (threads, _) => threads.to_vec(),
    };
    threads.sort_unstable();
    threads.dedup();
    let sizes = Sizes {
        keys: args.keys.unwrap_or(keys),
        grow_keys,
        grow_far_keys: grow_keys.saturating_mul(10),
        key_size: 16,
        value_size: args.value_size,
        seconds,
        threads,
    };
    let Some(path) = &args.keys_from else {
        let keys = sizes.make_keys()?;
        return Ok((sizes, keys));
    };
    let keys = Keys::from_file(path)?;
    let count = keys.len();
    let sizes = if args.quick {
        let first = |sized: usize| sized.min(count);
        let (grow_keys, grow_far_keys) = (first(sizes.grow_keys), first(sizes.grow_far_keys));
        Sizes { keys: first(sizes.keys), grow_keys, grow_far_keys, ..sizes }
    } else {
        Sizes { keys: count, grow_keys: count.div_ceil(10), grow_far_keys: count, ..sizes }
    };
    Ok((sizes, keys))
}

/// The workloads of these names, in the order of the standard ones; all of them where no name is given.
fn selected(workloads: Vec<Workload>, names: &[String]) -> Result<Vec<Workload>> {
    if let Some(name) = names.iter().find(|name| workloads.iter().all(|workload| workload.name != **name)) {
        let known: Vec<&str> = workloads.iter().map(|workload| workload.name.as_str()).collect();
        return Err(Error::Unknown {
            what: "workload",
            name: name.clone(),
            expected: format!("one of {}", known.join(", ")),
        });
    }
    Ok(workloads.into_iter().filter(|workload| names.is_empty() || names.contains(&workload.name)).collect())
}

/// Runs the plan under a line that says what runs and how much is left, where a person watches.
fn with_progress(plan: &Plan<'_>) -> Result<Results> {
    let bar = ProgressBar::new(0);
    let style = ProgressStyle::with_template("{wide_bar} {pos}/{len} runs, {eta} left\n{msg}");
    bar.set_style(style.expect("the template is valid"));
    let results = plan.run(&mut |progress: &Progress<'_>| {
        bar.set_length(progress.runs.1 as u64);
        bar.set_position(progress.runs.0 as u64);
        let rate =
            progress.last_rate.map_or(String::new(), |rate| format!(" (last run: {:.1} M/s)", rate / 1e6));
        bar.set_message(format!(
            "round {} of at most {}: {}, {}, threads {}{rate}",
            progress.round.0, progress.round.1, progress.combination, progress.workload, progress.threads
        ));
    });
    bar.finish_and_clear();
    results
}

fn verified_text(results: &Results) -> String {
    let passed = results.rows.iter().filter(|row| row.verification.passed()).count();
    format!(
        "{passed} of {} rows verified (nothing missing, wrong or twice), {} rounds in {:.0} s.",
        results.rows.len(),
        results.rounds,
        results.seconds
    )
}
