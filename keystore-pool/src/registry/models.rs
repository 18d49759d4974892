//! Models of the registry: a lookup while chunks are inserted and removed. The lookup takes no
//! lock.

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

/// A lookup that finds a leaf finds its content. Lookups come at any time, because blocks of the
/// system's allocator are looked up, too.
#[test]
fn a_lookup_while_the_first_chunk_of_a_leaf_is_added() {
    let outcomes = explore("looking up against adding a leaf", [All, All], || {
        let registry = registry(&[]);
        let other = spawn(1, &registry, |registry| {
            assert!(!registry.contains(2 * CHUNK), "a chunk that was never inserted");
            registry.contains(CHUNK)
        });
        registry.insert(chunk(1)).unwrap();
        let found = other.join().unwrap();
        assert!(registry.contains(CHUNK));
        found.to_string()
    });
    assert_eq!(outcomes.len(), 2, "{outcomes:?}");
}

/// A chunk with a live block is found while other chunks are removed and inserted.
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
        assert!(registry.contains(CHUNK) && registry.contains(3 * CHUNK));
        assert!(!registry.contains(2 * CHUNK));
        found.to_string()
    });
}
