//! The values that a run writes, made ahead of it.

use std::ops::Range;

use keystore_verify::value::{Stamp, write_value};

use crate::workload::operation::Kind;
use crate::workload::stream::Stream;

/// Values that are about to be written, made a good many ahead: a store that copies a value which
/// was written just now waits until those writes, and all that the thread wrote before, have
/// reached the cache. That would be measured, and nothing else.
pub(super) struct Values {
    bytes: Vec<u8>,
    /// Bytes from one value to the next.
    stride: usize,
    /// The operations of the stream whose values are there.
    made: Range<usize>,
}

impl Values {
    /// The most that are made ahead.
    const MOST: usize = 64;
    /// Bytes that are made ahead, unless one value alone is larger: few enough to stay in the
    /// first-level cache.
    const BYTES: usize = 8 << 10;

    pub(super) fn new(largest: usize) -> Self {
        let count = Self::BYTES.checked_div(largest).unwrap_or(0).clamp(1, Self::MOST);
        Self { bytes: vec![0; largest * count], stride: largest, made: 0..0 }
    }

    /// Returns the value of the operation at `index`, with what follows it, where it has been made.
    #[inline]
    pub(super) fn of(&self, index: usize) -> Option<&[u8]> {
        self.made.contains(&index).then(|| &self.bytes[(index - self.made.start) * self.stride..])
    }

    /// Makes the values of the operations from `index` on, which is this thread's operation number
    /// `number`; gives the first, with what follows it.
    pub(super) fn make(
        &mut self,
        stream: &Stream,
        index: usize,
        thread: usize,
        number: u64,
    ) -> &[u8] {
        let count = self.bytes.len().checked_div(self.stride).unwrap_or(0);
        let operations = &stream.operations()[index..];
        let operations = &operations[..count.min(operations.len())];
        self.made = index..index + operations.len();
        let values = self.bytes.chunks_exact_mut(self.stride.max(1));
        for (at, (operation, value)) in operations.iter().zip(values).enumerate() {
            if writes_alone(operation.kind) {
                let stamp = Stamp::new(thread, number + at as u64);
                write_value(&mut value[..stream.value_size(index + at)], operation.key, stamp);
            }
        }
        &self.bytes
    }
}

/// Returns whether a call carries one value.
pub(super) fn writes_alone(kind: Kind) -> bool {
    kind.has_value() && !kind.is_batch()
}
