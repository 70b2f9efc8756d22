//! Publishing a stream of messages to the partitions of a topic ([`PartitionedPublisher`]).
//!
//! The module [`stream`](crate::stream) makes batches and sends nothing; here they are sent over a
//! [`Transport`](crate::Transport), and the outcome of each batch is returned with its messages.

mod outcome;
mod outcome_order;
mod pace;
mod partitioned;
mod sender;

pub use outcome::{Published, Undelivered, UndeliveredReason};
pub use partitioned::PartitionedPublisher;

pub use crate::transport::{BatchChannel, ChannelBatch, ChannelError, ChannelOutcome};
