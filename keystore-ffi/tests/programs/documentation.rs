//! Tests that the C code in the documentation compiles, runs and matches the example files.

use std::fs;

use crate::toolchain::{Language, Link, build, build_file, directory, file};

/// Returns the C blocks of `docs/c-api.md`, in order.
fn blocks() -> Vec<String> {
    let page = fs::read_to_string(file("../docs/c-api.md")).unwrap();
    let blocks = page.split("```c\n").skip(1);
    blocks.map(|rest| rest.split("```").next().unwrap_or_default().to_owned()).collect()
}

#[test]
fn every_c_block_of_the_documentation_compiles_and_every_program_runs() {
    let blocks = blocks();
    assert!(blocks.len() >= 3, "{blocks:?}");
    for block in blocks {
        let program = if block.contains("int main(") {
            block
        } else {
            // The block is part of a program, so it gets a main function and a store.
            format!(
                "#include <keystore.h>\nint main(void) {{\nks_store *store;\n{block}\nif (status == KS_OK) ks_close(store);\n\
                 return status;\n}}\n"
            )
        };
        let directory = directory();
        let source = directory.path().join("block.c");
        fs::write(&source, &program).unwrap();
        build_file(Language::C, &source, Link::Shared, &[]).run(&[]);
    }
}

/// Checks that the page shows the example file exactly, and that the example prints what the page
/// says.
#[test]
fn the_callbacks_of_the_documentation_are_those_of_the_example() {
    let example = fs::read_to_string(file("examples/callbacks.c")).unwrap();
    assert!(
        blocks().contains(&example),
        "docs/c-api.md does not show examples/callbacks.c as it is"
    );
    let printed = build(Language::C, "examples/callbacks.c", Link::Static, &[]).run(&[]);
    assert_eq!(printed, "visits: 3\n");
    let page = fs::read_to_string(file("../docs/c-api.md")).unwrap();
    assert!(page.contains("prints `visits: 3`"));
}

/// Checks that a reader of the header or the page learns that signal handlers may not call.
#[test]
fn the_headers_and_the_documentation_say_what_a_signal_handler_may_do() {
    for (page, sentence) in [
        ("include/keystore.h", "A signal handler may call NONE of these functions"),
        ("legacy/include/key_store.h", "A signal handler may call none"),
        ("../docs/c-api.md", "A signal handler may call no function of this library."),
    ] {
        assert!(fs::read_to_string(file(page)).unwrap().contains(sentence), "{page}");
    }
    let header = fs::read_to_string(file("include/keystore.h")).unwrap();
    assert!(!header.contains("at any time"), "keystore.h promises calls at any time");
}

/// Returns the functions of the header, each with the comment above it.
fn functions(header: &str) -> Vec<(&str, &str)> {
    let mut functions = Vec::new();
    for (at, _) in header.match_indices("\nint ks_") {
        let name = header[at + 5..].split('(').next().expect("a name");
        let comment = header[..at].rsplit("/**").next().expect("a comment");
        functions.push((name, comment));
    }
    functions
}

/// Checks that every function with a store mentions KS_OUT_OF_MEMORY, because any call may be the
/// first of its thread, which allocates.
#[test]
fn every_function_with_a_store_says_that_memory_may_run_out() {
    let header = fs::read_to_string(file("include/keystore.h")).unwrap();
    let functions = functions(&header);
    assert!(functions.len() >= 20, "{functions:?}");
    for (name, comment) in functions {
        // These functions never enter a table, so they allocate nothing for the thread.
        if ["ks_options_init", "ks_close", "ks_count"].contains(&name) {
            continue;
        }
        let by_another =
            ["ks_set", "ks_get_owned", "ks_read", "ks_delete", "ks_clear"].iter().any(|other| {
                comment.contains(&format!("of {other}")) || comment.contains(&format!("as {other}"))
            });
        assert!(comment.contains("KS_OUT_OF_MEMORY") || by_another, "{name}: {comment}");
    }
}

/// Checks that the defaults that the header names are the ones that ks_options_init sets.
#[test]
fn the_header_names_the_defaults_that_there_are() {
    let header = fs::read_to_string(file("include/keystore.h")).unwrap();
    let defaults = keystore_ffi::ks_options::default();
    let chosen = [
        ("KS_BACKEND_", defaults.backend),
        ("KS_POOL_", defaults.pool),
        ("KS_CONCURRENCY_", defaults.concurrency),
    ];
    for (prefix, number) in chosen {
        for (at, _) in header.match_indices(&format!("#define {prefix}")) {
            let line = header[at..].lines().next().expect("a line");
            let comment = header[..at].rsplit("/**").next().expect("a comment");
            let is_default = line.ends_with(&format!(" {number}"));
            assert_eq!(comment.contains("The default."), is_default, "{line}: {comment}");
        }
    }
}
