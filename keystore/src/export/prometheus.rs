//! Export to a registry of the crate `prometheus-client`.

use std::fmt;
use std::sync::Arc;

use keystore_core::{Counters, Keystore};
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;

use super::{Kind, LABEL, METRICS};

/// Shows the counters of stores to a registry of `prometheus-client`, which is the client library
/// that the Prometheus project maintains. Each scrape reads the counters anew.
///
/// Add all stores to one collector, because a name may be described only once in a registry.
///
/// ```
/// # #[cfg(feature = "rwlock")] fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use std::sync::Arc;
///
/// use keystore::{Keystore, RwLockKeystore, export::Collector};
/// use prometheus_client::encoding::text::encode;
/// use prometheus_client::registry::Registry;
///
/// let store = Arc::new(RwLockKeystore::default());
/// let mut registry = Registry::default();
/// registry.register_collector(Box::new(Collector::new().with_store("sessions", store.clone())));
///
/// store.set(b"key", b"value")?;
/// let mut text = String::new();
/// encode(&mut text, &registry)?;
/// assert!(text.contains(r#"keystore_entries{store="sessions"} 1"#));
/// # Ok(()) }
/// # #[cfg(not(feature = "rwlock"))] fn main() {}
/// ```
///
/// The counters of the stores in this crate can always be read. Another implementation of
/// [`Keystore`] may return an error; then its numbers are left out of that scrape.
#[derive(Default)]
pub struct Collector {
    stores: Vec<(String, Arc<dyn Keystore + Send + Sync>)>,
}

impl Collector {
    /// Returns a collector without stores.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a store, which the label `store` calls `name`. A store that was added with the same
    /// name is replaced.
    #[must_use]
    pub fn with_store(
        mut self,
        name: impl Into<String>,
        store: Arc<dyn Keystore + Send + Sync>,
    ) -> Self {
        let name = name.into();
        self.stores.retain(|(other, _)| *other != name);
        self.stores.push((name, store));
        self
    }
}

impl fmt::Debug for Collector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.stores.iter().map(|(name, store)| (name, store))).finish()
    }
}

impl prometheus_client::collector::Collector for Collector {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let read: Vec<(&str, Counters)> = self
            .stores
            .iter()
            .filter_map(|(name, store)| Some((name.as_str(), store.counters().ok()?)))
            .collect();
        for metric in METRICS {
            let is_counter = metric.kind == Kind::Events;
            let kind = if is_counter { MetricType::Counter } else { MetricType::Gauge };
            let mut rows = encoder.encode_descriptor(metric.name, metric.help, None, kind)?;
            for (name, counters) in &read {
                let value = (metric.value)(counters);
                let labels = [(LABEL, *name)];
                let row = rows.encode_family(&labels)?;
                if is_counter {
                    ConstCounter::new(value).encode(row)?;
                } else {
                    ConstGauge::new(value).encode(row)?;
                }
            }
        }
        Ok(())
    }
}
