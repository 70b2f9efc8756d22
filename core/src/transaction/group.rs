//! The offsets of a consumer group that are committed in a transaction, and who commits them.

use alloc::string::String;

/// The consumer group whose offsets are committed, and the member of it that commits them (KIP-447): Kafka's
/// `ConsumerGroupMetadata`. A consumer that subscribes knows it. (`rdkafka` 0.39 has no accessor for the generation.)
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct GroupMetadata {
    group: String,
    generation: i32,
    member: String,
    instance: Option<String>,
}

impl GroupMetadata {
    /// Creates the metadata of a member, with the generation of the group (with the consumer protocol of KIP-848: with the
    /// member's epoch). Brokers refuse the offsets if the member has lost its partitions meanwhile.
    #[must_use]
    pub fn member(group: impl Into<String>, generation: i32, member_id: impl Into<String>) -> Self {
        Self { group: group.into(), generation, member: member_id.into(), instance: None }
    }

    /// Sets the `group.instance.id` of a static member (KIP-345).
    #[must_use]
    pub fn instance(mut self, group_instance_id: impl Into<String>) -> Self {
        self.instance = Some(group_instance_id.into());
        self
    }

    /// Creates the metadata of a group only. **Brokers then accept offsets from a member that has lost its partitions**,
    /// whose records are processed twice. For consumers that manage their partitions themselves, and for brokers before 2.5.
    #[must_use]
    pub fn unfenced(group: impl Into<String>) -> Self {
        Self { group: group.into(), generation: -1, member: String::new(), instance: None }
    }

    /// Returns the name of the group.
    #[must_use]
    pub fn group(&self) -> &str {
        &self.group
    }

    /// Returns the generation of the group, or the member's epoch; −1 if there is none.
    #[must_use]
    pub const fn generation(&self) -> i32 {
        self.generation
    }

    /// Returns the id of the member; empty if there is none.
    #[must_use]
    pub fn member_id(&self) -> &str {
        &self.member
    }

    /// Returns the `group.instance.id` of a static member.
    #[must_use]
    pub fn group_instance_id(&self) -> Option<&str> {
        self.instance.as_deref()
    }
}

/// An offset to commit: that of the **next** record to read, not of the last one that was read.
///
/// ```
/// use kafka_batch_core::transaction::OffsetAndMetadata;
///
/// let last_read = 41;
/// assert_eq!(OffsetAndMetadata::from(last_read + 1).offset, 42);
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct OffsetAndMetadata {
    /// The offset of the next record to read.
    pub offset: i64,
    /// The leader epoch of the last record that was read (KIP-320), or −1.
    pub leader_epoch: i32,
    /// What the group keeps with the offset. Empty by default.
    pub metadata: String,
}

impl OffsetAndMetadata {
    /// Sets the leader epoch of the last record that was read (KIP-320).
    #[must_use]
    pub const fn leader_epoch(mut self, epoch: i32) -> Self {
        self.leader_epoch = epoch;
        self
    }

    /// Sets what the group keeps with the offset; at most `offset.metadata.max.bytes` of the broker, 4,096 bytes by default.
    #[must_use]
    pub fn metadata(mut self, metadata: impl Into<String>) -> Self {
        self.metadata = metadata.into();
        self
    }
}

impl From<i64> for OffsetAndMetadata {
    fn from(offset: i64) -> Self {
        Self { offset, leader_epoch: -1, metadata: String::new() }
    }
}
