//! Tests that build and run programs in other languages, with the headers and the library, as a
//! user would.

mod documentation;
mod exports;
mod headers;
mod keystore_h;
mod languages;
mod library;
mod memory;
mod standards;
mod symbols;
mod toolchain;
mod watch;
