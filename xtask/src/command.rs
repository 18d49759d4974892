//! A command line: printed as a person would type it, and run as it was printed.

use std::fmt;
use std::path::Path;
use std::process::{Command, ExitStatus};

/// What the printed command starts with where this program runs itself.
const XTASK: &str = "cargo xtask";

/// A program, its arguments, and the variables set for it.
#[derive(Clone, Debug)]
pub(crate) struct CommandLine {
    variables: Vec<(&'static str, &'static str)>,
    program: String,
    arguments: Vec<String>,
}

impl CommandLine {
    /// `program` with the words of `arguments`, none of which holds a space.
    pub(crate) fn new(program: &str, arguments: &str) -> Self {
        let arguments = arguments.split_whitespace().map(str::to_owned).collect();
        Self { variables: Vec::new(), program: program.to_owned(), arguments }
    }

    /// `cargo` with these arguments.
    pub(crate) fn cargo(arguments: &str) -> Self {
        Self::new("cargo", arguments)
    }

    /// Another of this program's commands, in a process of its own.
    pub(crate) fn xtask(arguments: &str) -> Self {
        Self::new(XTASK, arguments)
    }

    /// With an environment variable.
    pub(crate) fn with(mut self, variable: &'static str, value: &'static str) -> Self {
        self.variables.push((variable, value));
        self
    }

    /// Runs the command in `root`, its output going where this program's goes.
    pub(crate) fn run(&self, root: &Path) -> Result<(), String> {
        let status = self.prepare(root)?.status().map_err(|error| self.not_started(&error))?;
        self.judge(status)
    }

    /// Runs the command in `root` and returns what it wrote to standard output.
    pub(crate) fn output(&self, root: &Path) -> Result<String, String> {
        let output = self.prepare(root)?.output().map_err(|error| self.not_started(&error))?;
        self.judge(output.status)
            .map_err(|failure| format!("{failure}: {}", String::from_utf8_lossy(&output.stderr).trim()))?;
        String::from_utf8(output.stdout).map_err(|_| format!("`{self}` wrote something that is no text"))
    }

    fn prepare(&self, root: &Path) -> Result<Command, String> {
        let mut command = match self.program.as_str() {
            XTASK => Command::new(std::env::current_exe().map_err(|error| self.not_started(&error))?),
            "cargo" => Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into())),
            program => Command::new(program),
        };
        command.args(&self.arguments).envs(self.variables.iter().copied()).current_dir(root);
        Ok(command)
    }

    fn not_started(&self, error: &std::io::Error) -> String {
        format!("`{self}` could not be started: {error}")
    }

    fn judge(&self, status: ExitStatus) -> Result<(), String> {
        match status.code() {
            Some(0) => Ok(()),
            Some(code) => Err(format!("`{self}` gave exit code {code}")),
            None => Err(format!("`{self}` was ended by a signal")),
        }
    }
}

impl fmt::Display for CommandLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (variable, value) in &self.variables {
            write!(f, "{variable}=\"{value}\" ")?;
        }
        write!(f, "{}", self.program)?;
        self.arguments.iter().try_for_each(|argument| write!(f, " {argument}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_prints_as_it_is_typed() {
        let command = CommandLine::cargo("doc  --no-deps").with("RUSTDOCFLAGS", "-D warnings");
        assert_eq!(command.to_string(), "RUSTDOCFLAGS=\"-D warnings\" cargo doc --no-deps");
    }

    #[test]
    fn a_command_gives_its_output_or_says_what_failed() {
        let here = Path::new(env!("CARGO_MANIFEST_DIR"));
        assert!(CommandLine::cargo("--version").output(here).unwrap().starts_with("cargo "));
        let failure = CommandLine::cargo("no-such-command").output(here).unwrap_err();
        assert!(failure.starts_with("`cargo no-such-command` gave exit code 101: "), "{failure}");
        let failure = CommandLine::new("no-such-program", "").run(here).unwrap_err();
        assert!(failure.starts_with("`no-such-program` could not be started: "), "{failure}");
    }
}
