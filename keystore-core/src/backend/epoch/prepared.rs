//! A new node that is not in the table yet. It is made once, kept while the write is retried, and
//! freed if the write does not use it.

use std::hash::BuildHasher;
use std::ptr;

use crate::account::Account;
use crate::allocator::NodeAllocator;
use crate::backend::common::hint::cold;
use crate::error::{Error, Result};
use crate::node::Node;

/// Owner of the new node of a write, while the node is not in the table.
pub(super) struct PreparedNode<'t, 'v, A: NodeAllocator, S: BuildHasher> {
    account: &'t Account<A, S>,
    node: Option<Node>,
    /// Value that [`prepare`](Self::prepare) put into the node, if it made the node.
    prepared_of: Option<&'v [u8]>,
    /// Error of [`prepare`](Self::prepare), which the next [`with`](Self::with) returns.
    refused: Option<Error>,
}

impl<'t, 'v, A: NodeAllocator, S: BuildHasher> PreparedNode<'t, 'v, A, S> {
    /// Makes an owner without a node.
    #[inline]
    pub(super) fn new(account: &'t Account<A, S>) -> Self {
        Self { account, node: None, prepared_of: None, refused: None }
    }

    /// Makes a node that the write will likely need, before the write searches the table. So the
    /// processor waits for the node's memory and for the table's memory at the same time. If the
    /// store has a memory limit, this does nothing, since it is not known yet how many bytes the
    /// node replaces.
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

    /// Returns a node with this key and value. `replaced` is the number of bytes of the node that
    /// it replaces, or 0. If the prepared node or the node of an earlier try has the same value,
    /// this returns that node.
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
            // SAFETY: the node is not in the table, so this value owns it alone.
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

    /// Returns a new node with this key and a value of `length` bytes, which `fill` writes.
    /// `replaced` is as in [`with`](Self::with).
    #[cold]
    #[inline(never)]
    pub(super) fn filled(
        &mut self,
        key: &[u8],
        length: usize,
        replaced: usize,
        fill: impl FnOnce(&mut [u8]),
    ) -> Result<Node> {
        self.discard();
        let node = self.account.heap.create_filled_node(key, length, replaced, fill)?;
        self.node = Some(node);
        self.prepared_of = None;
        Ok(node)
    }

    /// Gives up the ownership of the node, since it is in the table, or another thread may have
    /// seen it there.
    #[inline]
    pub(super) fn release(&mut self) {
        self.node = None;
    }

    #[inline]
    fn discard(&mut self) {
        if let Some(node) = self.node.take() {
            // SAFETY: the node is not in the table and never was, so no other thread has seen it.
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
