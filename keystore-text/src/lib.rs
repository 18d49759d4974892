//! Reads and prints text for the tools of keystore.
//!
//! [`input`] reads files from outside: lines, comma-separated records, gzip. [`console`] prints for
//! people: it never panics, and printed text does not control the terminal. [`duration`] formats
//! nanoseconds with a unit. [`Error`] names the file or line that cannot be read or written.

#![deny(clippy::print_stdout, clippy::print_stderr)]

pub mod console;
pub mod duration;
mod error;
pub mod input;

pub use error::{Error, Result};

/// The example in the README, which must compile and run.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
