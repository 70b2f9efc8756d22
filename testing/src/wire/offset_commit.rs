//! OffsetCommit, v0 to v10.

use super::schema::message;

message! {
    /// An OffsetCommit request.
    pub struct OffsetCommitRequest {
        /// The group.
        group_id: String = String::new(), 0..;
        /// The generation or the member's epoch, or −1.
        generation_id_or_member_epoch: i32 = -1, 1..;
        /// The member, or empty.
        member_id: String = String::new(), 1..;
        /// The static member.
        group_instance_id: Option<String> = None, 7..;
        /// How long the offsets are kept, in milliseconds, or −1.
        retention_time_ms: i64 = -1, 2..=4;
        /// The offsets.
        topics: Vec<OffsetCommitRequestTopic> = Vec::new(), 0..;
    }

    /// A topic of an OffsetCommit request.
    pub struct OffsetCommitRequestTopic {
        /// The topic's name.
        name: String = String::new(), 0..=9;
        /// The topic's id.
        topic_id: [u8; 16] = [0; 16], 10..;
        /// The offset of each partition.
        partitions: Vec<OffsetCommitRequestPartition> = Vec::new(), 0..;
    }

    /// An offset to commit.
    pub struct OffsetCommitRequestPartition {
        /// The partition.
        partition_index: i32 = 0, 0..;
        /// The offset.
        committed_offset: i64 = 0, 0..;
        /// The leader epoch of the last consumed record, or −1.
        committed_leader_epoch: i32 = -1, 6..;
        /// The time of the commit, in milliseconds since the epoch, or −1.
        commit_timestamp: i64 = -1, 1..=1;
        /// What the client wants to keep with it.
        committed_metadata: Option<String> = Some(String::new()), 0..;
    }

    /// An OffsetCommit response.
    pub struct OffsetCommitResponse {
        /// The throttle time, in milliseconds.
        throttle_time_ms: i32 = 0, 3..;
        /// The outcome of each topic.
        topics: Vec<OffsetCommitResponseTopic> = Vec::new(), 0..;
    }

    /// The outcome of a topic.
    pub struct OffsetCommitResponseTopic {
        /// The topic's name.
        name: String = String::new(), 0..=9;
        /// The topic's id.
        topic_id: [u8; 16] = [0; 16], 10..;
        /// The outcome of each partition.
        partitions: Vec<OffsetCommitResponsePartition> = Vec::new(), 0..;
    }

    /// The outcome of a partition.
    pub struct OffsetCommitResponsePartition {
        /// The partition.
        partition_index: i32 = 0, 0..;
        /// The error code, or 0.
        error_code: i16 = 0, 0..;
    }
}
