//! One batch after another: from a stream of messages ([`BatchStream`]), or record by record ([`RollingBatch`]).
//!
//! Both close a batch when the next record does not fit or when it has waited for `linger.ms`, and both only make batches:
//! what they return is sent by any [`Transport`](crate::Transport), or kept.
//!
//! | | takes | waits for `linger.ms` | returns with each batch |
//! |---|---|---|---|
//! | [`BatchStream`] | a [`Stream`](futures_core::Stream) of messages | by a timer that the caller provides | the messages in it |
//! | [`RollingBatch`] | one record at a time | when the caller asks ([`take_due`](RollingBatch::take_due)) | its number |

mod batch_stream;
mod rolling_batch;

pub use batch_stream::{BatchStream, PollFn, RejectedMessage, RolledBatch};
pub use rolling_batch::{NumberedBatch, Placement, RollingBatch};
