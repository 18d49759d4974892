//! Models of a pin that is kept between operations and revoked. They check that nothing is freed
//! while a thread reads it.
//!
//! The protocol is [`PinState`], which is compiled here a second time, with loom's atomics. The
//! model replaces the barrier that the system imposes on a thread by a sequentially consistent
//! fence in both threads. That is what the documentation of the membarrier system call promises:
//! all accesses of one thread before the call come before the other thread's accesses after the
//! point that it had reached, and the other way round. The model replaces crossbeam by a word that
//! says whether the thread is pinned, with the fences of crossbeam's `pin` and `collect`.
//!
//! [`PinState`]: pin_state::PinState

#[path = "../../reclaim/pin_state.rs"]
mod pin_state;

/// Atomics and fence that [`pin_state`] uses.
mod words {
    pub(super) use loom::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

    pub(super) fn order_before_imposed_barrier() {
        loom::sync::atomic::fence(Ordering::SeqCst);
    }
}

use std::sync::Arc;

use loom::cell::Cell;
use loom::sync::atomic::{AtomicBool, fence};

use self::pin_state::{NO_GENERATION, PinState};
use self::words::{AtomicU64, Ordering};
use crate::sync::loom_model::{Bound::*, explore};

/// A thread's participant, and a node of a table that the thread may read.
struct World {
    pin_state: PinState,
    requested: AtomicU64,
    /// True if the participant holds a pin.
    pin: Cell<bool>,
    /// The same, as crossbeam's collector sees it.
    is_pinned: AtomicBool,
    /// True if the node can be found in the table.
    linked: AtomicBool,
    /// True if the node is not freed.
    node: Cell<bool>,
}

impl World {
    fn new() -> Self {
        Self {
            pin_state: PinState::new(),
            requested: AtomicU64::new(NO_GENERATION + 1),
            pin: Cell::new(false),
            is_pinned: AtomicBool::new(false),
            linked: AtomicBool::new(true),
            node: Cell::new(true),
        }
    }

    /// Does an operation of the participant's thread. Returns whether the kept pin was used. If the
    /// thread uses its spare registration instead, only crossbeam is involved, so the model leaves
    /// that out.
    fn operate(&self) -> bool {
        let pinned = self.pin_state.enter(&self.requested)
            || self.pin_state.renew(&self.requested, || self.pin());
        if pinned {
            assert!(self.pin.get(), "a thread that is inside is pinned");
            if self.linked.load(Ordering::Acquire) {
                assert!(self.node.get(), "freed under a reader");
            }
        }
        self.pin_state.leave();
        pinned
    }

    fn pin(&self) {
        self.pin.set(true);
        self.is_pinned.store(true, Ordering::Relaxed);
        fence(Ordering::SeqCst);
    }

    fn unpin(&self) {
        self.pin.set(false);
        self.is_pinned.store(false, Ordering::Release);
    }

    /// Removes the node, revokes the thread's pin if the thread has no guard, and frees the node if
    /// no thread is pinned.
    fn remove(&self) {
        self.linked.store(false, Ordering::Release);
        self.requested.fetch_add(1, Ordering::Release);
        if self.pin_state.begin_revoke() {
            fence(Ordering::SeqCst);
            self.pin_state.end_revoke(true, || self.unpin());
        }
        fence(Ordering::SeqCst);
        if !self.is_pinned.load(Ordering::Relaxed) {
            fence(Ordering::Acquire);
            self.node.set(false);
        }
    }
}

/// Runs `thread` at the same time as a thread that removes the node. Checks that the node is freed
/// in some executions and kept in others.
fn check(name: &str, thread: fn(&World)) {
    let outcomes = explore(name, [Preemptions(5), All], move || {
        let world = Arc::new(World::new());
        let other = Arc::clone(&world);
        // The thread starts with a pin from an earlier operation.
        assert!(world.operate());
        let remover = loom::thread::spawn(move || other.remove());
        thread(&world);
        remover.join().expect("a thread does not panic");
        if world.node.get() { "kept" } else { "freed" }.to_owned()
    });
    assert_eq!(outcomes.len(), 2, "{outcomes:?}");
}

/// Checks a thread that has a pin and does two operations.
#[test]
fn a_thread_that_keeps_its_pin() {
    check("a thread that keeps its pin", |world| {
        world.operate();
        world.operate();
    });
}

/// Checks a thread that releases its pin at its end, and another thread that takes the participant.
#[test]
fn a_thread_that_gives_its_pin_up() {
    check("a thread that gives its pin up", |world| {
        world.operate();
        world.pin_state.release(|| world.unpin());
        world.operate();
    });
}

/// Checks nested guards: what the outer guard protects is safe until that guard ends.
#[test]
fn a_guard_within_a_guard() {
    check("a guard within a guard", |world| {
        let outer = world.pin_state.enter(&world.requested);
        let linked = world.linked.load(Ordering::Acquire);
        world.pin_state.enter(&world.requested);
        world.pin_state.leave();
        if outer && linked {
            assert!(world.node.get(), "freed under a reader");
        }
        world.pin_state.leave();
    });
}

/// Checks a borrowed value: its guard stays while the thread does another operation and ends it.
/// The value is not freed before its guard ends, even if it is removed in the meantime.
#[test]
fn a_value_that_is_borrowed_during_another_operation() {
    check("a value that is borrowed during another operation", |world| {
        let borrowed = world.pin_state.enter(&world.requested)
            || world.pin_state.renew(&world.requested, || world.pin());
        let linked = world.linked.load(Ordering::Acquire);
        world.operate();
        if borrowed && linked {
            assert!(world.node.get(), "freed under a borrow");
        }
        world.pin_state.leave();
    });
}
