//! Tests that memory which the process can never have is refused at once: by stores for their
//! tables, and by pools for their preallocation.
//!
//! Each test runs itself again in a child process with a limited address space. So if a store fails
//! to refuse such memory, only its test fails, and the machine does not run out of memory.
#![cfg(target_os = "linux")]

use std::process::Command;

use keystore::{
    AnyPool, BackendKind, Concurrency, Config, DashMapKeystore, EpochKeystore, Error, Global,
    Keystore, LocalKeystore, PoolKind, RwLockKeystore, code, open, open_local,
};

/// Environment variable that names the test that a child runs.
const CHILD: &str = "KEYSTORE_LIMITED_TEST";

const MIB: u64 = 1 << 20;

/// Limits the address space of this process.
fn limit_address_space(bytes: u64) {
    let most = libc::rlimit { rlim_cur: bytes, rlim_max: libc::RLIM_INFINITY };
    // SAFETY: the call sets a limit of this process, from a value that lives during the call.
    assert_eq!(unsafe { libc::setrlimit(libc::RLIMIT_AS, &raw const most) }, 0);
}

/// Returns the most memory that this process ever held, in bytes.
fn peak() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().strip_suffix(" kB").unwrap().trim().parse::<u64>().unwrap() * 1024
}

/// Runs `work`, the body of the test named `test`, in a child with a limit of 2 GiB.
fn limited(test: &str, work: impl FnOnce()) {
    if std::env::var_os(CHILD).is_some_and(|child| child == test) {
        limit_address_space(2048 * MIB);
        work();
        assert!(peak() < 512 * MIB, "the process held {} bytes", peak());
        return;
    }
    let mut child = Command::new(std::env::current_exe().unwrap());
    let output = child.args([test, "--exact", "--nocapture"]).env(CHILD, test).output().unwrap();
    let text =
        [output.stdout, output.stderr].map(|text| String::from_utf8_lossy(&text).into_owned());
    assert!(output.status.success() && text[0].contains("1 passed"), "{}", text.concat());
}

/// Returns a store of each backend, with its name.
fn stores() -> Vec<(&'static str, Box<dyn Keystore>)> {
    let local = LocalKeystore::open_local(&Config::default(), Global).unwrap();
    vec![
        ("epoch", Box::new(EpochKeystore::default())),
        ("rwlock", Box::new(RwLockKeystore::default())),
        ("local", Box::new(local)),
        ("dashmap", Box::new(DashMapKeystore::default())),
    ]
}

#[test]
fn a_reserve_that_can_never_fit_is_refused_at_once_and_the_table_stays_as_it_is() {
    limited("a_reserve_that_can_never_fit_is_refused_at_once_and_the_table_stays_as_it_is", || {
        for (name, store) in stores() {
            store.set(b"key", b"value").unwrap();
            let before = store.table_bytes().unwrap();
            for additional in [1 << 29, 1 << 33, 1 << 41] {
                let error = store.reserve(additional).unwrap_err();
                let Error::OutOfMemory { requested } = error else { panic!("{name}: {error}") };
                // Every table has at least 8 bytes for each entry.
                assert!(
                    requested >= additional * 8,
                    "{name}: {requested} bytes for {additional} entries"
                );
                assert!(error.to_string().contains(&requested.to_string()), "{error}");
                assert_eq!(store.table_bytes(), Ok(before), "{name} grew on the way");
            }
            assert_eq!(store.get(b"key"), Ok(Some(b"value".to_vec())));
            store.reserve(1 << 16).unwrap();
            assert!(store.table_bytes().unwrap() > before, "{name}: what fits is given");
        }
    });
}

#[test]
fn more_initial_buckets_than_can_ever_fit_are_refused_at_once() {
    limited("more_initial_buckets_than_can_ever_fit_are_refused_at_once", || {
        for initial_buckets in [1 << 28, 1 << 32] {
            let config = Config { initial_buckets, ..Config::default() };
            let one_thread = Config { concurrency: Concurrency::SingleThreaded, ..config.clone() };
            let mut errors: Vec<_> = BackendKind::ALL
                .iter()
                .map(|&backend| open(backend, &config, Global).map(drop).unwrap_err())
                .collect();
            errors
                .push(open_local(BackendKind::RwLock, &one_thread, Global).map(drop).unwrap_err());
            for error in errors {
                assert_eq!(error.code(), code::OUT_OF_MEMORY, "{error}");
                let Error::OutOfMemory { requested } = error else { panic!("{error}") };
                assert!(
                    requested >= initial_buckets * 16,
                    "{requested} bytes for {initial_buckets} buckets"
                );
            }
        }
    });
}

#[test]
fn a_pool_preallocates_no_more_than_can_ever_fit_by_the_limit_of_now() {
    limited("a_pool_preallocates_no_more_than_can_ever_fit_by_the_limit_of_now", || {
        // This preallocates 3 GiB, which nothing touches.
        let config = Config { initial_buckets: 1 << 25, preallocation: 1.0, ..Config::default() };
        for kind in [PoolKind::Slab, PoolKind::Arena] {
            limit_address_space(2048 * MIB);
            let error = AnyPool::new(kind, &config).map(drop).unwrap_err();
            assert_eq!(error, Error::OutOfMemory { requested: 96 << 25 });
            limit_address_space(8192 * MIB);
            AnyPool::new(kind, &config).unwrap();
        }
    });
}

#[test]
fn a_table_that_cannot_double_stays_and_goes_on_in_chains() {
    limited("a_table_that_cannot_double_stays_and_goes_on_in_chains", || {
        let config = Config { initial_buckets: 1 << 18, ..Config::default() };
        for backend in BackendKind::ALL {
            let store = open(backend, &config, Global).unwrap();
            limit_address_space(512 * MIB);
            let refused = store.reserve(1 << 27).unwrap_err();
            assert_eq!(refused.code(), code::OUT_OF_MEMORY);
            for n in 0..100_000_u32 {
                store.set(&n.to_le_bytes(), b"value").unwrap();
            }
            assert_eq!(store.len(), Ok(100_000));
            limit_address_space(2048 * MIB);
        }
    });
}
