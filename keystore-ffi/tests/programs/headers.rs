//! Tests that the headers compile without warnings in every standard that they promise.

use crate::standards::check;
use crate::toolchain::{Language, file};

#[test]
fn the_header_is_clean_c() {
    check(Language::C, "include/keystore.h", &["c99", "c11", "c17"]);
}

#[test]
fn the_headers_are_clean_cxx() {
    check(Language::Cxx, "include/keystore.h", &["c++11", "c++14", "c++17", "c++20"]);
    check(Language::Cxx, "include/keystore.hpp", &["c++17", "c++20"]);
}

/// Checks that the version for CMake, which is written by hand, is the version of the package.
#[test]
fn cmake_is_told_this_version() {
    let config = std::fs::read_to_string(file("cmake/keystore-config-version.cmake")).unwrap();
    let version = format!("set(PACKAGE_VERSION \"{}\")", env!("CARGO_PKG_VERSION"));
    assert!(config.contains(&version), "keystore-config-version.cmake lacks {version}");
}
