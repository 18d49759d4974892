//! The entries with the largest numbers.

use std::cmp::{Ordering, Reverse};
use std::collections::BinaryHeap;
use std::ops::ControlFlow;

use keystore_core::{Keystore, Result};

/// An entry whose value is a number.
#[derive(Debug)]
pub(crate) struct Ranked {
    number: f64,
    pub(crate) key: Vec<u8>,
    pub(crate) value: Vec<u8>,
}

/// By number; of two that are the same, the entry whose key comes first in byte order is the larger.
impl Ord for Ranked {
    fn cmp(&self, other: &Self) -> Ordering {
        self.number.total_cmp(&other.number).then_with(|| other.key.cmp(&self.key))
    }
}

impl PartialOrd for Ranked {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Ranked {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Ranked {}

/// The `most` entries with the largest numbers, the largest first, and how many entries have no number.
pub(crate) fn largest(store: &impl Keystore, most: usize) -> Result<(Vec<Ranked>, u64)> {
    // The smallest of those kept is on top, to give way to a larger one.
    let mut kept = BinaryHeap::new();
    let mut without = 0;
    store.for_each(|key, value| {
        let Some(number) = number(value) else {
            without += 1;
            return ControlFlow::Continue(());
        };
        let beaten = kept.len() == most
            && kept.peek().is_none_or(|Reverse(Ranked { number: least, .. })| number < *least);
        if !beaten {
            kept.push(Reverse(Ranked { number, key: key.to_vec(), value: value.to_vec() }));
            if kept.len() > most {
                kept.pop();
            }
        }
        ControlFlow::Continue(())
    })?;
    let ranked = kept.into_sorted_vec().into_iter().map(|Reverse(ranked)| ranked).collect();
    Ok((ranked, without))
}

/// The number that a value is, written in decimal. (The words that Rust also takes for numbers, such as `inf`, are words.)
fn number(value: &[u8]) -> Option<f64> {
    let text = std::str::from_utf8(value).ok()?;
    if !text.ends_with(|last: char| last.is_ascii_digit() || last == '.') {
        return None;
    }
    text.parse().ok().filter(|number: &f64| number.is_finite())
}

#[cfg(test)]
mod tests {
    use keystore_core::RwLockKeystore;

    use super::*;

    #[test]
    fn the_largest_come_first_and_ties_by_key() {
        let store = RwLockKeystore::default();
        for (key, value) in
            [("a", "7"), ("b", "-3"), ("c", "7"), ("d", "1e3"), ("e", "many"), ("f", "7.5"), ("g", "inf")]
        {
            store.set(key.as_bytes(), value.as_bytes()).unwrap();
        }
        let names = |most| {
            let (ranked, without) = largest(&store, most).unwrap();
            assert_eq!(without, 2);
            ranked.into_iter().map(|entry| String::from_utf8(entry.key).unwrap()).collect::<String>()
        };
        assert_eq!(names(100), "dfacb");
        assert_eq!(names(3), "dfa");
        assert_eq!(names(1), "d");
    }
}
