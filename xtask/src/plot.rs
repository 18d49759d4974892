//! `cargo xtask plot`: draw results that were measured before.

use std::path::PathBuf;
use std::process::ExitCode;

use keystore_bench::{Result, Results, report};
use keystore_text::outln;

/// Options.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The results, as `cargo xtask bench` wrote them
    #[arg(value_name = "FILE", default_value_os_t = crate::bench::default_folder().join("results.json"))]
    results: PathBuf,
    /// Where the plots and the report go [default: beside the results]
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
}

/// Runs it: 2 for results that cannot be read, 1 for what cannot be drawn or written.
pub(crate) fn run(args: &Args) -> ExitCode {
    match draw(args) {
        Ok(report) => {
            outln!("Report: {}", report.display());
            ExitCode::SUCCESS
        }
        Err(error) => crate::bench::failed(&error),
    }
}

fn draw(args: &Args) -> Result<PathBuf> {
    let results = Results::load(&args.results)?;
    let beside = || args.results.parent().map(PathBuf::from).unwrap_or_default();
    report::write(&results, &args.out.clone().unwrap_or_else(beside))
}
