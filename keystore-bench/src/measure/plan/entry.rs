//! The scenarios of a plan, with their keys.

use std::sync::Arc;

use crate::error::Error;
use crate::workload::keys::Keys;
use crate::workload::scenario::Scenario;
use crate::workload::stream::Stream;
use crate::workload::trace::Trace;

/// A scenario and the source of its operations.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) scenario: Scenario,
    pub(super) source: Source,
}

#[derive(Clone, Debug)]
pub(super) enum Source {
    Keys(Arc<Keys>),
    Trace(Arc<Trace>),
}

impl Source {
    pub(super) fn keys(&self) -> &Keys {
        match self {
            Self::Keys(keys) => keys,
            Self::Trace(trace) => trace.keys(),
        }
    }
}

impl Entry {
    /// Returns the operations of each thread.
    pub(super) fn streams(&self, threads: usize, round: usize) -> Vec<Stream> {
        match &self.source {
            Source::Keys(keys) => self.scenario.draw(threads, round, keys),
            Source::Trace(trace) => trace.streams(threads, self.scenario.keys),
        }
    }

    /// Returns how many times each run of this scenario takes place in a round: twice if the
    /// scenario has a burst, else once.
    pub(super) fn phases(&self) -> usize {
        if self.scenario.burst.is_some() { 2 } else { 1 }
    }

    pub(super) fn rounds(&self, at_most: usize) -> usize {
        self.scenario.rounds.map_or(at_most, |rounds| rounds.min(at_most))
    }
}

/// Returns the error for a store that refused an operation.
pub(super) fn refused(
    store: &str,
    entry: &Entry,
    threads: usize,
    source: keystore::Error,
) -> Error {
    let scenario = format!("{}, threads {threads}", entry.scenario.name);
    Error::Store { store: store.to_owned(), scenario, source }
}
