//! Shows the progress of a comparison: the current run, the remaining time, and the current speed.

use std::fmt::Write;
use std::io::IsTerminal;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressState, ProgressStyle};
use keystore_bench::{Plan, Progress, Result, Results, RunControl};
use keystore_text::errln;

/// Interval between updates of the progress line.
const TICK: Duration = Duration::from_millis(200);

/// Runs the plan and shows its progress. On a terminal, this is one line that is updated; otherwise
/// it prints one line for each round.
pub(super) fn show(plan: &Plan, control: &Arc<RunControl>) -> Result<Results> {
    let bar = ProgressBar::new(plan.runs() as u64);
    let meter = Arc::new(Meter::new(Arc::clone(control)));
    let template = "{wide_bar} {pos}/{len} runs, {eta} left, {rate}\n{msg}";
    let style = ProgressStyle::with_template(template).expect("the template is valid");
    bar.set_style(style.with_key("rate", move |_: &ProgressState, line: &mut dyn Write| {
        let _ = write!(line, "{:.1} M/s", meter.rate() / 1e6);
    }));
    bar.enable_steady_tick(TICK);
    let is_terminal = std::io::stderr().is_terminal();
    let mut round = 0;
    let results = plan.run(control, &mut |progress: &Progress<'_>| {
        bar.set_position(progress.runs.0 as u64);
        bar.set_message(format!(
            "round {} of at most {}: {}, {}, threads {}",
            progress.round.0, progress.round.1, progress.store, progress.scenario, progress.threads
        ));
        if !is_terminal && round != progress.round.0 {
            round = progress.round.0;
            errln!("round {round} of at most {}", progress.round.1);
        }
    });
    bar.finish_and_clear();
    results
}

/// Measures the operations per second in the last interval.
struct Meter {
    control: Arc<RunControl>,
    last: Mutex<(Instant, u64, f64)>,
}

impl Meter {
    fn new(control: Arc<RunControl>) -> Self {
        Self { control, last: Mutex::new((Instant::now(), 0, 0.0)) }
    }

    fn rate(&self) -> f64 {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        let (now, operations) = (Instant::now(), self.control.operations());
        let elapsed = now - last.0;
        if elapsed >= TICK {
            let rate = (operations - last.1) as f64 / elapsed.as_secs_f64();
            *last = (now, operations, rate);
        }
        last.2
    }
}
