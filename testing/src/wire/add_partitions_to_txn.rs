//! AddPartitionsToTxn, v0 to v5. Clients send up to v3, brokers v4 and v5 (KIP-890).

use super::schema::message;

message! {
    /// An AddPartitionsToTxn request.
    pub struct AddPartitionsToTxnRequest {
        /// The transactions of v4 and later.
        transactions: Vec<AddPartitionsToTxnTransaction> = Vec::new(), 4..;
        /// The transactional id.
        v3_and_below_transactional_id: String = String::new(), 0..=3;
        /// The producer id.
        v3_and_below_producer_id: i64 = 0, 0..=3;
        /// The epoch.
        v3_and_below_producer_epoch: i16 = 0, 0..=3;
        /// The partitions to add.
        v3_and_below_topics: Vec<AddPartitionsToTxnTopic> = Vec::new(), 0..=3;
    }

    /// A transaction of a request.
    pub struct AddPartitionsToTxnTransaction {
        /// The transactional id.
        transactional_id: String = String::new(), 4..;
        /// The producer id.
        producer_id: i64 = 0, 4..;
        /// The epoch.
        producer_epoch: i16 = 0, 4..;
        /// True if nothing is added, but it is checked whether the partitions are in the transaction.
        verify_only: bool = false, 4..;
        /// The partitions to add.
        topics: Vec<AddPartitionsToTxnTopic> = Vec::new(), 4..;
    }

    /// A topic of a request.
    pub struct AddPartitionsToTxnTopic {
        /// The topic's name.
        name: String = String::new(), 0..;
        /// The partitions.
        partitions: Vec<i32> = Vec::new(), 0..;
    }

    /// An AddPartitionsToTxn response.
    pub struct AddPartitionsToTxnResponse {
        /// The throttle time, in milliseconds.
        throttle_time_ms: i32 = 0, 0..;
        /// The error code of the whole response, or 0.
        error_code: i16 = 0, 4..;
        /// The outcome of each transaction.
        results_by_transaction: Vec<AddPartitionsToTxnResult> = Vec::new(), 4..;
        /// The outcome of each topic.
        results_by_topic_v3_and_below: Vec<AddPartitionsToTxnTopicResult> = Vec::new(), 0..=3;
    }

    /// The outcome of a transaction.
    pub struct AddPartitionsToTxnResult {
        /// The transactional id.
        transactional_id: String = String::new(), 4..;
        /// The outcome of each topic.
        topic_results: Vec<AddPartitionsToTxnTopicResult> = Vec::new(), 4..;
    }

    /// The outcome of a topic.
    pub struct AddPartitionsToTxnTopicResult {
        /// The topic's name.
        name: String = String::new(), 0..;
        /// The outcome of each partition.
        results_by_partition: Vec<AddPartitionsToTxnPartitionResult> = Vec::new(), 0..;
    }

    /// The outcome of a partition.
    pub struct AddPartitionsToTxnPartitionResult {
        /// The partition.
        partition_index: i32 = 0, 0..;
        /// The error code, or 0.
        partition_error_code: i16 = 0, 0..;
    }
}
