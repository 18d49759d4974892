//! Runs a loom model over every execution within a bound. In builds with `--cfg loom` only.
//!
//! A model is a closure that builds the data, starts its threads, checks the result after they have
//! ended, and returns the outcome as a line of text. The model checker loom calls the closure once
//! for each execution, each time with another interleaving of the threads' atomic accesses or with
//! other values that loads return. If a model has fewer outcomes than expected, it has not tested
//! what it claims. So the different outcomes are collected and returned.
//!
//! The bound limits the number of *preemptions*. A preemption stops a thread that could still run.
//! Most faults need only one or two (Musuvathi and Qadeer, *Iterative context bounding*, 2007).

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

/// The set of executions that a model runs.
#[derive(Clone, Copy, Debug)]
pub enum Bound {
    /// All executions.
    All,
    /// All executions with at most this many preemptions.
    Preemptions(usize),
    /// The first executions with at most one preemption, in loom's order. The number is in
    /// thousands. This is for models with too many executions to run all of them.
    Thousand(usize),
}
use Bound::*;

/// Name of the environment variable that selects the thorough bound.
const THOROUGH: &str = "KEYSTORE_MODELS_THOROUGH";

/// Runs `execute` for every execution within the bound, and prints the number of executions. The
/// first of `bounds` is the short bound, and the second the thorough bound. Returns the different
/// outcomes.
pub fn explore(
    name: &str,
    bounds: [Bound; 2],
    execute: impl Fn() -> String + Send + Sync + 'static,
) -> BTreeSet<String> {
    let bound = bounds[usize::from(std::env::var_os(THOROUGH).is_some())];
    let mut builder = loom::model::Builder::new();
    builder.checkpoint_interval = 1_000;
    match bound {
        All => {}
        Preemptions(most) => builder.preemption_bound = Some(most),
        Thousand(most) => {
            builder.preemption_bound = Some(1);
            builder.max_permutations = Some(most * 1_000);
        }
    }
    builder.max_branches = 5_000;
    let executions = Arc::new(AtomicUsize::new(0));
    let outcomes = Arc::new(Mutex::new(BTreeSet::new()));
    let (counter, seen) = (Arc::clone(&executions), Arc::clone(&outcomes));
    let started = Instant::now();
    builder.check(move || {
        counter.fetch_add(1, Ordering::Relaxed);
        let outcome = execute();
        seen.lock().unwrap_or_else(PoisonError::into_inner).insert(outcome);
    });
    let bound = match bound {
        All => "all there are".to_owned(),
        Preemptions(most) => format!("all with at most {most} preemptions"),
        Thousand(_) => "the first with at most 1 preemption".to_owned(),
    };
    let (executions, seconds) =
        (executions.load(Ordering::Relaxed), started.elapsed().as_secs_f64());
    let outcomes = std::mem::take(&mut *outcomes.lock().unwrap_or_else(PoisonError::into_inner));
    println!(
        "{name:<52}{executions:>9} executions with {} outcomes, {bound}, {seconds:.1} s",
        outcomes.len()
    );
    outcomes
}
