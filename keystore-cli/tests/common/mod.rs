//! Runs the built command.

#![allow(dead_code, reason = "each test file uses a part of it")]

use std::io::Write;
use std::process::{Child, Command, Stdio};

/// Result of a run of the command.
#[derive(Debug)]
pub struct Ran {
    pub code: Option<i32>,
    pub out: String,
    pub err: String,
}

/// Runs `keystore` with empty standard input.
pub fn keystore(arguments: &[&str]) -> Ran {
    keystore_fed(arguments, b"")
}

/// Runs `keystore` with this standard input.
pub fn keystore_fed(arguments: &[&str], input: &[u8]) -> Ran {
    let mut command = Command::new(env!("CARGO_BIN_EXE_keystore"));
    command.args(arguments).stdout(Stdio::piped()).stderr(Stdio::piped());
    run(command, input)
}

/// Runs a command with this standard input. The caller chooses where its output goes.
pub fn run(mut command: Command, input: &[u8]) -> Ran {
    let mut child: Child = command.stdin(Stdio::piped()).spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let output = std::thread::scope(|scope| {
        // The command may end before it has read all input, as with `quit`.
        scope.spawn(move || drop(stdin.write_all(input)));
        child.wait_with_output().unwrap()
    });
    Ran {
        code: output.status.code(),
        out: String::from_utf8(output.stdout).unwrap(),
        err: String::from_utf8(output.stderr).unwrap(),
    }
}
