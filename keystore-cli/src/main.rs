//! The `keystore` command.
use keystore_bench as _;
fn main() {}
