//! EndTxn, v0 to v5.

use super::schema::message;

message! {
    /// An EndTxn request.
    pub struct EndTxnRequest {
        /// The transactional id.
        transactional_id: String = String::new(), 0..;
        /// The producer id.
        producer_id: i64 = 0, 0..;
        /// The epoch.
        producer_epoch: i16 = 0, 0..;
        /// True to commit, false to abort.
        committed: bool = false, 0..;
    }

    /// An EndTxn response.
    pub struct EndTxnResponse {
        /// The throttle time, in milliseconds.
        throttle_time_ms: i32 = 0, 0..;
        /// The error code, or 0.
        error_code: i16 = 0, 0..;
        /// The producer id of the next transaction, or −1.
        producer_id: i64 = -1, 5..;
        /// Its epoch, or −1.
        producer_epoch: i16 = -1, 5..;
    }
}
