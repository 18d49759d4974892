//! Changing and removing what is there: one exchange on the slot that has the key.

use super::*;

const ONE_KEY: Model = Model {
    name: "",
    resize: Resize::No,
    before: &[Set(A, 1)],
    threads: &[],
    fickle: false,
    bounds: [All, All],
};

/// One of the two exchanges comes first; the other is decided again.
#[test]
fn overwrite_against_delete() {
    Model { name: "overwrite against delete", threads: &[&[Set(A, 2)], &[Delete(A)]], ..ONE_KEY }
        .check();
}

/// A reader sees a value that was written, whole, and never an older one after a newer.
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

/// A key is removed once.
#[test]
fn two_delete() {
    Model { name: "two delete", threads: &[&[Delete(A)], &[Delete(A)]], ..ONE_KEY }.check();
}

/// A removed key that is inserted again may be in another slot; a reader may miss it only while it
/// is absent.
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
