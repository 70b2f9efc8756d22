//! Makes batches from a stream of messages or record by record, without sending them.
//!
//! From a stream: [`BatchStream`]. Record by record: [`RollingBatch`] for one partition, [`PartitionedBatches`] for many.
//!
//! All close a batch when the next record does not fit or when its linger time has passed, and all only make batches: what
//! they return is sent by any [`Transport`](crate::Transport), or kept. The linger time is that of the method `linger` of
//! each; the producer setting `linger.ms` is for single messages and has no effect here.
//! [`PartitionedPublisher`](crate::publisher::PartitionedPublisher) sends a stream of messages to many partitions.
//!
//! | | takes | lingers | returns with each batch |
//! |---|---|---|---|
//! | [`BatchStream`] | a [`Stream`](futures_core::Stream) of messages | by a timer that the caller provides | the messages in it |
//! | [`RollingBatch`] | one record at a time | when the caller asks ([`take_due`](RollingBatch::take_due)) | its number |
//! | [`PartitionedBatches`] | one record at a time | when the caller asks ([`take_due`](PartitionedBatches::take_due)) | its partition |

mod batch_stream;
mod linger;
mod open_batches;
mod partitioned_batches;
mod rolling_batch;
mod spare_buffers;

pub use batch_stream::{BatchStream, PollFn, RejectedMessage, RolledBatch};
pub use partitioned_batches::{PartitionBatch, PartitionPlacement, PartitionedAppendError, PartitionedBatches};
pub use rolling_batch::{NumberedBatch, Placement, RollingBatch};
