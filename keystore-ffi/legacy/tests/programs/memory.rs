//! Every test program, with its memory watched.

#![cfg(target_os = "linux")]

use crate::watch::watched;

watched! {
    calls: C "tests/c/calls.c" [];
    misuse: C "tests/c/misuse.c" ["3"];
    stress: C "tests/c/stress.c" ["40", "50"];
}
