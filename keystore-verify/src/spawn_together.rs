//! Starts many threads at the same moment, even if some cannot be started or panic.

use std::io;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

/// Stack size of each thread in bytes. An operation needs a few hundred bytes; reporting a panic
/// needs the most. Only touched pages take memory.
const STACK_SIZE: usize = 256 << 10;

/// Address space that a thread needs, in bytes: its stack, its signal stack, and a guard page for
/// each.
const THREAD_SIZE: u64 = STACK_SIZE as u64 + (64 << 10);

/// Address space that must be left for what the threads allocate, in bytes.
const SPARE: u64 = 4 << 20;

/// The signal that the threads wait for before they begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Signal {
    Wait,
    Go,
    /// Not all threads could be started: end without doing the work.
    Cancel,
}

/// A barrier that can be cancelled. With `std::sync::Barrier`, the threads would wait without end
/// if one of them never arrives.
struct Gate {
    signal: Mutex<(Signal, usize)>,
    changed: Condvar,
    arrived: Condvar,
}

impl Gate {
    fn new() -> Self {
        Self {
            signal: Mutex::new((Signal::Wait, 0)),
            changed: Condvar::new(),
            arrived: Condvar::new(),
        }
    }

    /// Waits for the signal. Returns whether to begin.
    fn wait(&self) -> bool {
        let mut state = self.signal.lock().unwrap_or_else(PoisonError::into_inner);
        state.1 += 1;
        self.arrived.notify_one();
        while state.0 == Signal::Wait {
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        state.0 == Signal::Go
    }

    /// Waits until this many threads have arrived.
    fn await_arrivals(&self, threads: usize) -> MutexGuard<'_, (Signal, usize)> {
        let mut state = self.signal.lock().unwrap_or_else(PoisonError::into_inner);
        while state.1 < threads {
            state = self.arrived.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        state
    }

    /// Waits until this many threads have arrived, then gives them the signal.
    fn open(&self, signal: Signal, threads: usize) {
        self.await_arrivals(threads).0 = signal;
        self.changed.notify_all();
    }
}

/// The reason why threads could not be started together.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SpawnError {
    /// The system refused a thread.
    #[error("thread {number} of {threads} could not be started ({} had started): {source}", .number - 1)]
    Thread {
        /// Number of the thread that could not be started, from 1.
        number: usize,
        /// Number of threads to start.
        threads: usize,
        /// The system's error.
        source: io::Error,
    },
    /// The limit of the address space (`ulimit -v`) is too small for the threads.
    #[error(
        "{threads} threads do not fit: the address space is limited to {limit} bytes, and there is no room \
         for more than {started}"
    )]
    AddressSpace {
        /// Number of threads to start.
        threads: usize,
        /// Number of threads for which there is room.
        started: usize,
        /// The limit in bytes.
        limit: u64,
    },
}

/// The results of threads that were started together.
#[derive(Debug)]
pub struct Together<T> {
    /// The result of each thread, or the message of its panic.
    pub results: Vec<Result<T, String>>,
    /// Time from the moment when the first thread passed the gate until the last finished its work.
    pub wall: Duration,
}

/// Runs `work` on this many threads at once, each with its number from 0. All threads wait at a
/// gate until the last has arrived.
///
/// # Errors
/// Returns [`SpawnError`] if one of the threads cannot be started; then no thread does its work.
pub fn spawn_together<T: Send>(
    threads: usize,
    work: impl Fn(usize) -> T + Sync,
) -> Result<Together<T>, SpawnError> {
    let gate = Gate::new();
    let timed = |number: usize| {
        gate.wait().then(|| {
            let begin = Instant::now();
            let result = work(number);
            (begin, Instant::now(), result)
        })
    };
    if let Some((limit, left)) = address_space() {
        share_one_arena();
        let room = left / THREAD_SIZE;
        if room < threads as u64 {
            return Err(SpawnError::AddressSpace { threads, started: room as usize, limit });
        }
    }
    thread::scope(|scope| {
        let mut handles = Vec::with_capacity(threads);
        for number in 0..threads {
            // A thread that has no room for its signal stack ends the process. So the earlier
            // threads must have allocated their signal stacks before the room for the next thread
            // is measured.
            if address_space().is_some() {
                drop(gate.await_arrivals(number));
            }
            if let Some((limit, left)) = address_space()
                && left < THREAD_SIZE + SPARE
            {
                gate.open(Signal::Cancel, number);
                return Err(SpawnError::AddressSpace { threads, started: number, limit });
            }
            let timed = &timed;
            let started = thread::Builder::new()
                .name(format!("together-{number}"))
                .stack_size(STACK_SIZE)
                .spawn_scoped(scope, move || timed(number));
            match started {
                Ok(handle) => handles.push(handle),
                Err(source) => {
                    gate.open(Signal::Cancel, handles.len());
                    return Err(SpawnError::Thread { number: number + 1, threads, source });
                }
            }
        }
        gate.open(Signal::Go, threads);
        let mut results = Vec::with_capacity(threads);
        let mut span: Option<(Instant, Instant)> = None;
        for handle in handles {
            match handle.join() {
                Ok(Some((begin, end, result))) => {
                    span = Some(span.map_or((begin, end), |(b, e)| (b.min(begin), e.max(end))));
                    results.push(Ok(result));
                }
                // Threads skip their work only if the gate is cancelled, and that case has returned
                // above.
                Ok(None) => results.push(Err("did not begin".to_owned())),
                Err(panic) => results.push(Err(panic_message(&*panic))),
            }
        }
        Ok(Together { results, wall: span.map_or(Duration::ZERO, |(begin, end)| end - begin) })
    })
}

/// Lets all threads share one arena of the C library. By default, glibc reserves 64 MiB of address
/// space for each new thread until the room is used up, even if Rust has another allocator.
#[cfg(all(target_os = "linux", target_env = "gnu", not(miri)))]
fn share_one_arena() {
    // SAFETY: `mallopt` takes two integers and may be called at any time. If it fails, arenas are
    // reserved as before.
    unsafe { libc::mallopt(libc::M_ARENA_MAX, 1) };
}

/// Does nothing: no other C library has arenas for each thread.
#[cfg(not(all(target_os = "linux", target_env = "gnu", not(miri))))]
const fn share_one_arena() {}

/// Returns the limit of this process's address space and the part that is free, in bytes; `None` if
/// there is no limit, or it is not known.
#[cfg(all(target_os = "linux", not(miri)))]
fn address_space() -> Option<(u64, u64)> {
    let limit = rustix::process::getrlimit(rustix::process::Resource::As).current?;
    let sizes = std::fs::read_to_string("/proc/self/statm").ok()?;
    let pages: u64 = sizes.split(' ').next()?.parse().ok()?;
    Some((limit, limit.saturating_sub(pages.saturating_mul(rustix::param::page_size() as u64))))
}

#[cfg(not(all(target_os = "linux", not(miri))))]
const fn address_space() -> Option<(u64, u64)> {
    None
}

fn panic_message(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("no message");
    format!("panicked: {text}")
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

    use super::*;

    #[test]
    fn nobody_begins_before_the_last_has_arrived() {
        let begun = AtomicUsize::new(0);
        let gate = Gate::new();
        thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    assert!(gate.wait());
                    begun.fetch_add(1, SeqCst);
                });
            }
            thread::sleep(Duration::from_millis(50));
            assert_eq!(begun.load(SeqCst), 0);
            gate.open(Signal::Go, 8);
        });
        assert_eq!(begun.load(SeqCst), 8);
    }

    #[test]
    fn a_cancelled_gate_sends_everybody_home() {
        let gate = Gate::new();
        thread::scope(|scope| {
            let waiting = scope.spawn(|| gate.wait());
            gate.open(Signal::Cancel, 1);
            assert!(!waiting.join().unwrap());
        });
    }

    #[test]
    fn a_panic_is_a_result_and_stops_nobody_else() {
        let together = spawn_together(4, |number| {
            assert!(number != 2, "number two");
            number
        })
        .unwrap();
        assert_eq!(together.results[3], Ok(3));
        assert_eq!(together.results[2], Err("panicked: number two".to_owned()));
    }
}
