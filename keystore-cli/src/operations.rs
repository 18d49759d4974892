//! The operations of the shell, one on each line. The module `words` splits the line.

use std::collections::BinaryHeap;
use std::io::{self, Write};
use std::ops::ControlFlow;
use std::sync::atomic::{AtomicBool, Ordering};

use keystore_core::{BoxedKeystore, Change, Error, Exchange, Keystore, Update};
use keystore_text::console::show_name;
use keystore_text::errln;

use crate::report;
use crate::style::Style;
use crate::words::{Unreadable, Words};

/// An operation: its name, its arguments, and its action.
#[derive(Debug)]
pub(crate) struct Operation {
    pub(crate) name: &'static str,
    pub(crate) arguments: &'static str,
    help: &'static str,
    /// Least and greatest number of arguments.
    count: (usize, usize),
    action: Action,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Action {
    Set,
    Insert,
    Get,
    Take,
    Del,
    Exists,
    Cas,
    Incr,
    Count,
    Scan,
    Stats,
    Clear,
    Reserve,
    Shrink,
    Help,
    Quit,
}

const fn operation(
    name: &'static str,
    arguments: &'static str,
    count: (usize, usize),
    action: Action,
    help: &'static str,
) -> Operation {
    Operation { name, arguments, help, count, action }
}

/// All operations, in the order of `help`.
pub(crate) static OPERATIONS: [Operation; 17] = [
    operation("set", "KEY VALUE", (2, 2), Action::Set, "set the value of KEY, present or absent"),
    operation(
        "insert",
        "KEY VALUE",
        (2, 2),
        Action::Insert,
        "set the value of KEY; an error if it is present",
    ),
    operation(
        "get",
        "KEY",
        (1, 1),
        Action::Get,
        "print the value of KEY; an error if it is absent",
    ),
    operation("take", "KEY", (1, 1), Action::Take, "remove KEY and print its value"),
    operation("del", "KEY", (1, 1), Action::Del, "remove KEY; an error if it is absent"),
    operation("exists", "KEY", (1, 1), Action::Exists, "print true if KEY is present, else false"),
    operation(
        "cas",
        "KEY OLD NEW",
        (3, 3),
        Action::Cas,
        "change the value of KEY to NEW if it is OLD",
    ),
    operation(
        "incr",
        "KEY [BY]",
        (1, 2),
        Action::Incr,
        "add BY (default 1) to the number at KEY; an absent KEY counts as 0",
    ),
    operation("count", "", (0, 0), Action::Count, "print the number of entries"),
    operation(
        "scan",
        "[PREFIX] [LIMIT]",
        (0, 2),
        Action::Scan,
        "list entries whose key starts with PREFIX, at most LIMIT (default 100)",
    ),
    operation("stats", "", (0, 0), Action::Stats, "print the statistics of the store"),
    operation("clear", "", (0, 0), Action::Clear, "remove every entry"),
    operation(
        "reserve",
        "ENTRIES",
        (1, 1),
        Action::Reserve,
        "make the table large enough for ENTRIES more entries",
    ),
    operation("shrink", "", (0, 0), Action::Shrink, "make the table as small as its entries allow"),
    operation("help", "", (0, 0), Action::Help, "print this list"),
    operation("quit", "", (0, 0), Action::Quit, "leave the shell, as the end of the input does"),
    operation("exit", "", (0, 0), Action::Quit, "leave the shell"),
];

/// Default limit of `scan`.
const SCAN_LIMIT: usize = 100;

/// Set by Ctrl-C and cleared before each operation. Long operations check it.
pub(crate) static INTERRUPTED: AtomicBool = AtomicBool::new(false);

/// The next step of the shell after a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Next {
    Go,
    Quit,
}

/// The reason why a line had no effect.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Refusal {
    /// The line is malformed.
    #[error("{0}")]
    Malformed(String),
    #[error("interrupted")]
    Interrupted,
    #[error(transparent)]
    Unreadable(#[from] Unreadable),
    #[error("unknown operation {0}: `help` lists all")]
    UnknownOperation(String),
    #[error("usage: {name} {arguments}", name = .0.name, arguments = .0.arguments)]
    Usage(&'static Operation),
    #[error("{what} is {text}: it must be {expected}")]
    NoNumber { what: &'static str, text: String, expected: &'static str },
    #[error("key not found: {0}")]
    NotFound(String),
    #[error("key exists: {0}")]
    Exists(String),
    #[error("the value is {0}")]
    Differs(String),
    #[error(
        "the value {0} is not a whole number from -2^63 to 2^63 - 1, or the sum is out of this range"
    )]
    NotCountable(String),
    #[error(transparent)]
    Store(#[from] Error),
    #[error(transparent)]
    Output(#[from] io::Error),
}

/// Runs the operation of a line. An empty line and a comment (`# …`) do nothing.
pub(crate) fn run(
    store: &BoxedKeystore,
    line: &[u8],
    style: Style,
    out: &mut impl Write,
) -> Result<Next, Refusal> {
    let words = Words::split(line)?;
    let Some(name) = words.get(0) else { return Ok(Next::Go) };
    let arguments = words.len() - 1;
    let operation = OPERATIONS
        .iter()
        .find(|operation| name.eq_ignore_ascii_case(operation.name.as_bytes()))
        .ok_or_else(|| Refusal::UnknownOperation(named(name)))?;
    if arguments < operation.count.0 || arguments > operation.count.1 {
        return Err(Refusal::Usage(operation));
    }
    let argument = |index: usize| words.get(1 + index);
    let word = |index: usize| argument(index).unwrap_or_default();
    let key = word(0);
    let not_found = || Refusal::NotFound(named(key));
    match operation.action {
        Action::Set => match store.set(key, word(1))? {
            Change::Created => writeln!(out, "created")?,
            _ => writeln!(out, "replaced")?,
        },
        Action::Insert => {
            if !store.insert(key, word(1))? {
                return Err(Refusal::Exists(named(key)));
            }
            writeln!(out, "created")?;
        }
        Action::Get => style.value(out, &store.get(key)?.ok_or_else(not_found)?)?,
        Action::Take => style.value(out, &store.take(key)?.ok_or_else(not_found)?)?,
        Action::Del => {
            if !store.delete(key)? {
                return Err(not_found());
            }
            writeln!(out, "deleted")?;
        }
        Action::Exists => writeln!(out, "{}", store.contains(key)?)?,
        Action::Cas => match store.compare_exchange(key, Some(word(1)), Some(word(2)))? {
            Exchange::Exchanged => writeln!(out, "exchanged")?,
            Exchange::Differs(Some(actual)) => return Err(Refusal::Differs(named(&actual))),
            Exchange::Differs(None) => return Err(not_found()),
        },
        Action::Incr => {
            let by = argument(1).map_or(Ok(1), |by| number("BY", by, "a whole number"))?;
            writeln!(out, "{}", increment(store, key, by)?)?;
        }
        Action::Count => writeln!(out, "{}", store.len()?)?,
        Action::Scan => {
            let limit = argument(1)
                .map_or(Ok(SCAN_LIMIT), |limit| number("LIMIT", limit, "a whole number from 0"))?;
            scan(store, key, limit, style, out)?;
        }
        Action::Stats => report::stats(out, &store.stats()?)?,
        Action::Clear => {
            store.clear()?;
            writeln!(out, "cleared")?;
        }
        Action::Reserve => {
            store.reserve(number("ENTRIES", key, "a whole number from 0")?)?;
            writeln!(out, "reserved")?;
        }
        Action::Shrink => {
            store.shrink()?;
            writeln!(out, "shrunk")?;
        }
        Action::Help => help(out)?,
        Action::Quit => return Ok(Next::Quit),
    }
    Ok(Next::Go)
}

/// Returns a key or a word as messages show it.
fn named(bytes: &[u8]) -> String {
    show_name(bytes).to_string()
}

fn number<T: std::str::FromStr>(
    what: &'static str,
    word: &[u8],
    expected: &'static str,
) -> Result<T, Refusal> {
    std::str::from_utf8(word)
        .ok()
        .and_then(|text| text.parse().ok())
        .ok_or_else(|| Refusal::NoNumber { what, text: named(word), expected })
}

/// Adds to the number at a key in one atomic step, and returns the sum.
fn increment(store: &BoxedKeystore, key: &[u8], by: i64) -> Result<i64, Refusal> {
    let mut sum = Ok(0);
    store.update(key, |old| {
        let held = match old {
            None => Some(0),
            Some(value) => {
                std::str::from_utf8(value).ok().and_then(|text| text.parse::<i64>().ok())
            }
        };
        sum = held
            .and_then(|held| held.checked_add(by))
            .ok_or_else(|| named(old.unwrap_or_default()));
        match &sum {
            Ok(sum) => Update::set(sum.to_string().into_bytes()),
            Err(_) => Update::Keep,
        }
    })?;
    sum.map_err(Refusal::NotCountable)
}

/// Prints the first `limit` entries whose key starts with `prefix`, in the order of their keys.
fn scan(
    store: &BoxedKeystore,
    prefix: &[u8],
    limit: usize,
    style: Style,
    out: &mut impl Write,
) -> Result<(), Refusal> {
    let (entries, matching) = first(store, prefix, limit)?;
    for (key, value) in &entries {
        if INTERRUPTED.load(Ordering::Relaxed) {
            return Err(Refusal::Interrupted);
        }
        style.pair(out, key, value)?;
    }
    let more = matching - entries.len();
    if more > 0 {
        out.flush()?;
        errln!("({more} more)");
    }
    Ok(())
}

/// Returns the first `limit` entries whose key starts with `prefix`, in the order of their keys,
/// and the number of all such entries.
#[allow(clippy::type_complexity, reason = "a list of entries and a number")]
fn first(
    store: &BoxedKeystore,
    prefix: &[u8],
    limit: usize,
) -> Result<(Vec<(Vec<u8>, Vec<u8>)>, usize), Error> {
    // The greatest key is on top of the heap, where a smaller one replaces it.
    let mut kept = BinaryHeap::<(Vec<u8>, Vec<u8>)>::new();
    let mut matching = 0;
    store.for_each(|key, value| {
        if INTERRUPTED.load(Ordering::Relaxed) {
            return ControlFlow::Break(());
        }
        if key.starts_with(prefix) {
            matching += 1;
            if kept.len() < limit {
                kept.push((key.to_vec(), value.to_vec()));
            } else if let Some(mut last) = kept.peek_mut()
                && key < last.0.as_slice()
            {
                *last = (key.to_vec(), value.to_vec());
            }
        }
        ControlFlow::Continue(())
    })?;
    Ok((kept.into_sorted_vec(), matching))
}

fn help(out: &mut impl Write) -> io::Result<()> {
    for operation in &OPERATIONS {
        writeln!(
            out,
            "  {:<26}{}",
            format!("{} {}", operation.name, operation.arguments),
            operation.help
        )?;
    }
    out.write_all(QUOTING.as_bytes())
}

/// Explanation of quoting, which `help` prints.
const QUOTING: &str = r#"Words with spaces are quoted: set "a key" 'its value'. Outside single quotes, \n \r \t \0 \xff
and \u{e9} are escapes, and \\ is a backslash. What get and scan print can be typed back.
A word that starts with # starts a comment.
"#;

#[cfg(test)]
mod tests {
    use keystore_core::RwLockKeystore;

    use super::*;

    fn store() -> BoxedKeystore {
        Box::<RwLockKeystore>::default()
    }

    /// Returns the output of a line, or its refusal.
    fn say(store: &BoxedKeystore, line: &str) -> Result<String, String> {
        let mut out = Vec::new();
        run(store, line.as_bytes(), Style::Word, &mut out)
            .map(|_| String::from_utf8(out).unwrap().trim_end().to_owned())
            .map_err(|refusal| refusal.to_string())
    }

    #[test]
    fn each_verb_answers() {
        let store = store();
        let answers = [
            ("set a 1", Ok("created")),
            ("SET a 2", Ok("replaced")),
            ("insert a 3", Err("key exists: a")),
            ("insert b 3", Ok("created")),
            ("get a", Ok("2")),
            ("get nothing", Err("key not found: nothing")),
            ("exists a", Ok("true")),
            ("exists nothing", Ok("false")),
            ("cas a 1 9", Err("the value is 2")),
            ("cas a 2 9", Ok("exchanged")),
            ("cas nothing 2 9", Err("key not found: nothing")),
            ("incr a", Ok("10")),
            ("incr a -15", Ok("-5")),
            ("incr fresh 7", Ok("7")),
            ("count", Ok("3")),
            ("scan", Ok("a\t-5\nb\t3\nfresh\t7")),
            ("scan f", Ok("fresh\t7")),
            ("scan '' 1", Ok("a\t-5")),
            ("scan '' 0", Ok("")),
            ("take b", Ok("3")),
            ("take b", Err("key not found: b")),
            ("del fresh", Ok("deleted")),
            ("del fresh", Err("key not found: fresh")),
            ("reserve 1000", Ok("reserved")),
            ("shrink", Ok("shrunk")),
            ("clear", Ok("cleared")),
            ("count", Ok("0")),
            ("", Ok("")),
            ("  # nothing but a comment", Ok("")),
        ];
        for (line, answer) in answers {
            assert_eq!(
                say(&store, line),
                answer.map(str::to_owned).map_err(str::to_owned),
                "{line}"
            );
        }
        assert_eq!(run(&store, b"quit", Style::Word, &mut Vec::new()).unwrap(), Next::Quit);
        assert!(say(&store, "stats").unwrap().contains("Operations"));
        let help = say(&store, "help").unwrap();
        assert!(OPERATIONS.iter().all(|operation| help.contains(operation.name)));
    }

    #[test]
    fn quotes_hold_words_together() {
        let store = store();
        assert_eq!(say(&store, r#"set "a key" 'it'\''s "here"'"#).unwrap(), "created");
        assert_eq!(say(&store, r"get a\ key").unwrap(), r#""it's \"here\"""#);
        assert_eq!(say(&store, "set empty ''").unwrap(), "created");
        assert_eq!(say(&store, "get empty").unwrap(), "\"\"");
    }

    #[test]
    fn what_cannot_be_done_is_refused_by_name() {
        let store = store();
        let long = format!("set {} v", "k".repeat(70_000));
        let refusals = [
            ("frob a", "unknown operation frob: `help` lists all"),
            ("set a", "usage: set KEY VALUE"),
            ("get", "usage: get KEY"),
            ("count 3", "usage: count "),
            ("set 'a b", "a quote is not closed, or the line ends with a backslash"),
            ("set '' v", "a key of 0 bytes: keys have 1 to 65535 bytes"),
            (long.as_str(), "a key of 70000 bytes: keys have 1 to 65535 bytes"),
            ("scan a many", "LIMIT is many: it must be a whole number from 0"),
            ("reserve -1", "ENTRIES is -1: it must be a whole number from 0"),
            ("incr a x", "BY is x: it must be a whole number"),
        ];
        for (line, refusal) in refusals {
            assert_eq!(say(&store, line), Err(refusal.to_owned()), "{line}");
        }
        assert_eq!(store.len().unwrap(), 0);
    }

    #[test]
    fn foreign_text_in_a_message_is_escaped_once_and_cut() {
        let store = store();
        assert_eq!(
            say(&store, "fr\u{1b}ob").unwrap_err(),
            "unknown operation fr\\u{1b}ob: `help` lists all"
        );
        let long = say(&store, &format!("get {}", "k".repeat(60_000))).unwrap_err();
        assert_eq!(long, format!("key not found: {}… (60000 bytes)", "k".repeat(120)));
        assert!(say(&store, &"v".repeat(1 << 20)).unwrap_err().len() < 300);
    }

    #[test]
    fn what_is_printed_can_be_typed_back() {
        let store = store();
        for value in [
            &b"x\ny"[..],
            b"x\\ny",
            b"",
            b"it's \"one\" word",
            b"\xff\0",
            "\u{202e}".as_bytes(),
            b"#",
        ] {
            store.set(b"from", value).unwrap();
            let printed = say(&store, "get from").unwrap();
            assert_eq!(say(&store, &format!("set to {printed}")).unwrap(), "created", "{printed}");
            assert_eq!(store.get(b"to").unwrap().as_deref(), Some(value), "{printed}");
            store.delete(b"to").unwrap();
        }
    }

    #[test]
    fn raw_values_are_printed_byte_for_byte() {
        let store = store();
        store.set(b"k", b"a \\\xff\n").unwrap();
        let mut out = Vec::new();
        run(&store, b"get k", Style::Raw, &mut out).unwrap();
        run(&store, b"scan", Style::Raw, &mut out).unwrap();
        assert_eq!(out, b"a \\\xff\n\nk\ta \\\xff\n\n");
    }

    #[test]
    fn only_numbers_within_their_limits_are_counted_up() {
        let store = store();
        store.set(b"word", b"many").unwrap();
        store.set(b"most", b"9223372036854775807").unwrap();
        assert!(
            say(&store, "incr word")
                .unwrap_err()
                .starts_with("the value many is not a whole number")
        );
        assert!(say(&store, "incr most").unwrap_err().contains("the sum is out of this range"));
        assert_eq!(say(&store, "get most").unwrap(), "9223372036854775807");
    }

    #[test]
    fn a_scan_lists_the_first_keys_in_order() {
        let store = store();
        for number in 0..500 {
            store.set(format!("key {number:03}").as_bytes(), b"").unwrap();
        }
        let (entries, matching) = first(&store, b"key 2", 3).unwrap();
        let keys: Vec<_> = entries.iter().map(|entry| entry.0.as_slice()).collect();
        assert_eq!(keys, [b"key 200", b"key 201", b"key 202"]);
        assert_eq!(matching, 100);
    }
}
