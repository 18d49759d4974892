//! Growing and shrinking: freezing, filling and settling a unit's buckets, and ending the move.
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

/// If there are more executions than can be run.
const MANY: [Bound; 2] = [Thousand(5), Thousand(100)];

const SHRINK: Model = Model { resize: Resize::Shrink, ..GROW };

/// Two threads move a unit: each entry arrives once.
#[test]
fn growing_two_move_one_unit() {
    Model { name: "growing two move one unit", threads: &[&[Move(A)], &[Move(A)]], ..GROW }.check();
}

/// Though the threads' hashers disagree to which half an entry goes, each arrives once: in one of
/// them.
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

/// The same with an overflow bucket, to the end of the move.
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

/// An insertion is in the old bucket before it is frozen, or starts over in the new one.
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

/// Of two insertions of one key one commits, in whichever array. Each moves the unit when it has
/// done its own.
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

/// The same if a third thread moves the unit, so that both insertions may be frozen while they
/// are pending.
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

/// An overwritten entry arrives with its last value.
#[test]
fn growing_against_overwrite() {
    Model { name: "growing against overwrite", threads: &[&[Move(A)], &[Set(A, 3)]], ..GROW }
        .check();
}

/// A removed entry does not come back.
#[test]
fn growing_against_delete() {
    Model { name: "growing against delete", threads: &[&[Move(A)], &[Delete(A)]], ..GROW }.check();
}

/// A reader finds what is there throughout.
#[test]
fn growing_against_read() {
    Model { name: "growing against read", threads: &[&[Move(A)], &[Read(A), Read(D)]], ..GROW }
        .check();
}

/// What was removed from its new place is not filled in again by a mover that comes late.
#[test]
fn growing_against_delete_and_late_mover() {
    Model {
        name: "growing against delete and late mover",
        threads: &[&[Move(A), Delete(A)], &[Move(A)]],
        ..GROW
    }
    .check();
}

/// Entries behind an overflow bucket arrive too, and what is added to a chain before it is frozen.
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

/// The move is ended by either of two threads, one of which reads and writes.
#[test]
fn growing_to_the_end() {
    Model { name: "growing to the end", threads: &[&[Help], &[Set(A, 3), Read(D)]], ..GROW }
        .check();
}

/// The same with two threads that only move.
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

/// Two threads move a unit: each entry arrives once.
#[test]
fn shrinking_two_move_one_unit() {
    Model { name: "shrinking two move one unit", threads: &[&[Move(A)], &[Move(A)]], ..SHRINK }
        .check();
}

/// An insertion is in the old bucket before it is frozen, or starts over in the new one.
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

/// Of two insertions of one key one commits, in whichever array. Each moves the unit when it has
/// done its own.
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

/// The same if a third thread moves the unit, so that both insertions may be frozen while they
/// are pending.
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

/// An overwritten entry arrives with its last value.
#[test]
fn shrinking_against_overwrite() {
    Model { name: "shrinking against overwrite", threads: &[&[Move(A)], &[Set(A, 3)]], ..SHRINK }
        .check();
}

/// A removed entry does not come back.
#[test]
fn shrinking_against_delete() {
    Model { name: "shrinking against delete", threads: &[&[Move(A)], &[Delete(A)]], ..SHRINK }
        .check();
}

/// A reader finds what is there throughout.
#[test]
fn shrinking_against_read() {
    Model { name: "shrinking against read", threads: &[&[Move(A)], &[Read(A), Read(D)]], ..SHRINK }
        .check();
}

/// What was removed from its new place is not filled in again by a mover that comes late.
#[test]
fn shrinking_against_delete_and_late_mover() {
    Model {
        name: "shrinking against delete and late mover",
        threads: &[&[Move(A), Delete(A)], &[Move(A)]],
        ..SHRINK
    }
    .check();
}

/// Entries behind an overflow bucket arrive too, and what is added to a chain before it is frozen.
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

/// The move is ended by either of two threads, one of which reads and writes.
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

/// The same with two threads that only move.
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
