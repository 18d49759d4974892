//! The conformance suite: checks what every store promises, on each backend and pool.
//!
//! Each module is named after its subject. A check is a function that takes a
//! [`Combination`](combination::Combination) and opens its stores through it. It is written once,
//! against `dyn Keystore`, and runs as a separate test on every combination, for example
//! `closures::a_panic_leaves_the_store_whole::epoch_slab`. A new backend or pool is checked as soon
//! as it is in `BackendKind::ALL` or `PoolKind::ALL`. docs/testing.md says which check shows which
//! promise.

#[path = "../support/check.rs"]
mod check;
#[path = "../support/combination.rs"]
mod combination;
#[path = "../support/hashing.rs"]
mod hashing;
#[path = "../support/script.rs"]
mod script;
#[path = "../support/steps.rs"]
mod steps;

mod allocators;
mod batches;
mod calls;
mod closures;
mod concurrency;
mod counts;
mod entries;
mod growth;
mod hashers;
mod iteration;
mod limits;
mod memory;
mod operations;
mod printing;
mod reentry;
mod refusals;
mod scans;
mod statics;
mod threads;
mod waiting;

use keystore::{BoxedKeystore, Config, open};

use self::allocators::Dawdling;

impl combination::Combination {
    /// Opens a store of this combination for several threads. Its allocator makes their calls
    /// overlap more often.
    fn open_shared(&self, config: &Config) -> BoxedKeystore {
        open(self.backend, config, Dawdling::new(self, config)).expect("the store opens")
    }
}

fn main() -> std::process::ExitCode {
    check::run(&[
        ("verbs", operations::CHECKS),
        ("statics", statics::CHECKS),
        ("limits", limits::CHECKS),
        ("printing", printing::CHECKS),
        ("batches", batches::CHECKS),
        ("growth", growth::CHECKS),
        ("iteration", iteration::CHECKS),
        ("scans", scans::CHECKS),
        ("closures", closures::CHECKS),
        ("hashers", hashers::CHECKS),
        ("reentry", reentry::CHECKS),
        ("waiting", waiting::CHECKS),
        ("counts", counts::CHECKS),
        ("memory", memory::CHECKS),
        ("refusals", refusals::CHECKS),
        ("concurrency", concurrency::CHECKS),
        ("threads", threads::CHECKS),
    ])
}
