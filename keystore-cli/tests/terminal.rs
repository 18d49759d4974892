//! Tests of `keystore shell` at a pseudo-terminal.

#![cfg(target_os = "linux")]

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use rustix::pty::{OpenptFlags, grantpt, ioctl_tiocgptpeer, openpt, unlockpt};
use rustix::termios::{Winsize, tcsetwinsize};

/// Time limit of an answer, generous for a busy machine.
const TIMEOUT: Duration = Duration::from_secs(60);

/// The shell, and the other end of its terminal.
struct Session {
    child: Child,
    terminal: File,
    shown: Receiver<Vec<u8>>,
    text: Vec<u8>,
}

impl Session {
    /// Starts the shell at a new terminal. Standard output and standard error go there too, unless
    /// they are given.
    fn start(arguments: &[&str], terminal: &str, out: Option<Stdio>, err: Option<Stdio>) -> Self {
        let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
        grantpt(&master).unwrap();
        unlockpt(&master).unwrap();
        let slave: OwnedFd =
            ioctl_tiocgptpeer(&master, OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
        tcsetwinsize(&master, Winsize { ws_row: 24, ws_col: 80, ws_xpixel: 0, ws_ypixel: 0 })
            .unwrap();
        let stdio = || Stdio::from(slave.try_clone().unwrap());
        let mut command = Command::new(env!("CARGO_BIN_EXE_keystore"));
        command.arg("shell").args(arguments).env("TERM", terminal).stdin(stdio());
        command.stdout(out.unwrap_or_else(stdio)).stderr(err.unwrap_or_else(stdio));
        // The shell must not get the signals of the test's own terminal.
        command.process_group(0);
        let child = command.spawn().unwrap();
        drop(command);
        drop(slave);
        let terminal = File::from(master);
        let mut reader = terminal.try_clone().unwrap();
        let (sender, shown) = channel();
        std::thread::spawn(move || {
            let mut bytes = [0; 4096];
            // Reading ends when the last process has closed the terminal.
            while let Ok(read @ 1..) = reader.read(&mut bytes) {
                if sender.send(bytes[..read].to_vec()).is_err() {
                    break;
                }
            }
        });
        Self { child, terminal, shown, text: Vec::new() }
    }

    /// Starts the shell at a terminal with line editing, and waits for the first prompt.
    fn edited(arguments: &[&str]) -> Self {
        let mut session = Self::start(arguments, "xterm", None, None);
        session.wait_for("keystore> ");
        session
    }

    fn type_in(&mut self, bytes: &[u8]) {
        self.terminal.write_all(bytes).unwrap();
    }

    /// Waits until the terminal shows `wanted`, after the text of the last wait. Returns the text
    /// up to its end.
    fn wait_for(&mut self, wanted: &str) -> String {
        let end = Instant::now() + TIMEOUT;
        loop {
            let text = String::from_utf8_lossy(&self.text).into_owned();
            if let Some(at) = text.find(wanted) {
                let (before, after) = text.split_at(at + wanted.len());
                self.text = after.as_bytes().to_vec();
                return before.to_owned();
            }
            match self.shown.recv_timeout(end.saturating_duration_since(Instant::now())) {
                Ok(bytes) => self.text.extend_from_slice(&bytes),
                Err(error) => panic!("{wanted:?} was not shown ({error}), but {text:?}"),
            }
        }
    }

    /// Types a line, and waits for its answer and the next prompt.
    fn ask(&mut self, line: &str, answer: &str) {
        self.type_in(format!("{line}\r").as_bytes());
        self.wait_for(answer);
        self.wait_for("keystore> ");
    }

    /// Ends the input and returns the exit code.
    fn end(mut self) -> Option<i32> {
        self.type_in(b"\x04");
        let end = Instant::now() + TIMEOUT;
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status.code();
            }
            assert!(Instant::now() < end, "the shell does not end");
            // The output must be read, or the shell could block on it.
            match self.shown.recv_timeout(Duration::from_millis(20)) {
                Ok(_) | Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => {
                    std::thread::sleep(Duration::from_millis(20))
                }
            }
        }
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        // The shell still runs only if the test failed.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn a_byte_that_is_no_utf8_costs_its_line_and_not_the_store() {
    let mut session = Session::edited(&[]);
    session.ask("set a 41", "created");
    session.type_in(b"set caf\xe9 clear\r");
    session.wait_for("not UTF-8");
    session.wait_for("keystore> ");
    // The store still exists, and the end of the refused line did not run as a line.
    session.ask("incr a", "42");
    session.ask("set caf\\xe9 1", "created");
    session.ask("count", "2");
    assert_eq!(session.end(), Some(0));
}

#[test]
fn pasted_lines_are_carried_out_one_by_one() {
    let mut session = Session::edited(&[]);
    session.type_in(b"\x1b[200~set a 1\rset b 2\r\nfrob\nset c 3\x1b[201~\r");
    session.wait_for("unknown operation frob");
    session.wait_for("created");
    session.wait_for("keystore> ");
    session.ask("count", "3");
    // Repeat without the terminal's paste markers.
    session.type_in(b"set d 4\rset e 5\rcount\r");
    session.wait_for("\n5");
    assert_eq!(session.end(), Some(0));
}

#[test]
fn interrupts_open_quotes_and_resizes_end_nothing() {
    let mut session = Session::edited(&[]);
    session.ask("set a 1", "created");
    session.type_in(b"set a 2\x03");
    session.wait_for("keystore> ");
    session.ask("get a", "\n1");
    session.ask("set a 'open", "a quote is not closed");
    for columns in [0, 1, 40] {
        let size = Winsize { ws_row: 24, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
        tcsetwinsize(&session.terminal, size).unwrap();
    }
    session.ask("get a", "\n1");
    assert_eq!(session.end(), Some(0));
}

#[test]
fn an_interrupt_while_a_verb_runs_ends_the_verb_and_not_the_shell() {
    let mut session = Session::edited(&[]);
    let lines: String = (0..3000).map(|number| format!("set k{number} {number}\r")).collect();
    session.type_in(format!("\x1b[200~{lines}\x1b[201~\r").as_bytes());
    session.ask("count", "3000");
    let shell = Pid::from_child(&session.child);
    for milliseconds in 0..20 {
        session.type_in(b"scan '' 3000\r");
        std::thread::sleep(Duration::from_millis(milliseconds));
        kill_process(shell, Signal::INT).unwrap();
        // At the prompt, Ctrl-C drops the current line. This may happen to the `scan` line itself.
        session.wait_for("keystore> ");
    }
    session.type_in(b"\r");
    // The line end in the answer excludes the echo of `scan '' 3000`. If an operation still ran, it
    // would swallow the Ctrl-D of `end`, because only the line editor reads it from the terminal as
    // a byte.
    session.ask("count", "\n3000");
    assert_eq!(session.end(), Some(0));
}

#[test]
fn keys_are_completed_as_words_that_can_be_read() {
    let mut session = Session::edited(&[]);
    session.ask("set 'a pear' 7", "created");
    session.type_in(b"get a\t");
    session.wait_for("\"a pear\"");
    session.ask("", "\n7");
    assert_eq!(session.end(), Some(0));
}

#[test]
fn a_terminal_without_an_editor_takes_bytes() {
    let mut session = Session::start(&[], "dumb", None, None);
    session.wait_for("keystore> ");
    session.type_in(b"set caf\xe9 1\n");
    session.wait_for("created");
    session.type_in(b"frob\n");
    session.wait_for("error: unknown operation frob");
    session.type_in(b"scan\n");
    session.wait_for("caf\\xe9\t1");
    assert_eq!(session.end(), Some(0));
}

#[test]
fn the_shell_goes_on_at_a_terminal_if_its_output_cannot_be_written() {
    let full = || Stdio::from(File::options().write(true).open("/dev/full").unwrap());
    let nobody = || Stdio::from(std::io::pipe().unwrap().1);
    for (out, code) in [(full(), Some(1)), (nobody(), Some(0))] {
        let mut session = Session::start(&[], "xterm", Some(out), None);
        session.wait_for("keystore> ");
        session.type_in(b"set a 1\n");
        session.wait_for("keystore> ");
        session.type_in(b"get b\n");
        session.wait_for("error: key not found: b");
        assert_eq!(session.end(), code);
    }
    for err in [full(), nobody()] {
        let mut session = Session::start(&[], "xterm", None, Some(err));
        session.wait_for("keystore> ");
        session.type_in(b"get b\r");
        session.wait_for("keystore> ");
        session.ask("set a 1", "created");
        assert_eq!(session.end(), Some(0));
    }
}
