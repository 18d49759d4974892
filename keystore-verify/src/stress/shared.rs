//! All threads use the same few keys, with every single-key operation, and record what they did.
//!
//! The records of all threads together determine what the store must hold at the end, in whatever
//! order the operations ran: see [`Family`]. During the step, every value that a thread sees must
//! be whole and belong to its key. And a thread must never again see a value of its own that it has
//! since replaced or removed.

use std::time::Duration;

use keystore::{Change, Exchange, Keystore, Result, Update};

use super::entry::{Family, KeyId, MIN_STAMPED_LEN, stamp, write};
use super::tally::Tally;
use super::{ADVANCE_EVERY, Options, Progress, Step, StressError};
use crate::mix::mix;
use crate::spawn_together::spawn_together;

/// Number of keys of each family, except for claims, of which there is one per round. It is small,
/// so that threads contend.
pub(super) const CELLS: usize = 32;

/// Number of times that a thread tries an exchange before it goes on. This is enough to succeed in
/// most cases, and limits the time.
const OFFERS: usize = 4;

/// The records of all threads together.
pub(super) struct Shared {
    pub(super) tally: Tally,
    pub(super) wall: Duration,
    pub(super) books: Books,
    /// For each claim, the number of threads that won it, and the last of them.
    pub(super) claims: Vec<(u64, u64)>,
}

/// The records for each cell, of one thread or of all together.
#[derive(Clone, Debug, Default)]
pub(super) struct Books {
    /// Number of updates of each counter.
    pub(super) updates: [u64; CELLS],
    /// Number of times that each register was created, minus the times that it was removed.
    pub(super) balance: [i64; CELLS],
    /// Number of successful exchanges of each exchange counter.
    pub(super) exchanges: [u64; CELLS],
}

impl Books {
    fn merge(&mut self, other: &Self) {
        for cell in 0..CELLS {
            self.updates[cell] += other.updates[cell];
            self.balance[cell] += other.balance[cell];
            self.exchanges[cell] += other.exchanges[cell];
        }
    }
}

/// Returns the length of a shared value. It is at least the requested size, and depends on the
/// stamp, so that values are replaced by shorter and by longer ones.
pub(super) fn value_len(options: &Options, stamp: u64) -> usize {
    options.value_size.max(MIN_STAMPED_LEN) + (stamp % 9) as usize
}

pub(super) fn run<K: Keystore + Sync>(
    store: &K,
    options: &Options,
    progress: &(dyn Fn(Progress) + Sync),
) -> Result<Shared, StressError> {
    let rounds = options.rounds();
    progress(Progress::Begin(Step::SharedKeys, (options.threads * rounds) as u64));
    let together = spawn_together(options.threads, |thread| {
        let mut visitor = Visitor::new(store, options, thread);
        for round in 0..rounds {
            visitor.round(round);
            if round % ADVANCE_EVERY == ADVANCE_EVERY - 1 {
                progress(Progress::Advance(ADVANCE_EVERY as u64));
            }
        }
        progress(Progress::Advance((rounds % ADVANCE_EVERY) as u64));
        (visitor.tally, visitor.books, visitor.won)
    })?;
    let mut tally = Tally::default();
    let mut books = Books::default();
    let mut claims = vec![(0, 0); rounds];
    for (thread, result) in together.results.into_iter().enumerate() {
        match result {
            Ok((its_tally, its_books, won)) => {
                tally.merge(its_tally);
                books.merge(&its_books);
                for claim in won {
                    claims[claim] = (claims[claim].0 + 1, thread as u64);
                }
            }
            Err(message) => tally.error(format_args!("thread {thread} on shared keys {message}")),
        }
    }
    Ok(Shared { tally, wall: together.wall, books, claims })
}

/// One of the threads.
struct Visitor<'a, K> {
    store: &'a K,
    options: &'a Options,
    thread: u64,
    tally: Tally,
    books: Books,
    /// Claims that this thread won.
    won: Vec<usize>,
    /// By register: the stamp that this thread wrote last, unless it has removed the register
    /// since.
    written: [Option<u64>; CELLS],
    value: Vec<u8>,
}

impl<'a, K: Keystore> Visitor<'a, K> {
    fn new(store: &'a K, options: &'a Options, thread: usize) -> Self {
        Self {
            store,
            options,
            thread: thread as u64,
            tally: Tally::default(),
            books: Books::default(),
            won: Vec::new(),
            written: [None; CELLS],
            value: Vec::new(),
        }
    }

    /// Runs one or two operations on a key of each family. All threads use the claims in the same
    /// order, so that they race.
    fn round(&mut self, round: usize) {
        let draw = mix(self.thread << 32 | round as u64);
        let cell = |shift: u32| (draw >> shift) as usize % CELLS;
        self.count_up(cell(8));
        self.claim(round);
        self.work_on_register(cell(16), round as u64, draw % 8);
        self.exchange(cell(24));
    }

    /// Sets `self.value` to the value of this key and stamp.
    fn write(&mut self, id: KeyId, stamp: u64) {
        self.value.clear();
        self.value.resize(value_len(self.options, stamp), 0);
        write(id, stamp, &mut self.value);
    }

    fn count_up(&mut self, cell: usize) {
        let id = KeyId::shared(Family::Counter, cell);
        let mut torn = false;
        let mut expected = Change::Created;
        let change = self.store.update(&id.encode(), |old| {
            let count = old.map(|value| stamp(id, value));
            torn = count == Some(None);
            expected = if old.is_some() { Change::Replaced } else { Change::Created };
            let count = count.flatten().unwrap_or(0) + 1;
            let mut new = vec![0; value_len(self.options, count)];
            write(id, count, &mut new);
            Update::set(new)
        });
        if torn {
            self.tally.wrong(id, "a value that nobody wrote, shown to an update");
        }
        if let Some(change) = self.tally.add(id, "update", change) {
            self.books.updates[cell] += 1;
            if change != expected {
                self.tally.wrong(
                    id,
                    format_args!("an update answered {change:?} instead of {expected:?}"),
                );
            }
        }
    }

    fn claim(&mut self, claim: usize) {
        let id = KeyId::shared(Family::Claim, claim);
        let key = id.encode();
        self.write(id, self.thread);
        let inserted = self.store.insert(&key, &self.value);
        let won = self.tally.add(id, "insert", inserted) == Some(true);
        if won {
            self.won.push(claim);
        }
        let seen = self.store.read(&key, |value| stamp(id, value));
        match self.tally.find(id, "read", seen) {
            Some(None) => self.tally.missing(id, "after insert"),
            Some(Some(None)) => self.tally.wrong(id, "a value that nobody wrote"),
            Some(Some(Some(winner))) if won && winner != self.thread => {
                self.tally.wrong(
                    id,
                    format_args!("thread {} won it, and thread {winner} stands there", self.thread),
                );
            }
            _ => {}
        }
    }

    fn work_on_register(&mut self, cell: usize, round: u64, action: u64) {
        let id = KeyId::shared(Family::Register, cell);
        let key = id.encode();
        match action {
            0..3 => {
                let stamp = self.thread << 32 | round;
                self.write(id, stamp);
                let change = self.store.set(&key, &self.value);
                match self.tally.add(id, "set", change) {
                    Some(Change::Created) => self.books.balance[cell] += 1,
                    Some(Change::Replaced) | None => {}
                    Some(other) => self.tally.wrong(id, format_args!("a set answered {other:?}")),
                }
                self.written[cell] = Some(stamp);
            }
            3 => {
                let got = self.store.get(&key);
                if let Some(Some(value)) = self.tally.find(id, "get", got) {
                    self.inspect(id, cell, stamp(id, &value));
                }
            }
            4 => {
                let seen = self.store.read(&key, |value| stamp(id, value));
                if let Some(Some(seen)) = self.tally.find(id, "read", seen) {
                    self.inspect(id, cell, seen);
                }
            }
            5 => {
                let present = self.store.contains(&key);
                self.tally.find(id, "contains", present);
            }
            6 => {
                let deleted = self.store.delete(&key);
                if self.tally.delete(id, "delete", deleted) == Some(true) {
                    self.books.balance[cell] -= 1;
                }
                self.written[cell] = None;
            }
            _ => {
                let taken = self.store.take(&key);
                if let Some(Some(value)) = self.tally.delete(id, "take", taken) {
                    self.books.balance[cell] -= 1;
                    self.inspect(id, cell, stamp(id, &value));
                }
                self.written[cell] = None;
            }
        }
    }

    /// Checks the stamp that this thread saw in a register.
    fn inspect(&mut self, id: KeyId, cell: usize, seen: Option<u64>) {
        match seen {
            Some(stamp) if stamp >> 32 >= self.options.threads as u64 => {
                self.tally.wrong(id, "a value of a thread that there is not");
            }
            Some(stamp) if stamp >> 32 == self.thread && self.written[cell] != Some(stamp) => {
                self.tally.wrong(id, "a value that its own writer had replaced or removed");
            }
            Some(_) => {}
            None => self.tally.wrong(id, "a value that nobody wrote"),
        }
    }

    fn exchange(&mut self, cell: usize) {
        let id = KeyId::shared(Family::Exchange, cell);
        let key = id.encode();
        let current = self.store.get(&key);
        let Some(mut current) = self.tally.find(id, "get", current) else { return };
        for _ in 0..OFFERS {
            let count = match &current {
                None => 0,
                Some(value) => match stamp(id, value) {
                    Some(count) => count,
                    None => return self.tally.wrong(id, "a value that nobody wrote"),
                },
            };
            self.write(id, count + 1);
            let answer = self.store.compare_exchange(&key, current.as_deref(), Some(&self.value));
            match self.tally.add(id, "compare_exchange", answer) {
                Some(Exchange::Exchanged) => {
                    self.books.exchanges[cell] += 1;
                    return;
                }
                Some(Exchange::Differs(actual)) if actual == current => {
                    return self
                        .tally
                        .wrong(id, "an exchange was refused though the value was as expected");
                }
                Some(Exchange::Differs(actual)) => current = actual,
                None => return,
            }
        }
    }
}
