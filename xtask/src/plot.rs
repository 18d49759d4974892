//! `cargo xtask plot`: draws plots of saved results.

use std::path::PathBuf;
use std::process::ExitCode;

use keystore_bench::{Result, Results, report};
use keystore_text::outln;

/// Options of `cargo xtask plot`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Results, as `cargo xtask bench` wrote them
    #[arg(value_name = "FILE", default_value_os_t = crate::bench::default_folder().join("results.json"))]
    results: PathBuf,
    /// Folder for the plots and the report [default: the folder of the results]
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
}

/// Draws the plots. Returns 2 if the results cannot be read, and 1 if the plots cannot be drawn or
/// written.
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
