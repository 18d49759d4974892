//! Makes the values that a run writes, some operations ahead.

use std::ops::Range;

use keystore_verify::value::{Stamp, write_value};

use crate::workload::operation::Kind;
use crate::workload::stream::Stream;

/// The values of the next writes, made up to 64 operations ahead.
///
/// If a value were made just before the call, the store that copies it would wait until the writes
/// to the value, and all earlier writes of the thread, have reached the cache. This wait would
/// dominate the measurement.
pub(super) struct Values {
    bytes: Vec<u8>,
    /// Bytes from the start of one value to the start of the next.
    stride: usize,
    /// The indices of the operations in the stream whose values are in `bytes`.
    made: Range<usize>,
}

impl Values {
    /// Maximum number of values that are made ahead.
    const MOST: usize = 64;
    /// Number of bytes that are made ahead, unless a single value is larger. They fit into the
    /// first-level cache.
    const BYTES: usize = 8 << 10;

    pub(super) fn new(largest: usize) -> Self {
        let count = Self::BYTES.checked_div(largest).unwrap_or(0).clamp(1, Self::MOST);
        Self { bytes: vec![0; largest * count], stride: largest, made: 0..0 }
    }

    /// Returns the bytes from the value of the operation at `index` to the end of the buffer.
    /// Returns `None` if this value has not been made.
    #[inline]
    pub(super) fn of(&self, index: usize) -> Option<&[u8]> {
        self.made.contains(&index).then(|| &self.bytes[(index - self.made.start) * self.stride..])
    }

    /// Makes the values of the operations from `index` on. The operation at `index` is this
    /// thread's operation number `number`. Returns the buffer, which starts with the value of this
    /// operation.
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

/// Returns whether an operation of this kind writes a single value in a call of its own.
pub(super) fn writes_alone(kind: Kind) -> bool {
    kind.has_value() && !kind.is_batch()
}
