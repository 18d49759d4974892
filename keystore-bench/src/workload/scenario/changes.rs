//! Describes the changes to a scenario, made after its suite was read, in its name and description.

use super::{Length, Scenario, file_name};
use crate::format::digits_grouped;
use crate::workload::keys::MAX_KEYS;

impl Scenario {
    /// Saves a copy of the scenario as written in its suite. Call this before the first change.
    pub fn keep_as_written(&mut self) {
        if self.as_written.is_none() {
            self.as_written = Some(Box::new(self.clone()));
        }
    }

    /// Adds the changes since [`keep_as_written`](Self::keep_as_written) to the name and the
    /// description. Discards the saved copy.
    ///
    /// A name such as `grow to 1M` makes a promise. If the keys, their number, the sizes, the batch
    /// or the operations have changed, the actual values are added to the name:
    /// `grow to 1M [3 keys of words.txt]`.
    pub fn describe_changes(&mut self) {
        let Some(written) = self.as_written.take() else { return };
        let mut named = Vec::new();
        // A scenario with the maximum number of keys takes all keys of a file or a trace, so its
        // number of keys is not a change.
        let fewer = written.keys != self.keys && written.keys != MAX_KEYS;
        let file = self.keys_from.as_ref().filter(|_| self.keys_from != written.keys_from);
        let keys = digits_grouped(self.keys as u64);
        match (fewer, file.map(|path| file_name(path))) {
            (true, Some(file)) => named.push(format!("{keys} keys of {file}")),
            (true, None) => named.push(format!("{keys} keys")),
            (false, Some(file)) => named.push(format!("keys of {file}")),
            (false, None) => {}
        }
        if self.key_size != written.key_size {
            named.push(format!("keys of {}", self.key_size));
        }
        if self.value_size != written.value_size {
            named.push(format!("values of {}", self.value_size));
        }
        if self.batch != written.batch {
            named.push(format!("batches of {}", self.batch));
        }
        let once = |scenario: &Self| scenario.length == Length::Operations(scenario.keys as u64);
        if let Length::Operations(operations) = self.length
            && self.length != written.length
            && !(once(self) && once(&written))
        {
            named.push(format!("{} operations", digits_grouped(operations)));
        }
        if let Some(threads) = self.burst
            && self.burst != written.burst
        {
            named.push(format!("after {} threads", digits_grouped(threads as u64)));
        }
        let mut told = named.clone();
        if self.threads != written.threads {
            let list: Vec<String> = self.threads.iter().map(usize::to_string).collect();
            told.push(format!("threads {}", list.join(", ")));
        }
        if let Length::Seconds(seconds) = self.length
            && self.length != written.length
        {
            told.push(format!("{seconds} s"));
        }
        if self.rate != written.rate {
            told.push(
                self.rate.map_or("no fixed rate".to_owned(), |rate| {
                    format!("{rate} operations a second")
                }),
            );
        }
        if !named.is_empty() {
            self.name = format!("{} [{}]", self.name, named.join("; "));
        }
        if !told.is_empty() {
            let space = if self.about.is_empty() { "" } else { " " };
            self.about = format!("{}{space}Changed: {}.", self.about, told.join("; "));
        }
    }
}
