//! Models of the registry: a lookup while chunks come and go. There is no lock between the two.

use std::ptr::without_provenance_mut;
use std::sync::Arc;

use super::*;
use crate::models::{All, explore, spawn};

fn chunk(number: usize) -> NonNull<u8> {
    NonNull::new(without_provenance_mut(number * CHUNK)).unwrap()
}

fn registry(chunks: &[usize]) -> Arc<Registry> {
    let registry = Registry::new().unwrap();
    chunks.iter().for_each(|number| registry.insert(chunk(*number)).unwrap());
    Arc::new(registry)
}

/// Whoever finds a leaf finds what is in it: a lookup may come at any time, for the address of a block that is the system's.
#[test]
fn a_lookup_while_the_first_chunk_of_a_leaf_is_added() {
    let outcomes = explore("looking up against adding a leaf", [All, All], || {
        let registry = registry(&[]);
        let other = spawn(1, &registry, |registry| {
            assert!(!registry.contains(2 * CHUNK), "a chunk that is nobody's");
            registry.contains(CHUNK)
        });
        registry.insert(chunk(1)).unwrap();
        let found = other.join().unwrap();
        assert!(registry.contains(CHUNK));
        found.to_string()
    });
    assert_eq!(outcomes.len(), 2, "{outcomes:?}");
}

/// A chunk with a live block is found, whatever comes and goes beside it.
#[test]
fn a_lookup_while_other_chunks_are_removed_and_added() {
    explore("looking up against removing and adding beside", [All, All], || {
        let registry = registry(&[1, 2]);
        let other = spawn(1, &registry, |registry| {
            assert!(registry.contains(CHUNK));
            registry.contains(2 * CHUNK)
        });
        registry.remove(chunk(2));
        registry.insert(chunk(3)).unwrap();
        let found = other.join().unwrap();
        assert!(registry.contains(CHUNK) && !registry.contains(2 * CHUNK) && registry.contains(3 * CHUNK));
        found.to_string()
    });
}
