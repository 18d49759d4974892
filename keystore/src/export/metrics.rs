//! Export through the crate `metrics`.

use keystore_core::{Keystore, Result};
use metrics::{Unit, counter, describe_counter, describe_gauge, gauge};

use super::{Kind, LABEL, METRICS};

/// Sends the counters of a store to the recorder of the crate `metrics`.
///
/// The library starts no thread. The program calls [`record`](Self::record) as often as its
/// monitoring system asks, for example every ten seconds.
///
/// ```
/// # #[cfg(feature = "rwlock")] fn main() -> keystore::Result<()> {
/// use keystore::{Keystore, RwLockKeystore, export::Recorder};
///
/// let store = RwLockKeystore::default();
/// let recorder = Recorder::new("sessions");
/// store.set(b"key", b"value")?;
/// recorder.record(&store)?;
/// # Ok(()) }
/// # #[cfg(not(feature = "rwlock"))] fn main() {}
/// ```
#[derive(Clone, Debug)]
pub struct Recorder {
    store: String,
}

impl Recorder {
    /// Returns a recorder for the store that the label `store` calls `store`, and describes all
    /// numbers to the installed recorder of the crate `metrics`. Install that one first.
    #[must_use]
    pub fn new(store: impl Into<String>) -> Self {
        for metric in METRICS {
            match metric.kind {
                Kind::Events => describe_counter!(total(metric.name), Unit::Count, metric.help),
                Kind::Bytes => describe_gauge!(metric.name, Unit::Bytes, metric.help),
                Kind::Number => describe_gauge!(metric.name, Unit::Count, metric.help),
            }
        }
        Self { store: store.into() }
    }

    /// Reads the counters of `store` and records them. O(threads).
    ///
    /// # Errors
    /// Returns the errors of [`Keystore::counters`], and records nothing then.
    #[expect(clippy::cast_precision_loss, reason = "gauges are f64: exact up to 2^53 bytes")]
    pub fn record(&self, store: &dyn Keystore) -> Result<()> {
        let counters = store.counters()?;
        for metric in METRICS {
            let value = (metric.value)(&counters);
            if metric.kind == Kind::Events {
                counter!(total(metric.name), LABEL => self.store.clone()).absolute(value);
            } else {
                gauge!(metric.name, LABEL => self.store.clone()).set(value as f64);
            }
        }
        Ok(())
    }
}

/// Returns the name of a counter, which ends in `_total` by convention.
fn total(name: &str) -> String {
    format!("{name}_total")
}
