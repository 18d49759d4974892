//! Validates a scenario.

use keystore::{MAX_KEY_LEN, MAX_VALUE_LEN};
use keystore_verify::value::MIN_VALUE_SIZE;

use super::{Length, MAX_BATCH, MAX_DRAWN, MAX_THREADS, Scenario};
use crate::error::{Error, Result};
use crate::workload::distribution::KeyDistribution;
use crate::workload::keys::{Keys, MAX_KEYS};

impl Scenario {
    /// Validates every field.
    ///
    /// # Errors
    /// [`Error::Scenario`] with the first invalid field, its value and the limit.
    pub fn validate(&self) -> Result<()> {
        match self.fault() {
            None => Ok(()),
            Some((field, value, expected)) => {
                Err(Error::Scenario { scenario: self.name.clone(), field, value, expected })
            }
        }
    }

    /// Returns the first invalid field, its value, and what it must be.
    fn fault(&self) -> Option<(&'static str, String, String)> {
        let fault =
            |field, value: String, expected: &str| Some((field, value, expected.to_owned()));
        if self.name.trim().is_empty() || self.name.chars().any(char::is_control) {
            return fault(
                "name",
                format!("{:?}", self.name),
                "some text, without control characters",
            );
        }
        let total = self.mix.sum();
        if self.trace.is_some() && total != 0 {
            return fault(
                "mix",
                self.mix.to_string(),
                "left out, for the trace has the operations",
            );
        }
        if self.trace.is_none() && total != 100 {
            return fault("the sum of the mix", total.to_string(), "100 percent");
        }
        if let Some((value, expected)) = self.distribution.fault() {
            return fault("distribution", value, expected);
        }
        if !(0.0..=1.0).contains(&self.preload) {
            return fault("preload", self.preload.to_string(), "from 0 to 1");
        }
        match self.length {
            Length::Seconds(seconds) if !(seconds > 0.0 && seconds <= 3600.0) => {
                return fault("seconds", seconds.to_string(), "over 0 and at most 3600");
            }
            Length::Operations(operations) if operations == 0 || operations > 1 << 39 => {
                return fault("operations", operations.to_string(), "from 1 to 549755813888");
            }
            Length::Once if self.trace.is_none() => {
                return fault(
                    "length",
                    "once".to_owned(),
                    "seconds or operations where there is no trace",
                );
            }
            _ => {}
        }
        if self.distribution == KeyDistribution::Latest
            && !matches!(self.length, Length::Operations(operations) if operations <= MAX_DRAWN)
        {
            return fault(
                "length",
                self.length.to_string(),
                &format!("at most {MAX_DRAWN} operations where new keys come in one after another"),
            );
        }
        if !(0.0..=3600.0).contains(&self.warm_up) {
            return fault("warm_up", self.warm_up.to_string(), "from 0 to 3600 seconds");
        }
        if self.warm_up > 0.0 && !matches!(self.length, Length::Seconds(_)) {
            return fault(
                "warm_up",
                self.warm_up.to_string(),
                "0 if the length is a number of operations",
            );
        }
        if let Some(rate) = self.rate
            && !(1.0..=1e9).contains(&rate)
        {
            return fault("rate", rate.to_string(), "from 1 to 1000000000 operations a second");
        }
        if self.threads.is_empty() {
            return fault("threads", "empty".to_owned(), "at least one number of threads");
        }
        if let Some(threads) = self.threads.iter().find(|&&n| n == 0 || n > MAX_THREADS) {
            return fault("threads", threads.to_string(), &format!("from 1 to {MAX_THREADS}"));
        }
        if self.keys == 0 || self.keys > MAX_KEYS {
            return fault("keys", self.keys.to_string(), &format!("from 1 to {MAX_KEYS}"));
        }
        if let Some((value, expected)) = self.key_size.fault(1, MAX_KEY_LEN) {
            return fault("key_size", value, &expected);
        }
        if self.key_size.fixed().is_none() && self.key_size.min() < 8 {
            return fault(
                "key_size",
                self.key_size.to_string(),
                "at least 8 bytes where sizes differ",
            );
        }
        let most = Keys::most(&self.key_size);
        if self.keys_from.is_none() && self.trace.is_none() && self.keys > most {
            let expected = format!("from 1 to {most}, for keys of {}", self.key_size);
            return fault("keys", self.keys.to_string(), &expected);
        }
        if self.keys_from.is_some() && self.trace.is_some() {
            return fault("keys_from", "given".to_owned(), "left out, for the trace has the keys");
        }
        if let Some((value, expected)) = self.value_size.fault(MIN_VALUE_SIZE, MAX_VALUE_LEN) {
            return fault(
                "value_size",
                value,
                &format!("{expected} (a value carries the proof of who wrote it)"),
            );
        }
        if self.batch == 0 || self.batch > MAX_BATCH {
            return fault("batch", self.batch.to_string(), &format!("from 1 to {MAX_BATCH}"));
        }
        if self.time_every == 0 {
            return fault("time_every", "0".to_owned(), "at least 1");
        }
        if let Some(milliseconds) = self.timeline_ms
            && !(1..=60_000).contains(&milliseconds)
        {
            return fault("timeline_ms", milliseconds.to_string(), "from 1 to 60000");
        }
        if self.rounds == Some(0) {
            return fault("rounds", "0".to_owned(), "at least 1");
        }
        if let Some((field, value, expected)) = self.contradiction() {
            return fault(field, value, &expected);
        }
        let config = self.config.validate().err()?;
        fault("config", config.to_string(), "a configuration that a store can be opened with")
    }

    /// Returns the first field that contradicts another, its value, and what it must be. The report
    /// of such a scenario would describe something that did not happen.
    fn contradiction(&self) -> Option<(&'static str, String, String)> {
        let shared_out = self.trace.is_some() || self.distribution == KeyDistribution::Sequential;
        let most = self.threads.iter().copied().max().unwrap_or(0);
        if shared_out && most > self.keys {
            let fewer = self.threads.iter().filter(|&&threads| threads <= self.keys);
            let fewer: Vec<String> = fewer.map(usize::to_string).collect();
            let fewer = if fewer.is_empty() { self.keys.to_string() } else { fewer.join(",") };
            let expected = format!(
                "at most {}, the number of keys, which threads share out (--threads {fewer})",
                self.keys
            );
            return Some(("threads", most.to_string(), expected));
        }
        let fills = self.trace.is_none()
            && self.preload == 0.0
            && self.mix.insert == 100
            && self.distribution == KeyDistribution::Sequential;
        if let Length::Operations(operations) = self.length
            && fills
            && operations > self.keys as u64
        {
            let expected =
                format!("at most {}, the number of keys: no insert after that adds one", self.keys);
            return Some(("operations", operations.to_string(), expected));
        }
        if let Some(threads) = self.burst {
            if threads == 0 || threads > MAX_THREADS {
                return Some((
                    "burst",
                    threads.to_string(),
                    format!("from 1 to {MAX_THREADS} threads"),
                ));
            }
            if self.trace.is_some() || self.loaded_keys() == 0 {
                let expected = "left out where the store is empty at the start: its threads use keys that are there";
                return Some(("burst", threads.to_string(), expected.to_owned()));
            }
        }
        None
    }
}
