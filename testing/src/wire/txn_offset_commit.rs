//! TxnOffsetCommit, v0 to v6.

use super::schema::message;

message! {
    /// A TxnOffsetCommit request.
    pub struct TxnOffsetCommitRequest {
        /// The transactional id.
        transactional_id: String = String::new(), 0..;
        /// The group.
        group_id: String = String::new(), 0..;
        /// The producer id.
        producer_id: i64 = 0, 0..;
        /// The epoch.
        producer_epoch: i16 = 0, 0..;
        /// The generation or the member's epoch (KIP-447), or −1.
        generation_id_or_member_epoch: i32 = -1, 3..;
        /// The member, or empty.
        member_id: String = String::new(), 3..;
        /// The static member.
        group_instance_id: Option<String> = None, 3..;
        /// The offsets.
        topics: Vec<TxnOffsetCommitRequestTopic> = Vec::new(), 0..;
    }

    /// A topic of a TxnOffsetCommit request.
    pub struct TxnOffsetCommitRequestTopic {
        /// The topic's name.
        name: String = String::new(), 0..=5;
        /// The topic's id.
        topic_id: [u8; 16] = [0; 16], 6..;
        /// The offset of each partition.
        partitions: Vec<TxnOffsetCommitRequestPartition> = Vec::new(), 0..;
    }

    /// An offset to commit.
    pub struct TxnOffsetCommitRequestPartition {
        /// The partition.
        partition_index: i32 = 0, 0..;
        /// The offset.
        committed_offset: i64 = 0, 0..;
        /// The leader epoch of the last consumed record, or −1.
        committed_leader_epoch: i32 = -1, 2..;
        /// What the client wants to keep with it.
        committed_metadata: Option<String> = Some(String::new()), 0..;
    }

    /// A TxnOffsetCommit response.
    pub struct TxnOffsetCommitResponse {
        /// The throttle time, in milliseconds.
        throttle_time_ms: i32 = 0, 0..;
        /// The outcome of each topic.
        topics: Vec<TxnOffsetCommitResponseTopic> = Vec::new(), 0..;
    }

    /// The outcome of a topic.
    pub struct TxnOffsetCommitResponseTopic {
        /// The topic's name.
        name: String = String::new(), 0..=5;
        /// The topic's id.
        topic_id: [u8; 16] = [0; 16], 6..;
        /// The outcome of each partition.
        partitions: Vec<TxnOffsetCommitResponsePartition> = Vec::new(), 0..;
    }

    /// The outcome of a partition.
    pub struct TxnOffsetCommitResponsePartition {
        /// The partition.
        partition_index: i32 = 0, 0..;
        /// The error code, or 0.
        error_code: i16 = 0, 0..;
    }
}
