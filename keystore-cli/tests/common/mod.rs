//! Running the built command.

#![allow(dead_code, reason = "each test file uses a part of it")]

use std::io::Write;
use std::process::{Child, Command, Stdio};

/// What a run of the command gave.
#[derive(Debug)]
pub struct Ran {
    pub code: Option<i32>,
    pub out: String,
    pub err: String,
}

/// Runs `keystore` with these arguments and nothing on standard input.
pub fn keystore(arguments: &[&str]) -> Ran {
    keystore_fed(arguments, b"")
}

/// Runs `keystore` with these arguments and this on standard input.
pub fn keystore_fed(arguments: &[&str], input: &[u8]) -> Ran {
    let mut command = Command::new(env!("CARGO_BIN_EXE_keystore"));
    command.args(arguments).stdout(Stdio::piped()).stderr(Stdio::piped());
    run(command, input)
}

/// Runs a command with this on standard input. Standard output and standard error go where it says.
pub fn run(mut command: Command, input: &[u8]) -> Ran {
    let mut child: Child = command.stdin(Stdio::piped()).spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let output = std::thread::scope(|scope| {
        // The command may end before it has read everything, as with `quit`.
        scope.spawn(move || drop(stdin.write_all(input)));
        child.wait_with_output().unwrap()
    });
    Ran {
        code: output.status.code(),
        out: String::from_utf8(output.stdout).unwrap(),
        err: String::from_utf8(output.stderr).unwrap(),
    }
}
