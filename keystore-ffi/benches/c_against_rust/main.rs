//! What the C library costs: the same loops in C, over the shared library, and in Rust, over the trait.
//!
//!     cargo bench -p keystore-ffi
//!
//! The C half (`loops.c`) is compiled by the system's compiler, linked with `libkeystore` as a program would be, and
//! loaded. The Rust half opens a store of its own, of the same backend and pool, as `Box<dyn Keystore>`, which is how the
//! C library holds its stores, and once more as the type itself. The halves take turns, round by round, so that whatever
//! else the machine does meets both; of each, the median round counts.

#[cfg(unix)]
mod comparison;

fn main() {
    #[cfg(unix)]
    comparison::run();
    #[cfg(not(unix))]
    eprintln!("this comparison loads its C half by dlopen, which this system does not have");
}
