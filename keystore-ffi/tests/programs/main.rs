//! Programs in other languages against the headers and the library, as a user would build and run
//! them.

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
