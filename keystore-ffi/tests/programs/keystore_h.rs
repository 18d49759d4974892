//! Tests of C programs that use `keystore.h`.

use crate::toolchain::{Language, Link, build, library};

/// Builds a program with each form of the library and runs both. Returns the output, which must be
/// the same.
pub fn build_and_run(language: Language, source: &str) -> String {
    let printed = build(language, source, Link::Static, &[]).run(&[]);
    assert_eq!(printed, build(language, source, Link::Shared, &[]).run(&[]));
    printed
}

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

#[test]
fn a_thread_may_call_where_it_ends() {
    build_and_run(Language::C, "tests/c/thread_ends.c");
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

/// Calls every function on a thread for which `malloc` fails at its first, second, … call.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
#[test]
fn no_call_ends_the_process_where_memory_runs_out() {
    build_and_run(Language::C, "tests/c/out_of_memory.c");
}

/// Does the same on threads that call for the first time.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
#[test]
fn no_first_call_of_a_thread_ends_the_process_where_memory_runs_out() {
    for link in [Link::Static, Link::Shared] {
        build(Language::C, "tests/c/out_of_memory.c", link, &[]).run(&["new"]);
    }
}

#[cfg(target_os = "linux")]
#[test]
fn dlclose_leaves_the_library_where_threads_still_need_it() {
    // Uses no function of the static library: the program opens the shared library with dlopen.
    let program = build(Language::C, "tests/c/unload.c", Link::Static, &[]);
    program.run(&[library().shared.to_str().unwrap()]);
}
