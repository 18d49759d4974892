//! Tests of `keystore load`, run as a user runs it.

mod common;

use std::io::Write;
use std::path::PathBuf;

use common::{Ran, keystore, keystore_fed};
use tempfile::TempDir;

/// Makes a file in a temporary folder, which is removed when the first value is dropped.
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

/// Returns the line of the report that starts with `label`, without the label.
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
    let ran =
        load("d.tsv", b"a\t1\nb\ttwo\twords\na\t3\nc\t\n\xff\t5\n", &["--get", "b", "--top", "5"]);
    assert_eq!((ran.code, ran.err.as_str()), (Some(0), ""), "{ran:?}");
    assert_eq!(line(&ran, "Entries: "), "4");
    assert_eq!(line(&ran, "Values replaced by a later line: "), "1");
    assert!(
        ran.out.ends_with(
            "Largest values\n\\xff\t5\na\t3\n(2 entries without a numeric value are left out)\nb\ttwo\\twords\n"
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
    for (key, value) in
        [("a", "a\t\"x y\"\n"), ("b", "b\t12.5\n"), ("café", "café\t\"{\\\"n\\\":[1]}\"\n")]
    {
        let ran = load("d.JSONL", lines, &["--get", key]);
        assert_eq!((ran.code, ran.err.as_str()), (Some(0), ""), "{ran:?}");
        assert_eq!(line(&ran, "Entries: "), "3");
        assert!(ran.out.ends_with(value), "{}", ran.out);
    }
}

#[test]
fn an_empty_line_is_skipped_in_every_format() {
    for (name, content) in [
        ("d.tsv", "a\t1\n\nb\t2\r\n\r\n\n"),
        ("d.csv", "\na,1\n\nb,2\r\n\r\n"),
        ("d.jsonl", "{\"key\":\"a\",\"value\":1}\n\n{\"key\":\"b\",\"value\":2}\n\n"),
        ("d.txt", "a\n\nb b\n\n"),
    ] {
        let ran = load(name, content.as_bytes(), &["--get", "b"]);
        assert_eq!((ran.code, ran.err.as_str()), (Some(0), ""), "{ran:?}");
        assert_eq!(line(&ran, "Entries: "), "2");
        assert!(ran.out.ends_with("b\t2\n"), "{}", ran.out);
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
fn a_malformed_record_costs_the_lines_that_are_counted() {
    // The header does not count as a record. Line 4 opens a quote that is never closed.
    let text = b"key,value\na,1\nb,2\nc,\"3\nd,4\n\"e\"x,5\nf,6\n";
    let ran = load("d.csv", text, &["--skip-bad", "--get", "f"]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert_eq!((line(&ran, "Records: "), line(&ran, "Entries: ")), ("6", "4"), "{ran:?}");
    assert_eq!(line(&ran, "Malformed lines skipped: "), "2");
    assert!(
        ran.err.contains("d.csv:4: ") && ran.err.contains("d.csv:6: a quote that"),
        "{}",
        ran.err
    );
    // A complete record that is not an entry counts with all of its lines.
    let ran = load("d.csv", b"a,\"1\n2\n3\",4\nb,2\n", &["--skip-bad"]);
    assert_eq!(
        (line(&ran, "Malformed lines skipped: "), line(&ran, "Entries: ")),
        ("3", "1"),
        "{ran:?}"
    );
    let ran = load("d.csv", b"a,1\nd,\"4\"5\n", &[]);
    assert_eq!((ran.code, ran.out.as_str()), (Some(1), ""), "{ran:?}");
    assert!(ran.err.contains("d.csv:2: a quote that neither"), "{}", ran.err);
}

#[test]
fn a_file_that_cannot_be_read_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let missing = folder.path().join("missing.tsv");
    for path in [missing.as_path(), folder.path()] {
        let ran = keystore(&["load", path.to_str().unwrap()]);
        assert_eq!((ran.code, ran.out.as_str()), (Some(1), ""), "{ran:?}");
        let named = format!("keystore: {}: cannot be read: ", path.to_str().unwrap());
        assert!(ran.err.starts_with(&named), "{}", ran.err);
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
    // `--get` is answered even if `--top` fails.
    let ran = load("d.tsv", b"a\tx\n", &["--top", "3", "--get", "a"]);
    assert!(ran.code == Some(1) && ran.out.ends_with("a\tx\n"), "{ran:?}");
    let ran = load("d.tsv", b"a\tx\n", &["--top", "3", "--get", "b"]);
    assert_eq!((ran.code, ran.err.lines().count()), (Some(1), 2), "{ran:?}");
}

#[test]
fn numbers_are_ranked_exactly() {
    let ran =
        load("d.tsv", b"a\t9007199254740992\nb\t9007199254740993\nc\t1e400\n", &["--top", "2"]);
    assert!(ran.out.ends_with("Largest values\nc\t1e400\nb\t9007199254740993\n"), "{}", ran.out);
}

#[test]
fn an_empty_file_is_an_empty_store() {
    for name in ["e.tsv", "e.jsonl", "e.txt", "e.csv"] {
        let ran = load(name, b"", &["--top", "3"]);
        assert_eq!((ran.code, ran.err.as_str()), (Some(0), ""), "{ran:?}");
        assert_eq!(line(&ran, "Entries: "), "0");
        let unit = if name == "e.csv" { "Records: " } else { "Lines: " };
        assert_eq!(line(&ran, unit), "0");
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
    let wrong: [(&[&str], &str); 9] = [
        (&[], "<FILE>"),
        (&["f", "--backend", "all"], "all"),
        (&["f", "--pool", "none"], "none"),
        (&["f", "--top", "0"], "0"),
        (&["f", "--top", "1", "--top", "2"], "--top"),
        (&["f", "--format", "xml"], "xml"),
        (&["f", "g"], "g"),
        (&["f", "--get", ""], "a key of 0 bytes"),
        (&["f", "--get", &long], "a key of 65536 bytes"),
    ];
    for (arguments, named) in wrong {
        let ran = keystore(&[&["load"], arguments].concat());
        assert_eq!((ran.code, ran.out.as_str()), (Some(2), ""), "{arguments:?}: {ran:?}");
        assert!(ran.err.contains(named), "{}", ran.err);
    }
}

fn gzip(text: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(text).unwrap();
    encoder.finish().unwrap()
}

#[test]
fn the_format_is_told_by_the_name_and_said_or_told_by_the_option() {
    let json = b"{\"key\":\"a\",\"value\":\"1\"}\n";
    let guesses: [(&str, &[u8], &str); 7] = [
        ("d.tsv", b"a\t1\n", "tab-separated values"),
        ("d.csv", b"a,1\n", "comma-separated values"),
        ("d.jsonl", json, "JSON Lines"),
        ("d.ndjson", json, "JSON Lines"),
        ("d.tsv.gz", &gzip(b"a\t1\n"), "tab-separated values"),
        ("d.JSONL.gz", &gzip(json), "JSON Lines"),
        ("d", b"a b c a", "words of plain text"),
    ];
    for (name, content, format) in guesses {
        let ran = load(name, content, &["--get", "a"]);
        assert_eq!((ran.code, ran.err.as_str()), (Some(0), ""), "{ran:?}");
        let first = ran.out.lines().next().unwrap();
        assert!(
            first.ends_with(&format!("{name}: {format} (by its name; --format overrides it)")),
            "{first}"
        );
        assert!(ran.out.ends_with("a\t1\n") || ran.out.ends_with("a\t2\n"), "{}", ran.out);
    }
    let said: [(&str, &[u8], &str); 6] = [
        ("words", b"a a\na\n", "a\t3\n"),
        ("lines", b"a\r\n\na b\na\n", "a\t2\n"),
        ("tsv", b"a\tb c\n", "a\t\"b c\"\n"),
        ("csv", b"a,b\n", "a\tb\n"),
        ("jsonl", json, "a\t1\n"),
        ("ndjson", json, "a\t1\n"),
    ];
    for (format, content, entry) in said {
        let ran = keystore_fed(&["load", "-", "--format", format, "--get", "a"], content);
        assert_eq!((ran.code, ran.err.as_str()), (Some(0), ""), "{ran:?}");
        assert!(ran.out.starts_with("standard input: ") && ran.out.ends_with(entry), "{}", ran.out);
        assert!(!ran.out.contains("--format"), "what was said is no guess: {}", ran.out);
    }
}

#[test]
fn comma_separated_values_are_quoted_and_may_have_a_header() {
    let text = b"\xef\xbb\xbfKey,Value\r\na,\"1,5\"\r\n\"b\"\"c\",\"two\nlines\"\r\nkey,value\r\n";
    let ran = load("d.csv", text, &["--get", "b\"c"]);
    assert_eq!((ran.code, ran.err.as_str()), (Some(0), ""), "{ran:?}");
    assert_eq!((line(&ran, "Records: "), line(&ran, "Entries: ")), ("3", "3"));
    assert!(ran.out.ends_with("\"b\\\"c\"\ttwo\\nlines\n"), "{}", ran.out);
    for (text, reason) in [
        (&b"a,b\n\nc\n"[..], "d.csv:3: 1 column: a record has a key and a value"),
        (b"a,b,c\n", "d.csv:1: 3 columns"),
        (b"a,b\nc,\"d\n", "d.csv:2: a quote is opened and never closed"),
        (b",b\n", "d.csv:1: a key of 0 bytes"),
    ] {
        let ran = load("d.csv", text, &[]);
        assert_eq!((ran.code, ran.out.as_str()), (Some(1), ""), "{ran:?}");
        assert!(ran.err.contains(reason), "{}", ran.err);
    }
}

#[test]
fn what_is_no_text_is_refused_in_every_format() {
    let elf = b"\x7fELF\x02\x01\x01\0\0";
    let contents: [(&[u8], &str); 6] = [
        (b"\xff\xfea\0\t\0b\0\n\0", "UTF-16 text"),
        (b"\0\0\xfe\xff\0\0\0a", "UTF-32 text"),
        (b"\x28\xb5\x2f\xfd\x24\0", "decompress it with `zstd -dc`"),
        (b"\xfd7zXZ\0\0\x04", "decompress it with `xz -dc`"),
        (&gzip(elf), "binary file"),
        (elf, "binary file"),
    ];
    for (content, reason) in contents {
        for format in ["words", "lines", "tsv", "csv", "jsonl"] {
            let ran = keystore_fed(&["load", "-", "--format", format], content);
            assert_eq!((ran.code, ran.out.as_str()), (Some(1), ""), "{ran:?}");
            // Detection runs first: a JSON parser or the search for a tab would explain less.
            assert!(
                ran.err.starts_with("keystore: standard input:1: ") && ran.err.contains(reason),
                "{}",
                ran.err
            );
        }
        let ran = keystore_fed(&["shell"], content);
        assert!(ran.code == Some(1) && ran.err.contains(reason), "{ran:?}");
    }
    let ran = load("d.tsv.gz", &gzip(b"a\t1\n")[..20], &[]);
    assert_eq!((ran.code, ran.out.as_str()), (Some(1), ""), "{ran:?}");
    assert!(
        ran.err.contains("d.tsv.gz: cannot be read: its gzip data is damaged or cut short"),
        "{}",
        ran.err
    );
}

#[test]
fn line_ends_and_marks_are_no_part_of_entries() {
    let ran = load("d.tsv", b"\xef\xbb\xbfa\t1\r\nb\t2\r\n", &["--get", "b"]);
    assert!(ran.out.ends_with("b\t2\n"), "{ran:?}");
    let ran = load("d.tsv", b"\xef\xbb\xbfa\t1\r\n", &["--get", "a"]);
    assert!(ran.out.ends_with("a\t1\n"), "{ran:?}");
    let ran = keystore_fed(&["shell"], b"\xef\xbb\xbfset a 1\r\nget a\r\n");
    assert_eq!((ran.code, ran.out.as_str()), (Some(0), "created\n1\n"), "{ran:?}");
}

#[test]
fn a_line_end_and_a_backslash_are_told_apart_and_raw_output_is_exact() {
    let lines = br#"{"key":"nl","value":"x\ny"}
{"key":"bs","value":"x\\ny"}
"#;
    for (key, shown, raw) in
        [("nl", "nl\tx\\ny\n", "nl\tx\ny\n"), ("bs", "bs\tx\\\\ny\n", "bs\tx\\ny\n")]
    {
        let ran = load("two.jsonl", lines, &["--get", key]);
        assert!(ran.out.ends_with(shown), "{}", ran.out);
        let ran = load("two.jsonl", lines, &["--raw", "--get", key]);
        assert!(ran.out.ends_with(raw), "{}", ran.out);
    }
}

#[test]
fn a_line_that_is_too_long_is_named_with_the_limit() {
    let text = b"12345 123\n12 34\n";
    for format in ["words", "lines", "tsv", "csv", "jsonl"] {
        let ran = keystore_fed(&["load", "-", "--format", format, "--longest-line", "8"], text);
        assert_eq!((ran.code, ran.out.as_str()), (Some(1), ""), "{ran:?}");
        let reason = "standard input:1: longer than 8 bytes, the longest that is taken";
        assert!(ran.err.contains(reason), "{format}: {}", ran.err);
    }
    let ran = keystore_fed(&["load", "-", "--longest-line", "8", "--skip-bad"], text);
    assert_eq!((line(&ran, "Malformed lines skipped: "), line(&ran, "Entries: ")), ("1", "2"));
    let ran = keystore_fed(&["shell", "--longest-line", "8"], b"set a 123456\nset a 1\nget a\n");
    assert_eq!((ran.code, ran.out.as_str()), (Some(1), "created\n1\n"));
    assert_eq!(ran.err, "line 1: longer than 8 bytes, the longest that is taken\n");
}

/// Checks that a line of any length is an error message and not the end of the process. The address
/// space is limited to 2 GB, a part of which the program and its threads need.
#[cfg(target_os = "linux")]
#[test]
fn no_line_ends_the_process() {
    let limited = |arguments: &str, bytes: &str| {
        let script = format!(
            "ulimit -v 2000000; head -c {bytes} /dev/zero | tr '\\0' a | \"$0\" {arguments} | tail -c 2000"
        );
        let mut command = std::process::Command::new("bash");
        command.args(["-o", "pipefail", "-c", &script, env!("CARGO_BIN_EXE_keystore")]);
        command.stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped());
        common::run(command, b"")
    };
    for format in ["words", "lines", "tsv", "csv", "jsonl"] {
        let ran = limited(&format!("load - --format {format}"), "100000000");
        assert_eq!((ran.code, ran.out.as_str()), (Some(1), ""), "{ran:?}");
        let reason = "standard input:1: longer than 67108864 bytes, the longest that is taken";
        assert!(ran.err.contains(reason), "{}", ran.err);
        // This line is longer than the whole address space.
        let ran =
            limited(&format!("load - --format {format} --longest-line 4000000000"), "2100000000");
        assert_eq!((ran.code, ran.out.as_str()), (Some(1), ""), "{format}: {ran:?}");
        assert!(
            ran.err.contains(":1: longer than ") && ran.err.contains("no memory for more"),
            "{}",
            ran.err
        );
    }
    let ran = limited("shell", "100000000");
    assert_eq!((ran.code, ran.err.lines().count()), (Some(1), 1), "{ran:?}");
    assert!(ran.err.starts_with("line 1: longer than 67108864 bytes"), "{}", ran.err);
}

#[cfg(unix)]
#[test]
fn a_pipe_with_a_name_is_a_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("d.tsv");
    assert!(std::process::Command::new("mkfifo").arg(&path).status().unwrap().success());
    let ran = std::thread::scope(|scope| {
        scope.spawn(|| std::fs::write(&path, "a\t1\n").unwrap());
        keystore(&["load", path.to_str().unwrap(), "--get", "a"])
    });
    assert!(ran.code == Some(0) && ran.out.ends_with("a\t1\n"), "{ran:?}");
}

/// Runs `keystore load` on a file of this content, with its address space limited to `mib` MiB.
#[cfg(target_os = "linux")]
fn load_limited(mib: usize, content: &[u8], arguments: &str) -> Ran {
    let (_folder, path) = file("big.tsv", content);
    let mut command = std::process::Command::new("sh");
    let line = format!("ulimit -v {}; exec \"$0\" load \"$1\" {arguments}", mib << 10);
    command.args(["-c", &line, env!("CARGO_BIN_EXE_keystore")]).arg(path);
    command.stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped());
    common::run(command, b"")
}

#[cfg(target_os = "linux")]
#[test]
fn a_lack_of_memory_is_a_failure_with_a_message() {
    let value = "v".repeat(2_000);
    let content: String = (0..200_000).map(|n| format!("key {n}\t{value}\n")).collect();
    for store in ["rwlock", "epoch", "dashmap"] {
        for pool in ["system", "slab"] {
            let arguments = format!("--backend {store} --pool {pool}");
            let ran = load_limited(300, content.as_bytes(), &arguments);
            assert_eq!((ran.code, ran.out.as_str()), (Some(1), ""), "{arguments}: {ran:?}");
            assert!(
                ran.err.contains("big.tsv:") && ran.err.contains("memory"),
                "{arguments}: {ran:?}"
            );
        }
    }
}

#[cfg(target_os = "linux")]
#[test]
fn less_address_space_than_the_command_needs_is_refused_by_its_number() {
    let ran = load_limited(50, b"a\tb\n", "");
    assert_eq!(ran.code, Some(1), "{ran:?}");
    assert!(
        ran.err.contains("limited to 52428800 bytes") && ran.err.contains("167772160"),
        "{ran:?}"
    );
}
