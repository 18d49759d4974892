//! C programs against `keystore.h`.

use crate::toolchain::{Language, build_and_run};

#[test]
fn ten_lines_of_c() {
    assert_eq!(build_and_run(Language::C, "examples/ten_lines.c"), "42\n");
}

#[test]
fn verbs() {
    build_and_run(Language::C, "tests/c/verbs.c");
}

#[test]
fn callbacks() {
    build_and_run(Language::C, "tests/c/callbacks.c");
}

#[test]
fn errors() {
    build_and_run(Language::C, "tests/c/errors.c");
}

#[test]
fn threads() {
    build_and_run(Language::C, "tests/c/threads.c");
}

#[cfg(target_os = "linux")]
#[test]
fn fork() {
    build_and_run(Language::C, "tests/c/fork.c");
}

#[test]
fn own_names() {
    build_and_run(Language::C, "tests/c/own_names.c");
}
