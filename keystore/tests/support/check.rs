//! Runs each check on each combination as a separate test, under a watchdog.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use libtest_mimic::{Arguments, Failed, Trial};
use parking_lot::RwLock;

use crate::combination::{Combination, Sharing};

/// Time after which a check counts as stuck. No check takes nearly as long, even on a busy machine.
const WATCHDOG: Duration = Duration::from_secs(180);

/// Lock that every running check holds. A check that must run alone holds it exclusively.
static RUNNING: RwLock<()> = RwLock::new(());

/// The stores that a check is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stores {
    /// All stores. The check uses its store on one thread.
    All,
    /// Stores that threads can share.
    Shared,
}

/// A check of something that must hold for a store.
pub(crate) struct Check {
    pub(crate) name: &'static str,
    pub(crate) stores: Stores,
    /// True if no other check may run at the same time.
    pub(crate) alone: bool,
    pub(crate) run: fn(&Combination),
}

/// Makes the list of a module's checks: `all` for all stores, `shared` for stores that threads
/// share, and `alone` for checks on shared stores that must run alone. The latter measure garbage
/// or time. Garbage of a lock-free store waits for every thread of the process that is inside such
/// a store.
macro_rules! checks {
    (all: $($all:ident),* $(; shared: $($shared:ident),*)? $(; alone: $($alone:ident),*)? $(,)?) => {
        &[
            $($crate::check::Check {
                name: stringify!($all), stores: $crate::check::Stores::All, alone: false, run: $all
            },)*
            $($($crate::check::Check {
                name: stringify!($shared), stores: $crate::check::Stores::Shared, alone: false, run: $shared
            },)*)?
            $($($crate::check::Check {
                name: stringify!($alone), stores: $crate::check::Stores::Shared, alone: true, run: $alone
            },)*)?
        ]
    };
    (shared: $($shared:ident),* $(,)?) => { checks![all: ; shared: $($shared),*] };
}
pub(crate) use checks;

/// Runs every check of every module on every combination that it is for. It is the `main` of a test
/// program.
pub(crate) fn run(modules: &[(&str, &[Check])]) -> ExitCode {
    run_as(&Arguments::from_args(), modules)
}

/// Does the same with the given arguments instead of those of the command line.
pub(crate) fn run_as(arguments: &Arguments, modules: &[(&str, &[Check])]) -> ExitCode {
    let mut trials = Vec::new();
    for &(module, checks) in modules {
        for check in checks {
            for combination in Combination::all() {
                if check.stores == Stores::Shared && combination.sharing == Sharing::OneThread {
                    continue;
                }
                let name = format!("{module}::{}::{combination}", check.name);
                let (run, alone) = (check.run, check.alone);
                trials.push(Trial::test(name.clone(), move || {
                    let _beside = (!alone).then(|| RUNNING.read());
                    let _alone = alone.then(|| RUNNING.write());
                    watched(name, move || run(&combination))
                }));
            }
        }
    }
    libtest_mimic::run(arguments, trials).exit_code()
}

/// Runs `test` on a new thread. If it does not end in time, the thread is left running.
fn watched(name: String, test: impl FnOnce() + Send + 'static) -> Result<(), Failed> {
    let (report, outcome) = mpsc::channel();
    let thread = thread::Builder::new().name(name).spawn(move || {
        let result = catch_unwind(AssertUnwindSafe(test)).map_err(|panic| message(&*panic));
        // If the time is over, nothing receives the result any more.
        let _ = report.send(result);
    })?;
    match outcome.recv_timeout(WATCHDOG) {
        Ok(result) => {
            thread.join().map_err(|panic| Failed::from(message(&*panic)))?;
            result.map_err(Failed::from)
        }
        Err(_) => Err(Failed::from(format!(
            "no end within {WATCHDOG:?}: a deadlock, or a loop without end"
        ))),
    }
}

fn message(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("a panic")
        .to_owned()
}
