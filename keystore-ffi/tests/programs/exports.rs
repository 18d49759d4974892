//! Whatever else is linked into the shared library stays inside: what can be seen are the functions
//! of the header, all of them and nothing else.

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

/// A program may have functions of its own that are named like the predecessor's.
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
