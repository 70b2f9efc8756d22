//! ListOffsets, v0 to v11.

use super::schema::message;

message! {
    /// A ListOffsets request.
    pub struct ListOffsetsRequest {
        /// −1 from consumers.
        replica_id: i32 = 0, 0..;
        /// 1 if only records of committed transactions count.
        isolation_level: i8 = 0, 2..;
        /// The topics.
        topics: Vec<ListOffsetsTopic> = Vec::new(), 0..;
        /// The time to wait for remote storage, in milliseconds.
        timeout_ms: i32 = 0, 10..;
    }

    /// A topic of a ListOffsets request.
    pub struct ListOffsetsTopic {
        /// The topic's name.
        name: String = String::new(), 0..;
        /// The partitions.
        partitions: Vec<ListOffsetsPartition> = Vec::new(), 0..;
    }

    /// A partition of a ListOffsets request.
    pub struct ListOffsetsPartition {
        /// The partition.
        partition_index: i32 = 0, 0..;
        /// The leader epoch that the client knows, or −1.
        current_leader_epoch: i32 = -1, 4..;
        /// A timestamp, or a negative number with a meaning of its own, such as −1 for the end of the log.
        timestamp: i64 = 0, 0..;
        /// The maximum number of offsets.
        max_num_offsets: i32 = 1, 0..=0;
    }

    /// A ListOffsets response.
    pub struct ListOffsetsResponse {
        /// The throttle time, in milliseconds.
        throttle_time_ms: i32 = 0, 2..;
        /// The topics.
        topics: Vec<ListOffsetsTopicResponse> = Vec::new(), 0..;
    }

    /// A topic of a ListOffsets response.
    pub struct ListOffsetsTopicResponse {
        /// The topic's name.
        name: String = String::new(), 0..;
        /// The partitions.
        partitions: Vec<ListOffsetsPartitionResponse> = Vec::new(), 0..;
    }

    /// A partition of a ListOffsets response.
    pub struct ListOffsetsPartitionResponse {
        /// The partition.
        partition_index: i32 = 0, 0..;
        /// The error code, or 0.
        error_code: i16 = 0, 0..;
        /// The offsets at which segments begin, in descending order.
        old_style_offsets: Vec<i64> = Vec::new(), 0..=0;
        /// The timestamp of the record found, or −1.
        timestamp: i64 = -1, 1..;
        /// The offset of the record found, or −1.
        offset: i64 = -1, 1..;
        /// The leader epoch of the record found, or −1.
        leader_epoch: i32 = -1, 4..;
    }
}
