//! The machine that is measured on: what it is, and keeping threads on its processors.

use serde::{Deserialize, Serialize};

/// What results were measured on, as far as the system tells.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Machine {
    /// The processor's name.
    pub processor: String,
    /// Processors that this process may use.
    pub processors: usize,
    /// Operating system and architecture, `linux x86_64`.
    pub system: String,
    /// Whether ordinary memory gets huge pages: Linux's `always`, `madvise` or `never`.
    pub huge_pages: String,
    /// The process's global allocator.
    pub allocator: String,
    /// Whether the harness was built with optimisation.
    pub optimised: bool,
    /// The version of this crate.
    pub version: String,
}

impl Machine {
    /// This one.
    #[must_use]
    pub fn this() -> Self {
        let unknown = || "unknown".to_owned();
        Self {
            processor: processor_name().unwrap_or_else(unknown),
            processors: processors(),
            system: format!("{} {}", std::env::consts::OS, std::env::consts::ARCH),
            huge_pages: huge_pages().unwrap_or_else(unknown),
            allocator: if cfg!(feature = "mimalloc") { "mimalloc" } else { "the system's" }.to_owned(),
            optimised: !cfg!(debug_assertions),
            version: env!("CARGO_PKG_VERSION").to_owned(),
        }
    }
}

/// Processors that this process may use; at least 1.
#[must_use]
pub fn processors() -> usize {
    std::thread::available_parallelism().map_or(1, Into::into)
}

fn processor_name() -> Option<String> {
    let text = std::fs::read_to_string("/proc/cpuinfo").ok()?;
    let line = text.lines().find(|line| line.starts_with("model name"))?;
    Some(line.split_once(':')?.1.trim().to_owned())
}

/// The choice that stands in brackets: `always [madvise] never`.
fn huge_pages() -> Option<String> {
    let text = std::fs::read_to_string("/sys/kernel/mm/transparent_hugepage/enabled").ok()?;
    Some(text.split_once('[')?.1.split_once(']')?.0.to_owned())
}

/// What the process held of the system's memory at one moment.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Resident {
    bytes: u64,
}

/// By how much the process grew since a moment, bytes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Grown {
    /// Until now.
    pub(crate) now: u64,
    /// Until it was largest.
    pub(crate) peak: u64,
}

impl Resident {
    /// What it holds now. What the allocator keeps for later goes back to the system before, and the system's mark of the
    /// most that the process ever held is set back to this.
    pub(crate) fn before() -> Self {
        release_free_memory();
        // The 5 sets the mark back (proc(5)). Where that is not allowed, the peak is that of the whole process.
        let _ = std::fs::write("/proc/self/clear_refs", "5");
        Self { bytes: status("VmRSS:").unwrap_or(0) }
    }

    /// How much it held, bytes; 0 where the system does not say.
    pub(crate) const fn bytes(self) -> u64 {
        self.bytes
    }

    /// By how much it grew since, bytes, what the allocator keeps for later not counted.
    pub(crate) fn grown_by_now(self) -> u64 {
        release_free_memory();
        status("VmRSS:").map_or(0, |bytes: u64| bytes.saturating_sub(self.bytes))
    }

    /// By how much it grew since.
    pub(crate) fn grown(self) -> Grown {
        let since = |field| status(field).map_or(0, |bytes: u64| bytes.saturating_sub(self.bytes));
        Grown { now: since("VmRSS:"), peak: since("VmHWM:") }
    }
}

/// A size in the system's description of this process, bytes; `None` where it gives none.
fn status(field: &str) -> Option<u64> {
    let text = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix(field))?;
    let kilobytes: u64 = line.trim().strip_suffix(" kB")?.trim().parse().ok()?;
    Some(kilobytes * 1024)
}

/// Gives back to the system what the allocator keeps for later, for this thread or for all.
#[cfg(feature = "mimalloc")]
pub(crate) fn release_free_memory() {
    // SAFETY: may be called at any time by any thread (mimalloc's documentation of `mi_collect`).
    unsafe { libmimalloc_sys::mi_collect(true) };
}

#[cfg(not(feature = "mimalloc"))]
pub(crate) fn release_free_memory() {}

/// A processor for each of `threads` threads, or none at all where there are fewer processors than threads or the system
/// does not say: then the system places them.
pub(crate) fn processors_for(threads: usize) -> Vec<usize> {
    let allowed = allowed_processors();
    if threads <= allowed.len() { allowed[..threads].to_vec() } else { Vec::new() }
}

#[cfg(target_os = "linux")]
fn allowed_processors() -> Vec<usize> {
    use rustix::thread::{CpuSet, sched_getaffinity};
    let allowed = sched_getaffinity(None).unwrap_or_else(|_| CpuSet::new());
    (0..CpuSet::MAX_CPU).filter(|&processor| allowed.is_set(processor)).collect()
}

#[cfg(not(target_os = "linux"))]
fn allowed_processors() -> Vec<usize> {
    Vec::new()
}

/// Keeps this thread on a processor. Where the system refuses, the thread goes where it is put: times spread more, and
/// stay right.
#[cfg(target_os = "linux")]
pub(crate) fn stay_on(processor: usize) {
    use rustix::thread::{CpuSet, sched_setaffinity};
    let mut only = CpuSet::new();
    only.set(processor);
    let _ = sched_setaffinity(None, &only);
}

#[cfg(not(target_os = "linux"))]
pub(crate) fn stay_on(_: usize) {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_machine_is_described() {
        let machine = Machine::this();
        assert!(machine.processors >= 1);
        assert!(!machine.processor.is_empty() && !machine.system.is_empty());
        assert_eq!(machine.optimised, !cfg!(debug_assertions));
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn what_the_process_grows_by_is_seen() {
        const BYTES: usize = 64 << 20;
        let before = Resident::before();
        let block = vec![1_u8; BYTES];
        let held = before.grown();
        drop(std::hint::black_box(block));
        let after = before.grown();
        // Other tests of this process come and go meanwhile, so the bounds are wide.
        assert!(held.now > BYTES as u64 / 2, "{held:?}");
        assert!(after.peak >= BYTES as u64 / 2, "{after:?}");
    }

    #[test]
    fn threads_are_placed_only_where_each_has_a_processor() {
        assert!(processors_for(10_000).is_empty());
        let one = processors_for(1);
        assert!(one.len() <= 1);
        if let Some(&processor) = one.first() {
            std::thread::spawn(move || {
                stay_on(processor);
                assert_eq!(allowed_processors(), [processor]);
            })
            .join()
            .unwrap();
        }
    }
}
