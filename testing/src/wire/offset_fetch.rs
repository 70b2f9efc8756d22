//! OffsetFetch, v0 to v10.

use super::schema::message;

message! {
    /// An OffsetFetch request.
    pub struct OffsetFetchRequest {
        /// The group.
        group_id: String = String::new(), 0..=7;
        /// The partitions; `None` for all, from v2 on.
        topics: Option<Vec<OffsetFetchRequestTopic>> = Some(Vec::new()), 0..=7;
        /// The groups.
        groups: Vec<OffsetFetchRequestGroup> = Vec::new(), 8..;
        /// True if offsets of transactions that are not complete are errors (KIP-447).
        require_stable: bool = false, 7..;
    }

    /// A topic of a request, to v7.
    pub struct OffsetFetchRequestTopic {
        /// The topic's name.
        name: String = String::new(), 0..=7;
        /// The partitions.
        partition_indexes: Vec<i32> = Vec::new(), 0..=7;
    }

    /// A group of a request.
    pub struct OffsetFetchRequestGroup {
        /// The group.
        group_id: String = String::new(), 8..;
        /// The member (KIP-848).
        member_id: Option<String> = None, 9..;
        /// The member's epoch (KIP-848), or −1.
        member_epoch: i32 = -1, 9..;
        /// The partitions; `None` for all.
        topics: Option<Vec<OffsetFetchRequestTopics>> = Some(Vec::new()), 8..;
    }

    /// A topic of a group.
    pub struct OffsetFetchRequestTopics {
        /// The topic's name.
        name: String = String::new(), 8..=9;
        /// The topic's id.
        topic_id: [u8; 16] = [0; 16], 10..;
        /// The partitions.
        partition_indexes: Vec<i32> = Vec::new(), 8..;
    }

    /// An OffsetFetch response.
    pub struct OffsetFetchResponse {
        /// The throttle time, in milliseconds.
        throttle_time_ms: i32 = 0, 3..;
        /// The topics.
        topics: Vec<OffsetFetchResponseTopic> = Vec::new(), 0..=7;
        /// The error code of the whole response, or 0.
        error_code: i16 = 0, 2..=7;
        /// The groups.
        groups: Vec<OffsetFetchResponseGroup> = Vec::new(), 8..;
    }

    /// A topic of a response, to v7.
    pub struct OffsetFetchResponseTopic {
        /// The topic's name.
        name: String = String::new(), 0..=7;
        /// The partitions.
        partitions: Vec<OffsetFetchResponsePartition> = Vec::new(), 0..=7;
    }

    /// A group of a response.
    pub struct OffsetFetchResponseGroup {
        /// The group.
        group_id: String = String::new(), 8..;
        /// The topics.
        topics: Vec<OffsetFetchResponseTopics> = Vec::new(), 8..;
        /// The error code of the group, or 0.
        error_code: i16 = 0, 8..;
    }

    /// A topic of a group.
    pub struct OffsetFetchResponseTopics {
        /// The topic's name.
        name: String = String::new(), 8..=9;
        /// The topic's id.
        topic_id: [u8; 16] = [0; 16], 10..;
        /// The partitions.
        partitions: Vec<OffsetFetchResponsePartition> = Vec::new(), 8..;
    }

    /// A partition of a response.
    pub struct OffsetFetchResponsePartition {
        /// The partition.
        partition_index: i32 = 0, 0..;
        /// The committed offset, or −1.
        committed_offset: i64 = -1, 0..;
        /// The leader epoch of the last consumed record, or −1.
        committed_leader_epoch: i32 = -1, 5..;
        /// What was committed with the offset.
        metadata: Option<String> = Some(String::new()), 0..;
        /// The error code, or 0.
        error_code: i16 = 0, 0..;
    }
}
