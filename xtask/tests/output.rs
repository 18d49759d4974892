//! Tests `cargo xtask` if its output cannot be written or is not read.

#![cfg(target_os = "linux")]

use std::fs::OpenOptions;
use std::process::{Command, Stdio};

fn full() -> Stdio {
    OpenOptions::new().write(true).open("/dev/full").unwrap().into()
}

fn nobody() -> Stdio {
    std::io::pipe().unwrap().1.into()
}

fn code(arguments: &[&str], out: Stdio, err: Stdio) -> Option<i32> {
    let mut command = Command::new(env!("CARGO_BIN_EXE_xtask"));
    command.args(arguments).stdin(Stdio::null()).stdout(out).stderr(err).status().unwrap().code()
}

#[test]
fn the_exit_code_is_that_of_the_work_unless_the_disk_is_full() {
    let stress = ["stress", "--threads", "2", "--keys", "8"];
    for arguments in [&["test", "--list"][..], &["bench", "--list"], &["--help"], &stress] {
        assert_eq!(code(arguments, nobody(), full()), Some(0), "{arguments:?}");
        assert_eq!(code(arguments, full(), nobody()), Some(1), "{arguments:?}");
    }
    for arguments in [&["frob"][..], &["bench", "--suite", "none"], &["stress", "--threads", "0"]] {
        for err in [full(), nobody()] {
            assert_eq!(code(arguments, full(), err), Some(2), "{arguments:?}");
        }
    }
}

#[test]
fn names_of_files_do_not_control_the_terminal() {
    let run = |arguments: &[&str]| {
        let output = Command::new(env!("CARGO_BIN_EXE_xtask")).args(arguments).output().unwrap();
        (output.status.code(), String::from_utf8(output.stderr).unwrap())
    };
    let odd = "/no/\u{1b}[31m\u{202e}";
    for arguments in
        [&["plot", odd][..], &["bench", "--scenario", odd], &["bench", "--suite", odd], &[odd]]
    {
        let (code, err) = run(arguments);
        assert_eq!(code, Some(2), "{err}");
        assert!(err.contains("202e") && !err.contains(['\u{1b}', '\u{202e}']), "{err:?}");
    }
}
