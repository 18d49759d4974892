//! The conformance suite: what every store promises, whatever backend and pool it is made of.
//!
//! Each module is named after what must hold. A check is a function that takes a
//! [`Combination`](combination::Combination) and opens its stores through it; it is written once,
//! against `dyn Keystore`, and runs as a test of its own on every combination there is:
//! `closures::a_panic_leaves_the_store_whole::epoch_slab`. A backend or pool that joins
//! `BackendKind::ALL` or `PoolKind::ALL` is checked from that moment on. docs/testing.md tells
//! which promise is shown where.

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
mod statics;
mod threads;
mod waiting;

use keystore::{BoxedKeystore, Config, open};

use self::allocators::Dawdling;

impl combination::Combination {
    /// A store of this combination that threads share, in which they get into each other's way.
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
