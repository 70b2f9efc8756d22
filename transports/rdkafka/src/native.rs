//! The one fact about a failed record that librdkafka tells and the crate `rdkafka` does not pass on. The only unsafe
//! code of this crate: one call that reads one field.
//!
//! What the broker said of a single record (KIP-467) would be another, and is left alone: as of librdkafka 2.12.1
//! `rd_kafka_message_produce_errstr` points into the parsed response, which the broker's thread frees as soon as it has
//! queued the delivery report.
#![allow(unsafe_code)]

use kafka_batch_core::Fate;
use rdkafka::bindings::{rd_kafka_message_status, rd_kafka_msg_status_t};
use rdkafka::message::BorrowedMessage;

/// What librdkafka knows of a record's fate: it keeps account of whether the record was ever on its way to a broker,
/// which no error code tells (a record can time out in the queue, or on the wire).
pub(crate) fn fate(message: &BorrowedMessage<'_>) -> Fate {
    // SAFETY: the pointer is to the message that `message` stands for, which lives as long as it; the function reads
    // one field of it, which nobody writes any more once the delivery report is out.
    let status = unsafe { rd_kafka_message_status(message.ptr()) };
    match status {
        rd_kafka_msg_status_t::RD_KAFKA_MSG_STATUS_NOT_PERSISTED => Fate::NotWritten,
        rd_kafka_msg_status_t::RD_KAFKA_MSG_STATUS_POSSIBLY_PERSISTED => Fate::Unknown,
        rd_kafka_msg_status_t::RD_KAFKA_MSG_STATUS_PERSISTED => Fate::Written,
    }
}
