//! Keeping a pin between operations, and taking it back: that nobody frees what a thread looks at.
//!
//! The agreement is [`Stay`], compiled here a second time, over loom's atomics. The barrier that the system imposes on a thread is
//! taken for a sequentially consistent fence on both sides, which is what it is to be relied on for (the membarrier system call's
//! documentation: all accesses of the one thread before the call come before those of the other thread after the point it was at,
//! and the other way round). crossbeam's part is a word that says whether the thread is pinned, with the fences of its own
//! `pin` and `collect`.
//!
//! [`Stay`]: stay::Stay

#[path = "../pin/stay.rs"]
mod stay;

/// What [`stay`] is made of.
mod words {
    pub(super) use loom::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

    pub(super) fn order_before_imposed_barrier() {
        loom::sync::atomic::fence(Ordering::SeqCst);
    }
}

use std::sync::Arc;
use std::sync::atomic::AtomicUsize;

use loom::cell::UnsafeCell;
use loom::sync::atomic::{AtomicBool, fence};

use self::stay::{INVALID, Stay};
use self::words::{AtomicU64, Ordering};

/// A thread's seat, and something in a table that the thread may look at.
struct World {
    stay: Stay,
    wanted: AtomicU64,
    /// The pin, as its users have it.
    pin: UnsafeCell<bool>,
    /// The same, as crossbeam's collector sees it.
    is_pinned: AtomicBool,
    /// Whether the node can be found in the table.
    linked: AtomicBool,
    /// Its memory: whether it is there.
    node: UnsafeCell<bool>,
}

impl World {
    fn new() -> Self {
        Self {
            stay: Stay::new(),
            wanted: AtomicU64::new(INVALID + 1),
            pin: UnsafeCell::new(false),
            is_pinned: AtomicBool::new(false),
            linked: AtomicBool::new(true),
            node: UnsafeCell::new(true),
        }
    }

    /// An operation of the seat's thread: whether it was done under the kept pin. With its spare it is crossbeam's to get right.
    fn operate(&self) -> bool {
        let pinned = self.stay.enter(&self.wanted) || self.stay.renew(&self.wanted, || self.pin());
        if pinned {
            self.pin.with(|pin| assert!(unsafe { *pin }, "a thread that is inside is pinned"));
            if self.linked.load(Ordering::Acquire) {
                self.node.with(|node| assert!(unsafe { *node }, "freed under a reader"));
            }
        }
        self.stay.leave();
        pinned
    }

    fn pin(&self) {
        self.pin.with_mut(|pin| unsafe { *pin = true });
        self.is_pinned.store(true, Ordering::Relaxed);
        fence(Ordering::SeqCst);
    }

    fn unpin(&self) {
        self.pin.with_mut(|pin| unsafe { *pin = false });
        self.is_pinned.store(false, Ordering::Release);
    }

    /// Removes the node, takes the thread's pin back where it is not inside, and frees the node if nobody is pinned.
    fn remove(&self) {
        self.linked.store(false, Ordering::Release);
        self.wanted.fetch_add(1, Ordering::Release);
        if self.stay.begin_taking_back() {
            fence(Ordering::SeqCst);
            self.stay.end_taking_back(true, || self.unpin());
        }
        fence(Ordering::SeqCst);
        if !self.is_pinned.load(Ordering::Relaxed) {
            fence(Ordering::Acquire);
            self.node.with_mut(|node| unsafe { *node = false });
        }
    }
}

/// Runs `thread` beside one that removes the node, with at most five preemptions, and says how many executions there were.
fn check(name: &str, thread: fn(&World)) {
    let executions = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&executions);
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(5);
    builder.check(move || {
        counter.fetch_add(1, Ordering::Relaxed);
        let world = Arc::new(World::new());
        let other = Arc::clone(&world);
        // As a thread does that has been here before.
        assert!(world.operate());
        let remover = loom::thread::spawn(move || other.remove());
        thread(&world);
        remover.join().expect("a thread does not panic");
    });
    let executions = executions.load(Ordering::Relaxed);
    println!("{name:<52}{executions:>9} executions, all with at most 5 preemptions");
}

/// A thread that has a pin goes in and out, twice.
#[test]
fn a_thread_that_keeps_its_pin() {
    check("a thread that keeps its pin", |world| {
        world.operate();
        world.operate();
    });
}

/// A thread that ends gives its pin up, and another comes to the seat.
#[test]
fn a_thread_that_gives_its_pin_up() {
    check("a thread that gives its pin up", |world| {
        world.operate();
        world.stay.give_up(|| world.unpin());
        world.operate();
    });
}

/// A guard within a guard: the first one's reading is safe until it ends.
#[test]
fn a_guard_within_a_guard() {
    check("a guard within a guard", |world| {
        let outer = world.stay.enter(&world.wanted);
        let linked = world.linked.load(Ordering::Acquire);
        world.stay.enter(&world.wanted);
        world.stay.leave();
        if outer && linked {
            world.node.with(|node| assert!(unsafe { *node }, "freed under a reader"));
        }
        world.stay.leave();
    });
}
