//! AddOffsetsToTxn, v0 to v4.

use super::schema::message;

message! {
    /// An AddOffsetsToTxn request.
    pub struct AddOffsetsToTxnRequest {
        /// The transactional id.
        transactional_id: String = String::new(), 0..;
        /// The producer id.
        producer_id: i64 = 0, 0..;
        /// The epoch.
        producer_epoch: i16 = 0, 0..;
        /// The group whose offsets will be committed.
        group_id: String = String::new(), 0..;
    }

    /// An AddOffsetsToTxn response.
    pub struct AddOffsetsToTxnResponse {
        /// The throttle time, in milliseconds.
        throttle_time_ms: i32 = 0, 0..;
        /// The error code, or 0.
        error_code: i16 = 0, 0..;
    }
}
