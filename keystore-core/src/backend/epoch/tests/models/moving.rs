//! Models of growing and shrinking: freezing, filling and finishing a unit's buckets, and finishing
//! the migration.
//!
//! When one bucket becomes two, `A`, `B` and `C` stay in the first, and `D` goes to the second.

use super::*;

const GROW: Model = Model {
    name: "",
    resize: Resize::Grow,
    before: &[Set(A, 1), Set(D, 2)],
    threads: &[],
    fickle: false,
    bounds: [Preemptions(1), Preemptions(2)],
};

/// Bounds for models with more executions than can be run.
const MANY: [Bound; 2] = [Thousand(5), Thousand(100)];

const SHRINK: Model = Model { resize: Resize::Shrink, ..GROW };

/// Checks that each entry arrives once if two threads migrate the same unit.
#[test]
fn growing_two_move_one_unit() {
    Model { name: "growing two move one unit", threads: &[&[Move(A)], &[Move(A)]], ..GROW }.check();
}

/// Checks that each entry arrives once, in one half, even if the hasher tells the two threads
/// different halves.
#[test]
fn growing_by_hashers_that_disagree() {
    Model {
        name: "growing by hashers that disagree",
        threads: &[&[Move(A)], &[Move(A)]],
        fickle: true,
        ..GROW
    }
    .check();
}

/// Checks the same with an overflow bucket, up to the end of the migration.
#[test]
fn growing_to_the_end_by_hashers_that_disagree() {
    Model {
        name: "growing to the end by hashers that disagree",
        threads: &[&[Help], &[Help]],
        before: &[Set(A, 1), Set(D, 2), Set(C, 3)],
        fickle: true,
        ..GROW
    }
    .check();
}

/// Checks that an insertion commits in the old bucket before that is frozen, or starts over in the
/// new one.
#[test]
fn growing_against_insert() {
    Model {
        name: "growing against insert",
        threads: &[&[Move(A)], &[Insert(B, 3)]],
        before: &[Set(A, 1)],
        ..GROW
    }
    .check();
}

/// Checks that of two insertions of one key only one commits, even if they use different arrays.
/// Each thread migrates the unit after its insertion.
#[test]
fn growing_under_two_inserts() {
    Model {
        name: "growing under two inserts of one key",
        threads: &[&[Insert(B, 3)], &[Insert(B, 4)]],
        before: &[Set(A, 1)],
        ..GROW
    }
    .check();
}

/// Checks the same if a third thread migrates the unit, so that both insertions may be frozen while
/// they are pending.
#[test]
fn growing_against_two_inserts() {
    Model {
        name: "growing against two inserts",
        threads: &[&[Move(A)], &[Insert(B, 3)], &[Insert(B, 4)]],
        before: &[Set(A, 1)],
        bounds: MANY,
        ..GROW
    }
    .check();
}

/// Checks that an entry that is overwritten during the migration arrives with its last value.
#[test]
fn growing_against_overwrite() {
    Model { name: "growing against overwrite", threads: &[&[Move(A)], &[Set(A, 3)]], ..GROW }
        .check();
}

/// Checks that a removed entry does not come back.
#[test]
fn growing_against_delete() {
    Model { name: "growing against delete", threads: &[&[Move(A)], &[Delete(A)]], ..GROW }.check();
}

/// Checks that a reader finds entries that are there during the whole migration.
#[test]
fn growing_against_read() {
    Model { name: "growing against read", threads: &[&[Move(A)], &[Read(A), Read(D)]], ..GROW }
        .check();
}

/// Checks that a late thread that still migrates the unit does not bring back an entry that was
/// removed from its new slot.
#[test]
fn growing_against_delete_and_late_mover() {
    Model {
        name: "growing against delete and late mover",
        threads: &[&[Move(A), Delete(A)], &[Move(A)]],
        ..GROW
    }
    .check();
}

/// Checks that entries in an overflow bucket arrive too, and so does an entry that is added to a
/// chain before the chain is frozen.
#[test]
fn growing_with_overflow() {
    Model {
        name: "growing with overflow",
        threads: &[&[Move(A)], &[Insert(B, 4), Read(C)]],
        before: &[Set(A, 1), Set(C, 2)],
        ..GROW
    }
    .check();
}

/// Checks that either of two threads can finish the migration. One of them also reads and writes.
#[test]
fn growing_to_the_end() {
    Model { name: "growing to the end", threads: &[&[Help], &[Set(A, 3), Read(D)]], ..GROW }
        .check();
}

/// Checks the same with two threads that only migrate, and one that reads and writes.
#[test]
fn growing_to_the_end_by_three() {
    Model {
        name: "growing to the end by three",
        threads: &[&[Help], &[Help], &[Set(A, 3), Read(D)]],
        bounds: MANY,
        ..GROW
    }
    .check();
}

/// Checks that each entry arrives once if two threads migrate the same unit.
#[test]
fn shrinking_two_move_one_unit() {
    Model { name: "shrinking two move one unit", threads: &[&[Move(A)], &[Move(A)]], ..SHRINK }
        .check();
}

/// Checks that an insertion commits in the old bucket before that is frozen, or starts over in the
/// new one.
#[test]
fn shrinking_against_insert() {
    Model {
        name: "shrinking against insert",
        threads: &[&[Move(A)], &[Insert(B, 3)]],
        before: &[Set(A, 1)],
        ..SHRINK
    }
    .check();
}

/// Checks that of two insertions of one key only one commits, even if they use different arrays.
/// Each thread migrates the unit after its insertion.
#[test]
fn shrinking_under_two_inserts() {
    Model {
        name: "shrinking under two inserts of one key",
        threads: &[&[Insert(B, 3)], &[Insert(B, 4)]],
        before: &[Set(A, 1)],
        bounds: MANY,
        ..SHRINK
    }
    .check();
}

/// Checks the same if a third thread migrates the unit, so that both insertions may be frozen while
/// they are pending.
#[test]
fn shrinking_against_two_inserts() {
    Model {
        name: "shrinking against two inserts",
        threads: &[&[Move(A)], &[Insert(B, 3)], &[Insert(B, 4)]],
        before: &[Set(A, 1)],
        bounds: MANY,
        ..SHRINK
    }
    .check();
}

/// Checks that an entry that is overwritten during the migration arrives with its last value.
#[test]
fn shrinking_against_overwrite() {
    Model { name: "shrinking against overwrite", threads: &[&[Move(A)], &[Set(A, 3)]], ..SHRINK }
        .check();
}

/// Checks that a removed entry does not come back.
#[test]
fn shrinking_against_delete() {
    Model { name: "shrinking against delete", threads: &[&[Move(A)], &[Delete(A)]], ..SHRINK }
        .check();
}

/// Checks that a reader finds entries that are there during the whole migration.
#[test]
fn shrinking_against_read() {
    Model { name: "shrinking against read", threads: &[&[Move(A)], &[Read(A), Read(D)]], ..SHRINK }
        .check();
}

/// Checks that a late thread that still migrates the unit does not bring back an entry that was
/// removed from its new slot.
#[test]
fn shrinking_against_delete_and_late_mover() {
    Model {
        name: "shrinking against delete and late mover",
        threads: &[&[Move(A), Delete(A)], &[Move(A)]],
        ..SHRINK
    }
    .check();
}

/// Checks that entries in an overflow bucket arrive too, and so does an entry that is added to a
/// chain before the chain is frozen.
#[test]
fn shrinking_with_overflow() {
    Model {
        name: "shrinking with overflow",
        threads: &[&[Move(A)], &[Insert(B, 4), Read(C)]],
        before: &[Set(A, 1), Set(C, 2)],
        bounds: MANY,
        ..SHRINK
    }
    .check();
}

/// Checks that either of two threads can finish the migration. One of them also reads and writes.
#[test]
fn shrinking_to_the_end() {
    Model {
        name: "shrinking to the end",
        threads: &[&[Help], &[Set(A, 3), Read(D)]],
        bounds: MANY,
        ..SHRINK
    }
    .check();
}

/// Checks the same with two threads that only migrate, and one that reads and writes.
#[test]
fn shrinking_to_the_end_by_three() {
    Model {
        name: "shrinking to the end by three",
        threads: &[&[Help], &[Help], &[Set(A, 3), Read(D)]],
        bounds: MANY,
        ..SHRINK
    }
    .check();
}
