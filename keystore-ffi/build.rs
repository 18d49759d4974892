//! Tells the linker that the shared library stays once it is loaded.

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    // Threads clean up after themselves in the library's code when they end, so `dlclose` must not
    // take it away.
    if std::env::var("CARGO_CFG_TARGET_OS").is_ok_and(|system| system == "linux") {
        println!("cargo::rustc-link-arg-cdylib=-Wl,-z,nodelete");
    }
}
