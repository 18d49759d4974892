//! Tests that run every test program under memcheck and the sanitizers.

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
