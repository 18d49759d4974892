//! Tests with a full or unread standard output or standard error.

#![cfg(target_os = "linux")]

mod common;

use std::fs::OpenOptions;
use std::process::{Command, Stdio};

use common::{Ran, keystore_fed, run};

/// Destination of a stream.
#[derive(Clone, Copy)]
enum To {
    /// The test reads it.
    Us,
    /// A full disk.
    Full,
    /// A pipe without a reader.
    Nobody,
}

impl To {
    fn open(self) -> Stdio {
        match self {
            Self::Us => Stdio::piped(),
            Self::Full => OpenOptions::new().write(true).open("/dev/full").unwrap().into(),
            Self::Nobody => {
                let (reader, writer) = std::io::pipe().unwrap();
                drop(reader);
                writer.into()
            }
        }
    }
}

fn keystore(arguments: &[&str], input: &[u8], out: To, err: To) -> Ran {
    let mut command = Command::new(env!("CARGO_BIN_EXE_keystore"));
    command.args(arguments).stdout(out.open()).stderr(err.open());
    run(command, input)
}

const SCRIPT: &[u8] = b"set a 1\nget b\nset c 3\nfrob\nscan '' 1\ncount\n";

#[test]
fn a_script_is_carried_out_to_its_end_if_nobody_can_have_its_messages() {
    for err in [To::Full, To::Nobody] {
        let ran = keystore(&["shell"], SCRIPT, To::Us, err);
        assert_eq!(
            (ran.code, ran.out.as_str()),
            (Some(1), "created\ncreated\na\t1\n2\n"),
            "{ran:?}"
        );
        let ran = keystore(&["shell"], b"set a 1\nscan '' 0\n", To::Us, err);
        assert_eq!((ran.code, ran.out.as_str()), (Some(0), "created\n"), "{ran:?}");
    }
}

#[test]
fn a_script_is_carried_out_to_its_end_if_nobody_can_have_its_output() {
    // The message of the last line proves that it ran.
    let script = b"set a 1\ncount\nset b 2\nget nothing\n";
    let ran = keystore(&["shell"], script, To::Full, To::Us);
    assert_eq!(ran.code, Some(1));
    let full = "standard output: No space left on device";
    assert!(
        ran.err.starts_with("line 4: key not found: nothing\n") && ran.err.contains(full),
        "{ran:?}"
    );
    let ran = keystore(&["shell"], script, To::Nobody, To::Us);
    assert_eq!((ran.code, ran.err.as_str()), (Some(1), "line 4: key not found: nothing\n"));
    // A full disk is a failure; a reader that leaves early is not.
    assert_eq!(keystore(&["shell"], b"set a 1\n", To::Full, To::Us).code, Some(1));
    assert_eq!(keystore(&["shell"], b"set a 1\n", To::Nobody, To::Us).code, Some(0));
    for to in [To::Full, To::Nobody] {
        assert_eq!(keystore(&["shell"], SCRIPT, to, to).code, Some(1));
    }
}

#[test]
fn each_command_gives_its_exit_code_whatever_becomes_of_its_output() {
    let folder = tempfile::tempdir().unwrap();
    let bad = folder.path().join("bad.tsv");
    std::fs::write(&bad, "a\t1\nno tab\nb\t2\n").unwrap();
    let bad = bad.to_str().unwrap();
    let stress = ["stress", "--threads", "4", "--keys", "8"];
    // Arguments, exit code, and exit code if standard output is full.
    let commands: [(&[&str], i32, i32); 11] = [
        (&["load", bad, "--skip-bad", "--top", "5"], 0, 1),
        (&["load", bad], 1, 1),
        (&["load", "/no/such/file"], 1, 1),
        (&["load", bad, "--top", "0"], 2, 2),
        (&["frob"], 2, 2),
        (&[], 2, 2),
        (&["--help"], 0, 1),
        (&["load", "--help"], 0, 1),
        (&["--version"], 0, 1),
        (&["completions", "bash"], 0, 1),
        (&stress, 0, 1),
    ];
    for (arguments, code, if_full) in commands {
        for err in [To::Us, To::Full, To::Nobody] {
            assert_eq!(keystore(arguments, b"", To::Us, err).code, Some(code), "{arguments:?}");
            assert_eq!(keystore(arguments, b"", To::Nobody, err).code, Some(code), "{arguments:?}");
            let ran = keystore(arguments, b"", To::Full, err);
            assert_eq!(ran.code, Some(if_full), "{arguments:?}: {ran:?}");
        }
    }
}

/// Checks that `keystore load … | head` ends without an error.
#[test]
fn output_that_nobody_reads_is_no_failure() {
    let text: String = (0..100_000).map(|number| format!("word{number}\n")).collect();
    let ran = keystore(&["load", "-", "--top", "100000"], text.as_bytes(), To::Nobody, To::Us);
    assert_eq!((ran.code, ran.err.as_str()), (Some(0), ""));
}

#[test]
fn a_program_that_writes_one_line_gets_its_answer() {
    use std::io::{BufRead, BufReader, Write};

    let mut child = Command::new(env!("CARGO_BIN_EXE_keystore"))
        .arg("shell")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let (mut to, mut from) =
        (child.stdin.take().unwrap(), BufReader::new(child.stdout.take().unwrap()));
    for (line, answer) in [("set P 1\n", "created\n"), ("get P\n", "1\n")] {
        to.write_all(line.as_bytes()).unwrap();
        let mut given = String::new();
        from.read_line(&mut given).unwrap();
        assert_eq!(given, answer);
    }
    drop(to);
    assert!(child.wait().unwrap().success());
}

/// Checks that control and invisible characters are escaped, from every input.
#[test]
fn no_foreign_text_controls_the_terminal() {
    let folder = tempfile::tempdir().unwrap();
    let odd = "\u{1b}[31m\u{202e}\u{200b}\u{7}";
    let write = |name: String, content: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, content).unwrap();
        path.into_os_string().into_string().unwrap()
    };
    let text = write(format!("{odd}.txt"), &format!("{odd} {odd} b"));
    let table = write(format!("{odd}.tsv"), &format!("{odd}\t7\nno tab"));
    let json =
        write("field.jsonl".to_owned(), "{\"key\":\"a\",\"\\u001b[31mred\\u0007\u{202e}\":1}");
    let comma = write(format!("{odd}.csv"), &format!("{odd},{odd},{odd}"));
    let missing = format!("/no/{odd}");
    let runs: [&[&str]; 12] = [
        &["load", &text, "--top", "5", "--get", odd],
        &["load", &text, "--get", &format!("{odd}{odd}")],
        &["load", &table, "--skip-bad", "--top", "5"],
        &["load", &table],
        &["load", &json],
        &["load", &comma],
        &["load", &missing],
        &["load", "a", "--top", odd],
        &["load", "a", "--format", odd],
        &["stress", "--backend", odd],
        &["stress", "--buckets", odd],
        &[odd],
    ];
    for arguments in runs {
        assert_harmless(&common::keystore(arguments));
    }
    let script = format!(
        "set {odd} {odd}\nget {odd}\nscan\ninsert {odd} 1\nincr {odd}\ncas {odd} 1 2\nget a{odd}\n{odd}\nscan a {odd}\n\\{odd}\nset 'a{odd}\n"
    );
    let ran = keystore_fed(&["shell"], script.as_bytes());
    assert_eq!(ran.err.lines().count(), 8, "{ran:?}");
    assert_harmless(&ran);
}

fn assert_harmless(ran: &Ran) {
    let is_harmful =
        |c: char| (c.is_control() && c != '\n' && c != '\t') || "\u{202e}\u{200b}".contains(c);
    assert!(!ran.out.chars().chain(ran.err.chars()).any(is_harmful), "{ran:?}");
    assert!(!(ran.out.is_empty() && ran.err.is_empty()));
}
