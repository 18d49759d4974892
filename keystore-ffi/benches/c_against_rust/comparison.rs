//! The comparison: see the program's own page.

use std::env;
use std::ffi::{CString, c_char, c_void};
use std::hint::black_box;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use keystore::{KS_BACKEND_DASHMAP, KS_BACKEND_EPOCH, KS_BACKEND_RWLOCK, ks_backend, ks_store};
use keystore_core::{BackendKind, Config, EpochKeystore, Keystore};
use keystore_pool::{AnyPool, PoolKind};

const KEY: usize = 16;
const VALUE: usize = 64;
const BATCH: usize = 32;
const ROUNDS: usize = 41;
/// Operations of a round.
const OPERATIONS: usize = 1 << 18;

/// A loop in C: over the keys at the address, so many.
type Loop = unsafe extern "C" fn(*mut ks_store, *const u8, usize) -> u64;

/// The C half.
struct C {
    open_with_room: unsafe extern "C" fn(ks_backend, usize) -> *mut ks_store,
    get_each: Loop,
    read_batches: Loop,
    get_batches: Loop,
    set_batches: Loop,
    close: unsafe extern "C" fn(*mut ks_store) -> i32,
}

/// Compiles the C half beside this program, links it with the library there, and loads it.
fn load() -> C {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let library = library();
    let half = Path::new(env!("CARGO_TARGET_TMPDIR")).join("c_against_rust.so");
    let status = Command::new(env::var_os("CC").unwrap_or_else(|| "cc".into()))
        .args(["-std=c99", "-O2", "-fPIC", "-shared", "-Wall", "-Wextra", "-I"])
        .arg(here.join("include"))
        .arg(here.join("benches/c_against_rust/loops.c"))
        .arg(&library)
        .arg(format!("-Wl,-rpath,{}", library.parent().unwrap().display()))
        .arg("-o")
        .arg(&half)
        .status()
        .expect("a C compiler is there");
    assert!(status.success(), "the C half does not compile");

    let path = CString::new(half.into_os_string().into_encoded_bytes()).unwrap();
    // SAFETY: the path is a string, and loading what was just compiled runs nothing but the library's own start.
    let loaded = unsafe { libc::dlopen(path.as_ptr(), libc::RTLD_NOW) };
    assert!(!loaded.is_null(), "the C half cannot be loaded");
    let symbol = |name: &std::ffi::CStr| -> *mut c_void {
        let name: *const c_char = name.as_ptr();
        // SAFETY: the library is loaded and stays so, and the name is a string.
        let address = unsafe { libc::dlsym(loaded, name) };
        assert!(!address.is_null(), "the C half lacks a function");
        address
    };
    // SAFETY: the functions have these types in C.
    unsafe {
        C {
            open_with_room: std::mem::transmute::<
                *mut c_void,
                unsafe extern "C" fn(ks_backend, usize) -> *mut ks_store,
            >(symbol(c"open_with_room")),
            get_each: std::mem::transmute::<*mut c_void, Loop>(symbol(c"get_each")),
            read_batches: std::mem::transmute::<*mut c_void, Loop>(symbol(c"read_batches")),
            get_batches: std::mem::transmute::<*mut c_void, Loop>(symbol(c"get_batches")),
            set_batches: std::mem::transmute::<*mut c_void, Loop>(symbol(c"set_batches")),
            close: std::mem::transmute::<*mut c_void, unsafe extern "C" fn(*mut ks_store) -> i32>(symbol(
                c"ks_close",
            )),
        }
    }
}

/// Builds the shared library in this program's profile, and asks cargo where it is.
fn library() -> PathBuf {
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().unwrap();
    let output = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
        .args([
            "build",
            "--release",
            "--package",
            "keystore-ffi",
            "--lib",
            "--message-format",
            "json-render-diagnostics",
        ])
        .arg("--target-dir")
        .arg(target)
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let stdout = String::from_utf8(output.stdout).unwrap();
    stdout
        .lines()
        .filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok())
        .filter(|message| message["target"]["name"] == "keystore")
        .flat_map(|message| message["filenames"].as_array().cloned().unwrap_or_default())
        .filter_map(|file| file.as_str().map(PathBuf::from))
        .find(|file| file.extension().is_some_and(|extension| extension == env::consts::DLL_EXTENSION))
        .expect("cargo built a shared library")
}

/// `get_each` of the C half, in Rust.
fn get_each<K: Keystore + ?Sized>(store: &K, keys: &[[u8; KEY]]) -> u64
where
    for<'a> &'a K: Keystore,
{
    let mut value = [0; VALUE];
    let mut sum = 0;
    for key in keys {
        let read = Keystore::read(&store, key, |bytes| {
            value[..bytes.len()].copy_from_slice(bytes);
            bytes.len()
        });
        if let Ok(Some(length)) = read {
            sum += u64::from(value[0]) + length as u64;
        }
    }
    sum
}

/// [`get_each`] over a store whose type is known.
fn get_each_known(store: &EpochKeystore<AnyPool>, keys: &[[u8; KEY]]) -> u64 {
    let mut value = [0; VALUE];
    let mut sum = 0;
    for key in keys {
        let read = store.read(key, |bytes| {
            value[..bytes.len()].copy_from_slice(bytes);
            bytes.len()
        });
        if let Ok(Some(length)) = read {
            sum += u64::from(value[0]) + length as u64;
        }
    }
    sum
}

/// The keys of a batch, as the trait takes them.
fn batch_of(keys: &[[u8; KEY]]) -> [&[u8]; BATCH] {
    std::array::from_fn(|at| &keys[at][..])
}

fn read_batches(store: &dyn Keystore, keys: &[[u8; KEY]]) -> u64 {
    let mut sum = 0;
    for keys in keys.chunks_exact(BATCH) {
        let mut add_up = |_, value: Option<&[u8]>| {
            if let Some(value) = value {
                sum += u64::from(value[0]) + value.len() as u64;
            }
        };
        store.read_many_dyn(&batch_of(keys), &mut add_up).unwrap();
    }
    sum
}

fn get_batches(store: &dyn Keystore, keys: &[[u8; KEY]]) -> u64 {
    let mut sum = 0;
    let mut values: [Option<Vec<u8>>; BATCH] = [const { None }; BATCH];
    for keys in keys.chunks_exact(BATCH) {
        let mut copy = |index: usize, value: Option<&[u8]>| values[index] = value.map(<[u8]>::to_vec);
        store.read_many_dyn(&batch_of(keys), &mut copy).unwrap();
        for value in values.iter_mut().filter_map(Option::take) {
            sum += u64::from(value[0]) + value.len() as u64;
        }
    }
    sum
}

fn set_batches(store: &dyn Keystore, keys: &[[u8; KEY]]) -> u64 {
    let value = [0; VALUE];
    let mut sum = 0;
    for keys in keys.chunks_exact(BATCH) {
        let entries: [(&[u8], &[u8]); BATCH] = std::array::from_fn(|at| (&keys[at][..], &value[..]));
        sum += (store.set_many(&entries).unwrap() + BATCH) as u64;
    }
    sum
}

/// `count` different keys, and then so many of them as a round takes, in no order.
fn keys(count: usize) -> (Vec<[u8; KEY]>, Vec<[u8; KEY]>) {
    let key = |number: u64| {
        let mut key = *b"key-000000000000";
        key[8..].copy_from_slice(&number.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_be_bytes());
        key
    };
    let mut random = 42_u64;
    let mut draw = || {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        key((random >> 33) % count as u64)
    };
    ((0..count as u64).map(key).collect(), (0..OPERATIONS).map(|_| draw()).collect())
}

/// The median of nanoseconds an operation.
fn median(mut rounds: Vec<f64>) -> f64 {
    rounds.sort_by(f64::total_cmp);
    rounds[rounds.len() / 2]
}

/// Lets two or three ways of one thing take turns: the median nanoseconds an operation of each. All must answer the
/// same.
fn compare<const N: usize>(ways: [&dyn Fn() -> u64; N]) -> [f64; N] {
    let mut rounds = [const { Vec::new() }; N];
    for _ in 0..ROUNDS {
        let mut answers = [0; N];
        for (at, way) in ways.iter().enumerate() {
            let started = Instant::now();
            answers[at] = black_box(way());
            rounds[at].push(started.elapsed().as_nanos() as f64 / OPERATIONS as f64);
        }
        assert!(answers.iter().all(|&answer| answer == answers[0] && answer > 0), "{answers:?}");
    }
    rounds.map(median)
}

pub fn run() {
    // `cargo test --benches` only wants to know that it compiles.
    if !env::args().any(|argument| argument == "--bench") {
        return;
    }
    let c = load();
    println!(
        "median of {ROUNDS} rounds of {OPERATIONS} operations, ns an operation; keys of 16 bytes, values of 64"
    );
    for count in [1 << 12, 1 << 20] {
        let (all, drawn) = keys(count);
        for (kind, backend) in [
            (BackendKind::Epoch, KS_BACKEND_EPOCH),
            (BackendKind::RwLock, KS_BACKEND_RWLOCK),
            (BackendKind::DashMap, KS_BACKEND_DASHMAP),
        ] {
            let config = Config::default();
            let pool = AnyPool::new(PoolKind::Slab, &config).unwrap();
            let in_rust = keystore_core::open(kind, &config, pool.clone()).unwrap();
            let in_rust: &dyn Keystore = &*in_rust;
            in_rust.reserve(count).unwrap();
            // SAFETY: a function of the C half, called as it is declared there.
            let in_c = unsafe { (c.open_with_room)(backend, count) };
            assert!(!in_c.is_null());
            // SAFETY: the store is open, and there are as many keys as said.
            let of_c = |run: Loop, keys: &[[u8; KEY]]| unsafe { run(in_c, keys.as_ptr().cast(), keys.len()) };
            assert_eq!(set_batches(in_rust, &all), of_c(c.set_batches, &all));

            println!("\n{kind}, {count} keys");
            let gets = compare([&|| of_c(c.get_each, &drawn), &|| get_each(in_rust, &drawn)]);
            println!(
                "  get            C {:6.1}   dyn trait {:6.1}   C - trait {:+6.1} ns",
                gets[0],
                gets[1],
                gets[0] - gets[1]
            );
            let report = |name: &str, [c, rust]: [f64; 2]| {
                println!(
                    "  {name}   C {c:6.1}   dyn trait {rust:6.1}   C at {:5.1} % of the Rust rate",
                    rust * 100.0 / c
                );
            };
            report(
                "read_many 32",
                compare([&|| of_c(c.read_batches, &drawn), &|| read_batches(in_rust, &drawn)]),
            );
            report(
                "get_many 32 ",
                compare([&|| of_c(c.get_batches, &drawn), &|| get_batches(in_rust, &drawn)]),
            );
            report(
                "set_many 32 ",
                compare([&|| of_c(c.set_batches, &drawn), &|| set_batches(in_rust, &drawn)]),
            );

            if kind == BackendKind::Epoch {
                let known =
                    EpochKeystore::open(&config, AnyPool::new(PoolKind::Slab, &config).unwrap()).unwrap();
                known.reserve(count).unwrap();
                set_batches(&known, &all);
                let gets = compare([&|| of_c(c.get_each, &drawn), &|| get_each_known(&known, &drawn)]);
                println!(
                    "  get            C {:6.1}   of the type {:4.1}   C - type {:+6.1} ns",
                    gets[0],
                    gets[1],
                    gets[0] - gets[1]
                );
            }
            // SAFETY: the store is open, and nobody uses it any more.
            assert_eq!(unsafe { (c.close)(in_c) }, 0);
        }
    }
}
