//! Where the memory of batches goes that do not need it any more.

use alloc::vec::Vec;
use core::panic::RefUnwindSafe;

/// Keeps the memory of earlier batches for new ones: see [`KafkaBatch::seal_with_pool`](crate::KafkaBatch::seal_with_pool) and
/// [`Delivery::with_buffer_pool`](crate::Delivery::with_buffer_pool). For authors of transports.
pub trait BufferPool: Send + Sync + RefUnwindSafe {
    /// Takes the memory of a batch, or frees it. The content is of no use. Called while a batch is sealed or a delivery is dropped,
    /// so it must not panic.
    fn put(&self, buffer: Vec<u8>);
}
