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
pub(crate) fn pin_to_cpu(processor: usize) {
    use rustix::thread::{CpuSet, sched_setaffinity};
    let mut only = CpuSet::new();
    only.set(processor);
    let _ = sched_setaffinity(None, &only);
}

#[cfg(not(target_os = "linux"))]
pub(crate) fn pin_to_cpu(_: usize) {}

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
    fn threads_are_placed_only_where_each_has_a_processor() {
        assert!(processors_for(10_000).is_empty());
        let one = processors_for(1);
        assert!(one.len() <= 1);
        if let Some(&processor) = one.first() {
            std::thread::spawn(move || {
                pin_to_cpu(processor);
                assert_eq!(allowed_processors(), [processor]);
            })
            .join()
            .unwrap();
        }
    }
}
