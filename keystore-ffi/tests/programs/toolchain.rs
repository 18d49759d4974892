//! The C library that is tested, the system's compilers, and what they make of a program.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use tempfile::TempDir;

use crate::library::Library;

/// What a program has to link beside the static library.
const SYSTEM_LIBRARIES: &[&str] =
    if cfg!(target_os = "linux") { &["-lpthread", "-ldl", "-lm"] } else { &["-lpthread", "-lm"] };

/// The library in the profile that this test runs in: after `cargo test` there is nothing left to
/// compile.
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

/// The path of a file of this crate.
pub fn file(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// A directory of this test's own, which goes with it.
pub fn directory() -> TempDir {
    tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap()
}

/// Runs a command to its end and returns what it prints; what it is and what it said where it
/// fails. `install` says how to get a program that is not there.
pub fn run(command: &mut Command, install: &str) -> String {
    let output = command.output().unwrap_or_else(|error| {
        panic!("{:?} cannot be run ({error}); install it: {install}", command.get_program())
    });
    let (stdout, stderr) =
        (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{command:?}: {}\n{stdout}{stderr}", output.status);
    stdout.into_owned()
}

/// Whether a tool is there that the library does not need. CI has them all: there it must be.
/// Elsewhere a test that lacks its tool says so.
pub fn is_there(tool: &str, install: &str) -> bool {
    let there =
        Command::new(tool).arg("--version").output().is_ok_and(|output| output.status.success());
    assert!(there || env::var_os("CI").is_none(), "{tool} cannot be run; install it: {install}");
    if !there {
        eprintln!("not tested, for {tool} is not there: {install}");
    }
    there
}

/// The languages that compilers are run for.
#[derive(Clone, Copy)]
pub enum Language {
    C,
    Cxx,
}

impl Language {
    /// The compiler: the one that the environment names, or the usual one.
    pub fn compiler(self) -> Command {
        let (variable, name) = match self {
            Self::C => ("CC", "cc"),
            Self::Cxx => ("CXX", "c++"),
        };
        let mut compiler = Command::new(env::var_os(variable).unwrap_or_else(|| name.into()));
        // Nothing that a compiler can complain about.
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

/// Which form of the library a program is linked with.
#[derive(Clone, Copy)]
pub enum Link {
    Static,
    Shared,
}

/// A program that was built.
pub struct Program {
    pub path: PathBuf,
    _directory: TempDir,
}

/// Builds a program from a source file of this crate, with these arguments for the compiler beside
/// the usual.
pub fn build(language: Language, source: &str, link: Link, arguments: &[&str]) -> Program {
    build_file(language, &file(source), link, arguments)
}

/// [`build`], from a source file anywhere.
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
    /// Runs it and returns what it prints.
    pub fn run(&self, arguments: &[&str]) -> String {
        run(Command::new(&self.path).args(arguments), "it was just built")
    }
}
