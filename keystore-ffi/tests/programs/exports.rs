//! Whatever else is linked into the shared library stays inside: what can be seen are the functions
//! of the headers, all of them and nothing else.

#![cfg(target_os = "linux")]

use std::process::Command;

use crate::toolchain::{file, library, run};

const INSTALL_NM: &str = "`apt-get install binutils` on Debian";

/// The functions that a header declares: the names before the first parenthesis of a line that starts with a type.
fn declared(header: &str) -> Vec<String> {
    std::fs::read_to_string(file(header))
        .unwrap()
        .lines()
        .filter(|line| line.starts_with(|c: char| c.is_ascii_lowercase()) && !line.starts_with("typedef"))
        .filter_map(|line| line.split_once('(')?.0.rsplit([' ', '*']).next().map(str::to_owned))
        .collect()
}

#[test]
fn only_our_symbols_are_exported() {
    let mut nm = Command::new("nm");
    let listing = run(nm.args(["-D", "--defined-only"]).arg(&library().shared), INSTALL_NM);
    let mut exported: Vec<&str> = listing.lines().filter_map(|line| line.split(' ').nth(2)).collect();
    exported.sort_unstable();

    let mut declared = [declared("include/keystore.h"), declared("include/key_store.h")].concat();
    declared.sort_unstable();
    for function in ["ks_open", "get_keystore_stats"] {
        assert!(declared.iter().any(|name| name == function), "the headers declare {declared:?}");
    }
    assert_eq!(exported, declared);
}
