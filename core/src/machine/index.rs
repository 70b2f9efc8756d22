//! Indices of partitions and topics. They are reused.

/// The index of a partition in the accumulator. An unused partition is removed after a while, and its index reused.
pub(super) type PartitionIndex = usize;

/// The index of a topic in [`Topics`](super::topics::Topics). It is reused when the topic has no known partition any more.
pub(super) type TopicIndex = usize;
