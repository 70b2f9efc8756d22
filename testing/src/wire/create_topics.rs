//! CreateTopics, v0 to v7.

use super::schema::message;

message! {
    /// A CreateTopics request.
    pub struct CreateTopicsRequest {
        /// The topics.
        topics: Vec<CreatableTopic> = Vec::new(), 0..;
        /// The time to wait, in milliseconds.
        timeout_ms: i32 = 60_000, 0..;
        /// True if the topics are only checked.
        validate_only: bool = false, 1..;
    }

    /// A topic to create.
    pub struct CreatableTopic {
        /// The name.
        name: String = String::new(), 0..;
        /// The number of partitions, or −1 for the default.
        num_partitions: i32 = 0, 0..;
        /// The number of replicas, or −1 for the default.
        replication_factor: i16 = 0, 0..;
        /// The replicas of each partition.
        assignments: Vec<CreatableReplicaAssignment> = Vec::new(), 0..;
        /// The settings.
        configs: Vec<CreatableTopicConfig> = Vec::new(), 0..;
    }

    /// The replicas of a partition.
    pub struct CreatableReplicaAssignment {
        /// The partition.
        partition_index: i32 = 0, 0..;
        /// The brokers.
        broker_ids: Vec<i32> = Vec::new(), 0..;
    }

    /// A setting.
    pub struct CreatableTopicConfig {
        /// The name.
        name: String = String::new(), 0..;
        /// The value.
        value: Option<String> = None, 0..;
    }

    /// A CreateTopics response.
    pub struct CreateTopicsResponse {
        /// The throttle time, in milliseconds.
        throttle_time_ms: i32 = 0, 2..;
        /// The topics.
        topics: Vec<CreatableTopicResult> = Vec::new(), 0..;
    }

    /// The outcome for a topic.
    pub struct CreatableTopicResult {
        /// The name.
        name: String = String::new(), 0..;
        /// The id.
        topic_id: [u8; 16] = [0; 16], 7..;
        /// The error code, or 0.
        error_code: i16 = 0, 0..;
        /// The message of the error.
        error_message: Option<String> = None, 1..;
        /// The error code for `configs`, or 0.
        topic_config_error_code: i16 = 0, 5.., tag 0;
        /// The number of partitions, or −1.
        num_partitions: i32 = -1, 5..;
        /// The number of replicas, or −1.
        replication_factor: i16 = -1, 5..;
        /// The settings.
        configs: Option<Vec<CreatableTopicConfigs>> = Some(Vec::new()), 5..;
    }

    /// A setting of a created topic.
    pub struct CreatableTopicConfigs {
        /// The name.
        name: String = String::new(), 0..;
        /// The value.
        value: Option<String> = None, 0..;
        /// True if it cannot be changed.
        read_only: bool = false, 0..;
        /// Where it comes from.
        config_source: i8 = -1, 0..;
        /// True if the value is secret.
        is_sensitive: bool = false, 0..;
    }
}
