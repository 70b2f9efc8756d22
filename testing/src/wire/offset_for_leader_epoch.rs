//! OffsetForLeaderEpoch, v0 to v4.

use super::schema::message;

message! {
    /// An OffsetForLeaderEpoch request.
    pub struct OffsetForLeaderEpochRequest {
        /// −1 from consumers; −2 if it is not known.
        replica_id: i32 = -2, 3..;
        /// The topics.
        topics: Vec<OffsetForLeaderTopic> = Vec::new(), 0..;
    }

    /// A topic of an OffsetForLeaderEpoch request.
    pub struct OffsetForLeaderTopic {
        /// The topic's name.
        topic: String = String::new(), 0..;
        /// The partitions.
        partitions: Vec<OffsetForLeaderPartition> = Vec::new(), 0..;
    }

    /// A partition of an OffsetForLeaderEpoch request.
    pub struct OffsetForLeaderPartition {
        /// The partition.
        partition: i32 = 0, 0..;
        /// The leader epoch that the client knows, or −1.
        current_leader_epoch: i32 = -1, 2..;
        /// The epoch whose end is wanted.
        leader_epoch: i32 = 0, 0..;
    }

    /// An OffsetForLeaderEpoch response.
    pub struct OffsetForLeaderEpochResponse {
        /// The throttle time, in milliseconds.
        throttle_time_ms: i32 = 0, 2..;
        /// The topics.
        topics: Vec<OffsetForLeaderTopicResult> = Vec::new(), 0..;
    }

    /// A topic of an OffsetForLeaderEpoch response.
    pub struct OffsetForLeaderTopicResult {
        /// The topic's name.
        topic: String = String::new(), 0..;
        /// The partitions.
        partitions: Vec<EpochEnd> = Vec::new(), 0..;
    }

    /// A partition of an OffsetForLeaderEpoch response. In Kafka it has the name of a structure of Fetch, `EpochEndOffset`.
    pub struct EpochEnd {
        /// The error code, or 0.
        error_code: i16 = 0, 0..;
        /// The partition.
        partition: i32 = 0, 0..;
        /// The largest epoch that is not later than the wanted one, or −1.
        leader_epoch: i32 = -1, 1..;
        /// The offset after its last record, or −1.
        end_offset: i64 = -1, 0..;
    }
}
