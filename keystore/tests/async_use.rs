//! Checks docs/async.md: stores in tasks of an executor. The executor is a few lines of this file,
//! so no runtime is needed.

use std::future::{pending, poll_fn};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::task::{Context, Poll, Wake, Waker};
use std::thread;

use keystore::{
    BoxedKeystore, Combination, Config, DefaultHasher, DynSession, EpochKeystore, EpochTable,
    Global, Keystore, RwLockKeystore, RwLockTable, ScanCursor, Session, SharedLock, Update,
    ValueGuard,
};

/// A waker that unparks the thread that waits in [`block_on`].
struct Unpark(thread::Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

/// Runs a future to its end.
fn block_on<T>(future: impl Future<Output = T>) -> T {
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    let mut future = pin!(future);
    loop {
        match future.as_mut().poll(&mut Context::from_waker(&waker)) {
            Poll::Ready(value) => return value,
            Poll::Pending => thread::park(),
        }
    }
}

/// Lets other tasks run once.
async fn give_way() {
    let mut has_waited = false;
    poll_fn(|context| {
        if has_waited {
            return Poll::Ready(());
        }
        has_waited = true;
        context.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

/// Runs a long call on a thread of its own, as `spawn_blocking` of a runtime does.
async fn spawn_blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    let (send, receive): (Sender<T>, Receiver<T>) = channel();
    let mut work = Some((work, send));
    poll_fn(move |context| {
        if let Some((work, send)) = work.take() {
            let waker = context.waker().clone();
            thread::spawn(move || {
                send.send(work()).expect("the task waits");
                waker.wake();
            });
        }
        receive.try_recv().map_or(Poll::Pending, Poll::Ready)
    })
    .await
}

/// Counts a request, as a task of a multi-threaded runtime may.
async fn count_request(store: Arc<BoxedKeystore>, path: &str) -> keystore::Result<u64> {
    give_way().await;
    let (_, count) = store.update_with(path.as_bytes(), |old| {
        let count =
            old.and_then(|old| old.try_into().ok()).map_or(1, |old| u64::from_le_bytes(old) + 1);
        (Update::set(count.to_le_bytes()), count)
    })?;
    give_way().await;
    Ok(count)
}

/// Visits all entries in slices, and gives way between two slices.
async fn visit_in_slices(store: &BoxedKeystore) -> keystore::Result<(usize, usize)> {
    let (mut next, mut entries, mut slices) = (Some(ScanCursor::START), 0, 0);
    while let Some(cursor) = next {
        next = store.scan(cursor, 100, |_key, _value| entries += 1)?;
        slices += 1;
        give_way().await;
    }
    Ok((entries, slices))
}

fn stores() -> impl Iterator<Item = Arc<BoxedKeystore>> {
    Combination::all()
        .into_iter()
        .map(|combination| Arc::new(combination.open(&Config::default()).expect("the store opens")))
}

/// Compiles only for futures that a multi-threaded runtime accepts.
fn spawnable<F: Future + Send>(future: F) -> F {
    future
}

#[test]
fn tasks_of_several_threads_count_together() {
    for store in stores() {
        thread::scope(|scope| {
            for _ in 0..3 {
                scope.spawn(|| {
                    for _ in 0..200 {
                        block_on(spawnable(count_request(store.clone(), "/"))).unwrap();
                    }
                });
            }
        });
        assert_eq!(block_on(count_request(store, "/")), Ok(601));
    }
}

#[test]
fn long_calls_go_to_another_thread() {
    for store in stores() {
        for n in 0..1_000_u32 {
            store.set(&n.to_le_bytes(), b"value").unwrap();
        }
        let shared = store.clone();
        let removed = block_on(spawnable(spawn_blocking(move || {
            shared.retain(|key, _| key[0].is_multiple_of(2))
        })));
        assert_eq!((removed, store.len()), (Ok(500), Ok(500)));
    }
}

#[test]
fn a_scan_in_slices_gives_way_and_shows_every_entry() {
    for store in stores() {
        for n in 0..5_000_u32 {
            store.set(&n.to_le_bytes(), b"value").unwrap();
        }
        let (entries, slices) = block_on(spawnable(visit_in_slices(&store))).unwrap();
        assert_eq!(entries, 5_000);
        assert!(slices >= 10, "{slices} slices");
    }
}

#[test]
fn a_task_that_is_dropped_at_an_await_holds_nothing() {
    for store in stores() {
        store.set(b"key", b"old").unwrap();
        let mut task: Pin<Box<dyn Future<Output = ()> + Send>> = Box::pin({
            let store = store.clone();
            async move {
                store.update(b"key", |_| Update::set("of the task")).unwrap();
                pending::<()>().await;
            }
        });
        assert!(task.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
        // The task has stopped at its await. Nothing is locked, before and after it is dropped.
        assert!(store.set(b"key", b"new").is_ok());
        drop(task);
        assert_eq!(store.take(b"key"), Ok(Some(b"new".to_vec())));
    }
}

/// Implemented once for every type and once more for types that are `Send`. If `T` is `Send`, the
/// compiler cannot choose, and `<T as IsNotSend<_>>::CHECKED` is an error.
trait IsNotSend<Case> {
    const CHECKED: bool = true;
}

struct EveryType;
struct SendType;

impl<T: ?Sized> IsNotSend<EveryType> for T {}
impl<T: ?Sized + Send> IsNotSend<SendType> for T {}

type EpochSession = Session<'static, EpochTable<Global, DefaultHasher>>;
type LockedSession = Session<'static, RwLockTable<Global, SharedLock, DefaultHasher>>;

#[test]
fn what_must_not_be_held_across_an_await_is_not_send() {
    const CHECKED: [bool; 3] = [
        <ValueGuard<'static> as IsNotSend<_>>::CHECKED,
        <EpochSession as IsNotSend<_>>::CHECKED,
        <Box<dyn DynSession> as IsNotSend<_>>::CHECKED,
    ];
    assert_eq!(CHECKED, [true; 3]);
    // The stores themselves may go anywhere.
    fn is_shared<T: Send + Sync>() {}
    is_shared::<(EpochKeystore, RwLockKeystore, BoxedKeystore)>();
    // A session of a backend with locks holds nothing between two calls.
    fn is_sent<T: Send>() {}
    is_sent::<LockedSession>();
}
