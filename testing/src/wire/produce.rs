//! Produce, v0 to v13.

use bytes::Bytes;

use super::schema::message;

message! {
    /// A Produce request.
    pub struct ProduceRequest {
        /// The transactional id.
        transactional_id: Option<String> = None, 3..;
        /// 0, 1 or −1.
        acks: i16 = 0, 0..;
        /// The time that the broker may wait for replicas, in milliseconds.
        timeout_ms: i32 = 0, 0..;
        /// The record sets.
        topic_data: Vec<TopicProduceData> = Vec::new(), 0..;
    }

    /// The record sets for a topic.
    pub struct TopicProduceData {
        /// The topic's name.
        name: String = String::new(), 0..=12;
        /// The topic's id.
        topic_id: [u8; 16] = [0; 16], 13..;
        /// The record set of each partition.
        partition_data: Vec<PartitionProduceData> = Vec::new(), 0..;
    }

    /// The record set for a partition.
    pub struct PartitionProduceData {
        /// The partition.
        index: i32 = 0, 0..;
        /// The record set.
        records: Option<Bytes> = None, 0..;
    }

    /// A Produce response.
    pub struct ProduceResponse {
        /// The outcomes.
        responses: Vec<TopicProduceResponse> = Vec::new(), 0..;
        /// The throttle time, in milliseconds.
        throttle_time_ms: i32 = 0, 1..;
        /// The addresses of leaders (KIP-951).
        node_endpoints: Vec<NodeEndpoint> = Vec::new(), 10.., tag 0;
    }

    /// The outcomes for a topic.
    pub struct TopicProduceResponse {
        /// The topic's name.
        name: String = String::new(), 0..=12;
        /// The topic's id.
        topic_id: [u8; 16] = [0; 16], 13..;
        /// The outcome for each partition.
        partition_responses: Vec<PartitionProduceResponse> = Vec::new(), 0..;
    }

    /// The outcome for a partition.
    pub struct PartitionProduceResponse {
        /// The partition.
        index: i32 = 0, 0..;
        /// The error code, or 0.
        error_code: i16 = 0, 0..;
        /// The offset of the first record, or −1.
        base_offset: i64 = -1, 0..;
        /// The timestamp that the broker assigned (log-append time), or −1.
        log_append_time_ms: i64 = -1, 2..;
        /// The first offset in the log, or −1.
        log_start_offset: i64 = -1, 5..;
        /// The records because of which the batch was rejected (KIP-467).
        record_errors: Vec<BatchIndexAndErrorMessage> = Vec::new(), 8..;
        /// The message of the error.
        error_message: Option<String> = None, 8..;
        /// The leader, if it is another broker (KIP-951).
        current_leader: LeaderIdAndEpoch = LeaderIdAndEpoch::default(), 10.., tag 0;
    }

    /// A rejected record.
    pub struct BatchIndexAndErrorMessage {
        /// The position of the record in its batch.
        batch_index: i32 = 0, 0..;
        /// The reason.
        batch_index_error_message: Option<String> = None, 0..;
    }

    /// A partition's leader.
    pub struct LeaderIdAndEpoch {
        /// The broker's id, or −1.
        leader_id: i32 = -1, 0..;
        /// The leader epoch, or −1.
        leader_epoch: i32 = -1, 0..;
    }

    /// The address of a broker.
    pub struct NodeEndpoint {
        /// The broker's id.
        node_id: i32 = 0, 0..;
        /// The host name.
        host: String = String::new(), 0..;
        /// The port.
        port: i32 = 0, 0..;
        /// The rack.
        rack: Option<String> = None, 0..;
    }
}
