//! C programs against the header and the library, as a user would build them: compiled by the
//! system's compiler, linked with the static and with the shared library, and run.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

/// What every C program is compiled with: strict C99, and nothing that a compiler can complain about.
const STRICT: [&str; 5] = ["-std=c99", "-Wall", "-Wextra", "-Wpedantic", "-Werror"];

/// What a program has to link beside the static library.
const SYSTEM_LIBRARIES: &[&str] =
    if cfg!(target_os = "linux") { &["-lpthread", "-ldl", "-lm"] } else { &["-lpthread", "-lm"] };

/// The library, as cargo built it.
struct Library {
    shared: PathBuf,
    archive: PathBuf,
}

/// Builds the library in the profile that this test runs in, and asks cargo where it is: cargo only
/// promises the names of what it was asked to build. After `cargo test` there is nothing left to
/// compile.
fn library() -> &'static Library {
    static LIBRARY: OnceLock<Library> = OnceLock::new();
    LIBRARY.get_or_init(|| {
        // …/<profile directory>/deps/<this test>
        let test = env::current_exe().unwrap();
        let profile = match test.ancestors().nth(2).and_then(Path::file_name).and_then(|name| name.to_str()) {
            Some("debug") | None => "test",
            Some(profile) => profile,
        };
        let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().unwrap();
        let output = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
            .args([
                "build",
                "--package",
                "keystore-ffi",
                "--lib",
                "--message-format",
                "json-render-diagnostics",
            ])
            .args(["--profile", profile, "--target-dir"])
            .arg(target)
            .current_dir(env!("CARGO_MANIFEST_DIR"))
            .output()
            .unwrap();
        let stdout = String::from_utf8(output.stdout).unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let files: Vec<PathBuf> = stdout
            .lines()
            .filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok())
            .filter(|message| {
                message["reason"] == "compiler-artifact" && message["target"]["name"] == "keystore"
            })
            .flat_map(|message| message["filenames"].as_array().cloned().unwrap_or_default())
            .filter_map(|file| file.as_str().map(PathBuf::from))
            .collect();
        let find = |extension: &str| {
            let found = files.iter().find(|file| file.extension().is_some_and(|e| e == extension));
            found.unwrap_or_else(|| panic!("cargo built no libkeystore.{extension}: {files:?}")).clone()
        };
        Library { shared: find(env::consts::DLL_EXTENSION), archive: find("a") }
    })
}

/// The path of a file of this crate.
fn file(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// Runs a command to its end and returns what it prints; what it is and what it said where it fails.
/// `install` says how to get a program that is not there.
fn run(command: &mut Command, install: &str) -> String {
    let output = command.output().unwrap_or_else(|error| {
        panic!("{:?} cannot be run ({error}); install it: {install}", command.get_program())
    });
    let (stdout, stderr) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{command:?}: {}\n{stdout}{stderr}", output.status);
    stdout.into_owned()
}

/// A compiler: `variable` of the environment, or `name`.
fn compiler(variable: &str, name: &str) -> Command {
    let mut command = Command::new(env::var_os(variable).unwrap_or_else(|| name.into()));
    command.arg("-I").arg(file("include"));
    command
}

const INSTALL_C: &str =
    "`apt-get install gcc libc6-dev` on Debian, `xcode-select --install` on macOS; or set CC";
const INSTALL_CXX: &str = "`apt-get install g++` on Debian, `xcode-select --install` on macOS; or set CXX";
const INSTALL_NM: &str = "`apt-get install binutils` on Debian, `xcode-select --install` on macOS";

fn cc() -> Command {
    let mut command = compiler("CC", "cc");
    command
        .args(STRICT)
        .args(["-g", "-O1"])
        .arg(format!("-DKEYSTORE_VERSION=\"{}\"", env!("CARGO_PKG_VERSION")));
    command
}

/// Compiles a program with each form of the library, runs both, and returns what they print, which is
/// the same.
fn build_and_run(source: &str) -> String {
    let library = library();
    let directory = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let (with_archive, with_shared) = (directory.path().join("static"), directory.path().join("shared"));

    run(
        cc().arg(file(source)).arg(&library.archive).args(SYSTEM_LIBRARIES).arg("-o").arg(&with_archive),
        INSTALL_C,
    );
    let rpath = format!("-Wl,-rpath,{}", library.shared.parent().unwrap().display());
    run(
        cc().arg(file(source)).arg(&library.shared).args([&rpath, "-lpthread", "-o"]).arg(&with_shared),
        INSTALL_C,
    );

    let printed = run(&mut Command::new(with_archive), "it was just built");
    assert_eq!(printed, run(&mut Command::new(with_shared), "it was just built"));
    printed
}

#[test]
fn the_header_is_clean_c99() {
    for standard in ["-std=c99", "-std=c11", "-std=c17"] {
        let mut cc = compiler("CC", "cc");
        run(
            cc.args(STRICT).args([standard, "-fsyntax-only", "-x", "c"]).arg(file("include/keystore.h")),
            INSTALL_C,
        );
    }
}

#[test]
fn the_header_is_clean_cxx() {
    for standard in ["-std=c++11", "-std=c++17", "-std=c++20"] {
        let mut cxx = compiler("CXX", "c++");
        cxx.args(["-Wall", "-Wextra", "-Wpedantic", "-Werror", standard, "-fsyntax-only", "-x", "c++"]);
        run(cxx.arg(file("include/keystore.h")), INSTALL_CXX);
    }
}

#[test]
fn ten_lines_of_c() {
    assert_eq!(build_and_run("examples/ten_lines.c"), "42\n");
}

#[test]
fn verbs() {
    build_and_run("tests/c/verbs.c");
}

#[test]
fn callbacks() {
    build_and_run("tests/c/callbacks.c");
}

#[test]
fn errors() {
    build_and_run("tests/c/errors.c");
}

#[test]
fn threads() {
    build_and_run("tests/c/threads.c");
}

/// Whatever else is linked into the shared library stays inside: what can be seen are the functions
/// of the header, all of them and nothing else.
#[test]
#[cfg(target_os = "linux")]
fn only_our_symbols_are_exported() {
    let mut nm = Command::new("nm");
    let listing = run(nm.args(["-D", "--defined-only"]).arg(&library().shared), INSTALL_NM);
    let mut exported: Vec<&str> = listing.lines().filter_map(|line| line.split(' ').nth(2)).collect();
    exported.sort_unstable();

    let header = std::fs::read_to_string(file("include/keystore.h")).unwrap();
    let mut declared: Vec<&str> = header
        .lines()
        .filter(|line| line.starts_with(|c: char| c.is_ascii_lowercase()) && !line.starts_with("typedef"))
        .filter_map(|line| line.split_once('(')?.0.rsplit([' ', '*']).next())
        .collect();
    declared.sort_unstable();
    assert!(declared.contains(&"ks_open"), "the header declares {declared:?}");
    assert_eq!(exported, declared);
}
