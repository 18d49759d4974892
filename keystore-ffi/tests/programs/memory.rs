//! Memory, watched by tools that see more than a program does: valgrind's memcheck, and the sanitizers for addresses,
//! leaks and undefined behaviour. Every test program, on fewer keys: memcheck makes it some thirty times slower.

#![cfg(target_os = "linux")]

use std::process::Command;

use crate::toolchain::{Language, Link, build, is_there, run};

const FEW: &[&str] = &["-DFEW", "-D_POSIX_C_SOURCE=200809L"];

/// Runs a program under memcheck: any wrong access, and any block that is lost, fails.
fn memcheck(language: Language, source: &str, arguments: &[&str]) {
    let install = "`apt-get install valgrind` on Debian";
    if !is_there("valgrind", install) {
        return;
    }
    let program = build(language, source, Link::Shared, FEW);
    let mut valgrind = Command::new("valgrind");
    valgrind
        .args(["--quiet", "--fair-sched=yes", "--error-exitcode=9", "--leak-check=full"])
        .args([
            "--show-leak-kinds=definite,indirect,possible",
            "--errors-for-leak-kinds=definite,indirect,possible",
        ])
        .arg(&program.path)
        .args(arguments);
    run(&mut valgrind, install);
}

/// Runs a program that the sanitizers watch.
fn sanitize(language: Language, source: &str, arguments: &[&str]) {
    let sanitizers = ["-fsanitize=address,undefined", "-fno-sanitize-recover=all"];
    let program = build(language, source, Link::Static, &[FEW, &sanitizers].concat());
    program.run(arguments);
}

macro_rules! watched {
    ($($name:ident: $language:ident $source:literal $arguments:expr;)*) => {
        mod memcheck {
            $(#[test] fn $name() { super::memcheck(super::Language::$language, $source, &$arguments); })*
        }
        mod sanitizers {
            $(#[test] fn $name() { super::sanitize(super::Language::$language, $source, &$arguments); })*
        }
    };
}

watched! {
    verbs: C "tests/c/verbs.c" [];
    callbacks: C "tests/c/callbacks.c" [];
    errors: C "tests/c/errors.c" [];
    threads: C "tests/c/threads.c" [];
    fork: C "tests/c/fork.c" [];
    wrapper: Cxx "tests/cpp/wrapper.cpp" [];
    predecessor_calls: C "tests/c/predecessor/calls.c" [];
    predecessor_misuse: C "tests/c/predecessor/misuse.c" ["3"];
    predecessor_stress: C "tests/c/predecessor/stress.c" ["40", "50"];
}
