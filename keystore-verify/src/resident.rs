//! The process's resident memory.

use sysinfo::{ProcessRefreshKind, ProcessesToUpdate, System};

/// The process's resident memory at one moment.
#[derive(Clone, Copy, Debug)]
pub struct Resident {
    bytes: u64,
}

/// Growth of the process since a moment, in bytes.
#[derive(Clone, Copy, Debug)]
pub struct Grown {
    /// Growth until now.
    pub now: u64,
    /// Growth at the largest size since then. Only Linux reports it; elsewhere this is `now`.
    pub peak: u64,
}

impl Resident {
    /// Measures the resident memory of the process now.
    ///
    /// The allocator first returns the freed memory that it keeps for reuse to the system. On Linux
    /// this also resets the system's record of the largest size of the process.
    #[must_use]
    pub fn before() -> Self {
        release_free_memory();
        // Writing 5 resets the record (proc(5)). If that is not allowed, the peak covers the whole
        // life of the process.
        #[cfg(target_os = "linux")]
        let _ = std::fs::write("/proc/self/clear_refs", "5");
        Self { bytes: resident_bytes() }
    }

    /// Returns the resident memory at that moment, in bytes; 0 if the system does not report it.
    #[must_use]
    pub const fn bytes(self) -> u64 {
        self.bytes
    }

    /// Returns the growth since that moment in bytes, without the memory that the allocator keeps
    /// for reuse.
    #[must_use]
    pub fn grown_by_now(self) -> u64 {
        release_free_memory();
        resident_bytes().saturating_sub(self.bytes)
    }

    /// Returns the growth since that moment.
    #[must_use]
    pub fn grown(self) -> Grown {
        let now = resident_bytes().saturating_sub(self.bytes);
        let peak = peak_bytes().map_or(now, |bytes| bytes.saturating_sub(self.bytes));
        Grown { now, peak }
    }
}

/// Returns the process's resident memory in bytes; 0 if the system does not report it.
fn resident_bytes() -> u64 {
    let Ok(this) = sysinfo::get_current_pid() else { return 0 };
    let mut system = System::new();
    let memory = ProcessRefreshKind::nothing().with_memory().without_tasks();
    system.refresh_processes_specifics(ProcessesToUpdate::Some(&[this]), false, memory);
    system.process(this).map_or(0, sysinfo::Process::memory)
}

/// Returns the largest resident memory since [`Resident::before`] in bytes; `None` except on Linux.
fn peak_bytes() -> Option<u64> {
    let text = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kilobytes: u64 = line.trim().strip_suffix(" kB")?.trim().parse().ok()?;
    Some(kilobytes * 1024)
}

/// Returns freed memory that the allocator keeps to the system, for this thread or for all threads.
#[cfg(feature = "mimalloc")]
pub fn release_free_memory() {
    // SAFETY: any thread may call this at any time (mimalloc's documentation of `mi_collect`).
    unsafe { libmimalloc_sys::mi_collect(true) };
}

/// Does nothing, because the allocator is not known.
#[cfg(not(feature = "mimalloc"))]
pub const fn release_free_memory() {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[cfg(target_os = "linux")]
    fn what_the_process_grows_by_is_seen() {
        const BYTES: usize = 64 << 20;
        let before = Resident::before();
        let block = vec![1_u8; BYTES];
        let held = before.grown();
        drop(std::hint::black_box(block));
        let after = before.grown();
        // Other tests of this process run at the same time, so the bounds are wide.
        assert!(held.now > BYTES as u64 / 2, "{held:?}");
        assert!(after.peak >= BYTES as u64 / 2, "{after:?}");
    }
}
