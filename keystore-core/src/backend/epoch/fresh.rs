//! A node on its way into the table: made once, kept over the tries of a write, and freed where the write comes to nothing.

use std::hash::BuildHasher;

use crate::allocator::NodeAllocator;
use crate::error::Result;
use crate::ledger::Ledger;
use crate::node::Node;

/// A node that was made for a write and is not in the table yet.
pub(super) struct Fresh<'t, A: NodeAllocator, S: BuildHasher> {
    ledger: &'t Ledger<A, S>,
    node: Option<Node>,
}

impl<'t, A: NodeAllocator, S: BuildHasher> Fresh<'t, A, S> {
    /// No node yet.
    #[inline]
    pub(super) fn new(ledger: &'t Ledger<A, S>) -> Self {
        Self { ledger, node: None }
    }

    /// A node with this key and value, to take the place of one of `replaced` bytes (0: of none): the one that an earlier try
    /// left, if it is right.
    #[inline]
    pub(super) fn with(&mut self, key: &[u8], value: &[u8], replaced: usize) -> Result<Node> {
        if let Some(node) = self.node {
            // SAFETY: the node is not in the table: it is ours alone.
            if unsafe { node.value() } == value {
                return Ok(node);
            }
            self.discard();
        }
        let node = self.ledger.create_node(key, value, replaced)?;
        self.node = Some(node);
        Ok(node)
    }

    /// Lets go of the node: it is in the table now, or was seen there.
    #[inline]
    pub(super) fn release(&mut self) {
        self.node = None;
    }

    fn discard(&mut self) {
        if let Some(node) = self.node.take() {
            // SAFETY: the node is not in the table, and never was: nobody else has seen it.
            unsafe { self.ledger.destroy_node(node) };
        }
    }
}

impl<A: NodeAllocator, S: BuildHasher> Drop for Fresh<'_, A, S> {
    #[inline]
    fn drop(&mut self) {
        self.discard();
    }
}
