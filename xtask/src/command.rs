//! Command lines. Each is printed as a person would type it, and runs exactly as printed.

use std::ffi::OsString;
use std::fmt;
use std::io;
use std::path::Path;
use std::process::{ExitStatus, Output};

use duct::Expression;

/// First word of a printed command that runs this program again.
const XTASK: &str = "cargo xtask";

/// A program, its arguments, and the environment variables set for it.
#[derive(Clone, Debug)]
pub(crate) struct CommandLine {
    variables: Vec<(&'static str, &'static str)>,
    program: String,
    arguments: Vec<String>,
}

impl CommandLine {
    /// Makes a command of `program` and the words of `arguments`. No argument holds a space.
    pub(crate) fn new(program: &str, arguments: &str) -> Self {
        let arguments = arguments.split_whitespace().map(str::to_owned).collect();
        Self { variables: Vec::new(), program: program.to_owned(), arguments }
    }

    /// Makes a `cargo` command.
    pub(crate) fn cargo(arguments: &str) -> Self {
        Self::new("cargo", arguments)
    }

    /// Makes a `cargo xtask` command, which runs in a separate process.
    pub(crate) fn xtask(arguments: &str) -> Self {
        Self::new(XTASK, arguments)
    }

    /// Adds an environment variable.
    pub(crate) fn with(mut self, variable: &'static str, value: &'static str) -> Self {
        self.variables.push((variable, value));
        self
    }

    /// Runs the command in `root`. It shares this program's standard output and standard error.
    pub(crate) fn run(&self, root: &Path) -> Result<(), String> {
        let output = self.finish(root, |command| command)?;
        self.check_status(output.status)
    }

    /// Runs the command in `root` and returns what it wrote to standard output.
    pub(crate) fn output(&self, root: &Path) -> Result<String, String> {
        let output = self.finish(root, |command| command.stdout_capture().stderr_capture())?;
        self.check_status(output.status).map_err(|failure| {
            format!("{failure}: {}", String::from_utf8_lossy(&output.stderr).trim())
        })?;
        String::from_utf8(output.stdout).map_err(|_| format!("the output of `{self}` is not UTF-8"))
    }

    /// Runs the command in `root` to its end, whatever its exit code is.
    fn finish(
        &self,
        root: &Path,
        redirect: impl FnOnce(Expression) -> Expression,
    ) -> Result<Output, String> {
        let run = || -> io::Result<Output> {
            let mut command = duct::cmd(self.program()?, &self.arguments).dir(root).unchecked();
            for (variable, value) in &self.variables {
                command = command.env(variable, value);
            }
            redirect(command).run()
        };
        run().map_err(|error| format!("`{self}` could not be started: {error}"))
    }

    /// Returns the file to execute.
    fn program(&self) -> io::Result<OsString> {
        match self.program.as_str() {
            XTASK => std::env::current_exe().map(OsString::from),
            "cargo" => Ok(cargo()),
            program => Ok(program.into()),
        }
    }

    fn check_status(&self, status: ExitStatus) -> Result<(), String> {
        match status.code() {
            Some(0) => Ok(()),
            Some(code) => Err(format!("`{self}` failed with exit code {code}")),
            None => Err(format!("`{self}` was terminated by a signal")),
        }
    }
}

/// Returns the cargo that runs this program, or the `cargo` of the search path.
pub(crate) fn cargo() -> OsString {
    std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into())
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
        assert!(
            failure.starts_with("`cargo no-such-command` failed with exit code 101: "),
            "{failure}"
        );
        let failure = CommandLine::new("no-such-program", "").run(here).unwrap_err();
        assert!(failure.starts_with("`no-such-program` could not be started: "), "{failure}");
    }
}
