//! The headers are clean in every standard that they promise.

use crate::toolchain::{Language, file, run};

/// Compiles a header by itself, in each of these standards.
fn check(language: Language, header: &str, standards: &[&str]) {
    let kind = match language {
        Language::C => "c",
        Language::Cxx => "c++",
    };
    for standard in standards {
        let mut compiler = language.compiler();
        compiler.args([&format!("-std={standard}"), "-fsyntax-only", "-x", kind]).arg(file(header));
        run(&mut compiler, language.install());
    }
}

#[test]
fn the_headers_are_clean_c() {
    for header in ["include/keystore.h", "include/key_store.h", "include/type_definition.h"] {
        check(Language::C, header, &["c99", "c11", "c17"]);
    }
}

#[test]
fn the_headers_are_clean_cxx() {
    for header in ["include/keystore.h", "include/key_store.h", "include/type_definition.h"] {
        check(Language::Cxx, header, &["c++11", "c++14", "c++17", "c++20"]);
    }
    check(Language::Cxx, "include/keystore.hpp", &["c++17", "c++20"]);
}

/// What CMake is told of the version is written by hand.
#[test]
fn cmake_is_told_this_version() {
    let config = std::fs::read_to_string(file("cmake/keystore-config-version.cmake")).unwrap();
    let version = format!("set(PACKAGE_VERSION \"{}\")", env!("CARGO_PKG_VERSION"));
    assert!(config.contains(&version), "keystore-config-version.cmake lacks {version}");
}
