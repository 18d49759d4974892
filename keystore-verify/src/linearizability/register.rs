//! The model: a register that is empty or holds a value, and the operations on it as one thread
//! alone would see them.

use std::fmt;

use keystore::Change;
use todc_utils::Specification;

use crate::value::Stamp;

/// Content of a register, as it is or as a thread saw it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Value {
    /// No value.
    Absent,
    /// The complete value that was written with this stamp.
    Whole(Stamp),
    /// Bytes that were never written to this key.
    Broken,
}

/// A call and its answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Operation {
    /// Not a call: the content of the register when the history begins.
    Begin(Value),
    Read(Value),
    Contains(bool),
    /// A write. `change` is unknown for most keys of a batch.
    Set {
        new: Value,
        change: Option<Change>,
    },
    Insert {
        new: Value,
        inserted: bool,
    },
    /// An update. In its last run, the closure saw `seen` and answered `new`, which equals `seen`
    /// if it kept the value.
    Update {
        seen: Value,
        new: Value,
        change: Change,
    },
    /// An exchange. `differs` is the value found if it was not `expected`.
    Exchange {
        expected: Value,
        new: Value,
        differs: Option<Value>,
    },
    /// A removal. `present` is unknown for most keys of a batch.
    Delete {
        present: Option<bool>,
    },
    Take(Value),
    /// An operation that returned an error with this code, although nothing here causes an error.
    Failed {
        verb: &'static str,
        code: i32,
    },
}

impl Operation {
    /// Returns the content of the register after the operation, if the answer tells it.
    pub(super) fn leaves(self) -> Option<Value> {
        match self {
            Self::Begin(value) | Self::Read(value) => Some(value),
            Self::Contains(present) => (!present).then_some(Value::Absent),
            Self::Set { new, .. } | Self::Update { new, .. } => Some(new),
            Self::Insert { new, inserted } => inserted.then_some(new),
            Self::Exchange { new, differs, .. } => Some(differs.unwrap_or(new)),
            Self::Delete { .. } | Self::Take(_) => Some(Value::Absent),
            Self::Failed { .. } => None,
        }
    }
}

/// Returns the value that [`change`](Operation::Set) must have if a write changes a register from
/// `old` to `new`.
fn change_of(old: Value, new: Value) -> Change {
    match (old, new) {
        (Value::Absent, Value::Absent) => Change::Absent,
        (Value::Absent, _) => Change::Created,
        (_, Value::Absent) => Change::Deleted,
        (_, _) if old == new => Change::Kept,
        (_, _) => Change::Replaced,
    }
}

/// The register, in the form that the checker requires.
pub(super) struct Register;

impl Specification for Register {
    type State = Value;
    type Operation = Operation;

    fn init() -> Value {
        Value::Absent
    }

    fn apply(operation: &Operation, &held: &Value) -> (bool, Value) {
        let is_there = held != Value::Absent;
        let (valid, new) = match *operation {
            Operation::Begin(value) => (true, value),
            Operation::Read(seen) => (seen == held, held),
            Operation::Contains(present) => (present == is_there, held),
            Operation::Set { new, change } => {
                (change.is_none_or(|change| change == change_of(held, new)), new)
            }
            Operation::Insert { new, inserted } => {
                (inserted != is_there, if is_there { held } else { new })
            }
            Operation::Update { seen, new, change } => {
                (seen == held && change == change_of(held, new), new)
            }
            Operation::Exchange { expected, new, differs: None } => (expected == held, new),
            Operation::Exchange { expected, differs: Some(found), .. } => {
                (found == held && expected != held, held)
            }
            Operation::Delete { present } => {
                (present.is_none_or(|present| present == is_there), Value::Absent)
            }
            Operation::Take(taken) => (taken == held, Value::Absent),
            Operation::Failed { .. } => (false, held),
        };
        if valid { (true, new) } else { (false, held) }
    }
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Absent => f.write_str("nothing"),
            Self::Broken => f.write_str("bytes that nobody wrote"),
            Self::Whole(stamp) => match stamp.origin() {
                Some((thread, sequence)) => write!(f, "value {sequence} of thread {thread}"),
                None => f.write_str("the value it was loaded with"),
            },
        }
    }
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Begin(value) => write!(f, "(begins with {value})"),
            Self::Read(value) => write!(f, "read: {value}"),
            Self::Contains(present) => write!(f, "contains: {present}"),
            Self::Set { new, change: Some(change) } => write!(f, "set to {new}: {change:?}"),
            Self::Set { new, change: None } => write!(f, "set_many to {new}"),
            Self::Insert { new, inserted } => write!(f, "insert of {new}: {inserted}"),
            Self::Update { seen, new, change } => {
                write!(f, "update from {seen} to {new}: {change:?}")
            }
            Self::Exchange { expected, new, differs: None } => {
                write!(f, "compare_exchange from {expected} to {new}: exchanged")
            }
            Self::Exchange { expected, new, differs: Some(found) } => {
                write!(f, "compare_exchange from {expected} to {new}: differs, {found}")
            }
            Self::Delete { present: Some(present) } => write!(f, "delete: {present}"),
            Self::Delete { present: None } => f.write_str("delete_many"),
            Self::Take(value) => write!(f, "take: {value}"),
            Self::Failed { verb, code } => write!(f, "{verb}: error {code}"),
        }
    }
}
