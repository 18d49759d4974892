//! Check whether some order of the threads' calls explains their answers.

use std::collections::BTreeMap;

use super::Key;
use crate::keystore::Change;

/// A call on a key.
#[derive(Clone, Copy, Debug)]
pub(super) enum Call {
    Read,
    Insert(u8),
    Set(u8),
    Delete,
}

/// The answer that a call returned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Answer {
    Read(Option<u8>),
    Changed(Change),
}

/// A call and its answer.
#[derive(Clone, Copy, Debug)]
pub(super) struct Event {
    pub(super) key: Key,
    pub(super) call: Call,
    pub(super) answer: Answer,
}

impl Event {
    /// Makes the call on a map that no other thread uses. Returns the map's answer.
    pub(super) fn apply(&self, content: &mut BTreeMap<Key, u8>) -> Answer {
        let present = content.contains_key(&self.key);
        let change = match self.call {
            Call::Read => return Answer::Read(content.get(&self.key).copied()),
            Call::Insert(_) if present => Change::Kept,
            Call::Insert(value) | Call::Set(value) => {
                content.insert(self.key, value);
                if present { Change::Replaced } else { Change::Created }
            }
            Call::Delete => {
                content.remove(&self.key);
                if present { Change::Deleted } else { Change::Absent }
            }
        };
        Answer::Changed(change)
    }
}

/// Returns whether some order of all calls leads from `before` to `after` with these answers. The
/// calls of one thread keep their order.
///
/// There are few calls, so this function tries all orders (Wing and Gong, *Testing and verifying
/// concurrent objects*, 1993).
pub(super) fn explained(
    before: &BTreeMap<Key, u8>,
    threads: &[Vec<Event>],
    after: &BTreeMap<Key, u8>,
) -> bool {
    let mut done = true;
    for (at, thread) in threads.iter().enumerate() {
        let Some((event, rest)) = thread.split_first() else { continue };
        done = false;
        let mut content = before.clone();
        if event.apply(&mut content) == event.answer {
            let mut threads = threads.to_vec();
            threads[at] = rest.to_vec();
            if explained(&content, &threads, after) {
                return true;
            }
        }
    }
    done && before == after
}
