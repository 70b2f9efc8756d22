//! Metadata, v0 to v13.

use super::schema::message;

message! {
    /// A Metadata request.
    pub struct MetadataRequest {
        /// The topics; `None` means all, as does an empty list in v0.
        topics: Option<Vec<MetadataRequestTopic>> = None, 0..;
        /// True if missing topics may be created.
        allow_auto_topic_creation: bool = true, 4..;
        /// Not used here.
        include_cluster_authorized_operations: bool = false, 8..=10;
        /// Not used here.
        include_topic_authorized_operations: bool = false, 8..;
    }

    /// A requested topic.
    pub struct MetadataRequestTopic {
        /// The topic's id, if there is no name.
        topic_id: [u8; 16] = [0; 16], 10..;
        /// The topic's name.
        name: Option<String> = None, 0..;
    }

    /// A Metadata response.
    pub struct MetadataResponse {
        /// The throttle time, in milliseconds.
        throttle_time_ms: i32 = 0, 3..;
        /// The brokers.
        brokers: Vec<MetadataResponseBroker> = Vec::new(), 0..;
        /// The cluster's id.
        cluster_id: Option<String> = None, 2..;
        /// The controller, or −1.
        controller_id: i32 = -1, 1..;
        /// The topics.
        topics: Vec<MetadataResponseTopic> = Vec::new(), 0..;
        /// −2³¹ if it was not requested.
        cluster_authorized_operations: i32 = i32::MIN, 8..=10;
        /// An error code for the whole response.
        error_code: i16 = 0, 13..;
    }

    /// A broker.
    pub struct MetadataResponseBroker {
        /// The broker's id.
        node_id: i32 = 0, 0..;
        /// The host name.
        host: String = String::new(), 0..;
        /// The port.
        port: i32 = 0, 0..;
        /// The rack.
        rack: Option<String> = None, 1..;
    }

    /// A topic.
    pub struct MetadataResponseTopic {
        /// The error code, or 0.
        error_code: i16 = 0, 0..;
        /// The name; `None` only from v12 on.
        name: Option<String> = None, 0..;
        /// The topic's id.
        topic_id: [u8; 16] = [0; 16], 10..;
        /// True if the topic is internal.
        is_internal: bool = false, 1..;
        /// The partitions.
        partitions: Vec<MetadataResponsePartition> = Vec::new(), 0..;
        /// −2³¹ if it was not requested.
        topic_authorized_operations: i32 = i32::MIN, 8..;
    }

    /// A partition.
    pub struct MetadataResponsePartition {
        /// The error code, or 0.
        error_code: i16 = 0, 0..;
        /// The partition.
        partition_index: i32 = 0, 0..;
        /// The leader, or −1.
        leader_id: i32 = 0, 0..;
        /// The leader epoch.
        leader_epoch: i32 = -1, 7..;
        /// The brokers that have a replica.
        replica_nodes: Vec<i32> = Vec::new(), 0..;
        /// Those of them that are in sync.
        isr_nodes: Vec<i32> = Vec::new(), 0..;
        /// Those of them that are offline.
        offline_replicas: Vec<i32> = Vec::new(), 5..;
    }
}
