//! Completion in the shell: names of operations first, then keys of the store.

use std::ops::ControlFlow;
use std::rc::Rc;

use keystore_core::{BoxedKeystore, Keystore};
use keystore_text::console::show;
use rustyline::completion::Completer;
use rustyline::highlight::Highlighter;
use rustyline::hint::Hinter;
use rustyline::validate::Validator;
use rustyline::{Context, Helper};

use crate::operations::{OPERATIONS, Operation};
use crate::words::Words;

/// Maximum number of keys to offer. The search for keys stops at this number.
const MAX_OFFERED: usize = 50;

/// Maximum length in bytes of a key to offer. Such a key fits in a few lines of a terminal.
const MAX_OFFERED_LEN: usize = 200;

/// Completes a line at the prompt.
pub(crate) struct Completion {
    store: Rc<BoxedKeystore>,
}

impl Completion {
    pub(crate) const fn new(store: Rc<BoxedKeystore>) -> Self {
        Self { store }
    }

    /// Returns the keys that start with `typed`, quoted as words of the shell.
    fn keys(&self, typed: &[u8]) -> Vec<String> {
        let mut keys = Vec::new();
        // If the scan fails, the keys found so far are offered.
        let _ = self.store.for_each(|key, _| {
            if key.starts_with(typed) && key.len() <= MAX_OFFERED_LEN {
                keys.push(show(key).to_string());
            }
            if keys.len() < MAX_OFFERED {
                ControlFlow::Continue(())
            } else {
                ControlFlow::Break(())
            }
        });
        keys.sort_unstable();
        keys
    }
}

impl Completer for Completion {
    type Candidate = String;

    fn complete(
        &self,
        line: &str,
        cursor: usize,
        _: &Context<'_>,
    ) -> rustyline::Result<(usize, Vec<String>)> {
        let before = &line.as_bytes()[..cursor];
        let Ok((words, _)) = Words::split_open(before) else { return Ok((cursor, Vec::new())) };
        let start = words.last_start();
        // After white space, the next word is still empty.
        let earlier = if start == cursor { words.len() } else { words.len() - 1 };
        let typed = words.get(earlier).unwrap_or_default();
        let candidates = match (earlier, words.get(0)) {
            (0, _) => {
                let typed = typed.to_ascii_lowercase();
                let begins = |operation: &&Operation| operation.name.as_bytes().starts_with(&typed);
                OPERATIONS
                    .iter()
                    .filter(begins)
                    .map(|operation| operation.name.to_owned())
                    .collect()
            }
            (1, Some(name)) if takes_key(name) => self.keys(typed),
            _ => Vec::new(),
        };
        Ok((start, candidates))
    }
}

/// Returns true if the first argument of an operation is a key or a prefix of keys.
fn takes_key(name: &[u8]) -> bool {
    OPERATIONS.iter().any(|operation| {
        name.eq_ignore_ascii_case(operation.name.as_bytes())
            && (operation.arguments.starts_with("KEY")
                || operation.arguments.starts_with("[PREFIX]"))
    })
}

impl Hinter for Completion {
    type Hint = String;
}

impl Highlighter for Completion {}
impl Validator for Completion {}
impl Helper for Completion {}

#[cfg(test)]
mod tests {
    use keystore_core::RwLockKeystore;
    use rustyline::history::MemHistory;

    use super::*;

    #[test]
    fn verbs_then_keys_are_completed() {
        let store: BoxedKeystore = Box::<RwLockKeystore>::default();
        for key in
            [&b"apple"[..], b"apricot", b"a pear", "über".as_bytes(), b"\xff\x1b", &[b'a'; 500]]
        {
            store.set(key, b"").unwrap();
        }
        let completion = Completion::new(Rc::new(store));
        let history = MemHistory::new();
        let complete =
            |line: &str| completion.complete(line, line.len(), &Context::new(&history)).unwrap();
        assert_eq!(complete("ex"), (0, vec!["exists".to_owned(), "exit".to_owned()]));
        assert_eq!(complete("get ap"), (4, vec!["apple".to_owned(), "apricot".to_owned()]));
        assert_eq!(complete("GET a").1, ["\"a pear\"", "apple", "apricot"]);
        assert_eq!(complete("get 'a p"), (4, vec!["\"a pear\"".to_owned()]));
        assert_eq!(complete("get a\\ "), (4, vec!["\"a pear\"".to_owned()]));
        assert_eq!(complete("get  ü"), (5, vec!["über".to_owned()]));
        assert_eq!(complete("get \\xff"), (4, vec!["\\xff\\u{1b}".to_owned()]));
        assert_eq!(complete("scan ap").1.len(), 2);
        assert!(complete("set apple ap").1.is_empty(), "a value is not completed");
        assert!(complete("reserve a").1.is_empty());
    }
}
