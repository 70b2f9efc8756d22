//! The lookup of topics: from the cache, or by a request that all callers share.

use std::future::{Future, poll_fn};
use std::num::NonZeroU32;

use kafka_batch_core::{SendErrorReason, TopicPartition};

use crate::topics::{TopicCache, has_partition};

/// Looks up topics, by a cache and requests for metadata.
pub trait Lookup: Sync {
    /// The error of a failed lookup.
    type Error: Clone + Send;

    /// Returns the cache.
    fn topics(&self) -> &TopicCache<Self::Error>;

    /// Requests the topic's metadata. The result is passed to [`TopicCache::complete_lookup`].
    ///
    /// # Errors
    /// The producer is closed. Then all lookups fail ([`TopicCache::fail_lookups`]).
    fn request(&self, topic: &str) -> Result<(), SendErrorReason>;

    /// Converts the error of a lookup.
    fn send_error_reason(&self, topic: &str, error: Self::Error) -> SendErrorReason;

    /// Checks that the topic and the partition exist, so that a wrong name is an error before anything is sent, not after
    /// `delivery.timeout.ms`.
    ///
    /// # Errors
    /// They do not exist, or no broker responds.
    fn check_partition(&self, to: &TopicPartition) -> impl Future<Output = Result<(), SendErrorReason>> + Send {
        async move {
            SendErrorReason::check_partition(&to.topic, to.partition)?;
            if self.topics().has(to) {
                return Ok(());
            }
            let partitions = self.lookup(&to.topic).await?;
            if has_partition(partitions, to.partition) {
                return Ok(());
            }
            let TopicPartition { topic, partition } = to.clone();
            Err(SendErrorReason::UnknownPartition { topic, partition, partitions: partitions.get() })
        }
    }

    /// Returns the topic's number of partitions. An expired number is requested again, but is used until there is a response,
    /// so that batches are accepted as before while no broker responds.
    ///
    /// # Errors
    /// The topic does not exist, or no broker responds.
    fn partitions(&self, topic: &str) -> impl Future<Output = Result<NonZeroU32, SendErrorReason>> + Send {
        async move {
            let topics = self.topics();
            if let Some(partitions) = topics.fresh_partition_count(topic) {
                return Ok(partitions);
            }
            let Some(partitions) = topics.partition_count(topic) else { return self.lookup(topic).await };
            if topics.begin_lookup(topic) {
                self.request(topic)?;
            }
            Ok(partitions)
        }
    }

    /// Waits for the response to a new or a pending lookup of the topic.
    ///
    /// # Errors
    /// The topic does not exist, or no broker responds.
    fn lookup(&self, topic: &str) -> impl Future<Output = Result<NonZeroU32, SendErrorReason>> + Send {
        async move {
            let (slot, is_first) = self.topics().join_lookup(topic);
            if is_first {
                self.request(topic)?;
            }
            let result = poll_fn(|context| slot.poll_take(context)).await;
            result.map_err(|error| self.send_error_reason(topic, error))
        }
    }
}
