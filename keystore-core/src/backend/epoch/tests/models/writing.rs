//! Models of overwriting and removing a key: one exchange on the slot that has the key.

use super::*;

const ONE_KEY: Model = Model {
    name: "",
    resize: Resize::No,
    before: &[Set(A, 1)],
    threads: &[],
    fickle: false,
    bounds: [All, All],
};

/// Checks that one of the two exchanges comes first, and that the other operation decides again.
#[test]
fn overwrite_against_delete() {
    Model { name: "overwrite against delete", threads: &[&[Set(A, 2)], &[Delete(A)]], ..ONE_KEY }
        .check();
}

/// Checks that a reader finds a complete value that was written, and never an older value after a
/// newer one.
#[test]
fn a_reader_of_a_key_that_two_overwrite() {
    Model {
        name: "a reader of a key that two overwrite",
        threads: &[&[Read(A), Read(A)], &[Set(A, 2)], &[Set(A, 3)]],
        bounds: [Preemptions(2), Preemptions(3)],
        ..ONE_KEY
    }
    .check();
}

/// Checks that only one of two threads removes a key.
#[test]
fn two_delete() {
    Model { name: "two delete", threads: &[&[Delete(A)], &[Delete(A)]], ..ONE_KEY }.check();
}

/// Checks that a reader misses a key only while the key is absent. A removed key that is inserted
/// again may be in another slot.
#[test]
fn a_reader_of_a_key_that_is_deleted_and_inserted() {
    Model {
        name: "a reader of a key that is deleted and inserted",
        before: &[Set(B, 1), Set(A, 2)],
        threads: &[&[Read(A), Read(A)], &[Delete(A), Insert(A, 3)], &[Delete(B)]],
        bounds: [Preemptions(1), Preemptions(2)],
        ..ONE_KEY
    }
    .check();
}
