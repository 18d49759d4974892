//! The memory that the command needs for itself.

use crate::failure::Failure;

/// Minimum address space of the command in bytes. The allocator reserves it in large pieces, and
/// each thread has a stack. With less, the program could not even report an error.
pub(crate) const LEAST_ADDRESS_SPACE: u64 = 160 << 20;

/// Refuses to start if the process can never have the address space that it needs.
#[cfg(unix)]
pub(crate) fn check() -> Result<(), Failure> {
    use rustix::process::{Resource, getrlimit};
    match getrlimit(Resource::As).current {
        Some(limit) if limit < LEAST_ADDRESS_SPACE => Err(Failure::AddressSpace { limit }),
        _ => Ok(()),
    }
}

/// Other systems do not limit the address space.
#[cfg(not(unix))]
pub(crate) fn check() -> Result<(), Failure> {
    Ok(())
}
