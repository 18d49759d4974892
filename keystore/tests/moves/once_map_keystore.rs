//! A map of results that are computed once, as uv's `OnceMap`, over `Map`.

use keystore::{Map, Serde};

/// The state of a key: a task is at work on it, or has finished.
#[derive(Clone, Debug, serde::Serialize, serde::Deserialize)]
enum State {
    Waiting,
    Filled(Vec<String>),
}

/// The versions of each package, which one task fetches and all tasks read.
#[derive(Debug, Default)]
pub(crate) struct OnceMap {
    items: Map<String, State, Serde>,
}

impl OnceMap {
    /// Registers a task. Returns true if the caller is to do it, and false if another one does.
    pub(crate) fn register(&self, key: &str) -> bool {
        self.items.insert_if_absent(key.to_owned(), State::Waiting).unwrap()
    }

    /// Sets the result of a task.
    pub(crate) fn done(&self, key: &str, value: Vec<String>) {
        self.items.insert(key.to_owned(), State::Filled(value)).unwrap();
    }

    /// Returns the result of a task, if it has finished.
    pub(crate) fn get(&self, key: &str) -> Option<Vec<String>> {
        match self.items.get(key).unwrap()? {
            State::Filled(value) => Some(value),
            State::Waiting => None,
        }
    }
}
