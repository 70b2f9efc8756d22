//! What the machine reports of its own work, for logs, metrics and traces: failed attempts, and changes of the cluster and of the
//! producer.

use alloc::string::String;
use alloc::sync::Arc;
use core::fmt;
use core::time::Duration;

use super::identity::Identity;
use crate::protocol::ErrorCode;

/// A failed attempt to send a batch, after which it will be sent again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Retry {
    /// The node id of the broker that the batch was sent to.
    pub broker: i32,
    /// How many attempts have failed, beginning with 1.
    pub failures: u32,
    /// The error that the broker has answered with, or `None` if there was no usable response.
    pub error: Option<ErrorCode>,
    /// The time until the batch may be sent again (`retry.backoff.ms`).
    pub backoff: Duration,
}

impl fmt::Display for Retry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { broker, failures, error, backoff } = self;
        write!(f, "attempt {failures} at broker {broker} has failed (")?;
        match error {
            Some(error) => write!(f, "{error}")?,
            None => f.write_str("no response")?,
        }
        write!(f, "): sent again after {} ms", backoff.as_millis())
    }
}

/// A change of the cluster or of the producer.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Change {
    /// Another broker leads a partition that batches are sent to. Reported when the next of them is to be sent.
    Leader {
        /// The topic.
        topic: Arc<str>,
        /// The partition.
        partition: i32,
        /// The node id of the last known leader.
        previous: i32,
        /// The node id of the leader.
        leader: i32,
    },
    /// A broker has throttled the producer: nothing is sent to it on this connection for this time (KIP-219).
    Throttled {
        /// The broker's node id, unless it is one of the bootstrap servers.
        broker: Option<i32>,
        /// The broker's host.
        host: String,
        /// The broker's port.
        port: u16,
        /// The time that the broker has requested, up to a minute.
        time: Duration,
    },
    /// The producer has another producer id, or another epoch of its id.
    ProducerId {
        /// The previous one; `None` if this is the first.
        previous: Option<ProducerIdAndEpoch>,
        /// The current one, for the batches that are sent from now on.
        current: ProducerIdAndEpoch,
    },
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Leader { topic, partition, previous, leader } => {
                write!(f, "the leader of {topic}-{partition} is broker {leader} instead of {previous}")
            }
            Self::Throttled { broker, host, port, time } => {
                f.write_str("throttled by ")?;
                if let Some(broker) = broker {
                    write!(f, "broker {broker} at ")?;
                }
                write!(f, "{host}:{port} for {} ms", time.as_millis())
            }
            Self::ProducerId { previous: None, current } => write!(f, "the producer has {current}"),
            Self::ProducerId { previous: Some(previous), current } => {
                write!(f, "the producer has {current} instead of {previous}")
            }
        }
    }
}

/// A producer id and its epoch (KIP-98).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub struct ProducerIdAndEpoch {
    /// The producer id.
    pub producer_id: i64,
    /// The epoch.
    pub epoch: i16,
}

impl fmt::Display for ProducerIdAndEpoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "producer id {}, epoch {}", self.producer_id, self.epoch)
    }
}

impl From<Identity> for ProducerIdAndEpoch {
    fn from(Identity { id, epoch }: Identity) -> Self {
        Self { producer_id: id, epoch }
    }
}
