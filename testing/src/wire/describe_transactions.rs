//! DescribeTransactions, v0.

use super::schema::message;

message! {
    /// A DescribeTransactions request.
    pub struct DescribeTransactionsRequest {
        /// The transactional ids.
        transactional_ids: Vec<String> = Vec::new(), 0..;
    }

    /// A DescribeTransactions response.
    pub struct DescribeTransactionsResponse {
        /// The throttle time, in milliseconds.
        throttle_time_ms: i32 = 0, 0..;
        /// The transaction of each transactional id.
        transaction_states: Vec<TransactionDescription> = Vec::new(), 0..;
    }

    /// A transaction of a response.
    pub struct TransactionDescription {
        /// The error code, or 0.
        error_code: i16 = 0, 0..;
        /// The transactional id.
        transactional_id: String = String::new(), 0..;
        /// The state's name.
        transaction_state: String = String::new(), 0..;
        /// `transaction.timeout.ms`, in milliseconds.
        transaction_timeout_ms: i32 = 0, 0..;
        /// When it began, in milliseconds since the Unix epoch, or −1.
        transaction_start_time_ms: i64 = 0, 0..;
        /// The producer id.
        producer_id: i64 = 0, 0..;
        /// The epoch.
        producer_epoch: i16 = 0, 0..;
        /// What takes part, and has no marker yet.
        topics: Vec<DescribedTopic> = Vec::new(), 0..;
    }

    /// A topic of a transaction.
    pub struct DescribedTopic {
        /// The topic's name.
        topic: String = String::new(), 0..;
        /// The partitions.
        partitions: Vec<i32> = Vec::new(), 0..;
    }
}
