//! Any bytes, taken as a sequence of calls, do on every backend what they do to a map of the
//! standard library.
#![no_main]

#[path = "../../tests/support/sequence.rs"]
mod sequence;
#[path = "../../tests/support/steps.rs"]
mod steps;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| sequence::run(bytes));
