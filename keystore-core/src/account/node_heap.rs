//! The heap of a store's nodes: its allocator with the memory limit.
//!
//! All nodes of a store come from its heap, so the length of values and the memory limit are
//! checked in one place. A node is *retired* when it is removed: it no longer counts against the
//! limit. It is *freed* when no reader can see it any more. A locked backend does both at once.

use std::fmt;
use std::mem;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use crate::allocator::NodeAllocator;
use crate::config::Config;
use crate::error::{Error, Result};
use crate::node::Node;

/// A store's allocator with its memory limit.
pub(crate) struct NodeHeap<A> {
    allocator: A,
    limit: Option<MemoryLimit>,
}

#[derive(Debug)]
struct MemoryLimit {
    limit: u64,
    used: AtomicU64,
}

impl<A> fmt::Debug for NodeHeap<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NodeHeap").field("limit", &self.limit).finish_non_exhaustive()
    }
}

impl<A: NodeAllocator> NodeHeap<A> {
    /// Creates the heap of a store with this configuration.
    pub(crate) fn new(config: &Config, allocator: A) -> Self {
        let limit = config.memory_limit.map(|limit| MemoryLimit { limit, used: AtomicU64::new(0) });
        Self { allocator, limit }
    }

    pub(crate) fn allocator(&self) -> &A {
        &self.allocator
    }

    /// Returns whether there is a memory limit.
    #[inline]
    pub(crate) fn is_limited(&self) -> bool {
        self.limit.is_some()
    }

    /// Makes a node, after checking the length of its value and the memory limit. The caller has
    /// checked the key with [`Node::check_key`]. `replaced` is the size of the node that this one
    /// replaces, or 0. Only the bytes that the new node is larger by count against the limit.
    #[inline]
    pub(crate) fn create_node(&self, key: &[u8], value: &[u8], replaced: usize) -> Result<Node> {
        Node::check_value_len(value.len())?;
        if self.limit.is_none() {
            return Node::create(&self.allocator, key, value);
        }
        let bytes = Node::layout(key.len(), value.len())?.size();
        self.charge(bytes, replaced)?;
        Node::create(&self.allocator, key, value).inspect_err(|_| self.discharge(bytes))
    }

    /// Makes a node with a value of `length` bytes, like [`create_node`](Self::create_node). `fill`
    /// writes the value. If it panics, the node is destroyed.
    pub(crate) fn create_filled_node(
        &self,
        key: &[u8],
        length: usize,
        replaced: usize,
        fill: impl FnOnce(&mut [u8]),
    ) -> Result<Node> {
        Node::check_value_len(length)?;
        let bytes = Node::layout(key.len(), length)?.size();
        self.charge(bytes, replaced)?;
        let node = Node::create_zeroed(&self.allocator, key, length)
            .inspect_err(|_| self.discharge(bytes))?;
        let unfilled = UnfilledNode { heap: self, node };
        // SAFETY: the node is new, so nobody else uses it until this function returns it.
        fill(unsafe { node.value_mut() });
        mem::forget(unfilled);
        Ok(node)
    }

    /// Stops counting a node against the memory limit. The node was removed, but a reader may
    /// still look at it.
    ///
    /// # Safety
    /// The node is alive and came from this heap.
    #[inline]
    pub(crate) unsafe fn retire_node(&self, node: Node) {
        if self.limit.is_some() {
            // SAFETY: the caller promises that the node is alive and not written.
            self.discharge(unsafe { node.size() });
        }
    }

    /// Frees a node that was retired.
    ///
    /// # Safety
    /// The node came from this heap, was retired, is alive, and nobody uses it from here on.
    #[inline]
    pub(crate) unsafe fn free_node(&self, node: Node) {
        // SAFETY: the caller promises that the node is alive, came from this heap and thus from
        // this allocator, and that nobody uses it from here on.
        unsafe { node.destroy(&self.allocator) }
    }

    /// Retires and frees a node that nobody else has seen, or can see any more.
    ///
    /// # Safety
    /// The node came from this heap, is alive, and nobody uses it from here on.
    #[inline]
    pub(crate) unsafe fn destroy_node(&self, node: Node) {
        // SAFETY: the caller promises that the node is alive, came from this heap, and that nobody
        // uses it from here on. It is retired before it is freed.
        unsafe {
            self.retire_node(node);
            self.free_node(node);
        }
    }

    /// Counts `bytes` more against the memory limit, or returns an error if the limit would be
    /// exceeded. `replaced` of the bytes that are already counted will be freed.
    fn charge(&self, bytes: usize, replaced: usize) -> Result<()> {
        let Some(limit) = &self.limit else { return Ok(()) };
        // In one step: a refused writer must not use up the limit for others even for an instant.
        let fits = |used: u64| {
            let after = used.checked_add(bytes as u64)?;
            (after.saturating_sub(replaced as u64) <= limit.limit).then_some(after)
        };
        match limit.used.fetch_update(Relaxed, Relaxed, fits) {
            Ok(_) => Ok(()),
            Err(used) => Err(Error::MemoryLimit { requested: bytes, used, limit: limit.limit }),
        }
    }

    /// Undoes a [`charge`](Self::charge).
    #[inline]
    fn discharge(&self, bytes: usize) {
        if let Some(limit) = &self.limit {
            limit.used.fetch_sub(bytes as u64, Relaxed);
        }
    }
}

/// A new node whose value is being written. Dropping it destroys the node.
struct UnfilledNode<'h, A: NodeAllocator> {
    heap: &'h NodeHeap<A>,
    node: Node,
}

impl<A: NodeAllocator> Drop for UnfilledNode<'_, A> {
    fn drop(&mut self) {
        // SAFETY: the node came from this heap, and nobody else has seen it.
        unsafe { self.heap.destroy_node(self.node) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::allocator::Global;

    #[test]
    fn a_node_past_the_memory_limit_is_refused_and_room_comes_back() {
        let heap = NodeHeap::new(&Config { memory_limit: Some(200), ..Config::default() }, Global);
        let node = heap.create_node(b"key", &[0; 100], 0).unwrap();
        let error = heap.create_node(b"key", &[0; 100], 0).unwrap_err();
        assert_eq!(error, Error::MemoryLimit { requested: 111, used: 111, limit: 200 });
        let in_its_place = heap.create_node(b"key", &[0; 150], 111).unwrap();
        // SAFETY: this heap created both nodes above, and they are not used again.
        unsafe {
            heap.destroy_node(node);
            heap.destroy_node(in_its_place);
        }
        let node = heap.create_node(b"key", &[0; 100], 0).unwrap();
        // SAFETY: this heap created the node above, and it is not used again.
        unsafe { heap.destroy_node(node) };
    }
}
