//! Keeping a pin between operations, and taking it back: that nobody frees what a thread looks at.
//!
//! The agreement is [`PinState`], compiled here a second time, over loom's atomics. The barrier
//! that the system imposes on a thread is taken for a sequentially consistent fence on both sides,
//! which is what it is to be relied on for (the membarrier system call's documentation: all
//! accesses of the one thread before the call come before those of the other thread after the
//! point it was at, and the other way round). crossbeam's part is a word that says whether the
//! thread is pinned, with the fences of its own `pin` and `collect`.
//!
//! [`PinState`]: pin_state::PinState

#[path = "../../reclaim/pin_state.rs"]
mod pin_state;

/// What [`stay`] is made of.
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

/// A thread's participant, and something in a table that the thread may look at.
struct World {
    pin_state: PinState,
    requested: AtomicU64,
    /// The pin, as its users have it.
    pin: Cell<bool>,
    /// The same, as crossbeam's collector sees it.
    is_pinned: AtomicBool,
    /// Whether the node can be found in the table.
    linked: AtomicBool,
    /// Whether its memory is there.
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

    /// Does an operation of the participant's thread. Returns whether the kept pin was used. With
    /// its spare it is crossbeam's to get right.
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

    /// Removes the node, takes the thread's pin back if it is not inside, and frees the node if
    /// nobody is pinned.
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

/// Runs `thread` beside one that removes the node, which is freed in some executions, and in
/// others not.
fn check(name: &str, thread: fn(&World)) {
    let outcomes = explore(name, [Preemptions(5), All], move || {
        let world = Arc::new(World::new());
        let other = Arc::clone(&world);
        // As a thread does that has been here before.
        assert!(world.operate());
        let remover = loom::thread::spawn(move || other.remove());
        thread(&world);
        remover.join().expect("a thread does not panic");
        if world.node.get() { "kept" } else { "freed" }.to_owned()
    });
    assert_eq!(outcomes.len(), 2, "{outcomes:?}");
}

/// A thread that has a pin goes in and out, twice.
#[test]
fn a_thread_that_keeps_its_pin() {
    check("a thread that keeps its pin", |world| {
        world.operate();
        world.operate();
    });
}

/// A thread that ends gives its pin up, and another comes to the participant.
#[test]
fn a_thread_that_gives_its_pin_up() {
    check("a thread that gives its pin up", |world| {
        world.operate();
        world.pin_state.release(|| world.unpin());
        world.operate();
    });
}

/// A guard within a guard: the first one's reading is safe until it ends.
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
