//! The shell's Tab key: verbs first, then keys of the store.

use std::ops::ControlFlow;
use std::rc::Rc;

use keystore_core::{BoxedKeystore, Keystore};
use rustyline::completion::Completer;
use rustyline::highlight::Highlighter;
use rustyline::hint::Hinter;
use rustyline::validate::Validator;
use rustyline::{Context, Helper};

use crate::verbs::VERBS;

/// The most keys that are offered, and so the most that are looked for.
const MAX_OFFERED: usize = 50;

/// Completes what is typed at the prompt.
pub(crate) struct Completion {
    store: Rc<BoxedKeystore>,
}

impl Completion {
    pub(crate) const fn new(store: Rc<BoxedKeystore>) -> Self {
        Self { store }
    }

    /// Keys that begin with what was typed, quoted where the shell wants that.
    fn keys(&self, typed: &str) -> Vec<String> {
        let mut keys = Vec::new();
        // A walk that fails offers what it has found.
        let _ = self.store.for_each(|key, _| {
            if let Ok(key) = std::str::from_utf8(key)
                && key.starts_with(typed)
                && let Ok(quoted) = shlex::try_quote(key)
            {
                keys.push(quoted.into_owned());
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
        let before = &line[..cursor];
        let start = before
            .rfind(char::is_whitespace)
            .map_or(0, |space| space + before[space..].chars().next().map_or(1, char::len_utf8));
        let typed = &before[start..];
        let earlier: Vec<_> = before[..start].split_whitespace().collect();
        let candidates = match earlier[..] {
            [] => {
                let typed = typed.to_ascii_lowercase();
                VERBS
                    .iter()
                    .filter(|verb| verb.name.starts_with(&typed))
                    .map(|verb| verb.name.to_owned())
                    .collect()
            }
            [verb] if takes_key(verb) => self.keys(typed),
            _ => Vec::new(),
        };
        Ok((start, candidates))
    }
}

/// Whether the verb's first argument is a key, or the beginning of one.
fn takes_key(name: &str) -> bool {
    VERBS.iter().any(|verb| {
        verb.name.eq_ignore_ascii_case(name)
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
        for key in ["apple", "apricot", "a pear", "über"] {
            store.set(key.as_bytes(), b"").unwrap();
        }
        let completion = Completion::new(Rc::new(store));
        let history = MemHistory::new();
        let complete = |line: &str| completion.complete(line, line.len(), &Context::new(&history)).unwrap();
        assert_eq!(complete("ex"), (0, vec!["exists".to_owned(), "exit".to_owned()]));
        assert_eq!(complete("get ap"), (4, vec!["apple".to_owned(), "apricot".to_owned()]));
        assert_eq!(complete("GET a").1, ["'a pear'", "apple", "apricot"]);
        assert_eq!(complete("get\u{3000}ü"), (6, vec!["'über'".to_owned()]));
        assert_eq!(complete("scan ap").1.len(), 2);
        assert!(complete("set apple ap").1.is_empty(), "a value is not completed");
        assert!(complete("reserve a").1.is_empty());
    }
}
