//! Checks what a child of `fork` may do with its copy of a store, on every combination. The section
//! "Forking" of docs/backends.md makes the promise.
//!
//! The promise depends on what other threads do at the instant of the fork. So the checks run one
//! after another, even if the arguments ask for several at once. Beside the thread of a check there
//! is only the harness's thread, which sleeps until the check is done. On other systems than Linux
//! nothing is promised, and there are no checks.

#[cfg(target_os = "linux")]
#[expect(dead_code, reason = "other suites leave it to their arguments how they run")]
#[path = "../support/check.rs"]
mod check;
#[cfg(target_os = "linux")]
#[path = "../support/combination.rs"]
mod combination;
#[cfg(target_os = "linux")]
#[expect(dead_code, reason = "the conformance suite has more to do with entries")]
#[path = "../conformance/entries.rs"]
mod entries;
#[cfg(target_os = "linux")]
#[path = "../support/script.rs"]
mod script;
#[cfg(target_os = "linux")]
#[path = "../support/steps.rs"]
mod steps;

#[cfg(target_os = "linux")]
mod child;
#[cfg(target_os = "linux")]
mod copies;

#[cfg(target_os = "linux")]
fn main() -> std::process::ExitCode {
    let mut arguments = libtest_mimic::Arguments::from_args();
    arguments.test_threads = Some(1);
    check::run_as(&arguments, &[("fork", copies::CHECKS)])
}

#[cfg(not(target_os = "linux"))]
fn main() {}
