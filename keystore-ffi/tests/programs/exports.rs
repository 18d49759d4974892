//! Tests that the shared library exports exactly the functions of the header, and no name of the
//! crates that are linked into it.

#![cfg(target_os = "linux")]

use crate::symbols::{declared, defined, sorted};
use crate::toolchain::{file, library};

#[test]
fn the_shared_library_exports_the_functions_of_the_header_and_nothing_else() {
    let declared = sorted(declared(&file("include/keystore.h")));
    assert!(declared.iter().any(|name| name == "ks_open"), "the header declares {declared:?}");
    assert!(
        declared.iter().all(|name| name.starts_with("ks_")),
        "the header declares {declared:?}"
    );
    assert_eq!(sorted(defined(&library().shared)), declared);
}

/// Checks this because a program may have its own functions with the predecessor's names.
#[test]
fn neither_form_of_the_library_has_the_predecessors_functions() {
    let theirs = declared(&file("legacy/include/key_store.h"));
    assert!(theirs.iter().any(|name| name == "get_key"), "the header declares {theirs:?}");
    for form in [&library().shared, &library().archive] {
        let defined = defined(form);
        assert!(defined.iter().any(|name| name == "ks_open"), "{}", form.display());
        for name in &theirs {
            assert!(!defined.contains(name), "{} defines {name}", form.display());
        }
    }
}
