//! Where a batch is sent.

use alloc::string::String;
use core::fmt;

/// A partition of a topic: where a batch is sent.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
// Exhaustive on purpose: a topic and a partition, nothing else, identify a log.
pub struct TopicPartition {
    /// The name of the topic.
    pub topic: String,
    /// The number of the partition, counted from 0.
    pub partition: i32,
}

impl TopicPartition {
    /// Creates a topic-partition.
    pub fn new(topic: impl Into<String>, partition: i32) -> Self {
        Self { topic: topic.into(), partition }
    }
}

impl fmt::Display for TopicPartition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.topic, self.partition)
    }
}
