//! Tests of C programs as they were written for the predecessor, with its two headers alone.

mod exports;
mod headers;
mod key_store_h;
#[path = "../../../tests/programs/library.rs"]
mod library;
mod memory;
#[path = "../../../tests/programs/standards.rs"]
mod standards;
#[path = "../../../tests/programs/symbols.rs"]
mod symbols;
#[path = "../../../tests/programs/toolchain.rs"]
mod toolchain;
#[path = "../../../tests/programs/watch.rs"]
mod watch;
