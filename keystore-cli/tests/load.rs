//! `keystore load`, as a user runs it.

mod common;

use std::path::PathBuf;

use common::{Ran, keystore};
use tempfile::TempDir;

/// A file of this name and content, in a folder that goes away with the first of the two.
fn file(name: &str, content: &[u8]) -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(name);
    std::fs::write(&path, content).unwrap();
    (folder, path)
}

fn load(name: &str, content: &[u8], arguments: &[&str]) -> Ran {
    let (_folder, path) = file(name, content);
    keystore(&[&["load", path.to_str().unwrap()], arguments].concat())
}

/// The line of the report that begins so, without that.
fn line<'a>(ran: &'a Ran, label: &str) -> &'a str {
    let line = ran.out.lines().find_map(|line| line.strip_prefix(label));
    line.unwrap_or_else(|| panic!("no {label:?} in {ran:?}"))
}

#[test]
fn words_are_counted() {
    let text = b"the cat and the hat\n\n  the end, the\tEnd\r\n";
    let ran = load("some.txt", text, &["--top", "2", "--get", "the"]);
    assert_eq!((ran.code, ran.err.as_str()), (Some(0), ""), "{ran:?}");
    assert_eq!(line(&ran, "Entries: "), "6");
    assert_eq!(line(&ran, "Lines: "), "3");
    assert!(line(&ran, "Bytes of keys and values: ").starts_with("25 (4.2 per entry)"), "{ran:?}");
    assert!(line(&ran, "Bytes held by pool and table: ").ends_with("per entry)"));
    assert!(line(&ran, "Time: ").ends_with("lines a second)"));
    assert!(ran.out.ends_with("Largest values\nthe\t4\nEnd\t1\nthe\t4\n"), "{}", ran.out);
}

#[test]
fn text_need_not_be_utf8() {
    let ran = load("latin1", b"caf\xe9 caf\xe9 \xff\xfe\n", &["--top", "1"]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert_eq!(line(&ran, "Entries: "), "2");
    assert!(ran.out.ends_with("caf\\xe9\t2\n"), "{}", ran.out);
}

#[test]
fn tab_separated_values_are_set_and_the_last_of_a_key_stays() {
    let ran = load("d.tsv", b"a\t1\nb\ttwo\twords\na\t3\nc\t\n\xff\t5\n", &["--get", "b", "--top", "5"]);
    assert_eq!((ran.code, ran.err.as_str()), (Some(0), ""), "{ran:?}");
    assert_eq!(line(&ran, "Entries: "), "4");
    assert_eq!(line(&ran, "Values replaced by a later line: "), "1");
    assert!(
        ran.out.ends_with(
            "Largest values\n\\xff\t5\na\t3\n(2 entries whose value is no number are left out)\nb\ttwo\\twords\n"
        ),
        "{}",
        ran.out
    );
}

#[test]
fn json_lines_are_set() {
    let lines = br#"{"key":"a","value":"x y"}
{"value":12.5,"key":"b"}
{"key":"caf\u00e9","value":{"n":[1]}}
"#;
    for (key, value) in [("a", "a\tx y\n"), ("b", "b\t12.5\n"), ("café", "café\t{\"n\":[1]}\n")] {
        let ran = load("d.JSONL", lines, &["--get", key]);
        assert_eq!((ran.code, ran.err.as_str()), (Some(0), ""), "{ran:?}");
        assert_eq!(line(&ran, "Entries: "), "3");
        assert!(ran.out.ends_with(value), "{}", ran.out);
    }
}

#[test]
fn a_malformed_line_is_named_and_stops_the_load() {
    let long = ["k".repeat(65_536), "\t1\n".to_owned()].concat();
    let long_word = long.replace('\t', "");
    let bad: [(&str, &[u8], &str); 7] = [
        ("d.tsv", b"a\t1\nb 2\nc\t3\n", "d.tsv:2: no tab between a key and a value"),
        ("d.tsv", b"\t1\n", "d.tsv:1: a key of 0 bytes: keys have 1 to 65535 bytes"),
        ("d.tsv", long.as_bytes(), "d.tsv:1: a key of 65536 bytes: keys have 1 to 65535 bytes"),
        ("d.jsonl", b"{\"key\":\"a\",\"value\":1}\n{\"key\":\"a\"}\n", "d.jsonl:2: not {\"key\""),
        ("d.jsonl", b"{\"key\":\"\",\"value\":1}\n", "d.jsonl:1: a key of 0 bytes"),
        ("d.jsonl", b"{\"key\":\"\xff\",\"value\":1}\n", "d.jsonl:1: not {\"key\""),
        ("d.txt", long_word.as_bytes(), "d.txt:1: a word of 65537 bytes"),
    ];
    for (name, content, message) in bad {
        let ran = load(name, content, &[]);
        assert_eq!((ran.code, ran.out.as_str()), (Some(1), ""), "{ran:?}");
        assert!(ran.err.contains(message), "{message:?} is not in {}", ran.err);
    }
}

#[test]
fn malformed_lines_are_skipped_and_counted_when_asked() {
    let mut lines = b"a\t1\n".to_vec();
    for _ in 0..9 {
        lines.extend_from_slice(b"no tab\n");
    }
    lines.extend_from_slice(b"z\t2");
    let ran = load("d.tsv", &lines, &["--skip-bad", "--get", "z"]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert_eq!(line(&ran, "Malformed lines skipped: "), "9");
    assert_eq!(line(&ran, "Entries: "), "2");
    assert_eq!(ran.err.lines().count(), 5, "only the first are described: {}", ran.err);
    assert!(ran.err.contains("d.tsv:2: no tab"), "{}", ran.err);
    assert!(ran.out.ends_with("z\t2\n"));
}

#[test]
fn a_file_that_cannot_be_read_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let missing = folder.path().join("missing.tsv");
    for path in [missing.as_path(), folder.path()] {
        let ran = keystore(&["load", path.to_str().unwrap()]);
        assert_eq!((ran.code, ran.out.as_str()), (Some(1), ""), "{ran:?}");
        assert!(ran.err.contains(path.to_str().unwrap()), "{}", ran.err);
    }
}

#[test]
fn an_absent_key_is_named_and_exits_with_1() {
    let ran = load("some.txt", b"a b c", &["--get", "absent"]);
    assert_eq!(ran.code, Some(1));
    assert_eq!(ran.err, "keystore: key not found: absent\n");
    assert_eq!(line(&ran, "Entries: "), "3");
}

#[test]
fn largest_values_want_a_number() {
    let ran = load("d.tsv", b"a\tx\n", &["--top", "3"]);
    assert_eq!(ran.code, Some(1));
    assert!(ran.err.contains("d.tsv: no value is a number"), "{}", ran.err);
}

#[test]
fn an_empty_file_is_an_empty_store() {
    for name in ["e.tsv", "e.jsonl", "e.txt"] {
        let ran = load(name, b"", &["--top", "3"]);
        assert_eq!((ran.code, ran.err.as_str()), (Some(0), ""), "{ran:?}");
        assert_eq!(line(&ran, "Entries: "), "0");
        assert_eq!(line(&ran, "Lines: "), "0");
    }
}

#[test]
fn every_combination_loads_the_same() {
    let text: String = (0..5_000).map(|number| format!("word{}\n", number % 1_000)).collect();
    let (_folder, path) = file("words", text.as_bytes());
    for backend in ["rwlock", "epoch", "dashmap"] {
        for pool in ["slab", "arena", "system"] {
            let ran = keystore(&[
                "load",
                path.to_str().unwrap(),
                "--backend",
                backend,
                "--pool",
                pool,
                "--get",
                "word999",
            ]);
            assert_eq!(ran.code, Some(0), "{ran:?}");
            assert_eq!(line(&ran, "Entries: "), "1000");
            assert!(ran.out.ends_with("word999\t5\n"), "{}", ran.out);
        }
    }
}

#[test]
fn wrong_arguments_exit_with_2() {
    let long = "k".repeat(65_536);
    let wrong: [(&[&str], &str); 6] = [
        (&[], "<FILE>"),
        (&["f", "--backend", "all"], "all"),
        (&["f", "--pool", "none"], "none"),
        (&["f", "--top", "0"], "0"),
        (&["f", "--get", ""], "a key of 0 bytes"),
        (&["f", "--get", &long], "a key of 65536 bytes"),
    ];
    for (arguments, named) in wrong {
        let ran = keystore(&[&["load"], arguments].concat());
        assert_eq!((ran.code, ran.out.as_str()), (Some(2), ""), "{arguments:?}: {ran:?}");
        assert!(ran.err.contains(named), "{}", ran.err);
    }
}

/// `keystore load … | head` ends quietly.
#[cfg(unix)]
#[test]
fn output_that_nobody_reads_is_no_failure() {
    let text: String = (0..100_000).map(|number| format!("word{number}\n")).collect();
    let (_folder, path) = file("words", text.as_bytes());
    let mut child = std::process::Command::new(env!("CARGO_BIN_EXE_keystore"))
        .args(["load", path.to_str().unwrap(), "--top", "100000"])
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert_eq!((output.status.code(), output.stderr), (Some(0), Vec::new()));
}
