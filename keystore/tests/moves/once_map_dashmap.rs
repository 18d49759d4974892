//! A map of results that are computed once, as uv's `OnceMap`, over `DashMap`.

use dashmap::DashMap;

/// The state of a key: a task is at work on it, or has finished.
#[derive(Clone, Debug)]
enum State {
    Waiting,
    Filled(Vec<String>),
}

/// The versions of each package, which one task fetches and all tasks read.
#[derive(Debug, Default)]
pub(crate) struct OnceMap {
    items: DashMap<String, State>,
}

impl OnceMap {
    /// Registers a task. Returns true if the caller is to do it, and false if another one does.
    pub(crate) fn register(&self, key: &str) -> bool {
        let mut is_new = true;
        self.items.entry(key.to_owned()).and_modify(|_| is_new = false).or_insert(State::Waiting);
        is_new
    }

    /// Sets the result of a task.
    pub(crate) fn done(&self, key: &str, value: Vec<String>) {
        self.items.insert(key.to_owned(), State::Filled(value));
    }

    /// Returns the result of a task, if it has finished.
    pub(crate) fn get(&self, key: &str) -> Option<Vec<String>> {
        match self.items.get(key)?.clone() {
            State::Filled(value) => Some(value),
            State::Waiting => None,
        }
    }
}
