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

/// As Kafka's tools write it, `topic-0`. A negative number means that there is no partition.
impl fmt::Display for TopicPartition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let topic = self.topic.escape_debug(); // an invalid name may contain line ends
        match self.partition {
            0.. => write!(f, "{topic}-{}", self.partition),
            _ => write!(f, "{topic} (no partition)"),
        }
    }
}

#[cfg(test)]
mod tests {
    use alloc::string::ToString;

    use super::*;

    #[test]
    fn it_is_displayed_in_one_line() {
        for (topic, partition, expected) in
            [("orders", 3, "orders-3"), ("orders", -1, "orders (no partition)"), ("a\nb\0", 0, "a\\nb\\0-0")]
        {
            assert_eq!(TopicPartition::new(topic, partition).to_string(), expected);
        }
    }
}
