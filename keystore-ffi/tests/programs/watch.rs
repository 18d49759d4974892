//! Runs programs under tools that find memory errors: valgrind's memcheck, and the sanitizers for
//! addresses, leaks and undefined behaviour. Programs use fewer keys there, because memcheck makes
//! them some thirty times slower.

#![cfg(target_os = "linux")]

use std::process::Command;

use crate::toolchain::{Language, Link, build, is_there, run};

const FEW: &[&str] = &["-DFEW", "-D_POSIX_C_SOURCE=200809L"];

/// Runs a program under memcheck. Any invalid access and any leaked block fails the test.
pub fn memcheck(language: Language, source: &str, arguments: &[&str]) {
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

/// Runs a program that is compiled with the sanitizers.
pub fn sanitize(language: Language, source: &str, arguments: &[&str]) {
    let sanitizers = ["-fsanitize=address,undefined", "-fno-sanitize-recover=all"];
    let program = build(language, source, Link::Static, &[FEW, &sanitizers].concat());
    program.run(arguments);
}

/// Defines tests that run each of these programs under memcheck and under the sanitizers.
macro_rules! watched {
    ($($name:ident: $language:ident $source:literal $arguments:expr;)*) => {
        mod memcheck {
            use crate::{toolchain::Language, watch::memcheck};
            $(#[test] fn $name() { memcheck(Language::$language, $source, &$arguments); })*
        }
        mod sanitizers {
            use crate::{toolchain::Language, watch::sanitize};
            $(#[test] fn $name() { sanitize(Language::$language, $source, &$arguments); })*
        }
    };
}
pub(crate) use watched;
