//! A fixed sequence of calls for tests that refuse memory.

use crate::steps::{Step, Value};

/// Returns a sequence with every operation, on keys that share buckets of a small table. The table
/// grows, overflows and shrinks on the way.
pub(crate) fn script() -> Vec<Step> {
    let mut steps: Vec<Step> = (0..12).map(|n| Step::Set(n, Value(n as u8, n * 11))).collect();
    steps.extend((0..12).map(|n| Step::Set(n, Value(1, n * 5 + 40))));
    steps.extend([
        Step::Insert(3, Value(2, 10)),
        Step::Insert(20, Value(2, 10)),
        Step::Update(3, Some(Value(3, 900))),
        Step::Update(21, Some(Value(3, 900))),
        Step::Update(4, None),
        Step::Exchange(5, Some(Value(4, 300))),
        Step::Exchange(22, Some(Value(4, 300))),
        Step::ExchangeFrom(5, Some(Value(9, 9)), Some(Value(4, 4))),
        Step::Exchange(6, None),
        Step::SetMany((0..40).map(|n| (n, Value(5, n * 3 + 1))).collect()),
        Step::Delete(7),
        Step::Read(7),
        Step::UpdateKeep(9),
        Step::Take(8),
        Step::ReadMany((0..40).collect()),
        Step::DeleteMany((10..20).collect()),
        Step::InsertMany((10..30).map(|n| (n, Value(8, n * 7))).collect()),
        Step::UpdateMany((0..25).collect()),
        Step::UpdateFilled(2, 700),
        Step::UpdateFilled(23, 20),
        Step::GetInto(2),
        Step::Scan(3),
        Step::UpdateAll(3),
        Step::TakeMany((15..22).collect()),
        Step::Retain(3),
        Step::Reserve(500),
        Step::Shrink,
        Step::Set(1, Value(6, 5_000)),
        Step::Clear,
        Step::Set(1, Value(7, 7)),
        Step::Check,
    ]);
    steps
}
