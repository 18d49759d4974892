//! Models of the table's protocols, for the model checker loom: `cargo xtask model`.
//!
//! A [`Model`] defines what a table holds, and what a few threads do to it at the same time. loom
//! runs the model with every interleaving of their atomic accesses, and with every value that a
//! load may return, within the model's bound ([`explore`]). After each execution the model checks
//! the following:
//!
//! - The calls were linearizable: some order of the calls, each taken as one step, explains what
//!   they returned and what is left.
//! - No key is in the table twice. Each bucket is read in the array that holds its entries.
//! - Every node was written before it was read, was not freed before it was read, and is freed once
//!   when the table is dropped.
//! - If buckets are migrated, the migration can be finished, and the content is the same
//!   afterwards.
//!
//! The models run the table itself, [`EpochTable`], through its primitives. All models share these
//! bounds: a bucket has two slots instead of seven, a table has one bucket or two, a thread makes
//! one or two calls, and nothing that is retired is freed before the end. So the models do not show
//! that an epoch ends only when it may, which is crossbeam's part. Nor do they show that no thread
//! reads a node that was freed too early, for which the sanitizers test.

mod history;
mod inserting;
mod moving;
mod pinning;
mod writing;

use std::collections::BTreeMap;
use std::hash::{BuildHasher, Hasher};
use std::sync::Arc;

use self::history::{Answer, Call, Event, explained};
use super::super::array::BucketArray;
use super::super::*;
use crate::allocator::Global;
use crate::config::Config;
use crate::sync::loom_model::{Bound::*, *};
use crate::sync::primitive::access;
use crate::sync::primitive::atomic::{begin, enter};
use crate::sync::reentrancy::InternalClosure;

/// A key, which is its own hash.
type Key = u64;

/// `A` and `B` have the same tag, and `C` has another. All three fall into the first of two
/// buckets.
const A: Key = 0x8000_0001_0001_0000;
const B: Key = 0x8000_0002_0001_0000;
const C: Key = 0x8000_0003_0002_0000;
/// A key that falls into the second of two buckets, with the tag of `A`.
const D: Key = 0x8000_0004_0001_0001;

/// A step of a thread.
#[derive(Clone, Copy, Debug)]
enum Step {
    Read(Key),
    /// Sets the key if it is absent.
    Insert(Key, u8),
    Set(Key, u8),
    Delete(Key),
    /// Migrates the unit of a key.
    Move(Key),
    /// Does a writer's share of the resize, and finishes the resize if nothing else is left to do.
    Help,
}
use Step::*;

/// The resize that is under way in a model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Resize {
    No,
    /// From one bucket to two.
    Grow,
    /// From two buckets to one.
    Shrink,
}

/// A table and the threads that use it. See the module.
#[derive(Clone, Copy, Debug)]
struct Model {
    name: &'static str,
    resize: Resize,
    /// Steps that are done one after the other, before the threads start.
    before: &'static [Step],
    threads: &'static [&'static [Step]],
    /// True if every second answer of the hasher is wrong.
    fickle: bool,
    /// The short bound and the thorough bound.
    bounds: [Bound; 2],
}

impl Model {
    /// Runs every execution within the bounds.
    fn check(self) {
        explore(self.name, self.bounds, move || self.execute());
    }

    /// Runs the model once. Returns what the calls returned and what was left, as text.
    fn execute(self) -> String {
        access::forget();
        begin(self.threads.len());
        let world = World::new(self.resize, self.fickle);
        let mut expected = BTreeMap::new();
        for step in self.before {
            if let Some(event) = world.step(*step) {
                event.apply(&mut expected);
            }
        }
        assert_eq!(world.content(), expected);
        world.hang(self.resize);
        let (first, others) = self.threads.split_first().expect("a model has a thread");
        let others: Vec<_> = others
            .iter()
            .enumerate()
            .map(|(other, steps)| {
                let world = Arc::clone(&world);
                loom::thread::spawn(move || {
                    enter(other + 1);
                    world.steps(steps)
                })
            })
            .collect();
        let mut threads = vec![world.steps(first)];
        threads.extend(
            others.into_iter().map(|thread| thread.join().expect("a thread does not panic")),
        );
        let content = world.content();
        assert!(
            explained(&expected, &threads, &content),
            "no order of the calls gives {content:?}, from {expected:?} by {threads:?}"
        );
        world.finish(self.resize);
        assert_eq!(world.content(), content, "moving the rest changed the content");
        drop(Arc::into_inner(world).expect("the threads have ended"));
        assert_eq!(access::in_use(), 0, "a node, a bucket or an array was lost");
        let answers: Vec<Vec<_>> =
            threads.iter().map(|events| events.iter().map(|e| e.answer).collect()).collect();
        format!("{answers:?} {content:?}")
    }
}

/// A hasher for keys that are their own hash. If it is fickle, every second answer is wrong.
#[derive(Clone, Debug)]
struct Identity {
    key: u64,
    /// Number of calls so far, if every second answer is to be wrong. The model checker does not
    /// know of this atomic, which is safe since it runs one thread at a time.
    fickle: Option<Arc<std::sync::atomic::AtomicU64>>,
}

impl Identity {
    fn new(fickle: bool) -> Self {
        Self { key: 0, fickle: fickle.then(Arc::default) }
    }
}

impl BuildHasher for Identity {
    type Hasher = Self;

    fn build_hasher(&self) -> Self {
        self.clone()
    }
}

impl Hasher for Identity {
    fn write(&mut self, bytes: &[u8]) {
        self.key = u64::from_be_bytes(bytes.try_into().expect("a key of eight bytes"));
    }

    fn finish(&self) -> u64 {
        let calls = self.fickle.as_ref().map_or(0, |calls| calls.fetch_add(1, Ordering::Relaxed));
        self.key ^ calls % 2
    }
}

/// The table of a model. Nothing of it is freed before the end, since a grace period starts only
/// when a bag of 64 pieces is full.
struct World(EpochTable<Global, Identity>);

impl World {
    fn new(resize: Resize, fickle: bool) -> Arc<Self> {
        let initial_bits = u32::from(resize == Resize::Shrink);
        let config = Config { initial_buckets: 1 << initial_bits, ..Config::default() };
        let garbage =
            Garbage::new(Account::new(&config, Global, Identity::new(fickle)).unwrap()).unwrap();
        let array = BucketArray::allocate(initial_bits, None, Pages::Ordinary).unwrap();
        Arc::new(Self(EpochTable {
            array: AtomicPtr::new(array),
            garbage,
            initial_bits,
            pages: Pages::Ordinary,
        }))
    }

    fn hang(&self, resize: Resize) {
        let guard = pin().unwrap();
        let array = self.0.current(&guard);
        match resize {
            Resize::No => {}
            Resize::Grow => self.0.start_resize(array, array.bits() + 1).unwrap(),
            Resize::Shrink => self.0.start_resize(array, array.bits() - 1).unwrap(),
        }
    }

    fn steps(&self, steps: &[Step]) -> Vec<Event> {
        steps.iter().filter_map(|step| self.step(*step)).collect()
    }

    /// Does a step. If the step is a call, returns the call and its answer.
    fn step(&self, step: Step) -> Option<Event> {
        let event = |key, call, answer| Some(Event { key, call, answer });
        match step {
            Read(key) => event(key, Call::Read, Answer::Read(self.read(key))),
            Insert(key, value) => {
                let answer = self.update_entry(key, |old| old.is_none().then_some([value]));
                event(key, Call::Insert(value), Answer::Changed(answer))
            }
            Set(key, value) => event(
                key,
                Call::Set(value),
                Answer::Changed(self.update_entry(key, |_| Some([value]))),
            ),
            Delete(key) => {
                let delete = |_: Option<&[u8]>| Update::Delete;
                event(key, Call::Delete, Answer::Changed(self.decide(key, delete)))
            }
            Move(key) => {
                let guard = pin().unwrap();
                let array = self.0.current(&guard);
                if let Some(next) = array.next(&guard) {
                    self.0.migrate_unit(array.unit(next, key), &guard).unwrap();
                }
                None
            }
            Help => {
                let guard = pin().unwrap();
                self.0.help_resize(self.0.current(&guard), &guard).unwrap();
                None
            }
        }
    }

    fn read(&self, key: Key) -> Option<u8> {
        self.0
            .read::<InternalClosure, _>(&pin().unwrap(), key, &key.to_be_bytes(), |value| value[0])
            .unwrap()
    }

    fn update_entry(&self, key: Key, set: impl Fn(Option<&[u8]>) -> Option<[u8; 1]>) -> Change {
        self.decide(key, |old| set(old).map_or(Update::Keep, Update::set))
    }

    fn decide<'v>(&self, key: Key, decide: impl FnMut(Option<&[u8]>) -> Update<'v>) -> Change {
        self.0
            .update_entry::<InternalClosure>(
                &pin().unwrap(),
                key,
                &key.to_be_bytes(),
                None,
                decide,
                |_, _| (),
            )
            .unwrap()
    }

    /// Finishes the resize that was begun.
    fn finish(&self, resize: Resize) {
        let guard = pin().unwrap();
        let bits = self.0.current(&guard).bits();
        self.step(Help);
        let array = self.0.current(&guard);
        let wanted = match resize {
            Resize::No => bits,
            Resize::Grow => 1,
            Resize::Shrink => 0,
        };
        assert_eq!(array.bits(), wanted, "the move cannot be finished");
        assert!(array.next(&guard).is_none());
    }

    /// Returns what is in the table. No other thread may write.
    fn content(&self) -> BTreeMap<Key, u8> {
        let guard = pin().unwrap();
        let mut content = BTreeMap::new();
        for hash in 0..2 {
            let (array, bucket) = self.0.bucket_to_read(hash, &guard);
            if hash as usize >= array.buckets().len() {
                continue;
            }
            for node in bucket.words(&guard).filter(|(_, word)| word.is_live()) {
                let node = node.1.node().expect("a live word has a node");
                // SAFETY: nothing is freed before the end.
                let (key, value) = unsafe { (node.key(), node.value()) };
                let key = Key::from_be_bytes(key.try_into().unwrap());
                assert!(content.insert(key, value[0]).is_none(), "key {key:#x} is in twice");
            }
        }
        content
    }
}
