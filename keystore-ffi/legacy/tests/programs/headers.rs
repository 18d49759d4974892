//! Tests that the headers compile without warnings in every standard that they promise.

use crate::standards::check;
use crate::toolchain::Language;

const HEADERS: [&str; 2] = ["include/key_store.h", "include/type_definition.h"];

#[test]
fn the_headers_are_clean_c() {
    for header in HEADERS {
        check(Language::C, header, &["c99", "c11", "c17"]);
    }
}

#[test]
fn the_headers_are_clean_cxx() {
    for header in HEADERS {
        check(Language::Cxx, header, &["c++11", "c++14", "c++17", "c++20"]);
    }
}
