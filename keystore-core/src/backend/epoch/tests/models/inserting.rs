//! Models of insertion: placing, resolving and committing, with and without an overflow bucket.

use super::*;

const NO_MOVE: Model = Model {
    name: "",
    resize: Resize::No,
    before: &[],
    threads: &[],
    fickle: false,
    bounds: [Preemptions(2), All],
};

/// Checks that of two insertions of a key only one commits, and that both threads agree which.
#[test]
fn two_insert_one_key() {
    Model { name: "two insert one key", threads: &[&[Insert(A, 1)], &[Insert(A, 2)]], ..NO_MOVE }
        .check();
}

/// Checks that of three insertions of a key only one commits. Each of the threads may resolve the
/// insertion of another.
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

/// Checks the same for two insertions if an earlier slot becomes free in between. Then neither
/// thread finds the other's word on its way to a free slot. One of them sees the other only because
/// placing and searching are sequentially consistent.
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

/// Checks the same for three insertions. The last thread may resolve either of the other two.
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

/// Checks that two keys with the same tag do not disturb each other, though each thread reads the
/// other's node.
#[test]
fn two_insert_two_keys_of_one_tag() {
    Model {
        name: "two insert two keys of one tag",
        threads: &[&[Insert(A, 1)], &[Insert(B, 2)]],
        ..NO_MOVE
    }
    .check();
}

/// Checks that a reader finds a key from the instant at which it is committed.
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

/// Checks an insertion and a removal: the key is removed after it was inserted, or it was not there
/// yet.
#[test]
fn insert_against_delete() {
    Model { name: "insert against delete", threads: &[&[Insert(A, 1)], &[Delete(A)]], ..NO_MOVE }
        .check();
}

/// Checks a removal between two insertions. The removal frees the slot, and either insertion may
/// take it again.
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

/// Checks two insertions of a key into a full bucket. Each brings an overflow bucket, and only one
/// of these is linked.
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

/// Checks the same for two keys. Neither of them may be lost.
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
