//! Where the memory of delivered batches goes.

use alloc::vec::Vec;
use core::panic::RefUnwindSafe;

/// Keeps the memory of delivered batches for new ones: see
/// [`Delivery::with_buffer_pool`](crate::Delivery::with_buffer_pool). For authors of transports.
pub trait BufferPool: Send + Sync + RefUnwindSafe {
    /// Takes the memory of a batch, or frees it. The content is of no use. Called while a delivery is dropped, so it must not
    /// panic.
    fn put(&self, buffer: Vec<u8>);
}
