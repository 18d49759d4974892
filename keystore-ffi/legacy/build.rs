//! Tells the linker that the shared library stays in memory once it is loaded.

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    // Threads run cleanup code of the library when they end, so `dlclose` must not unload it.
    if std::env::var("CARGO_CFG_TARGET_OS").is_ok_and(|system| system == "linux") {
        println!("cargo::rustc-link-arg-cdylib=-Wl,-z,nodelete");
    }
}
