//! Reads the symbol names of a library, and the function names of its headers.

#![cfg(target_os = "linux")]

use std::path::Path;
use std::process::Command;

use crate::toolchain::run;

const INSTALL_NM: &str = "`apt-get install binutils` on Debian";

/// Returns the functions that a header declares: the name before the first parenthesis of each line
/// that starts with a type.
pub fn declared(header: &Path) -> Vec<String> {
    let name = |line: &str| line.split_once('(')?.0.rsplit([' ', '*']).next().map(str::to_owned);
    std::fs::read_to_string(header)
        .unwrap()
        .lines()
        .filter(|line| {
            line.starts_with(|c: char| c.is_ascii_lowercase()) && !line.starts_with("typedef")
        })
        .filter_map(name)
        .collect()
}

/// Returns the names that a library defines for others: the exported names of a shared library, or
/// the global names of an archive.
pub fn defined(library: &Path) -> Vec<String> {
    let dynamic = library.extension().is_some_and(|extension| extension == "so");
    let mut nm = Command::new("nm");
    nm.args(["--defined-only", if dynamic { "--dynamic" } else { "--extern-only" }]).arg(library);
    let listing = run(&mut nm, INSTALL_NM);
    listing.lines().filter_map(|line| line.split(' ').nth(2).map(str::to_owned)).collect()
}

/// Returns the names in sorted order.
pub fn sorted(mut names: Vec<String>) -> Vec<String> {
    names.sort_unstable();
    names
}
