//! Fetch, v0 to v18.

use bytes::Bytes;

use super::produce::{LeaderIdAndEpoch, NodeEndpoint};
use super::schema::message;

message! {
    /// A Fetch request.
    pub struct FetchRequest {
        /// The cluster that the client expects.
        cluster_id: Option<String> = None, 12.., tag 0;
        /// −1 from consumers.
        replica_id: i32 = -1, 0..=14;
        /// Not used by consumers.
        replica_state: ReplicaState = ReplicaState::default(), 15.., tag 1;
        /// The maximum time to wait for `min_bytes`, in milliseconds.
        max_wait_ms: i32 = 0, 0..;
        /// The number of bytes to wait for.
        min_bytes: i32 = 0, 0..;
        /// The maximum size of all records, which the first batch may exceed.
        max_bytes: i32 = i32::MAX, 3..;
        /// 1 if only records of committed transactions are wanted.
        isolation_level: i8 = 0, 4..;
        /// The fetch session (KIP-227), or 0.
        session_id: i32 = 0, 7..;
        /// The epoch of the session; −1 without a session, 0 for a new one.
        session_epoch: i32 = -1, 7..;
        /// The topics.
        topics: Vec<FetchTopic> = Vec::new(), 0..;
        /// What to remove from the session.
        forgotten_topics_data: Vec<ForgottenTopic> = Vec::new(), 7..;
        /// The consumer's rack.
        rack_id: String = String::new(), 11..;
    }

    /// A broker that replicates.
    pub struct ReplicaState {
        /// The broker's id, or −1.
        replica_id: i32 = -1, 0..;
        /// The broker's epoch, or −1.
        replica_epoch: i64 = -1, 0..;
    }

    /// A topic of a Fetch request.
    pub struct FetchTopic {
        /// The topic's name.
        topic: String = String::new(), 0..=12;
        /// The topic's id.
        topic_id: [u8; 16] = [0; 16], 13..;
        /// The partitions.
        partitions: Vec<FetchPartition> = Vec::new(), 0..;
    }

    /// A partition of a Fetch request.
    pub struct FetchPartition {
        /// The partition.
        partition: i32 = 0, 0..;
        /// The leader epoch that the client knows, or −1.
        current_leader_epoch: i32 = -1, 9..;
        /// The offset of the first record wanted.
        fetch_offset: i64 = 0, 0..;
        /// The epoch of the last fetched record, or −1.
        last_fetched_epoch: i32 = -1, 12..;
        /// Not used by consumers.
        log_start_offset: i64 = -1, 5..;
        /// The maximum size of this partition's records, which the first batch may exceed.
        partition_max_bytes: i32 = 0, 0..;
        /// Not used by consumers.
        replica_directory_id: [u8; 16] = [0; 16], 17.., tag 0;
        /// Not used by consumers.
        high_watermark: i64 = i64::MAX, 18.., tag 1;
    }

    /// Partitions to remove from a session.
    pub struct ForgottenTopic {
        /// The topic's name.
        topic: String = String::new(), 0..=12;
        /// The topic's id.
        topic_id: [u8; 16] = [0; 16], 13..;
        /// The partitions.
        partitions: Vec<i32> = Vec::new(), 0..;
    }

    /// A Fetch response.
    pub struct FetchResponse {
        /// The throttle time, in milliseconds.
        throttle_time_ms: i32 = 0, 1..;
        /// An error code for the whole response.
        error_code: i16 = 0, 7..;
        /// The session, or 0.
        session_id: i32 = 0, 7..;
        /// The topics.
        responses: Vec<FetchableTopicResponse> = Vec::new(), 0..;
        /// The addresses of leaders (KIP-951).
        node_endpoints: Vec<NodeEndpoint> = Vec::new(), 16.., tag 0;
    }

    /// A topic of a Fetch response.
    pub struct FetchableTopicResponse {
        /// The topic's name.
        topic: String = String::new(), 0..=12;
        /// The topic's id.
        topic_id: [u8; 16] = [0; 16], 13..;
        /// The partitions.
        partitions: Vec<PartitionData> = Vec::new(), 0..;
    }

    /// A partition of a Fetch response.
    pub struct PartitionData {
        /// The partition.
        partition_index: i32 = 0, 0..;
        /// The error code, or 0.
        error_code: i16 = 0, 0..;
        /// The offset up to which records are committed.
        high_watermark: i64 = 0, 0..;
        /// The offset up to which transactions are decided.
        last_stable_offset: i64 = -1, 4..;
        /// The first offset in the log.
        log_start_offset: i64 = -1, 5..;
        /// Where the client's log and the leader's log differ.
        diverging_epoch: EpochEndOffset = EpochEndOffset::default(), 12.., tag 0;
        /// The leader, if it is another broker.
        current_leader: LeaderIdAndEpoch = LeaderIdAndEpoch::default(), 12.., tag 1;
        /// Aborted transactions; `None` for consumers that read everything.
        aborted_transactions: Option<Vec<AbortedTransaction>> = None, 4..;
        /// The replica to read from, or −1.
        preferred_read_replica: i32 = -1, 11..;
        /// The batches.
        records: Option<Bytes> = None, 0..;
    }

    /// The end of an epoch.
    pub struct EpochEndOffset {
        /// The epoch, or −1.
        epoch: i32 = -1, 0..;
        /// Its end, or −1.
        end_offset: i64 = -1, 0..;
    }

    /// An aborted transaction.
    pub struct AbortedTransaction {
        /// The producer.
        producer_id: i64 = 0, 0..;
        /// The first offset of the transaction.
        first_offset: i64 = 0, 0..;
    }
}
