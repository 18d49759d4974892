//! The audit: after all threads have ended, looks up every key again, scans the store, and compares
//! the store's own counts.

use std::ops::ControlFlow;

use keystore::{Keystore, Stats};

use super::entry::{Family, KeyId, is_value, own_stamp, stamp};
use super::outcome::Measure;
use super::own_keys::OwnKeys;
use super::shared::{CELLS, Shared, value_len};
use super::tally::Tally;
use super::{ADVANCE_EVERY, Options, Progress, Step};

/// Checks the store against the records of what was done to it.
pub(super) fn run<K: Keystore>(
    store: &K,
    options: &Options,
    own: OwnKeys,
    shared: Shared,
    progress: &(dyn Fn(Progress) + Sync),
) -> Measure {
    progress(Progress::Begin(Step::Audit, 2 * options.entries() as u64));
    let OwnKeys { tally, wall: own_time, latency } = own;
    let own_operations = tally.calls();
    let shared_operations = shared.tally.calls();
    let mut audit = Audit { store, options, tally, entries: 0 };
    audit.look_up_own(progress);
    audit.look_up_shared(&shared);
    let Shared { tally, wall: shared_time, .. } = shared;
    audit.tally.merge(tally);
    let walked = audit.walk(progress);
    let stats = audit.compare_counts(walked);
    Measure {
        faults: audit.tally.faults,
        own_operations,
        own_time,
        shared_operations,
        shared_time,
        latency,
        stats,
    }
}

struct Audit<'a, K> {
    store: &'a K,
    options: &'a Options,
    tally: Tally,
    /// Number of entries that must be present.
    entries: u64,
}

impl<K: Keystore> Audit<'_, K> {
    fn look_up_own(&mut self, progress: &(dyn Fn(Progress) + Sync)) {
        for thread in 0..self.options.threads {
            for index in 0..self.options.keys_per_thread {
                let id = KeyId::own(thread, index);
                let seen =
                    self.store.read(&id.encode(), |value| is_own_value(self.options, id, value));
                match self.tally.find(id, "read", seen) {
                    Some(None) => self.tally.missing(id, "in the end"),
                    Some(Some(false)) => {
                        self.tally.wrong(id, "another value than its own in the end")
                    }
                    Some(Some(true)) | None => {}
                }
            }
            progress(Progress::Advance(self.options.keys_per_thread as u64));
        }
        self.entries += self.options.entries() as u64;
    }

    fn look_up_shared(&mut self, shared: &Shared) {
        for (claim, &(winners, winner)) in shared.claims.iter().enumerate() {
            let id = KeyId::shared(Family::Claim, claim);
            if winners > 1 {
                self.tally.faults.duplicates += winners - 1;
                self.tally.faults.note(format!("{id} was inserted by {winners} threads"));
            }
            match self.look_up(id) {
                // A claim that nobody won and that is not there was refused to all: each was told
                // that it is there.
                None => self.tally.missing(id, "in the end"),
                Some(Some(stamp)) if winners == 1 && stamp != winner => {
                    self.tally.wrong(
                        id,
                        format_args!("thread {winner} won it, and thread {stamp} stands there"),
                    );
                }
                Some(Some(_)) if winners == 0 => {
                    self.tally.wrong(id, "nobody was told that the insert succeeded");
                }
                Some(_) => {}
            }
            self.entries += 1;
        }
        for cell in 0..CELLS {
            self.check_count(KeyId::shared(Family::Counter, cell), shared.books.updates[cell]);
            self.check_count(KeyId::shared(Family::Exchange, cell), shared.books.exchanges[cell]);
            self.check_register(cell, shared.books.balance[cell]);
        }
    }

    /// Returns the stamp of a shared key at the end, or `None` if the key is absent. Counts a value
    /// without a stamp as wrong.
    fn look_up(&mut self, id: KeyId) -> Option<Option<u64>> {
        let seen = self.store.read(&id.encode(), |value| whole_stamp(self.options, id, value));
        let seen = self.tally.find(id, "read", seen).flatten();
        if seen == Some(None) {
            self.tally.wrong(id, "a value that nobody wrote in the end");
        }
        seen
    }

    /// Checks a key whose stamp is the number of writes that succeeded.
    fn check_count(&mut self, id: KeyId, writes: u64) {
        let seen = self.look_up(id);
        if writes == 0 {
            if seen.is_some() {
                self.tally.wrong(id, "there, though every write was refused");
            }
            return;
        }
        self.entries += 1;
        match seen {
            None => self.tally.missing(id, "in the end"),
            Some(Some(count)) if count != writes => {
                self.tally.faults.lost_updates += count.abs_diff(writes);
                self.tally
                    .faults
                    .note(format!("{id} stands at {count} after {writes} successful writes"));
            }
            Some(_) => {}
        }
    }

    fn check_register(&mut self, cell: usize, balance: i64) {
        let id = KeyId::shared(Family::Register, cell);
        let present = self.look_up(id).is_some();
        match balance {
            0 if present => self.tally.wrong(id, "there, though removed as often as created"),
            1 if !present => self.tally.missing(id, "in the end"),
            0 | 1 => {}
            _ => {
                self.tally.faults.miscounted += balance.abs_diff(i64::from(present));
                self.tally
                    .faults
                    .note(format!("{id} was created {balance} times more than removed"));
            }
        }
        self.entries += u64::from(present);
    }

    /// Scans the store. Returns the number of entries that it showed.
    fn walk(&mut self, progress: &(dyn Fn(Progress) + Sync)) -> u64 {
        let mut seen = Seen::new(self.options);
        let mut walked: u64 = 0;
        let (options, tally) = (self.options, &mut self.tally);
        let result = self.store.for_each(|key, value| {
            walked += 1;
            if walked.is_multiple_of(ADVANCE_EVERY as u64) {
                progress(Progress::Advance(ADVANCE_EVERY as u64));
            }
            let Some((id, place)) = KeyId::decode(key).and_then(|id| Some((id, seen.place(id)?)))
            else {
                tally.faults.unexpected += 1;
                tally
                    .faults
                    .note(format!("the walk showed a key that nobody set: {}", key.escape_ascii()));
                return ControlFlow::Continue(());
            };
            if seen.mark(place) {
                tally.faults.duplicates += 1;
                tally.faults.note(format!("the walk showed {id} again"));
            }
            let whole = match id.family {
                Family::Own => is_own_value(options, id, value),
                _ => whole_stamp(options, id, value).is_some(),
            };
            if !whole {
                tally.wrong(id, "the walk showed a value that nobody wrote");
            }
            ControlFlow::Continue(())
        });
        if let Err(error) = result {
            self.tally.error(format_args!("for_each: {error}"));
        }
        let distinct = seen.marked;
        if distinct < self.entries {
            self.tally.faults.missing += self.entries - distinct;
            self.tally
                .faults
                .note(format!("the walk showed {distinct} of {} entries", self.entries));
        } else if distinct > self.entries {
            self.tally.faults.unexpected += distinct - self.entries;
            self.tally
                .faults
                .note(format!("the walk showed {distinct} entries where {} are", self.entries));
        }
        walked
    }

    /// Compares the store's own counts with the records.
    fn compare_counts(&mut self, walked: u64) -> Stats {
        let stats = match self.store.stats() {
            Ok(stats) => stats,
            Err(error) => {
                self.tally.error(format_args!("stats: {error}"));
                return Stats::default();
            }
        };
        match self.store.len() {
            Ok(len) => self.compare("len()", len as u64, "entries walked", walked),
            Err(error) => self.tally.error(format_args!("len: {error}")),
        }
        self.compare("stats: entries", stats.entries.count, "entries walked", walked);
        // The counts are all zero if the store was opened without counters.
        let counted = &stats.operations;
        if counted.adds + counted.finds + counted.deletes > 0 {
            let Tally { adds, finds, deletes, .. } = self.tally;
            self.compare("stats: adds", counted.adds, "calls", adds);
            self.compare("stats: finds", counted.finds, "calls", finds);
            self.compare("stats: deletes", counted.deletes, "calls", deletes);
            let left = stats.nodes.creates.saturating_sub(stats.nodes.deletes);
            self.compare("stats: nodes created less deleted", left, "entries walked", walked);
        }
        stats
    }

    fn compare(&mut self, what: &str, counted: u64, against: &str, actual: u64) {
        if counted != actual {
            self.tally.faults.miscounted += counted.abs_diff(actual);
            self.tally.faults.note(format!("{what} is {counted} for {actual} {against}"));
        }
    }
}

/// Returns whether this is the one value that an own key may have.
fn is_own_value(options: &Options, id: KeyId, value: &[u8]) -> bool {
    value.len() == options.value_size && is_value(id, own_stamp(id), value)
}

/// Returns the stamp of a shared value that is whole and has the length that its stamp requires.
fn whole_stamp(options: &Options, id: KeyId, value: &[u8]) -> Option<u64> {
    stamp(id, value).filter(|&stamp| value_len(options, stamp) == value.len())
}

/// A set of keys, with one bit for each possible key.
struct Seen {
    threads: u64,
    keys_per_thread: u64,
    rounds: u64,
    bits: Vec<u64>,
    /// Number of bits that are set.
    marked: u64,
}

impl Seen {
    fn new(options: &Options) -> Self {
        let bits = options.entries() + options.rounds() + 3 * CELLS;
        Self {
            threads: options.threads as u64,
            keys_per_thread: options.keys_per_thread as u64,
            rounds: options.rounds() as u64,
            bits: vec![0; bits.div_ceil(64)],
            marked: 0,
        }
    }

    /// Returns the position of a key's bit; `None` if this test set no such key.
    fn place(&self, id: KeyId) -> Option<u64> {
        let cells = CELLS as u64;
        let owned = self.threads * self.keys_per_thread;
        let (begin, end) = match id.family {
            Family::Own => {
                let owner = u64::from(id.owner);
                let inside = owner < self.threads && id.index < self.keys_per_thread;
                return inside.then(|| owner * self.keys_per_thread + id.index);
            }
            Family::Claim => (owned, owned + self.rounds),
            Family::Counter => (owned + self.rounds, owned + self.rounds + cells),
            Family::Register => (owned + self.rounds + cells, owned + self.rounds + 2 * cells),
            Family::Exchange => (owned + self.rounds + 2 * cells, owned + self.rounds + 3 * cells),
        };
        (id.owner == 0 && id.index < end - begin).then(|| begin + id.index)
    }

    /// Sets a bit. Returns whether it was set already.
    fn mark(&mut self, place: u64) -> bool {
        let word = &mut self.bits[(place / 64) as usize];
        let before = *word;
        *word = before | 1 << (place % 64);
        // Whole words are compared, and a branch counts: with `u64::from(!again)` and a test of the
        // bit, rustc 1.95 counts nothing at its highest optimisation.
        let again = *word == before;
        if !again {
            self.marked += 1;
        }
        again
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_key_is_marked_once_and_knows_it_the_second_time() {
        let options = Options { threads: 3, keys_per_thread: 100, value_size: 0 };
        let mut seen = Seen::new(&options);
        let own = (0..3).flat_map(|thread| (0..100).map(move |index| KeyId::own(thread, index)));
        let cells = [Family::Counter, Family::Register, Family::Exchange]
            .into_iter()
            .flat_map(|family| (0..CELLS).map(move |cell| KeyId::shared(family, cell)));
        let claims = (0..options.rounds()).map(|claim| KeyId::shared(Family::Claim, claim));
        let all: Vec<_> = own.chain(cells).chain(claims).collect();
        for again in [false, true] {
            let places = all
                .iter()
                .map(|&id| seen.place(id).expect("a key of this test"))
                .collect::<Vec<_>>();
            assert!(places.into_iter().all(|place| seen.mark(place) == again));
            assert_eq!(seen.marked, all.len() as u64);
        }
        for foreign in [
            KeyId::own(3, 0),
            KeyId::own(0, 100),
            KeyId::shared(Family::Counter, CELLS),
            KeyId::shared(Family::Claim, options.rounds()),
            KeyId { owner: 1, ..KeyId::shared(Family::Register, 0) },
        ] {
            assert_eq!(seen.place(foreign), None, "{foreign}");
        }
    }
}
