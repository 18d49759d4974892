//! `cargo xtask test`: runs every check of CI, one after another, and stops at the first failure.
//!
//! A [`Step`] is a list of checks: commands that anyone can type, and a few built-in checks. Each
//! is printed before it runs, so that a reader of a failure can repeat it alone.

mod msrv;
mod outside;
mod package;
mod pages;
mod setup;
mod step;
mod width;
mod without;

use std::fmt;
use std::path::Path;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use clap::ValueEnum;
use keystore_text::{errln, outln};

use self::step::{Check, Step};

/// Options of `cargo xtask test`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Run only this step; may be given several times. The steps keep the order of the list.
    #[arg(long, value_name = "STEP")]
    only: Vec<Step>,
    /// Run all steps even if one fails, and list the failures at the end.
    #[arg(long)]
    keep_going: bool,
    /// Print the steps and their commands without running them.
    #[arg(long)]
    list: bool,
}

/// Runs the steps, or lists them.
pub(crate) fn run(args: &Args) -> ExitCode {
    let chosen = |step: &&Step| args.only.is_empty() || args.only.contains(step);
    let steps: Vec<Step> = Step::value_variants().iter().filter(chosen).copied().collect();
    if args.list {
        list(&steps);
        return ExitCode::SUCCESS;
    }
    let failures = run_all(&steps, args.keep_going);
    for failure in &failures {
        errln!("error: {failure}");
    }
    if failures.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn list(steps: &[Step]) {
    for step in steps {
        outln!("{step}: {}", step.purpose());
        for check in step.checks() {
            outln!("    {check}");
        }
    }
}

/// A step that failed, and the reason.
struct Failure {
    step: Step,
    reason: String,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { step, reason } = self;
        write!(
            f,
            "step {step} failed: {reason}\nto repeat this step: cargo xtask test --only {step}"
        )
    }
}

/// Runs the steps in order, until one fails or, with `keep_going`, to the end. Returns the
/// failures.
fn run_all(steps: &[Step], keep_going: bool) -> Vec<Failure> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("xtask lies in the workspace");
    let started = Instant::now();
    let mut times = Vec::with_capacity(steps.len());
    let mut failures = Vec::new();
    for &step in steps {
        let step_started = Instant::now();
        let result = step.run(root);
        times.push((step, step_started.elapsed()));
        if let Err(reason) = result {
            failures.push(Failure { step, reason });
            if !keep_going {
                break;
            }
        }
    }
    outln!("");
    for (step, time) in &times {
        let failed = failures.iter().any(|failure| failure.step == *step);
        outln!(
            "{step:<10} {:>12}{}",
            Seconds(*time).to_string(),
            if failed { "  failed" } else { "" }
        );
    }
    let verdict = if failures.is_empty() { "all steps passed" } else { "failed" };
    outln!("{verdict} in {}", Seconds(started.elapsed()));
    failures
}

impl Step {
    /// Runs the checks of the step until one fails.
    fn run(self, root: &Path) -> Result<(), String> {
        for check in self.checks() {
            outln!("\n== {self}: {check}");
            let started = Instant::now();
            check.run(root)?;
            outln!("== {self}: passed in {}", Seconds(started.elapsed()));
        }
        Ok(())
    }
}

impl Check {
    /// Runs the check in `root`, the folder of the workspace.
    fn run(&self, root: &Path) -> Result<(), String> {
        match self {
            Self::Command(command) => command.run(root),
            Self::BuiltIn { run, .. } => run(root).map(|found| outln!("{found}")),
        }
    }
}

/// A duration, displayed as `12.3 s`, `4 min 05 s` or `3 h 12 min`.
pub(crate) struct Seconds(pub(crate) Duration);

impl fmt::Display for Seconds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0 < Duration::from_secs(60) {
            write!(f, "{:.1} s", self.0.as_secs_f64())
        } else {
            let seconds = self.0.as_secs_f64().round() as u64;
            match seconds / 3600 {
                0 => write!(f, "{} min {:02} s", seconds / 60, seconds % 60),
                hours => write!(f, "{hours} h {:02} min", seconds / 60 % 60),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_written_as_people_read_them() {
        assert_eq!(Seconds(Duration::from_millis(1_240)).to_string(), "1.2 s");
        assert_eq!(Seconds(Duration::from_millis(245_400)).to_string(), "4 min 05 s");
        assert_eq!(Seconds(Duration::from_secs(11_520)).to_string(), "3 h 12 min");
    }

    #[test]
    fn a_failure_says_how_to_repeat_the_step() {
        let failure =
            Failure { step: Step::Lint, reason: "`cargo clippy` failed with exit code 101".into() };
        assert_eq!(
            failure.to_string(),
            "step lint failed: `cargo clippy` failed with exit code 101\nto repeat this step: cargo xtask test --only lint"
        );
    }
}
