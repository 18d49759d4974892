//! The shell's Tab key: verbs first, then keys of the store.

use std::ops::ControlFlow;
use std::rc::Rc;

use keystore_core::{BoxedKeystore, Keystore};
use keystore_text::console::show;
use rustyline::completion::Completer;
use rustyline::highlight::Highlighter;
use rustyline::hint::Hinter;
use rustyline::validate::Validator;
use rustyline::{Context, Helper};

use crate::verbs::{VERBS, Verb};
use crate::words::Words;

/// The most keys that are offered, and so the most that are looked for.
const MAX_OFFERED: usize = 50;

/// The longest key that is offered, bytes: what fits a few lines of a terminal.
const MAX_OFFERED_LEN: usize = 200;

/// Completes what is typed at the prompt.
pub(crate) struct Completion {
    store: Rc<BoxedKeystore>,
}

impl Completion {
    pub(crate) const fn new(store: Rc<BoxedKeystore>) -> Self {
        Self { store }
    }

    /// Keys that begin with what was typed, as words of the shell.
    fn keys(&self, typed: &[u8]) -> Vec<String> {
        let mut keys = Vec::new();
        // A walk that fails offers what it has found.
        let _ = self.store.for_each(|key, _| {
            if key.starts_with(typed) && key.len() <= MAX_OFFERED_LEN {
                keys.push(show(key).to_string());
            }
            if keys.len() < MAX_OFFERED { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
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
        // Behind white space, the word that is typed has not begun.
        let earlier = if start == cursor { words.len() } else { words.len() - 1 };
        let typed = words.get(earlier).unwrap_or_default();
        let candidates = match (earlier, words.get(0)) {
            (0, _) => {
                let typed = typed.to_ascii_lowercase();
                let begins = |verb: &&Verb| verb.name.as_bytes().starts_with(&typed);
                VERBS.iter().filter(begins).map(|verb| verb.name.to_owned()).collect()
            }
            (1, Some(verb)) if takes_key(verb) => self.keys(typed),
            _ => Vec::new(),
        };
        Ok((start, candidates))
    }
}

/// Whether the verb's first argument is a key, or the beginning of one.
fn takes_key(name: &[u8]) -> bool {
    VERBS.iter().any(|verb| {
        name.eq_ignore_ascii_case(verb.name.as_bytes())
            && (verb.arguments.starts_with("KEY") || verb.arguments.starts_with("[PREFIX]"))
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
        for key in [&b"apple"[..], b"apricot", b"a pear", "über".as_bytes(), b"\xff\x1b", &[b'a'; 500]] {
            store.set(key, b"").unwrap();
        }
        let completion = Completion::new(Rc::new(store));
        let history = MemHistory::new();
        let complete = |line: &str| completion.complete(line, line.len(), &Context::new(&history)).unwrap();
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
