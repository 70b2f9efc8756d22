//! InitProducerId, v0 to v6.

use super::schema::message;

message! {
    /// An InitProducerId request.
    pub struct InitProducerIdRequest {
        /// The transactional id.
        transactional_id: Option<String> = None, 0..;
        /// The time after which a transaction is aborted, in milliseconds.
        transaction_timeout_ms: i32 = 0, 0..;
        /// The current id, or −1.
        producer_id: i64 = -1, 3..;
        /// The current epoch, or −1.
        producer_epoch: i16 = -1, 3..;
        /// True for two-phase commit (KIP-939).
        enable2_pc: bool = false, 6..;
        /// True if a prepared transaction is kept (KIP-939).
        keep_prepared_txn: bool = false, 6..;
    }

    /// An InitProducerId response.
    pub struct InitProducerIdResponse {
        /// The throttle time, in milliseconds.
        throttle_time_ms: i32 = 0, 0..;
        /// The error code, or 0.
        error_code: i16 = 0, 0..;
        /// The producer id, or −1.
        producer_id: i64 = -1, 0..;
        /// The epoch, or −1.
        producer_epoch: i16 = 0, 0..;
        /// The producer id of the kept transaction, or −1.
        ongoing_txn_producer_id: i64 = -1, 6..;
        /// Its epoch, or −1.
        ongoing_txn_producer_epoch: i16 = -1, 6..;
    }
}
