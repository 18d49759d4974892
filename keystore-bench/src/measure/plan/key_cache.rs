//! Makes or reads the keys and traces of a plan, each once.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use keystore::system_memory::check_fits;

use super::entry::Source;
use crate::error::{Error, Result};
use crate::workload::keys::Keys;
use crate::workload::scenario::Scenario;
use crate::workload::size::Size;
use crate::workload::trace::Trace;

/// The keys and traces of all scenarios, each made or read once.
pub(super) struct KeyCache {
    /// Keys of each size that the scenarios use. Their number is the largest that any of these
    /// scenarios needs.
    made: Vec<(Size, usize, Option<Arc<Keys>>)>,
    files: HashMap<PathBuf, Arc<Keys>>,
    traces: HashMap<PathBuf, Arc<Trace>>,
}

impl KeyCache {
    pub(super) fn new(scenarios: &[Scenario]) -> Result<Self> {
        let mut made: Vec<(Size, usize, Option<Arc<Keys>>)> = Vec::new();
        for scenario in scenarios {
            match made.iter_mut().find(|(size, ..)| *size == scenario.key_size) {
                Some((_, count, _)) => *count = scenario.keys.max(*count),
                None => made.push((scenario.key_size.clone(), scenario.keys, None)),
            }
        }
        Ok(Self { made, files: HashMap::new(), traces: HashMap::new() })
    }

    pub(super) fn source(&mut self, scenario: &Scenario) -> Result<Source> {
        if let Some(path) = &scenario.trace {
            return Ok(Source::Trace(once(&mut self.traces, path, Trace::read)?));
        }
        if let Some(path) = &scenario.keys_from {
            return Ok(Source::Keys(once(&mut self.files, path, Keys::from_file)?));
        }
        let (size, count, keys) = self
            .made
            .iter_mut()
            .find(|(size, ..)| *size == scenario.key_size)
            .expect("every scenario's size was noted");
        let keys = match keys {
            Some(keys) => keys,
            None => {
                // If several scenarios share these keys, the error names the first.
                let made = Keys::make(*count, size).map_err(|error| match error {
                    Error::Scenario { field, value, expected, .. } => {
                        Error::Scenario { scenario: scenario.name.clone(), field, value, expected }
                    }
                    other => other,
                })?;
                keys.insert(Arc::new(made))
            }
        };
        Ok(Source::Keys(Arc::clone(keys)))
    }
}

/// Rejects a scenario whose generated keys and loaded nodes exceed the machine's memory. Scenarios
/// with keys from a file or a trace are not checked, since the file determines the number of keys.
pub(super) fn check_memory(scenario: &Scenario) -> Result<()> {
    if scenario.keys_from.is_some() || scenario.trace.is_some() {
        return Ok(());
    }
    let key = scenario.key_size.mean();
    let made = scenario.keys as f64 * (key + size_of::<usize>() as f64);
    let loaded = scenario.loaded_keys() as f64 * (key + scenario.value_size.mean());
    let bytes = (made + loaded) as usize;
    check_fits(bytes).map_err(|_| Error::Scenario {
        scenario: scenario.name.clone(),
        field: "keys",
        value: scenario.keys.to_string(),
        expected: format!(
            "so few that this machine can have the {bytes} bytes that they and the store take"
        ),
    })
}

/// Returns the result of `read` for a file, and caches it for later calls.
fn once<T>(
    kept: &mut HashMap<PathBuf, Arc<T>>,
    path: &Path,
    read: fn(&Path) -> Result<T>,
) -> Result<Arc<T>> {
    if let Some(known) = kept.get(path) {
        return Ok(Arc::clone(known));
    }
    let new = Arc::new(read(path)?);
    kept.insert(path.to_owned(), Arc::clone(&new));
    Ok(new)
}
