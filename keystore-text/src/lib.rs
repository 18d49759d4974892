//! keystore-text: how the tools of keystore read text and print it.
//!
//! [`input`] reads the files of others: lines, comma-separated records, gzip. [`console`] prints
//! for people: it never panics, and text that it prints does not control the terminal. [`duration`]
//! shows nanoseconds with a unit. [`Error`] says which file or line cannot be read or written.

#![deny(clippy::print_stdout, clippy::print_stderr)]

pub mod console;
pub mod duration;
mod error;
pub mod input;

pub use error::{Error, Result};

/// The example of the README, which has to compile and run.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
