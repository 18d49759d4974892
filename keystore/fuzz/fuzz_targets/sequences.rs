//! Fuzz target that turns any bytes into a sequence of calls. Every backend must answer the calls
//! as a map of the standard library does.
#![no_main]

#[path = "../../tests/support/sequence.rs"]
mod sequence;
#[path = "../../tests/support/steps.rs"]
mod steps;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| sequence::run(bytes));
