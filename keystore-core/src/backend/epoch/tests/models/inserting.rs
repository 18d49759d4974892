//! Inserting: placing, resolving and committing, with and without an overflow bucket.

use super::*;

const NO_MOVE: Model = Model {
    name: "",
    resize: Resize::No,
    before: &[],
    threads: &[],
    fickle: false,
    bounds: [Preemptions(2), All],
};

/// Of two insertions of a key one commits, and both threads agree which.
#[test]
fn two_insert_one_key() {
    Model { name: "two insert one key", threads: &[&[Insert(A, 1)], &[Insert(A, 2)]], ..NO_MOVE }
        .check();
}

/// Of three insertions of a key one commits: each may be decided by either of the others.
#[test]
fn three_insert_one_key() {
    Model {
        name: "three insert one key",
        threads: &[&[Insert(A, 1)], &[Insert(A, 2)], &[Insert(A, 3)]],
        bounds: [Preemptions(1), Preemptions(1)],
        ..NO_MOVE
    }
    .check();
}

/// The same if a slot ahead is vacated in between, so that neither thread met the other's word
/// on its way to a free slot: that one of them sees the other rests on placing and looking being
/// sequentially consistent.
#[test]
fn two_insert_one_key_while_a_slot_ahead_is_freed() {
    Model {
        name: "two insert one key while a slot ahead is freed",
        before: &[Insert(B, 1)],
        threads: &[&[Insert(A, 2)], &[Delete(B), Insert(A, 3)]],
        bounds: [Preemptions(2), Preemptions(3)],
        ..NO_MOVE
    }
    .check();
}

/// Three insertions in the same way, of which the last may decide either of the others.
#[test]
fn three_insert_one_key_while_a_slot_ahead_is_freed() {
    Model {
        name: "three insert one key while a slot ahead is freed",
        before: &[Insert(B, 1)],
        threads: &[&[Insert(A, 2)], &[Delete(B), Insert(A, 3)], &[Insert(A, 4)]],
        bounds: [Thousand(5), Thousand(100)],
        ..NO_MOVE
    }
    .check();
}

/// Two keys of one tag do not disturb each other, though each thread looks at the other's node.
#[test]
fn two_insert_two_keys_of_one_tag() {
    Model {
        name: "two insert two keys of one tag",
        threads: &[&[Insert(A, 1)], &[Insert(B, 2)]],
        ..NO_MOVE
    }
    .check();
}

/// A reader sees a key once it is committed, and from then on.
#[test]
fn a_reader_of_a_key_that_two_insert() {
    Model {
        name: "a reader of a key that two insert",
        threads: &[&[Read(A), Read(A)], &[Insert(A, 1)], &[Insert(A, 2)]],
        bounds: [Preemptions(1), Preemptions(2)],
        ..NO_MOVE
    }
    .check();
}

/// An insertion and a removal: the key is removed after it was inserted, or was not there yet.
#[test]
fn insert_against_delete() {
    Model { name: "insert against delete", threads: &[&[Insert(A, 1)], &[Delete(A)]], ..NO_MOVE }
        .check();
}

/// A removal between two insertions: the slot is vacated and may be taken again, by either.
#[test]
fn two_insert_a_key_that_is_deleted() {
    Model {
        name: "two insert a key that is being deleted",
        before: &[Insert(A, 1)],
        threads: &[&[Insert(A, 2)], &[Delete(A)], &[Insert(A, 3)]],
        bounds: [Preemptions(1), Preemptions(2)],
        ..NO_MOVE
    }
    .check();
}

/// Two insertions of a key into a full bucket: each brings an overflow bucket, one of which is
/// linked.
#[test]
fn two_insert_one_key_into_a_full_bucket() {
    Model {
        name: "two insert one key into a full bucket",
        before: &[Insert(B, 1), Insert(C, 2)],
        threads: &[&[Insert(A, 3)], &[Insert(A, 4)]],
        bounds: [Preemptions(2), Preemptions(3)],
        ..NO_MOVE
    }
    .check();
}

/// The same for two keys, of which neither may be lost.
#[test]
fn two_insert_two_keys_into_a_full_bucket() {
    Model {
        name: "two insert two keys into a full bucket",
        before: &[Insert(C, 1), Insert(D, 2)],
        threads: &[&[Insert(A, 3)], &[Insert(B, 4)]],
        bounds: [Preemptions(2), Preemptions(3)],
        ..NO_MOVE
    }
    .check();
}
