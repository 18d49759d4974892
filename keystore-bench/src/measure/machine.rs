//! Describes the machine that runs the measurement, and pins threads to its processors.

use core_affinity::CoreId;
use serde::{Deserialize, Serialize};
use sysinfo::{CpuRefreshKind, RefreshKind, System};

/// The machine on which results were measured, as far as the system describes it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Machine {
    /// The processor's name.
    pub processor: String,
    /// Number of processors that this process may use.
    pub processors: usize,
    /// Operating system and architecture, for example `linux x86_64`.
    pub system: String,
    /// The system's setting for transparent huge pages. Linux has `always`, `madvise` and `never`.
    pub huge_pages: String,
    /// The process's global allocator.
    pub allocator: String,
    /// Whether the harness was built with optimisation.
    pub optimised: bool,
    /// The version of this crate.
    pub version: String,
}

impl Machine {
    /// Returns the differences from the machine of other results, if there are any that can change
    /// the measured rates.
    #[must_use]
    pub fn difference_to(&self, other: &Self) -> Option<String> {
        let processors = (self.processors.to_string(), other.processors.to_string());
        let optimised = (self.optimised.to_string(), other.optimised.to_string());
        let fields = [
            ("processor", &other.processor, &self.processor),
            ("number of processors", &processors.1, &processors.0),
            ("system", &other.system, &self.system),
            ("huge pages", &other.huge_pages, &self.huge_pages),
            ("allocator", &other.allocator, &self.allocator),
            ("built with optimisation", &optimised.1, &optimised.0),
        ];
        let differing: Vec<String> = fields
            .into_iter()
            .filter(|(_, before, now)| before != now)
            .map(|(name, before, now)| format!("{name} was {before:?} and is {now:?}"))
            .collect();
        (!differing.is_empty()).then(|| differing.join("; "))
    }

    /// Describes this machine.
    #[must_use]
    pub fn this() -> Self {
        let unknown = || "unknown".to_owned();
        Self {
            processor: processor_name().unwrap_or_else(unknown),
            processors: processors(),
            system: format!("{} {}", std::env::consts::OS, std::env::consts::ARCH),
            huge_pages: huge_pages().unwrap_or_else(unknown),
            allocator: if cfg!(feature = "mimalloc") { "mimalloc" } else { "the system's" }
                .to_owned(),
            optimised: !cfg!(debug_assertions),
            version: env!("CARGO_PKG_VERSION").to_owned(),
        }
    }
}

/// Returns the number of processors that this process may use, at least 1.
#[must_use]
pub fn processors() -> usize {
    std::thread::available_parallelism().map_or(1, Into::into)
}

/// Returns the processor's name, or else its vendor's name. Returns `None` if the system reports
/// neither.
fn processor_name() -> Option<String> {
    let kind = RefreshKind::nothing().with_cpu(CpuRefreshKind::nothing());
    let system = System::new_with_specifics(kind);
    let processor = system.cpus().first()?;
    let names = [processor.brand(), processor.vendor_id()].map(str::trim);
    names.into_iter().find(|name| !name.is_empty()).map(str::to_owned)
}

/// Returns the active setting, which Linux puts in brackets: `always [madvise] never`.
fn huge_pages() -> Option<String> {
    let text = std::fs::read_to_string("/sys/kernel/mm/transparent_hugepage/enabled").ok()?;
    Some(text.split_once('[')?.1.split_once(']')?.0.to_owned())
}

/// Returns a processor for each of `threads` threads. Returns an empty list if there are fewer
/// processors than threads, or if the system does not list its processors. The threads are then not
/// pinned.
pub(crate) fn processors_for(threads: usize) -> Vec<CoreId> {
    let mut allowed = core_affinity::get_core_ids().unwrap_or_default();
    allowed.truncate(threads);
    if allowed.len() == threads { allowed } else { Vec::new() }
}

/// Pins the calling thread to a processor. If the system refuses, the scheduler places the thread.
/// Times then vary more but remain correct.
pub(crate) fn pin_to_cpu(processor: CoreId) {
    core_affinity::set_for_current(processor);
}

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
    fn another_machine_is_named_by_what_differs() {
        let machine = Machine::this();
        assert_eq!(machine.difference_to(&machine), None);
        let other =
            Machine { processor: "Z80".to_owned(), version: "9".to_owned(), ..machine.clone() };
        let difference = machine.difference_to(&other).unwrap();
        assert!(difference.starts_with("processor was \"Z80\" and is "), "{difference}");
        assert!(!difference.contains(';'), "{difference}");
    }

    #[test]
    fn threads_are_placed_only_where_each_has_a_processor() {
        assert!(processors_for(10_000).is_empty());
        let one = processors_for(1);
        assert!(one.len() <= 1);
        if let Some(&processor) = one.first() {
            std::thread::spawn(move || {
                pin_to_cpu(processor);
                assert_eq!(core_affinity::get_core_ids(), Some(vec![processor]));
            })
            .join()
            .unwrap();
        }
    }
}
