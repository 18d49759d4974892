//! A node on its way into the table. It is made once, kept over the tries of a write, and freed if
//! the write does not use it.

use std::hash::BuildHasher;
use std::ptr;

use crate::account::Account;
use crate::allocator::NodeAllocator;
use crate::backend::common::hint::cold;
use crate::error::{Error, Result};
use crate::node::Node;

/// A node for a write, which is not in the table yet.
pub(super) struct PreparedNode<'t, 'v, A: NodeAllocator, S: BuildHasher> {
    account: &'t Account<A, S>,
    node: Option<Node>,
    /// Value that the node was prepared of, if it was.
    prepared_of: Option<&'v [u8]>,
    /// Error of [`prepare`](Self::prepare), which the next [`with`](Self::with) returns.
    refused: Option<Error>,
}

impl<'t, 'v, A: NodeAllocator, S: BuildHasher> PreparedNode<'t, 'v, A, S> {
    /// No node yet.
    #[inline]
    pub(super) fn new(account: &'t Account<A, S>) -> Self {
        Self { account, node: None, prepared_of: None, refused: None }
    }

    /// Makes a node that the write will likely need, before it looks at the table. So the waits
    /// for the node's memory and for the table's overlap. Under a memory limit this does nothing,
    /// since it is not known yet how many bytes the node replaces.
    #[inline]
    pub(super) fn prepare(&mut self, key: &[u8], value: &'v [u8]) {
        if !self.account.heap.is_limited() {
            self.prepared_of = Some(value);
            match self.account.heap.create_node(key, value, 0) {
                Ok(node) => self.node = Some(node),
                Err(error) => self.refused = Some(error),
            }
        }
    }

    /// Returns a node with this key and value, which replaces one of `replaced` bytes (0: none).
    /// It is the prepared node, or that of an earlier try, if its value is equal.
    #[inline]
    pub(super) fn with(&mut self, key: &[u8], value: &[u8], replaced: usize) -> Result<Node> {
        match (self.node, self.prepared_of) {
            (Some(node), Some(of)) if ptr::eq(of, value) => Ok(node),
            _ => self.make(key, value, replaced),
        }
    }

    #[inline(never)]
    fn make(&mut self, key: &[u8], value: &[u8], replaced: usize) -> Result<Node> {
        if let Some(error) = self.refused.take() {
            return Err(error);
        }
        if let Some(node) = self.node {
            // SAFETY: the node is not in the table: it is ours alone.
            if unsafe { node.value() } == value {
                return Ok(node);
            }
            self.discard();
        }
        let node = self.account.heap.create_node(key, value, replaced)?;
        self.node = Some(node);
        self.prepared_of = None;
        Ok(node)
    }

    /// Forgets the node: it is in the table now, or was seen there.
    #[inline]
    pub(super) fn release(&mut self) {
        self.node = None;
    }

    #[inline]
    fn discard(&mut self) {
        if let Some(node) = self.node.take() {
            // SAFETY: the node is not in the table, and never was: nobody else has seen it.
            cold(|| unsafe { self.account.heap.destroy_node(node) });
        }
    }
}

impl<A: NodeAllocator, S: BuildHasher> Drop for PreparedNode<'_, '_, A, S> {
    #[inline]
    fn drop(&mut self) {
        self.discard();
    }
}
