//! Compares random sequences of calls with a `HashMap`, call by call.
//!
//! The keys are few, so that the calls of a sequence often use the same key. The hashers range from
//! good to useless. Every answer must be right even if many keys share a bucket, a tag, or the
//! whole hash.

#[path = "support/check.rs"]
mod check;
#[path = "support/combination.rs"]
mod combination;
#[path = "support/hashing.rs"]
mod hashing;
#[path = "support/in_session.rs"]
mod in_session;
#[path = "support/steps.rs"]
mod steps;

use std::hash::{BuildHasher, DefaultHasher, Hasher};

use keystore::{Config, Error, Keystore};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::{Config as Runs, TestRunner};

use self::check::{Check, checks};
use self::combination::Combination;
use self::hashing::open_hashing;
use self::in_session::InSession;
use self::steps::{Model, Step, Value};

const CHECKS: &[Check] = checks![
    all:
        any_sequence_does_what_a_map_does,
        any_sequence_in_a_session_does_what_a_map_does,
        any_sequence_does_what_a_map_does_where_hashes_collide,
        many_keys_of_one_hash_are_all_kept_apart
];

fn main() -> std::process::ExitCode {
    check::run(&[("model", CHECKS)])
}

/// Numbers of keys that a sequence uses: few, or more than a small table holds without growing.
const FEW: usize = 12;
const MANY: usize = 250;

fn number() -> impl Strategy<Value = usize> {
    prop_oneof![3 => 0..FEW, 1 => 0..MANY]
}

fn value() -> impl Strategy<Value = Value> {
    let length = prop_oneof![8 => 0..40_usize, 4 => 0..400_usize, 1 => 4_000..6_000_usize];
    (any::<u8>(), length).prop_map(|(seed, length)| Value(seed, length))
}

fn step() -> impl Strategy<Value = Step> {
    let maybe = || proptest::option::of(value());
    prop_oneof![
        4 => number().prop_map(Step::Read),
        6 => (number(), value()).prop_map(|(n, value)| Step::Set(n, value)),
        3 => (number(), value()).prop_map(|(n, value)| Step::Insert(n, value)),
        3 => (number(), maybe()).prop_map(|(n, value)| Step::Update(n, value)),
        1 => number().prop_map(Step::UpdateKeep),
        2 => (number(), 0..500_usize).prop_map(|(n, length)| Step::UpdateFilled(n, length)),
        1 => number().prop_map(Step::GetInto),
        3 => (number(), maybe()).prop_map(|(n, new)| Step::Exchange(n, new)),
        1 => (number(), maybe(), maybe()).prop_map(|(n, old, new)| Step::ExchangeFrom(n, old, new)),
        4 => number().prop_map(Step::Delete),
        2 => number().prop_map(Step::Take),
        1 => vec(number(), 0..80).prop_map(Step::ReadMany),
        2 => vec((number(), value()), 0..80).prop_map(Step::SetMany),
        1 => vec(number(), 0..80).prop_map(Step::DeleteMany),
        1 => vec((number(), value()), 0..80).prop_map(Step::InsertMany),
        1 => vec(number(), 0..80).prop_map(Step::UpdateMany),
        1 => vec(number(), 0..40).prop_map(Step::TakeMany),
        1 => (1..6_usize).prop_map(Step::Retain),
        1 => (1..6_usize).prop_map(Step::UpdateAll),
        1 => (1..300_usize).prop_map(Step::Scan),
        1 => Just(Step::Clear),
        1 => (0..3_000_usize).prop_map(Step::Reserve),
        1 => Just(Step::Shrink),
        1 => Just(Step::Check),
    ]
}

/// Runs random sequences on stores from `open`.
fn run(cases: u32, open: impl Fn(usize) -> Box<dyn Keystore>) {
    run_through(cases, open, |store, steps, model| {
        steps.iter().try_for_each(|step| model.take(store, step))
    });
}

/// Runs random sequences on stores from `open`. `run` runs one sequence.
fn run_through(
    cases: u32,
    open: impl Fn(usize) -> Box<dyn Keystore>,
    run: impl Fn(&dyn Keystore, &[Step], &mut Model) -> Result<(), Error>,
) {
    let runs = Runs { cases, failure_persistence: None, ..Runs::default() };
    let sequence = (0..7_u32, vec(step(), 1..120));
    let outcome = TestRunner::new(runs).run(&sequence, |(bits, steps)| {
        let store = open(1 << bits);
        let mut model = Model::default();
        run(&*store, &steps, &mut model)?;
        model.check(&*store);
        Ok(())
    });
    if let Err(failure) = outcome {
        panic!("{failure}");
    }
}

fn any_sequence_does_what_a_map_does(combination: &Combination) {
    run(300, |initial_buckets| combination.open(&Config { initial_buckets, ..Config::default() }));
}

fn any_sequence_in_a_session_does_what_a_map_does(combination: &Combination) {
    let open = |initial_buckets| combination.open(&Config { initial_buckets, ..Config::default() });
    run_through(100, open, |store, steps, model| {
        // Two sessions take turns, so that one is idle while the other works.
        let sessions = [InSession::new(store), InSession::new(store)];
        let mut turns = sessions.iter().cycle();
        steps.iter().try_for_each(|step| model.take(turns.next().expect("a cycle"), step))
    });
}

/// A hasher whose hashes keep only the bits of a mask.
#[derive(Clone, Copy, Debug)]
struct Weak {
    mask: u64,
}

/// The state of the hasher: a good hasher, and the mask.
struct WeakState(DefaultHasher, u64);

impl BuildHasher for Weak {
    type Hasher = WeakState;

    fn build_hasher(&self) -> WeakState {
        WeakState(DefaultHasher::new(), self.mask)
    }
}

impl Hasher for WeakState {
    fn write(&mut self, bytes: &[u8]) {
        self.0.write(bytes);
    }

    fn finish(&self) -> u64 {
        self.0.finish() & self.1
    }
}

/// The weak hashers, in this order: one hash for all keys; four buckets; one bucket of a small
/// table and all tags; all buckets and one tag; only bits that choose neither bucket nor tag; four
/// bits from all parts of the hash.
const WEAK: [Weak; 6] = [
    Weak { mask: 0 },
    Weak { mask: 0b11 },
    Weak { mask: 0x3fff_c000 },
    Weak { mask: 0x3fff },
    Weak { mask: 0xffff_ffff_c000_0000 },
    Weak { mask: 0x8000_0001_0001_0001 },
];

fn open_weak(combination: &Combination, initial_buckets: usize, hasher: Weak) -> Box<dyn Keystore> {
    let config = Config { initial_buckets, ..Config::default() };
    open_hashing(combination, &config, combination.pool(&config), hasher)
}

fn any_sequence_does_what_a_map_does_where_hashes_collide(combination: &Combination) {
    for hasher in WEAK {
        run(80, |initial_buckets| open_weak(combination, initial_buckets, hasher));
    }
}

fn many_keys_of_one_hash_are_all_kept_apart(combination: &Combination) {
    for hasher in WEAK {
        for initial_buckets in [1, 256] {
            let store = open_weak(combination, initial_buckets, hasher);
            let mut model = Model::default();
            let take = |model: &mut Model, step: Step| {
                assert_eq!(model.take(&*store, &step), Ok(()), "{step:?}")
            };
            for n in 0..MANY {
                take(&mut model, Step::Set(n, Value(n as u8, n % 50)));
            }
            take(&mut model, Step::Check);
            take(&mut model, Step::Shrink);
            take(&mut model, Step::Reserve(5_000));
            take(&mut model, Step::Check);
            for n in (0..MANY).step_by(2) {
                take(&mut model, Step::Take(n));
                take(&mut model, Step::Read(n + 1));
            }
            take(&mut model, Step::Check);
            take(&mut model, Step::Shrink);
            take(&mut model, Step::Retain(2));
            take(&mut model, Step::Check);
            take(&mut model, Step::Clear);
            take(&mut model, Step::Check);
        }
    }
}
