//! Tests of the wrappers and examples that people copy. Each is run as programs of its language are
//! run.

use std::env;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::keystore_h::build_and_run;
use crate::toolchain::{Language, Link, build, directory, file, is_there, library, run};

/// A text, and the output of an example that counts its words.
const TEXT: &str = "the quick brown fox jumps over the lazy dog and the dog sleeps\n";
const WORDS: [&str; 10] = [
    "3 the", "2 dog", "1 sleeps", "1 quick", "1 over", "1 lazy", "1 jumps", "1 fox", "1 brown",
    "1 and",
];

/// Runs an example that counts words.
fn count_words(command: &mut Command) {
    let directory = directory();
    let text = directory.path().join("text");
    fs::write(&text, TEXT).unwrap();
    let printed =
        run(command.stdin(Stdio::from(fs::File::open(&text).unwrap())), "it was just found");
    assert_eq!(printed.lines().collect::<Vec<_>>(), WORDS);
}

/// Tells a program in another language where the library is.
fn with_library(command: &mut Command) -> &mut Command {
    command
        .env("KEYSTORE_LIBRARY", &library().shared)
        .env("KEYSTORE_VERSION", env!("CARGO_PKG_VERSION"))
        .env("PYTHONDONTWRITEBYTECODE", "1")
}

#[test]
fn c() {
    let example = build(Language::C, "examples/c/count_words.c", Link::Shared, &[]);
    count_words(&mut Command::new(&example.path));
}

#[test]
fn cxx() {
    build_and_run(Language::Cxx, "tests/cpp/wrapper.cpp");
    let example = build(Language::Cxx, "examples/cpp/count_words.cpp", Link::Shared, &[]);
    count_words(&mut Command::new(&example.path));
}

#[test]
fn python() {
    if !is_there("python3", "`apt-get install python3` on Debian") {
        return;
    }
    let mut test = Command::new("python3");
    test.arg(file("tests/python/test_keystore.py")).env("PYTHONPATH", file("examples/python"));
    run(with_library(&mut test), "it was just found");
    count_words(with_library(Command::new("python3").arg(file("examples/python/count_words.py"))));
}

#[test]
fn node() {
    let install = "`apt-get install nodejs npm` on Debian";
    if !is_there("node", install) || !is_there("npm", install) {
        return;
    }
    // The folder is kept from run to run, so that koffi is downloaded only once.
    let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join("node");
    fs::create_dir_all(&directory).unwrap();
    let sources =
        ["keystore.mjs", "count_words.mjs", "package.json"].map(|name| ("examples/node", name));
    for (folder, name) in sources.into_iter().chain([("tests/node", "test_keystore.mjs")]) {
        fs::copy(file(folder).join(name), directory.join(name)).unwrap();
    }
    if !directory.join("node_modules/koffi/package.json").exists() {
        // koffi comes with its binaries, so nothing is compiled.
        let mut npm = Command::new("npm");
        npm.args(["install", "--no-audit", "--no-fund", "--ignore-scripts"])
            .current_dir(&directory);
        let fetched = npm.output().unwrap();
        if !fetched.status.success() {
            let why = String::from_utf8_lossy(&fetched.stderr);
            assert!(env::var_os("CI").is_none(), "npm could not fetch koffi: {why}");
            eprintln!("not tested, for npm could not fetch koffi: {why}");
            return;
        }
    }
    let mut test = Command::new("node");
    run(with_library(test.arg("test_keystore.mjs").current_dir(&directory)), install);
    count_words(with_library(Command::new("node").arg("count_words.mjs").current_dir(&directory)));
}
