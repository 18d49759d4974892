//! Tests that the shared library exports the predecessor's functions, the functions of
//! `keystore.h`, and nothing else.

#![cfg(target_os = "linux")]

use crate::symbols::{declared, defined, sorted};
use crate::toolchain::{file, library};

#[test]
fn the_shared_library_exports_the_functions_of_both_headers_and_nothing_else() {
    let headers = ["include/key_store.h", "../include/keystore.h"];
    let declared = sorted(headers.iter().flat_map(|header| declared(&file(header))).collect());
    for function in ["ks_open", "get_keystore_stats"] {
        assert!(declared.iter().any(|name| name == function), "the headers declare {declared:?}");
    }
    assert_eq!(sorted(defined(&library().shared)), declared);
}
