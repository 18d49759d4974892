//! Checks that a value outside a limit is an error that names the value and the limit, and that it
//! changes nothing.

use std::sync::OnceLock;

use keystore::{AnyPool, Config, Error, Keystore, MAX_KEY_LEN, MAX_VALUE_LEN, Update, code};

use crate::calls::ON_KEY;
use crate::check::{Check, checks};
use crate::combination::Combination;
use crate::entries::{assert_holds, bytes, fill, one_bucket};

pub(crate) const CHECKS: &[Check] = checks![
    all:
        a_key_outside_its_limits_is_refused_by_every_verb,
        a_value_of_4_gib_is_refused_by_every_verb,
        an_absurd_reserve_is_refused,
        a_configuration_outside_its_limits_is_refused;
    shared:
        a_shared_store_is_not_opened_single_threaded
];

fn a_key_outside_its_limits_is_refused_by_every_verb(combination: &Combination) {
    let store = combination.open(&one_bucket());
    let expected = fill(&*store, 10);
    for length in [0, MAX_KEY_LEN + 1, 100_000] {
        let key = bytes(0, length);
        for (name, call) in ON_KEY {
            let error = call(&*store, &key).expect_err(name);
            assert_eq!(error, Error::KeyLength { length, max: 65_535 }, "{name}");
            assert_eq!(error.code(), code::INVALID_ARGUMENT);
            let text = error.to_string();
            assert!(text.contains(&length.to_string()) && text.contains("65535"), "{name}: {text}");
        }
    }
    assert_holds(&*store, &expected);
    let longest = bytes(0, MAX_KEY_LEN);
    for (name, call) in ON_KEY {
        assert_eq!(call(&*store, &longest), Ok(()), "{name}");
    }
}

/// Returns 4 GiB of zeros, one byte more than a value may have. The system provides no memory for
/// them, because nothing touches them.
fn too_long() -> &'static [u8] {
    static ZEROS: OnceLock<Vec<u8>> = OnceLock::new();
    ZEROS.get_or_init(|| vec![0; MAX_VALUE_LEN + 1])
}

fn a_value_of_4_gib_is_refused_by_every_verb(combination: &Combination) {
    let store = combination.open(&one_bucket());
    let mut expected = fill(&*store, 10);
    store.set(b"present", b"value").unwrap();
    expected.insert(b"present".to_vec(), b"value".to_vec());
    let refused = |name: &str, result: Result<(), Error>| {
        let error = result.expect_err(name);
        assert_eq!(error, Error::ValueLength { length: 1 << 32, max: (1 << 32) - 1 }, "{name}");
        assert_eq!(error.code(), code::INVALID_ARGUMENT);
        let text = error.to_string();
        assert!(text.contains("4294967296") && text.contains("4294967295"), "{name}: {text}");
    };
    for key in [&b"present"[..], b"absent"] {
        refused("set", store.set(key, too_long()).map(drop));
        refused("update", store.update(key, |_| Update::set(vec![0; MAX_VALUE_LEN + 1])).map(drop));
        let now = store.get(key).unwrap();
        refused(
            "compare_exchange",
            store.compare_exchange(key, now.as_deref(), Some(too_long())).map(drop),
        );
        let batch = store.set_many(&[(key, too_long())]).expect_err("set_many");
        assert_eq!(batch.index, 0);
        refused("set_many", Err(batch.error));
    }
    refused("insert", store.insert(b"absent", too_long()).map(drop));
    assert_holds(&*store, &expected);
}

fn an_absurd_reserve_is_refused(combination: &Combination) {
    let store = combination.open(&one_bucket());
    let expected = fill(&*store, 100);
    for additional in [usize::MAX, usize::MAX - 100, usize::MAX / 2, usize::MAX / 64, 1 << 44] {
        let error = store.reserve(additional).unwrap_err();
        assert_eq!(error.code(), code::OUT_OF_MEMORY, "{additional}: {error}");
    }
    assert_holds(&*store, &expected);
}

fn a_configuration_outside_its_limits_is_refused(combination: &Combination) {
    let good = Config::default();
    let buckets = |initial_buckets| Config { initial_buckets, ..good.clone() };
    let factor = |preallocation| Config { preallocation, ..good.clone() };
    let bad = [
        (buckets(0), "initial_buckets is 0"),
        (buckets(3), "initial_buckets is 3"),
        (buckets(1000), "initial_buckets is 1000"),
        (buckets(Config::MAX_INITIAL_BUCKETS * 2), "4294967296"),
        (buckets(usize::MAX), "a power of two"),
        (factor(-0.5), "preallocation is -0.5: it must be from 0 to 1"),
        (factor(1.5), "preallocation is 1.5"),
        (factor(f64::NAN), "preallocation is NaN"),
        (factor(f64::INFINITY), "preallocation is inf"),
    ];
    for (config, text) in bad {
        let store = combination.open_over(&config, combination.pool(&good)).map(drop).unwrap_err();
        let pool = AnyPool::new(combination.pool, &config).map(drop).unwrap_err();
        for error in [store, pool] {
            assert_eq!(error.code(), code::INVALID_CONFIG, "{error}");
            assert!(error.to_string().contains(text), "{error} names {text}");
        }
    }
}

fn a_shared_store_is_not_opened_single_threaded(combination: &Combination) {
    let config = Config { concurrency: keystore::Concurrency::SingleThreaded, ..Config::default() };
    let opened = keystore::open(combination.backend, &config, combination.pool(&Config::default()));
    let error = opened.map(drop).unwrap_err();
    assert_eq!(error.code(), code::INVALID_CONFIG);
    assert!(error.to_string().contains("open_local"), "{error} says what to use instead");
}
