//! Tests of C programs that use `key_store.h`.

use std::fmt::Write;
use std::mem::offset_of;

use keystore_legacy::{
    bucket_operation_counter_stats, data_node_operation_counters, key_collision_stats,
    key_entry_stats, key_store_value, keystore_stats, memory_pool_stats, metadata_stats,
};

use crate::toolchain::{Language, Link, build};

/// Builds a program with each form of the library, and runs both. The include path has only the
/// predecessor's headers.
fn build_and_run(source: &str, arguments: &[&str]) -> String {
    let [_, printed] = [Link::Shared, Link::Static].map(|link| {
        build(Language::C, source, link, &["-D_POSIX_C_SOURCE=200809L"]).run(arguments)
    });
    printed
}

#[test]
fn calls() {
    build_and_run("tests/c/calls.c", &[]);
}

#[test]
fn misuse() {
    build_and_run("tests/c/misuse.c", &["50"]);
}

#[cfg(all(target_os = "linux", target_env = "gnu"))]
#[test]
fn no_call_ends_the_process_where_memory_runs_out() {
    build_and_run("tests/c/out_of_memory.c", &[]);
}

/// Runs the whole stress test with a thousand threads. Its speed depends on the machine, so the
/// test only checks that nothing is missing.
#[test]
fn stress() {
    let printed = build_and_run("tests/c/stress.c", &[]);
    assert!(printed.contains("threads 1000, keys of each 1000\n"), "{printed}");
    assert!(printed.contains("set and not stored 0, missing 0, wrong 0\n"), "{printed}");
    assert!(
        printed.contains("adds 1000000, of them failed 0; finds 1000000, of them failed 0\n"),
        "{printed}"
    );
    println!("{printed}");
}

/// Writes the size of a struct and the offsets of its fields, in the format of `layout.c`.
macro_rules! layout {
    ($out:ident: $($type:ident { $($field:ident),* })*) => {$(
        writeln!($out, "{} {}", stringify!($type), size_of::<$type>()).unwrap();
        $(writeln!($out, "{}.{} {}", stringify!($type), stringify!($field), offset_of!($type, $field)).unwrap();)*
        // Does not compile if the Rust struct has a field that is not listed.
        let _ = |all: $type| { let $type { $($field: _),* } = all; };
    )*};
}

#[test]
fn every_struct_has_the_layout_of_the_headers() {
    let mut ours = String::new();
    layout! { ours:
        key_store_value { data, data_size }
        metadata_stats { init_timestamp, last_cleanup_timestamp }
        key_entry_stats {
            total_keys, total_buckets, nonempty_buckets, empty_buckets, max_keys_in_bucket, min_keys_in_bucket,
            avg_keys_per_nonempty_bucket, stddev_keys_per_bucket, median_keys_per_bucket,
            avg_collisions_per_nonempty_bucket, empty_bucket_percent
        }
        key_collision_stats {
            collision_buckets, collision_percent, highest_collision_in_bucket, avg_collisions_per_nonempty_bucket
        }
        memory_pool_stats {
            total_memory_bytes, used_memory_bytes, free_memory_bytes, memory_utilization_percent,
            memory_per_key_bytes, fragmentation_percent
        }
        bucket_operation_counter_stats {
            total_add_ops, total_find_ops, total_delete_ops, failed_add_ops, failed_find_ops, failed_delete_ops,
            error_code_counters
        }
        data_node_operation_counters {
            total_update_ops, total_read_ops, total_delete_ops, total_create_ops, failed_update_ops,
            failed_read_ops, failed_delete_ops, failed_create_ops, error_code_counters
        }
        keystore_stats {
            metadata, key_entries, collisions, memory_pool, operation_counters, data_node_counters
        }
    }
    assert_eq!(build_and_run("tests/c/layout.c", &[]), ours);
}
