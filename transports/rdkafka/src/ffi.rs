//! What librdkafka offers and the crate `rdkafka` does not pass on. All unsafe code of this crate is here.
//!
//! - A failed record's fate, and which broker it failed at.
//! - A topic that is looked up once a batch. By its name, which is all that `rdkafka` knows, it is looked up once a record:
//!   with a copy of the name, and under a lock that excludes all of librdkafka's threads.
//! - Headers that are copied just once, and whose names need no copy that ends with NUL.
//!
//! What the broker said of a single record (KIP-467) would be another, and is left alone: as of librdkafka 2.12.1
//! `rd_kafka_message_produce_errstr` points into the parsed response, which the broker's thread frees as soon as it has
//! queued the delivery report.
#![allow(unsafe_code)]

use std::ffi::{CString, c_void};
use std::ptr::{NonNull, null_mut};

use kafka_batch_core::{Fate, HeaderList, RecordView};
use rdkafka::bindings::{
    RD_KAFKA_MSG_F_COPY, rd_kafka_header_add, rd_kafka_headers_destroy, rd_kafka_headers_new, rd_kafka_headers_t,
    rd_kafka_last_error, rd_kafka_message_broker_id, rd_kafka_message_status, rd_kafka_msg_status_t, rd_kafka_producev,
    rd_kafka_resp_err_t, rd_kafka_topic_destroy, rd_kafka_topic_new, rd_kafka_topic_t, rd_kafka_vtype_t as vtype,
};
use rdkafka::error::KafkaError;
use rdkafka::message::BorrowedMessage;
use rdkafka::producer::{BaseProducer, Producer};
use rdkafka::util::IntoOpaque;

use crate::context::Context;

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

/// The id of the broker that answered for a record, where one did.
pub(crate) fn broker(message: &BorrowedMessage<'_>) -> Option<i32> {
    // SAFETY: as in `fate`.
    let id = unsafe { rd_kafka_message_broker_id(message.ptr()) };
    (id >= 0).then_some(id)
}

/// A topic as librdkafka knows it: a count of references to it, one of which this is.
pub(crate) struct Topic<'a> {
    client: &'a BaseProducer<Context>,
    handle: NonNull<rd_kafka_topic_t>,
}

impl<'a> Topic<'a> {
    /// Looks it up, and makes it known to librdkafka if it was not.
    ///
    /// # Errors
    /// It is no name of a topic.
    pub(crate) fn find(client: &'a BaseProducer<Context>, name: &str) -> Result<Self, KafkaError> {
        let name = CString::new(name)?;
        // SAFETY: the client lives, by the reference to it; the name ends with NUL and is copied; and no settings means
        // the client's own.
        let handle = unsafe { rd_kafka_topic_new(client.client().native_ptr(), name.as_ptr(), null_mut()) };
        match NonNull::new(handle) {
            Some(handle) => Ok(Self { client, handle }),
            // SAFETY: it reads this thread's last error.
            None => Err(KafkaError::MessageProduction(unsafe { rd_kafka_last_error() }.into())),
        }
    }

    /// Hands a record over. What `rdkafka` does in [`BaseProducer::send`], but for the topic.
    ///
    /// # Errors
    /// librdkafka does not take it.
    pub(crate) fn produce(&self, partition: i32, record: &RecordView<'_>, id: usize) -> Result<(), KafkaError> {
        let (value, value_len) = parts(record.value);
        let (key, key_len) = parts(record.key);
        let headers = Headers::copy(record.headers);
        // SAFETY: client and topic live, the one by the reference to it and the other by ours. Each argument has the type
        // that librdkafka takes out after the tag before it, and the list has its end. Value and key are that long, are
        // not written to, and are copied before the call returns (F_COPY is of the value; the key always is). The headers
        // are ours alone, and become librdkafka's only if it takes the record. The id is a number, which comes back
        // in the delivery report and is never followed.
        let code = unsafe {
            rd_kafka_producev(
                self.client.client().native_ptr(),
                vtype::RD_KAFKA_VTYPE_RKT,
                self.handle.as_ptr(),
                vtype::RD_KAFKA_VTYPE_PARTITION,
                partition,
                vtype::RD_KAFKA_VTYPE_MSGFLAGS,
                RD_KAFKA_MSG_F_COPY,
                vtype::RD_KAFKA_VTYPE_VALUE,
                value,
                value_len,
                vtype::RD_KAFKA_VTYPE_KEY,
                key,
                key_len,
                vtype::RD_KAFKA_VTYPE_OPAQUE,
                id.into_ptr(),
                vtype::RD_KAFKA_VTYPE_TIMESTAMP,
                record.timestamp.millis(),
                vtype::RD_KAFKA_VTYPE_HEADERS,
                headers.as_ptr(),
                vtype::RD_KAFKA_VTYPE_END,
            )
        };
        match code {
            rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_NO_ERROR => {
                headers.release();
                Ok(())
            }
            code => Err(KafkaError::MessageProduction(code.into())),
        }
    }
}

impl Drop for Topic<'_> {
    fn drop(&mut self) {
        // SAFETY: the reference is ours, is given back once, and the client still lives.
        unsafe { rd_kafka_topic_destroy(self.handle.as_ptr()) }
    }
}

/// A record's headers as librdkafka has them; nothing where there are none.
struct Headers(Option<NonNull<rd_kafka_headers_t>>);

impl Headers {
    fn copy(list: HeaderList<'_>) -> Self {
        if list.is_empty() {
            return Self(None);
        }
        // SAFETY: it only takes memory, and ends the process where there is none.
        let headers = Self(NonNull::new(unsafe { rd_kafka_headers_new(list.len()) }));
        for header in list.iter() {
            let (value, value_len) = parts(header.value);
            // SAFETY: the headers are those made above. Name and value are that long, which is within `isize` as every
            // slice is, and are copied before the call returns; it always succeeds.
            unsafe {
                rd_kafka_header_add(
                    headers.as_ptr(),
                    header.name.as_ptr().cast(),
                    header.name.len() as isize,
                    value,
                    value_len as isize,
                );
            }
        }
        headers
    }

    fn as_ptr(&self) -> *mut rd_kafka_headers_t {
        self.0.map_or(null_mut(), NonNull::as_ptr)
    }

    /// They are librdkafka's now, which destroys them with the record.
    fn release(mut self) {
        self.0 = None;
    }
}

impl Drop for Headers {
    fn drop(&mut self) {
        if let Some(headers) = self.0 {
            // SAFETY: they are ours, and nobody has them after this.
            unsafe { rd_kafka_headers_destroy(headers.as_ptr()) }
        }
    }
}

/// As C has it: nothing is null, and what is empty is not.
fn parts(bytes: Option<&[u8]>) -> (*mut c_void, usize) {
    bytes.map_or((null_mut(), 0), |bytes| (bytes.as_ptr().cast_mut().cast(), bytes.len()))
}
