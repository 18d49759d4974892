//! Tests of the export to monitoring systems, with the recorders of the crates that it serves.

use std::collections::BTreeMap;
use std::sync::Arc;

use keystore::export::{Collector, Recorder};
use keystore::{
    Config, Counters, DashMapKeystore, Global, Keystore, LocalKeystore, RwLockKeystore, Update,
};
use metrics_util::MetricKind;
use metrics_util::debugging::{DebugValue, DebuggingRecorder};
use prometheus_client::encoding::text::encode;
use prometheus_client::registry::Registry;

/// Makes calls that give each counter of events another value: 3 sets, 2 hits, 1 miss, 1 delete.
fn use_a_little(store: &dyn Keystore) {
    for key in [b"a", b"b", b"c"] {
        store.set(key, b"value").unwrap();
    }
    for key in [b"a", b"b", b"d"] {
        store.contains(key).unwrap();
    }
    store.delete(b"c").unwrap();
}

/// Returns the exported names, each with its value.
fn expected(counters: &Counters) -> BTreeMap<String, u64> {
    [
        ("keystore_entries", counters.entries),
        ("keystore_hits_total", counters.hits),
        ("keystore_misses_total", counters.misses),
        ("keystore_sets_total", counters.sets),
        ("keystore_deletes_total", counters.deletes),
        ("keystore_node_bytes", counters.node_bytes),
        ("keystore_pool_held_bytes", counters.pool_held_bytes),
        ("keystore_garbage_bytes", counters.garbage_bytes),
        ("keystore_table_bytes", counters.table_bytes),
        ("keystore_resizing", counters.is_resizing.into()),
    ]
    .map(|(name, value)| (name.to_owned(), value))
    .into()
}

#[test]
fn a_recorder_of_the_crate_metrics_gets_all_counters() {
    let store = RwLockKeystore::default();
    use_a_little(&store);
    let recorder = DebuggingRecorder::new();
    let snapshotter = recorder.snapshotter();
    metrics::with_local_recorder(&recorder, || {
        Recorder::new("first").record(&store).unwrap();
    });
    let counters = store.counters().unwrap();
    assert_eq!((counters.sets, counters.hits, counters.misses, counters.deletes), (3, 2, 1, 1));
    let mut recorded = BTreeMap::new();
    for (key, _unit, help, value) in snapshotter.snapshot().into_vec() {
        let name = key.key().name().to_owned();
        let labels: Vec<_> = key.key().labels().map(|l| (l.key(), l.value())).collect();
        assert_eq!(labels, [("store", "first")], "{name}");
        assert!(help.is_some_and(|help| !help.is_empty()), "{name} is not described");
        let value = match value {
            DebugValue::Counter(value) => {
                assert!(name.ends_with("_total") && key.kind() == MetricKind::Counter, "{name}");
                value
            }
            DebugValue::Gauge(value) => value.into_inner() as u64,
            DebugValue::Histogram(_) => panic!("{name} is a histogram"),
        };
        recorded.insert(name, value);
    }
    assert_eq!(recorded, expected(&counters));
}

fn scrape(collector: Collector) -> String {
    let mut registry = Registry::default();
    registry.register_collector(Box::new(collector));
    let mut text = String::new();
    encode(&mut text, &registry).unwrap();
    text
}

#[test]
fn a_registry_of_prometheus_client_gets_all_counters_of_all_stores() {
    let (first, second) =
        (Arc::new(RwLockKeystore::default()), Arc::new(RwLockKeystore::default()));
    use_a_little(&*first);
    let text = scrape(
        Collector::new()
            .with_store("second", first.clone())
            .with_store("first", first.clone())
            .with_store("second", second.clone()),
    );
    for (store, name) in [(first, "first"), (second, "second")] {
        for (metric, value) in expected(&store.counters().unwrap()) {
            let row = format!("{metric}{{store=\"{name}\"}} {value}\n");
            assert_eq!(text.matches(&row).count(), 1, "{row}{text}");
        }
    }
    // Each name is described once, although there are two stores.
    assert_eq!(text.matches("# TYPE keystore_hits counter\n").count(), 1, "{text}");
    assert_eq!(text.matches("# TYPE keystore_node_bytes gauge\n").count(), 1, "{text}");
    assert_eq!(text.matches("# TYPE ").count(), 10, "{text}");
}

#[test]
fn a_name_with_special_characters_is_escaped() {
    let store = Arc::new(RwLockKeystore::default());
    let text = scrape(Collector::new().with_store("a\"b\\c\nd", store));
    assert!(text.contains(r#"keystore_entries{store="a\"b\\c\nd"} 0"#), "{text}");
}

/// A scrape may come from inside a closure, whose thread holds a lock of the store. It must not
/// wait for that lock.
#[test]
fn a_scrape_from_inside_a_closure_shows_all_counters() {
    let store = Arc::new(DashMapKeystore::default());
    let mut registry = Registry::default();
    registry.register_collector(Box::new(Collector::new().with_store("busy", store.clone())));
    let (mut text, mut recorded) = (String::new(), Ok(()));
    store
        .update(b"key", |_| {
            encode(&mut text, &registry).unwrap();
            recorded = Recorder::new("busy").record(&store);
            Update::set("value")
        })
        .unwrap();
    assert!(text.contains("keystore_entries{store=\"busy\"} 0\n"), "{text}");
    assert_eq!(recorded, Ok(()));
}

#[test]
fn a_store_of_one_thread_can_be_recorded() {
    let store = LocalKeystore::open_local(&Config::default(), Global).unwrap();
    Recorder::new("local").record(&store).unwrap();
}

#[test]
fn the_page_lists_exactly_what_is_exported() {
    let page = include_str!("../../docs/metrics.md");
    let listed: Vec<String> = page
        .lines()
        .filter_map(|line| line.strip_prefix("| `keystore_"))
        .map(|rest| format!("keystore_{}", rest.split('`').next().unwrap()))
        .collect();
    let exported: Vec<String> = expected(&Counters::default()).into_keys().collect();
    let mut sorted = listed.clone();
    sorted.sort();
    assert_eq!(sorted, exported, "{listed:?}");
}
