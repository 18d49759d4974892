//! Builds test programs with the system's compilers and the C library under test, and runs them.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use tempfile::TempDir;

use crate::library::Library;

/// Libraries that a program must link in addition to the static library.
const SYSTEM_LIBRARIES: &[&str] =
    if cfg!(target_os = "linux") { &["-lpthread", "-ldl", "-lm"] } else { &["-lpthread", "-lm"] };

/// Returns the library in the profile of this test, so that nothing is left to compile after `cargo
/// test`.
pub fn library() -> &'static Library {
    static LIBRARY: OnceLock<Library> = OnceLock::new();
    LIBRARY.get_or_init(|| {
        // …/<profile directory>/deps/<this test>
        let test = env::current_exe().unwrap();
        let profile = match test
            .ancestors()
            .nth(2)
            .and_then(Path::file_name)
            .and_then(|name| name.to_str())
        {
            Some("debug") | None => "test",
            Some(profile) => profile,
        };
        Library::build(profile)
    })
}

/// Returns the path of a file of this crate.
pub fn file(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// Creates a directory for one test, which is deleted on drop.
pub fn directory() -> TempDir {
    tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap()
}

/// Runs a command to its end and returns its output. Panics with the command and its output if it
/// fails. `install` says how to install the program if it is missing.
pub fn run(command: &mut Command, install: &str) -> String {
    let output = command.output().unwrap_or_else(|error| {
        panic!("{:?} cannot be run ({error}); install it: {install}", command.get_program())
    });
    let (stdout, stderr) =
        (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{command:?}: {}\n{stdout}{stderr}", output.status);
    stdout.into_owned()
}

/// Returns whether an optional tool is installed. CI has all tools, so there a missing tool fails
/// the test. Elsewhere the test is skipped with a message.
pub fn is_there(tool: &str, install: &str) -> bool {
    let there =
        Command::new(tool).arg("--version").output().is_ok_and(|output| output.status.success());
    assert!(there || env::var_os("CI").is_none(), "{tool} cannot be run; install it: {install}");
    if !there {
        eprintln!("not tested, for {tool} is not there: {install}");
    }
    there
}

/// Languages with a compiler.
#[derive(Clone, Copy)]
pub enum Language {
    C,
    Cxx,
}

impl Language {
    /// Returns the compiler: the one that the environment variable names, or the usual one.
    pub fn compiler(self) -> Command {
        let (variable, name) = match self {
            Self::C => ("CC", "cc"),
            Self::Cxx => ("CXX", "c++"),
        };
        let mut compiler = Command::new(env::var_os(variable).unwrap_or_else(|| name.into()));
        // Every warning is an error.
        compiler.args(["-Wall", "-Wextra", "-Wpedantic", "-Werror"]);
        compiler
    }

    pub fn install(self) -> &'static str {
        match self {
            Self::C => {
                "`apt-get install gcc libc6-dev` on Debian, `xcode-select --install` on macOS; or set CC"
            }
            Self::Cxx => {
                "`apt-get install g++` on Debian, `xcode-select --install` on macOS; or set CXX"
            }
        }
    }
}

/// The form of the library that a program is linked with.
#[derive(Clone, Copy)]
pub enum Link {
    Static,
    Shared,
}

/// A program that was built, in a directory that lives as long.
pub struct Program {
    pub path: PathBuf,
    _directory: TempDir,
}

/// Builds a program from a source file of this crate, with additional arguments for the compiler.
pub fn build(language: Language, source: &str, link: Link, arguments: &[&str]) -> Program {
    build_file(language, &file(source), link, arguments)
}

/// Does what [`build`] does, with a source file anywhere.
pub fn build_file(language: Language, source: &Path, link: Link, arguments: &[&str]) -> Program {
    let directory = directory();
    let path = directory.path().join("program");
    let library = library();
    let mut compiler = language.compiler();
    compiler
        .arg(match language {
            Language::C => "-std=c99",
            Language::Cxx => "-std=c++17",
        })
        .args(["-g", "-O1"])
        .arg(format!("-DKEYSTORE_VERSION=\"{}\"", env!("CARGO_PKG_VERSION")))
        .args(arguments)
        .arg("-I")
        .arg(file("include"))
        .arg(source);
    match link {
        Link::Static => compiler.arg(&library.archive).args(SYSTEM_LIBRARIES),
        Link::Shared => {
            let rpath = format!("-Wl,-rpath,{}", library.shared.parent().unwrap().display());
            compiler.arg(&library.shared).args([&rpath, "-lpthread"])
        }
    };
    run(compiler.arg("-o").arg(&path), language.install());
    Program { path, _directory: directory }
}

impl Program {
    /// Runs the program and returns its output.
    pub fn run(&self, arguments: &[&str]) -> String {
        run(Command::new(&self.path).args(arguments), "it was just built")
    }
}
