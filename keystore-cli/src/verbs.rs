//! What the shell can do: one verb a line. `words` says how a line is made of words.

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

/// A verb's name, its arguments, and what it does.
#[derive(Debug)]
pub(crate) struct Verb {
    pub(crate) name: &'static str,
    pub(crate) arguments: &'static str,
    help: &'static str,
    /// How many arguments it takes: from and to.
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

const fn verb(
    name: &'static str,
    arguments: &'static str,
    count: (usize, usize),
    action: Action,
    help: &'static str,
) -> Verb {
    Verb { name, arguments, help, count, action }
}

/// All verbs, in the order in which `help` shows them.
pub(crate) static VERBS: [Verb; 17] = [
    verb("set", "KEY VALUE", (2, 2), Action::Set, "give KEY this value, present or not"),
    verb("insert", "KEY VALUE", (2, 2), Action::Insert, "give KEY this value; an error where it is present"),
    verb("get", "KEY", (1, 1), Action::Get, "print the value of KEY; an error where it is absent"),
    verb("take", "KEY", (1, 1), Action::Take, "remove KEY and print the value it had"),
    verb("del", "KEY", (1, 1), Action::Del, "remove KEY; an error where it is absent"),
    verb("exists", "KEY", (1, 1), Action::Exists, "print whether KEY is present"),
    verb("cas", "KEY OLD NEW", (3, 3), Action::Cas, "change the value of KEY to NEW where it is OLD"),
    verb(
        "incr",
        "KEY [BY]",
        (1, 2),
        Action::Incr,
        "add BY (1) to the number that KEY holds, absent counting as 0",
    ),
    verb("count", "", (0, 0), Action::Count, "print the number of entries"),
    verb(
        "scan",
        "[PREFIX] [LIMIT]",
        (0, 2),
        Action::Scan,
        "list entries whose key begins with PREFIX, at most LIMIT (100)",
    ),
    verb("stats", "", (0, 0), Action::Stats, "print what the store tells about itself"),
    verb("clear", "", (0, 0), Action::Clear, "remove every entry"),
    verb(
        "reserve",
        "ENTRIES",
        (1, 1),
        Action::Reserve,
        "make the table large enough for so many more entries",
    ),
    verb("shrink", "", (0, 0), Action::Shrink, "make the table as small as its entries allow"),
    verb("help", "", (0, 0), Action::Help, "print this list"),
    verb("quit", "", (0, 0), Action::Quit, "leave; so does the end of the input"),
    verb("exit", "", (0, 0), Action::Quit, "leave"),
];

/// How many entries `scan` lists unless told.
const SCAN_LIMIT: usize = 100;

/// Whether Ctrl-C was pressed since a verb began; verbs that may take long look at it.
pub(crate) static INTERRUPTED: AtomicBool = AtomicBool::new(false);

/// Whether the shell goes on after a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Next {
    Go,
    Quit,
}

/// Why a line did nothing.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Refusal {
    /// The line itself cannot be read.
    #[error("{0}")]
    Malformed(String),
    #[error("interrupted")]
    Interrupted,
    #[error(transparent)]
    Unreadable(#[from] Unreadable),
    #[error("unknown verb {0}: help lists those there are")]
    UnknownVerb(String),
    #[error("usage: {name} {arguments}", name = .0.name, arguments = .0.arguments)]
    Usage(&'static Verb),
    #[error("{what} is {text}: it must be {expected}")]
    NoNumber { what: &'static str, text: String, expected: &'static str },
    #[error("key not found: {0}")]
    NotFound(String),
    #[error("key exists: {0}")]
    Exists(String),
    #[error("the value is {0}")]
    Differs(String),
    #[error("the value {0} is no whole number from -2^63 to 2^63 - 1, or would pass these limits")]
    NotCountable(String),
    #[error(transparent)]
    Store(#[from] Error),
    #[error(transparent)]
    Output(#[from] io::Error),
}

/// Carries out a line. A line of nothing, or of a comment (`# …`), is nothing to do.
pub(crate) fn run(
    store: &BoxedKeystore,
    line: &[u8],
    style: Style,
    out: &mut impl Write,
) -> Result<Next, Refusal> {
    let words = Words::split(line)?;
    let Some(name) = words.get(0) else { return Ok(Next::Go) };
    let arguments = words.len() - 1;
    let verb = VERBS
        .iter()
        .find(|verb| name.eq_ignore_ascii_case(verb.name.as_bytes()))
        .ok_or_else(|| Refusal::UnknownVerb(named(name)))?;
    if arguments < verb.count.0 || arguments > verb.count.1 {
        return Err(Refusal::Usage(verb));
    }
    let argument = |index: usize| words.get(1 + index);
    let word = |index: usize| argument(index).unwrap_or_default();
    let key = word(0);
    let not_found = || Refusal::NotFound(named(key));
    match verb.action {
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

/// A key or a word as a message names it.
fn named(bytes: &[u8]) -> String {
    show_name(bytes).to_string()
}

fn number<T: std::str::FromStr>(
    what: &'static str,
    word: &[u8],
    expected: &'static str,
) -> Result<T, Refusal> {
    std::str::from_utf8(word).ok().and_then(|text| text.parse().ok()).ok_or_else(|| Refusal::NoNumber {
        what,
        text: named(word),
        expected,
    })
}

/// Adds to the number that a key holds, as one step: the sum.
fn increment(store: &BoxedKeystore, key: &[u8], by: i64) -> Result<i64, Refusal> {
    let mut sum = Ok(0);
    store.update(key, |old| {
        let held = match old {
            None => Some(0),
            Some(value) => std::str::from_utf8(value).ok().and_then(|text| text.parse::<i64>().ok()),
        };
        sum = held.and_then(|held| held.checked_add(by)).ok_or_else(|| named(old.unwrap_or_default()));
        match &sum {
            Ok(sum) => Update::Set(sum.to_string().into_bytes()),
            Err(_) => Update::Keep,
        }
    })?;
    sum.map_err(Refusal::NotCountable)
}

/// Lists the first `limit` entries, in the order of their keys, of those whose key begins with `prefix`.
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

/// The first `limit` entries whose key begins with `prefix`, in the order of their keys, and how many there are in all.
#[allow(clippy::type_complexity, reason = "a list of entries and a number")]
fn first(
    store: &BoxedKeystore,
    prefix: &[u8],
    limit: usize,
) -> Result<(Vec<(Vec<u8>, Vec<u8>)>, usize), Error> {
    // The last of those kept is on top, to give way to an earlier one.
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
    for verb in &VERBS {
        writeln!(out, "  {:<26}{}", format!("{} {}", verb.name, verb.arguments), verb.help)?;
    }
    out.write_all(QUOTING.as_bytes())
}

/// What `help` says of words.
const QUOTING: &str = r#"Words with spaces are quoted: set "a key" 'its value'. Outside single quotes, \n \r \t \0 \xff
and \u{e9} are escapes, and \\ is a backslash. What get and scan print can be typed back.
A word that begins with # starts a comment.
"#;

#[cfg(test)]
mod tests {
    use keystore_core::RwLockKeystore;

    use super::*;

    fn store() -> BoxedKeystore {
        Box::<RwLockKeystore>::default()
    }

    /// What a line prints, or its refusal.
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
            assert_eq!(say(&store, line), answer.map(str::to_owned).map_err(str::to_owned), "{line}");
        }
        assert_eq!(run(&store, b"quit", Style::Word, &mut Vec::new()).unwrap(), Next::Quit);
        assert!(say(&store, "stats").unwrap().contains("Operations"));
        let help = say(&store, "help").unwrap();
        assert!(VERBS.iter().all(|verb| help.contains(verb.name)));
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
            ("frob a", "unknown verb frob: help lists those there are"),
            ("set a", "usage: set KEY VALUE"),
            ("get", "usage: get KEY"),
            ("count 3", "usage: count "),
            ("set 'a b", "a quote is not closed, or a backslash stands at the end"),
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
            "unknown verb fr\\u{1b}ob: help lists those there are"
        );
        let long = say(&store, &format!("get {}", "k".repeat(60_000))).unwrap_err();
        assert_eq!(long, format!("key not found: {}… (60000 bytes)", "k".repeat(120)));
        assert!(say(&store, &"v".repeat(1 << 20)).unwrap_err().len() < 300);
    }

    #[test]
    fn what_is_printed_can_be_typed_back() {
        let store = store();
        for value in
            [&b"x\ny"[..], b"x\\ny", b"", b"it's \"one\" word", b"\xff\0", "\u{202e}".as_bytes(), b"#"]
        {
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
        assert!(say(&store, "incr word").unwrap_err().starts_with("the value many is no whole number"));
        assert!(say(&store, "incr most").unwrap_err().contains("would pass these limits"));
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
