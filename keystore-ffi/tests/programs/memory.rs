//! Every test program, with its memory watched.

#![cfg(target_os = "linux")]

use crate::watch::watched;

watched! {
    verbs: C "tests/c/verbs.c" [];
    callbacks: C "tests/c/callbacks.c" [];
    errors: C "tests/c/errors.c" [];
    threads: C "tests/c/threads.c" [];
    thread_ends: C "tests/c/thread_ends.c" [];
    fork: C "tests/c/fork.c" [];
    wrapper: Cxx "tests/cpp/wrapper.cpp" [];
}
