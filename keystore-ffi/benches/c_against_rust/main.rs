//! Measures the cost of the C library: the same loops in C, over the library, and in Rust, over the
//! trait.
//!
//!     cargo bench -p keystore-ffi
//!
//! The C half (`c_half.c`) is a program. The system's compiler compiles it and links it with the
//! library as users do, once with the shared library and once with the static one. The Rust half
//! opens a store of the same backend and pool as `Box<dyn Keystore>`, which is how the C library
//! holds its stores. The halves take turns, one round each, so that other work on the machine
//! disturbs all of them alike. The fastest round of each counts, because a disturbance only adds
//! time. All programs are restarted a few times, because a store to which the system gave small
//! pages is slower throughout.
//!
//! With few keys, the result shows the cost of the call. With many keys, every get waits for
//! memory, and the result shows mostly that wait.

#[path = "../../tests/programs/library.rs"]
mod library;

use std::env;
use std::hint::black_box;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::Instant;

use keystore_core::{BackendKind, BoxedKeystore, Config, Keystore};
use keystore_ffi::{KS_BACKEND_DASHMAP, KS_BACKEND_EPOCH, KS_BACKEND_RWLOCK, ks_backend};
use keystore_pool::{AnyPool, PoolKind};

use self::library::Library;

const KEY: usize = 16;
const VALUE: [u8; 64] = {
    let mut value = [0; 64];
    value[0] = 7;
    value
};
const BATCH: usize = 32;
/// Number of restarts, and number of rounds after each.
const STARTS: usize = 4;
const ROUNDS: usize = 12;
/// Number of operations in a round.
const OPERATIONS: usize = 1 << 17;

type Key = [u8; KEY];

/// A loop of the Rust half; the C half has a loop of the same name.
type Loop = fn(&dyn Keystore, &[Key]) -> u64;

/// Compiles the C half against one form of the library.
fn compile(library: &Path, name: &str) -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let program = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    let status = Command::new(env::var_os("CC").unwrap_or_else(|| "cc".into()))
        .args(["-std=c99", "-D_POSIX_C_SOURCE=200809L", "-O2", "-Wall", "-Wextra", "-I"])
        .arg(here.join("include"))
        .arg(here.join("benches/c_against_rust/c_half.c"))
        .arg(library)
        .arg(format!("-Wl,-rpath,{}", library.parent().unwrap().display()))
        .args(["-lpthread", "-lm"])
        .args(if cfg!(target_os = "linux") { &["-ldl"][..] } else { &[] })
        .arg("-o")
        .arg(&program)
        .status()
        .expect("a C compiler is there");
    assert!(status.success(), "the C half does not compile");
    program
}

/// A running C program that waits for the name of a loop.
struct C {
    program: Child,
    asks: ChildStdin,
    answers: BufReader<ChildStdout>,
}

impl C {
    fn start(program: &Path, backend: ks_backend, count: usize) -> Self {
        let mut program = Command::new(program)
            .args([backend.to_string(), count.to_string(), OPERATIONS.to_string()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let (asks, answers) = (program.stdin.take().unwrap(), program.stdout.take().unwrap());
        Self { program, asks, answers: BufReader::new(answers) }
    }

    fn run(&mut self, name: &str) -> Round {
        writeln!(self.asks, "{name}").unwrap();
        let mut line = String::new();
        self.answers.read_line(&mut line).unwrap();
        let mut numbers = line.split_whitespace().map(|number| number.parse::<u64>().unwrap());
        Round {
            nanoseconds: numbers.next().expect("the C half answers"),
            sum: numbers.next().unwrap(),
        }
    }

    fn end(mut self) {
        drop(self.asks);
        assert!(self.program.wait().unwrap().success(), "the C half failed");
    }
}

/// The result of one run of a loop.
struct Round {
    nanoseconds: u64,
    sum: u64,
}

/// The Rust half.
struct Rust {
    store: BoxedKeystore,
    drawn: Vec<Key>,
}

impl Rust {
    fn open(kind: BackendKind, count: usize) -> Self {
        let config = Config::default();
        let pool = AnyPool::new(PoolKind::Slab, &config).unwrap();
        let store = keystore_core::open(kind, &config, pool).unwrap();
        store.reserve(count).unwrap();
        let key = |number: u64| {
            let mut key = *b"key-000000000000";
            key[8..].copy_from_slice(&number.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_be_bytes());
            key
        };
        let mut random = 42_u64;
        let mut draw = |_| {
            random = random
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            key((random >> 33) % count as u64)
        };
        let all: Vec<Key> = (0..count as u64).map(key).collect();
        assert!(set_many(&store, &all) > 0);
        Self { store, drawn: (0..OPERATIONS).map(&mut draw).collect() }
    }

    fn run(&self, run: Loop) -> Round {
        let started = Instant::now();
        let sum = black_box(run(&*self.store, &self.drawn));
        Round { nanoseconds: started.elapsed().as_nanos() as u64, sum }
    }
}

fn get(store: &dyn Keystore, keys: &[Key]) -> u64 {
    let mut buffer = [0; VALUE.len()];
    let mut sum = 0;
    for key in keys {
        let read = Keystore::read(&store, key, |value| {
            buffer[..value.len()].copy_from_slice(value);
            value.len()
        });
        if let Ok(Some(length)) = read {
            sum += u64::from(buffer[0]) + length as u64;
        }
    }
    sum
}

/// Returns the keys of a batch in the form that the trait takes.
fn batch(keys: &[Key]) -> [&[u8]; BATCH] {
    std::array::from_fn(|at| &keys[at][..])
}

fn read_many(store: &dyn Keystore, keys: &[Key]) -> u64 {
    let mut sum = 0;
    for keys in keys.chunks_exact(BATCH) {
        let mut add_up = |_, value: Option<&[u8]>| {
            if let Some(value) = value {
                sum += u64::from(value[0]) + value.len() as u64;
            }
        };
        store.read_many_dyn(&batch(keys), &mut add_up).unwrap();
    }
    sum
}

fn get_many(store: &dyn Keystore, keys: &[Key]) -> u64 {
    let mut sum = 0;
    let mut values: [Option<Vec<u8>>; BATCH] = [const { None }; BATCH];
    for keys in keys.chunks_exact(BATCH) {
        let mut copy =
            |index: usize, value: Option<&[u8]>| values[index] = value.map(<[u8]>::to_vec);
        store.read_many_dyn(&batch(keys), &mut copy).unwrap();
        for value in values.iter_mut().filter_map(Option::take) {
            sum += u64::from(value[0]) + value.len() as u64;
        }
    }
    sum
}

fn set_many(store: &dyn Keystore, keys: &[Key]) -> u64 {
    let mut sum = 0;
    for keys in keys.chunks_exact(BATCH) {
        let entries: [(&[u8], &[u8]); BATCH] =
            std::array::from_fn(|at| (&keys[at][..], &VALUE[..]));
        sum += (store.set_many(&entries).unwrap() + BATCH) as u64;
    }
    sum
}

fn main() {
    // Without the argument, cargo only checks that the benchmark compiles and starts.
    if !env::args().any(|argument| argument == "--bench") {
        return;
    }
    let Library { shared, archive } = Library::build("release");
    let programs = [compile(&shared, "c_half_shared"), compile(&archive, "c_half_static")];
    println!(
        "ns an operation, the fastest of {STARTS} x {ROUNDS} rounds of {OPERATIONS}; keys of {KEY} bytes, values of {}",
        VALUE.len()
    );
    for count in [1 << 12, 1 << 20] {
        for (kind, backend) in [
            (BackendKind::Epoch, KS_BACKEND_EPOCH),
            (BackendKind::RwLock, KS_BACKEND_RWLOCK),
            (BackendKind::DashMap, KS_BACKEND_DASHMAP),
        ] {
            println!("\n{kind}, {count} keys           trait   C shared             C static");
            let loops: [(&str, Loop); 4] = [
                ("get", get),
                ("read_many", read_many),
                ("get_many", get_many),
                ("set_many", set_many),
            ];
            let mut fastest = [[u64::MAX; 3]; 4];
            for _ in 0..STARTS {
                let rust = Rust::open(kind, count);
                let [mut shared, mut fixed] =
                    programs.each_ref().map(|program| C::start(program, backend, count));
                for ((name, run), fastest) in loops.into_iter().zip(&mut fastest) {
                    for _ in 0..ROUNDS {
                        let round = [rust.run(run), shared.run(name), fixed.run(name)];
                        assert!(
                            round[0].sum > 0 && round.iter().all(|part| part.sum == round[0].sum),
                            "{name}"
                        );
                        for (fastest, part) in fastest.iter_mut().zip(round) {
                            *fastest = part.nanoseconds.min(*fastest);
                        }
                    }
                }
                shared.end();
                fixed.end();
            }
            for ((name, _), fastest) in loops.into_iter().zip(fastest) {
                let [rust, shared, fixed] =
                    fastest.map(|nanoseconds| nanoseconds as f64 / OPERATIONS as f64);
                let told = |c: f64| format!("{c:6.1} {:+6.1} {:5.1} %", c - rust, rust * 100.0 / c);
                println!("  {name:<20} {rust:6.1}   {}   {}", told(shared), told(fixed));
            }
        }
    }
    println!(
        "\nBeside each: how many ns more than the trait, and C's rate in percent of the trait's."
    );
}
