//! Makes a sequence of calls from any bytes, for the fuzzer and for the test that replays its
//! corpus.

use std::ops::RangeInclusive;

use arbitrary::{Result, Unstructured};
use keystore::{AnyPool, BackendKind, Config, Keystore, PoolKind, Shrinking, open};

use crate::steps::{Model, Step, Value};

/// Greatest number of calls in a sequence.
const MOST: usize = 400;

/// Makes a sequence from `bytes`, runs it on every backend, and checks every answer. The bytes also
/// choose the pool.
pub(crate) fn run(bytes: &[u8]) {
    let Ok((config, pool, steps)) = sequence(&mut Unstructured::new(bytes)) else { return };
    for backend in BackendKind::ALL {
        let nodes = AnyPool::new(pool, &config).expect("the pool opens");
        let store = open(backend, &config, nodes.clone()).expect("the store opens");
        let store: &dyn Keystore = &*store;
        let mut model = Model::default();
        for step in &steps {
            model
                .take(store, step)
                .unwrap_or_else(|error| panic!("{backend}+{pool}, {step:?}: {error}"));
        }
        model.check(store);
    }
}

/// Returns the configuration and the pool of the stores, and the steps of the sequence.
fn sequence(from: &mut Unstructured<'_>) -> Result<(Config, PoolKind, Vec<Step>)> {
    let config = Config {
        initial_buckets: 1 << from.int_in_range(0..=8)?,
        shrinking: *from.choose(&[Shrinking::OnRequest, Shrinking::Automatic])?,
        preallocation: *from.choose(&[0.0, 1.0])?,
        ..Config::default()
    };
    let pool = *from.choose(&PoolKind::ALL)?;
    let mut steps = Vec::new();
    while !from.is_empty() && steps.len() < MOST {
        steps.push(step(from)?);
    }
    Ok((config, pool, steps))
}

fn step(from: &mut Unstructured<'_>) -> Result<Step> {
    Ok(match from.int_in_range(0..=26)? {
        0 => Step::Read(number(from)?),
        1..=3 => Step::Set(number(from)?, value(from)?),
        4 => Step::Insert(number(from)?, value(from)?),
        5 => Step::Update(number(from)?, maybe(from)?),
        6 => Step::UpdateKeep(number(from)?),
        7 => Step::Exchange(number(from)?, maybe(from)?),
        8 => Step::ExchangeFrom(number(from)?, maybe(from)?, maybe(from)?),
        9 | 10 => Step::Delete(number(from)?),
        11 => Step::Take(number(from)?),
        12 => Step::ReadMany(several(from, number)?),
        13 => Step::SetMany(several(from, |from| Ok((number(from)?, value(from)?)))?),
        14 => Step::DeleteMany(several(from, number)?),
        15 => Step::Retain(from.int_in_range(1..=6)?),
        16 => Step::Clear,
        17 => Step::Reserve(from.int_in_range(0..=3_000)?),
        18 => Step::Shrink,
        19 => Step::Check,
        20 => Step::UpdateFilled(number(from)?, from.int_in_range(0..=500)?),
        21 => Step::GetInto(number(from)?),
        22 => Step::InsertMany(several(from, |from| Ok((number(from)?, value(from)?)))?),
        23 => Step::UpdateMany(several(from, number)?),
        24 => Step::TakeMany(several(from, number)?),
        25 => Step::UpdateAll(from.int_in_range(1..=6)?),
        _ => Step::Scan(from.int_in_range(1..=300)?),
    })
}

/// Returns the number of a key. There are 256 keys; see [`key`](crate::steps::key) for their
/// lengths.
fn number(from: &mut Unstructured<'_>) -> Result<usize> {
    from.int_in_range(0..=255)
}

/// Returns a value. Most are short, and some are larger than the largest block of the pools.
fn value(from: &mut Unstructured<'_>) -> Result<Value> {
    const LENGTHS: [RangeInclusive<usize>; 4] = [0..=24, 0..=24, 0..=400, 4_000..=20_000];
    let seed = from.int_in_range(0..=255)?;
    let lengths = from.choose(&LENGTHS)?.clone();
    Ok(Value(seed, from.int_in_range(lengths)?))
}

fn maybe(from: &mut Unstructured<'_>) -> Result<Option<Value>> {
    if from.ratio(2, 3)? { value(from).map(Some) } else { Ok(None) }
}

/// Returns up to 80 of something, which is more than one group of a batch.
fn several<T>(
    from: &mut Unstructured<'_>,
    one: impl Fn(&mut Unstructured<'_>) -> Result<T>,
) -> Result<Vec<T>> {
    let count = from.int_in_range(0..=80)?;
    (0..count).map(|_| one(from)).collect()
}
