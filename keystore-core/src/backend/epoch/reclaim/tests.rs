//! Tests of pins, which threads keep between operations and others revoke if there is much garbage.

use std::alloc::Layout;
use std::ptr::NonNull;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::channel;
use std::time::{Duration, Instant};

use super::*;
use crate::{Config, EpochKeystore, Global, Keystore, NodeAllocator, PoolStats, Result};

/// An allocator that overwrites blocks before it returns them to the global allocator.
#[derive(Debug)]
struct Spoiling;

// SAFETY: the blocks are `Global`'s, and a block belongs to the caller alone when it is freed.
unsafe impl NodeAllocator for Spoiling {
    fn allocate(&self, layout: Layout) -> Result<NonNull<u8>> {
        Global.allocate(layout)
    }

    unsafe fn deallocate(&self, block: NonNull<u8>, layout: Layout) {
        // SAFETY: the caller promises that the block came from this allocator with this layout.
        unsafe {
            block.as_ptr().write_bytes(0xdd, layout.size());
            Global.deallocate(block, layout);
        }
    }

    fn stats(&self) -> PoolStats {
        PoolStats::default()
    }
}

fn pinned() -> Guard {
    pin().expect("there is memory")
}

fn own_seat() -> &'static Participant {
    drop(pinned());
    // SAFETY: participants are never freed.
    unsafe { CURRENT.get().as_ref() }.unwrap()
}

#[test]
fn a_thread_that_sits_idle_holds_no_garbage() {
    let store = Arc::new(EpochKeystore::default());
    store.set(b"key", &[0; 10_000]).unwrap();
    let (has_read, may_go_on) = channel();
    let (end, may_end) = channel::<()>();
    let idle = std::thread::spawn({
        let store = Arc::clone(&store);
        move || {
            assert!(store.contains(b"key").unwrap());
            has_read.send(()).unwrap();
            let _ = may_end.recv();
            assert!(store.contains(b"key").unwrap());
        }
    });
    may_go_on.recv().unwrap();
    for n in 0..5_000_u64 {
        store.set(b"key", &n.to_le_bytes().repeat(1_250)).unwrap();
    }
    let garbage = store.stats().unwrap().memory.garbage_bytes;
    assert!(garbage < 16 << 20, "{garbage} bytes of garbage, of 50 million bytes overwritten");
    drop(end);
    idle.join().unwrap();
}

#[test]
fn what_a_thread_looks_at_is_not_freed_though_pins_are_taken_back_all_the_time() {
    let store = EpochKeystore::open(&Config::default(), Spoiling).unwrap();
    let value = |n: u64| n.to_le_bytes().repeat(64);
    for key in 0..16_u64 {
        store.set(&key.to_le_bytes(), &value(key)).unwrap();
    }
    let end = Instant::now() + Duration::from_millis(800);
    let is_time = || Instant::now() < end;
    let read = || {
        let mut reads = 0_u64;
        while is_time() {
            for key in 0..16_u64 {
                let whole = |value: &[u8]| {
                    std::thread::yield_now();
                    value.chunks(8).all(|part| part == &value[..8])
                };
                assert_eq!(store.read(&key.to_le_bytes(), whole), Ok(Some(true)));
                reads += 1;
            }
        }
        reads
    };
    std::thread::scope(|scope| {
        let readers = [scope.spawn(read), scope.spawn(read)];
        scope.spawn(|| {
            let mut n = 0_u64;
            while is_time() {
                n += 1;
                store.set(&(n % 16).to_le_bytes(), &value(n)).unwrap();
            }
        });
        while is_time() {
            revoke_idle_pins();
            request_renewal();
            pinned().advance();
        }
        for reader in readers {
            assert!(reader.join().unwrap() > 0);
        }
    });
}

#[test]
fn guards_of_one_thread_may_end_in_any_order() {
    let participant = own_seat();
    let inside = || participant.pin_state.guards();
    assert_eq!(inside(), 0);
    let outer = pinned();
    request_renewal();
    let inner = pinned();
    assert_eq!(inside(), 2);
    drop(outer);
    assert_eq!(inside(), 1);
    // The thread is still pinned: its pin is there, and no other thread revokes it.
    revoke_idle_pins();
    inner.advance();
    drop(inner);
    assert_eq!(inside(), 0);
}

#[test]
fn a_pin_is_renewed_when_that_was_asked_for_and_no_other_guard_needs_it() {
    if !barrier::is_there() {
        return;
    }
    let participant = own_seat();
    let generation = || participant.pin_state.generation();
    let mut outer = pinned();
    let before = generation();
    request_renewal();
    let inner = pinned();
    outer.repin();
    assert_eq!(generation(), before, "the outer guard may have looked at something already");
    drop(inner);
    // Other tests may revoke pins, which keeps this thread from renewing its pin for an instant.
    while generation() == before || generation() == NO_GENERATION {
        outer.repin();
    }
    drop(outer);
}

#[test]
fn a_thread_pins_with_its_spare_while_its_seat_is_being_looked_at() {
    std::thread::spawn(|| {
        let participant = own_seat();
        while !participant.pin_state.begin_revoke() {}
        let mut guard = pinned();
        // SAFETY: the participant is this thread's.
        assert!(unsafe { (*participant.spare_pin.get()).is_some() });
        guard.repin();
        guard.repin_after(|| assert_eq!(participant.pin_state.guards(), 0));
        guard.advance();
        let nested = pinned();
        drop(guard);
        // SAFETY: as above.
        assert!(unsafe { (*participant.spare_pin.get()).is_some() }, "the nested guard needs it");
        drop(nested);
        // SAFETY: as above.
        assert!(unsafe { (*participant.spare_pin.get()).is_none() });
        participant.pin_state.end_revoke(false, || panic!("nobody has passed a barrier"));
    })
    .join()
    .unwrap();
}

#[test]
fn a_guard_is_pinned_again_after_a_panic_between() {
    let mut guard = pinned();
    let panic =
        std::panic::AssertUnwindSafe(|| guard.repin_after(|| panic!("of what ran between")));
    assert!(std::panic::catch_unwind(panic).is_err());
    assert_eq!(own_seat().pin_state.guards(), 1);
    guard.advance();
}

#[test]
fn threads_one_after_another_share_seats() {
    let participants = || participant::segments().count();
    // Other tests run at the same time and use participants too. But 500 threads in a row do not
    // need 500 participants each time.
    let added = (0..5).map(|_| {
        let before = participants();
        for _ in 0..500 {
            std::thread::spawn(|| drop(pinned())).join().unwrap();
        }
        participants() - before
    });
    let added: Vec<usize> = added.collect();
    assert!(added.iter().any(|&segments| segments < 4), "{added:?} more segments");
}

#[test]
fn ended_threads_keep_no_registration_and_are_passed_over() {
    const CROWD: usize = 400;
    let all_in = std::sync::Barrier::new(CROWD);
    std::thread::scope(|scope| {
        let work = || {
            drop(pinned());
            all_in.wait();
        };
        let threads: Vec<_> = (0..CROWD).map(|_| scope.spawn(work)).collect();
        // A joined thread has ended. The scope itself waits only until the closures have returned.
        threads.into_iter().for_each(|thread| thread.join().unwrap());
    });
    // Other tests run at the same time and use participants too.
    let in_use: u32 = participant::segments().map(|segment| segment.taken().count_ones()).sum();
    assert!(in_use < 100, "{in_use} participants in use after {CROWD} threads have ended");
    let registered = |participant: &Participant| {
        // SAFETY: this thread has just taken the participant.
        unsafe { (*participant.handle.get()).is_some() || (*participant.spare.get()).is_some() }
    };
    let taken: Vec<_> = (0..CROWD).map_while(|_| participant::take()).collect();
    assert_eq!(taken.len(), CROWD);
    let kept = taken.iter().filter(|participant| registered(participant)).count();
    taken.into_iter().for_each(participant::leave);
    assert!(kept <= STAY_REGISTERED, "{kept} registrations of threads that have ended");
}

#[test]
fn a_thread_that_is_ending_may_still_use_a_store() {
    static WORKED: AtomicBool = AtomicBool::new(false);
    struct LastWords(Arc<EpochKeystore>);
    impl Drop for LastWords {
        fn drop(&mut self) {
            self.0.set(b"key", b"last").unwrap();
            WORKED.store(self.0.contains(b"key").unwrap(), Ordering::Relaxed);
        }
    }
    thread_local!(static LAST: Cell<Option<LastWords>> = const { Cell::new(None) });
    let store = Arc::new(EpochKeystore::default());
    std::thread::spawn({
        let store = Arc::clone(&store);
        move || {
            LAST.set(Some(LastWords(Arc::clone(&store))));
            store.set(b"key", b"first").unwrap();
        }
    })
    .join()
    .unwrap();
    assert!(WORKED.load(Ordering::Relaxed));
    assert_eq!(store.get(b"key").unwrap().as_deref(), Some(&b"last"[..]));
}

/// Checks that a participant is given back even if the thread takes it late. The destructors of
/// POSIX keys run in rounds, after the destructors of Rust's thread-local variables.
#[cfg(unix)]
#[test]
fn a_thread_whose_first_call_comes_in_the_destructor_of_a_key_gives_its_seat_back() {
    use std::sync::OnceLock;
    use std::sync::atomic::AtomicUsize;

    static STORE: OnceLock<EpochKeystore> = OnceLock::new();
    static KEY: OnceLock<libc::pthread_key_t> = OnceLock::new();
    static CALLS: AtomicUsize = AtomicUsize::new(0);
    // Number of rounds in which the destructor of a thread calls the store. They are all rounds
    // that there are, and in the last one the end of the thread is no longer noticed.
    const ROUNDS: usize = 4;

    unsafe extern "C" fn last_words(left: *mut libc::c_void) {
        STORE.get().unwrap().set(b"key", b"last").unwrap();
        CALLS.fetch_add(1, Ordering::Relaxed);
        set_key(left.addr() - 1);
    }
    fn set_key(left: usize) {
        let value = std::ptr::without_provenance_mut::<libc::c_void>(left);
        // SAFETY: the key was made, and its value is not read through.
        assert_eq!(unsafe { libc::pthread_setspecific(*KEY.get().unwrap(), value) }, 0);
    }

    STORE.get_or_init(EpochKeystore::default);
    KEY.get_or_init(|| {
        let mut key = 0;
        // SAFETY: the key may be written, and the destructor does not unwind.
        assert_eq!(unsafe { libc::pthread_key_create(&raw mut key, Some(last_words)) }, 0);
        key
    });
    for _ in 0..300 {
        std::thread::spawn(|| set_key(ROUNDS)).join().unwrap();
    }
    assert_eq!(CALLS.load(Ordering::Relaxed), 300 * ROUNDS);
    let in_use =
        || -> u32 { participant::segments().map(|segment| segment.taken().count_ones()).sum() };
    // Other tests run at the same time, and have many threads for a while.
    let end = Instant::now() + Duration::from_secs(30);
    while in_use() >= 100 && Instant::now() < end {
        std::thread::sleep(Duration::from_millis(10));
    }
    assert!(in_use() < 100, "{} participants in use after 300 threads have ended", in_use());
}
