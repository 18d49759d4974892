//! Tests that run every test program under memcheck and the sanitizers.

#![cfg(target_os = "linux")]

use crate::watch::watched;

watched! {
    calls: C "tests/c/calls.c" [];
    misuse: C "tests/c/misuse.c" ["3"];
    stress: C "tests/c/stress.c" ["40", "50"];
}
