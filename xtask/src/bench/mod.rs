//! Implements `cargo xtask bench`, which compares backends on pools, and maps of other projects,
//! and plots the results.

mod destination;
mod overrides;
mod peers;
mod progress;
mod publish;
mod saved;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use keystore_bench::{
    Candidate, Comparison, Error, Plan, Result, Results, RunControl, Selection, Suite, report,
};
use keystore_text::{errln, outln};

use self::destination::Destination;
use self::overrides::Overrides;
use crate::test::Seconds;

/// Exit code of an interrupted program in a shell: 128 plus the number of SIGINT.
const INTERRUPTED: u8 = 130;

/// Options of `cargo xtask bench`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Run this suite of scenarios; --list shows all suites
    #[arg(long, value_name = "NAME", default_value = "quick")]
    suite: String,
    /// Run the scenarios of this TOML file instead of a suite; may be given several times
    #[arg(long, value_name = "FILE", conflicts_with = "suite")]
    scenario: Vec<PathBuf>,
    /// Replay this trace instead: a CSV file (timestamp, operation, key, value size) or a Twitter
    /// cache trace
    #[arg(long, value_name = "FILE", conflicts_with_all = ["suite", "scenario", "keys_from"])]
    trace: Option<PathBuf>,
    /// Run only these scenarios, as "get Zipf,95/5 Zipf" [default: all of the suite]
    #[arg(long, value_name = "NAME,…", value_delimiter = ',')]
    scenarios: Vec<String>,
    /// Measure only these stores, as epoch+slab,rwlock+*,papaya [default: all]
    #[arg(long, value_name = "STORE,…", value_delimiter = ',')]
    only: Vec<Selection>,
    /// Also measure other maps: papaya, scc, dashmap, flurry, a HashMap in locked shards
    #[arg(long)]
    peers: bool,
    #[command(flatten)]
    overrides: Overrides,
    /// Folder for the results, the plots and the report [default: target/bench of the repository]
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Save the results under this name, for --baseline
    #[arg(long, value_name = "NAME")]
    save: Option<String>,
    /// Compare with the results of this name or file
    #[arg(long, value_name = "NAME")]
    baseline: Option<String>,
    /// Exit with 1 if a row is slower than its baseline by more than PERCENT, and by more than
    /// chance explains; exit with 2 if no row is precise enough to tell
    #[arg(long, value_name = "PERCENT", requires = "baseline", value_parser = percent)]
    #[arg(allow_hyphen_values = true)]
    fail_above: Option<f64>,
    /// Update the tables, the plots and the advice in docs/ from this run
    #[arg(long)]
    publish: bool,
    /// List the suites, the scenarios of the chosen suite and the stores, and run nothing
    #[arg(long)]
    list: bool,
}

/// Parses a loss in percent, above 0 and below 100. No row can lose 100 % or more, so a check with
/// a greater limit would never fail. A check with NaN would never fail either.
fn percent(text: &str) -> std::result::Result<f64, String> {
    let value: f64 =
        text.parse().map_err(|error| format!("{error}: a number above 0 and below 100"))?;
    if value > 0.0 && value < 100.0 {
        Ok(value)
    } else {
        Err("it must be above 0 and below 100".to_owned())
    }
}

/// Runs the benchmark. Returns 2 for invalid arguments or input, 1 for a failure, which includes a
/// failed verification, and 130 if it was interrupted.
pub(crate) fn run(args: &Args) -> ExitCode {
    if (args.peers || args.only.iter().any(|only| matches!(only, Selection::Peer(_))))
        && !peers::are_compiled()
    {
        return peers::run_with_peers();
    }
    compare(args).unwrap_or_else(|error| failed(&error))
}

/// Prints an error. Returns 2 for invalid arguments or input, and 1 for any other failure.
pub(crate) fn failed(error: &Error) -> ExitCode {
    errln!("error: {error}");
    ExitCode::from(if error.is_usage() { 2 } else { 1 })
}

fn compare(args: &Args) -> Result<ExitCode> {
    let suite = suite(args)?;
    let candidates = candidates(args);
    if args.list {
        list(&suite, &candidates);
        return Ok(ExitCode::SUCCESS);
    }
    // Check as much as possible now, so that an error does not come after minutes of measuring.
    let saved = saved::Folder::new(&default_folder());
    let baseline = args.baseline.as_deref().map(|name| saved.load(name)).transpose()?;
    let save = args.save.as_deref().map(|name| saved.path(name)).transpose()?;
    let out = args.out.clone().unwrap_or_else(default_folder);
    report::make_folder(&out)?;
    let plan = Plan::new(suite, candidates)?;
    if let Some(baseline) = &baseline {
        Comparison::of(&plan.outline(), baseline)?;
    }
    let pages = args.publish.then(|| publish::Pages::find(&plan.outline())).transpose()?;
    announce(&plan);

    let (mut results, failure) = match measure(&plan) {
        Ok(results) => (results, None),
        Err(Error::Unfinished { results, source }) => (*results, Some(*source)),
        Err(error) => return Err(error),
    };
    results.command = command_line();
    let destination = Destination::of(&results, &out);
    outln!("{}", report::text(&results));
    outln!("{}", summary(&results, &plan));
    for fault in results.peers_faults() {
        outln!(
            "A map of another project failed verification, which does not fail this run: {fault}"
        );
    }
    match destination.write(&results) {
        Ok(message) => outln!("{message}"),
        Err(error) => {
            outln!("{}", rescue(&results));
            return Err(error);
        }
    }
    if let Some(error) = failure {
        return Err(error);
    }
    if results.interrupted {
        return Ok(ExitCode::from(INTERRUPTED));
    }
    if let Some(path) = save {
        results.save(&path)?;
    }
    results.verify()?;
    if let Some(pages) = pages {
        outln!("{}", pages.write(&results)?);
    }
    if let Some(baseline) = baseline {
        let comparison = Comparison::of(&results, &baseline)?;
        outln!("\n{}", report::comparison_text(&comparison));
        if let Some(difference) = results.machine.difference_to(&baseline.machine) {
            outln!(
                "The baseline was measured under other conditions, so differences may come from them: {difference}"
            );
        }
        if let Some(percent) = args.fail_above {
            comparison.check(percent)?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Saves the results to the folder for temporary files if the report could not be written, so that
/// a full disk does not lose minutes of measuring. Returns a message with the path.
fn rescue(results: &Results) -> String {
    let path = std::env::temp_dir().join(format!("keystore-results-{}.json", std::process::id()));
    match results.save(&path) {
        Ok(()) => format!(
            "The report could not be written. The results are in {path}; draw them by: cargo xtask plot {path} --out DIR",
            path = path.display()
        ),
        Err(error) => format!("The results are lost: {error}"),
    }
}

/// Returns the command line of this run.
fn command_line() -> String {
    let quoted = |argument: String| {
        let plain = |c: char| c.is_alphanumeric() || "-_+,./=*:".contains(c);
        if !argument.is_empty() && argument.chars().all(plain) {
            return argument;
        }
        let safe: String = argument.chars().map(|c| if c.is_control() { '?' } else { c }).collect();
        format!("\"{safe}\"")
    };
    let arguments =
        std::env::args_os().skip(1).map(|argument| quoted(argument.to_string_lossy().into_owned()));
    let command: Vec<String> =
        ["cargo", "xtask"].map(str::to_owned).into_iter().chain(arguments).collect();
    command.join(" ")
}

/// Returns `target/bench` of this repository, for any current directory.
pub(crate) fn default_folder() -> PathBuf {
    let repository = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap_or(Path::new("."));
    repository.join("target").join("bench")
}

/// Returns the suite with the chosen scenarios.
fn suite(args: &Args) -> Result<Suite> {
    let mut suite = if let Some(trace) = &args.trace {
        overrides::replay(trace)
    } else if let Some((first, rest)) = args.scenario.split_first() {
        let mut suite = Suite::read(first)?;
        for file in rest {
            suite.append(Suite::read(file)?, file)?;
        }
        suite
    } else {
        Suite::named(&args.suite)?
    };
    suite.keep(&args.scenarios)?;
    args.overrides.apply(&mut suite)?;
    Ok(suite)
}

/// Returns the chosen stores.
fn candidates(args: &Args) -> Vec<Candidate> {
    let named = |candidate: &Candidate| args.only.iter().any(|only| only.matches(*candidate));
    let available: Vec<Candidate> = Candidate::all()
        .into_iter()
        .filter(|candidate| args.peers || !candidate.is_peer() || named(candidate))
        .collect();
    Selection::select(&args.only, &available)
}

fn list(suite: &Suite, candidates: &[Candidate]) {
    outln!("suites (--suite):");
    for name in Suite::names() {
        let about = Suite::named(name).map_or(String::new(), |suite| suite.about);
        outln!("  {name:12} {about}");
    }
    outln!("\nscenarios of {} (--scenarios):", suite.name);
    let width = suite.scenarios.iter().map(|scenario| scenario.name.len()).max().unwrap_or(0);
    for scenario in &suite.scenarios {
        outln!("  {:width$}  {}", scenario.name, scenario.about);
    }
    let names: Vec<String> = candidates.iter().map(Candidate::to_string).collect();
    outln!("\nstores (--only): {}", names.join(", "));
}

/// Prints the number of runs, and the least time that they take if it is long.
fn announce(plan: &Plan) {
    let least = plan.least_time();
    if least > Duration::from_secs(300) {
        errln!(
            "{} runs, at least {}. --only, --scenarios, --seconds and --rounds shorten this. Ctrl-C stops the \
             benchmark and keeps the results so far.",
            plan.runs(),
            Seconds(least)
        );
    }
}

/// Runs the plan. Ctrl-C stops it and keeps the results so far; a second Ctrl-C exits at once.
fn measure(plan: &Plan) -> Result<Results> {
    let control = Arc::new(RunControl::default());
    let stopped = Arc::clone(&control);
    let handled = ctrlc::set_handler(move || {
        if stopped.is_stopped() {
            std::process::exit(INTERRUPTED.into());
        }
        stopped.stop();
        errln!("\ninterrupted: writing the results so far");
    });
    if let Err(error) = handled {
        errln!("Ctrl-C would lose the results: {error}");
    }
    progress::show(plan, &control)
}

fn summary(results: &Results, plan: &Plan) -> String {
    let passed = results.rows.iter().filter(|row| row.verification.passed()).count();
    let interrupted = if results.interrupted {
        format!("\nInterrupted after {} of {} runs.", results.runs_done(), plan.runs())
    } else {
        String::new()
    };
    format!(
        "{passed} of {} rows verified (no entry missing, wrong or duplicated), {} in {}.{interrupted}",
        results.rows.len(),
        report::rounds_text(results),
        Seconds(Duration::from_secs_f64(results.seconds))
    )
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::fs;

    use clap::{Args as _, Command};

    use super::*;

    fn page() -> String {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/benchmarks.md");
        fs::read_to_string(path).unwrap()
    }

    #[test]
    fn the_options_of_the_page_are_those_of_the_command_and_so_are_their_defaults() {
        let page = page();
        let (_, table) = page.split_once("| option | what it does |").unwrap();
        let table = table.split("\n\n").next().unwrap();
        let named = table.split('`').skip(1).step_by(2).filter_map(|code| code.strip_prefix("--"));
        let named: BTreeSet<String> =
            named.map(|option| option.split(' ').next().unwrap_or_default().to_owned()).collect();
        let command = Args::augment_args(Command::new("bench"));
        let there: BTreeSet<String> = command
            .get_arguments()
            .filter_map(|option| option.get_long().map(str::to_owned))
            .collect();
        assert_eq!(named, there);
        let suite =
            command.get_arguments().find(|option| option.get_long() == Some("suite")).unwrap();
        assert_eq!(suite.get_default_values(), ["quick"]);
        assert!(table.contains("`quick` (the default)"));
        let out = command.get_arguments().find(|option| option.get_long() == Some("out")).unwrap();
        let help = out.get_help().unwrap().to_string();
        assert!(help.ends_with("[default: target/bench of the repository]"), "{help}");
        assert!(default_folder().ends_with("target/bench"));
    }

    #[test]
    fn a_limit_that_no_row_can_break_is_refused() {
        let parse = |value: &str| {
            let arguments = ["bench", "--baseline", "main", "--fail-above", value];
            Args::augment_args(Command::new("bench")).try_get_matches_from(arguments)
        };
        for value in ["nan", "inf", "-inf", "100", "1e9", "0", "-5", "ten"] {
            let error = parse(value).unwrap_err();
            assert_eq!(error.exit_code(), 2);
            let said = error.to_string();
            assert!(said.contains(value) && said.contains("above 0 and below 100"), "{said}");
        }
        assert!(parse("0.5").is_ok() && parse("99.9").is_ok());
    }

    #[test]
    fn the_commands_of_the_page_are_understood() {
        let mut given = 0;
        let page = page().replace("\\\n", " ");
        let lines = page.lines().map(|line| line.trim().trim_matches(['`', '|']));
        let commands = lines.flat_map(|line| {
            line.match_indices("cargo xtask bench").map(move |(at, _)| &line[at..])
        });
        for command in commands {
            let command = command.split(['`', '#']).next().unwrap();
            // Arguments with spaces are quoted, so every second part is one whole argument.
            let parts = command.split('"').enumerate().flat_map(|(number, part)| {
                let whole = number % 2 == 1;
                let arguments: Vec<&str> =
                    if whole { vec![part] } else { part.split_whitespace().collect() };
                arguments
            });
            let arguments: Vec<&str> = parts.skip(2).collect();
            let parsed = Args::augment_args(Command::new("bench")).try_get_matches_from(arguments);
            parsed.unwrap_or_else(|error| panic!("{command}: {error}"));
            given += 1;
        }
        assert!(given > 6, "{given} commands");
    }
}
