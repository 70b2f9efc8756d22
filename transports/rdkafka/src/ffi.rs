//! The functions of librdkafka that the crate `rdkafka` does not expose. All unsafe code of this crate is here, and in `transactions`.
//!
//! - The persistence status of a failed record, and the id of the broker.
//! - Producing by topic handle, which is looked up once per batch. `rdkafka` produces by topic name, which librdkafka looks up
//!   once per record: it copies the name and takes a lock that all of its threads share.
//! - Headers that are copied once, without a NUL-terminated copy of each name.
//!
//! `rd_kafka_message_produce_errstr`, the broker's message for one record (KIP-467), is not used: in librdkafka 2.12.1 it
//! points into the parsed response, which the broker thread frees once it has queued the delivery report.
#![allow(unsafe_code)]

mod transactions;

use std::ffi::{CString, c_void};
use std::ptr::{NonNull, null_mut};

use kafka_batch_core::decode::RecordView;
use kafka_batch_core::{Fate, HeaderList};
use rdkafka::bindings::{
    RD_KAFKA_MSG_F_COPY, rd_kafka_header_add, rd_kafka_headers_destroy, rd_kafka_headers_new, rd_kafka_headers_t,
    rd_kafka_last_error, rd_kafka_message_broker_id, rd_kafka_message_status, rd_kafka_msg_status_t, rd_kafka_producev,
    rd_kafka_resp_err_t, rd_kafka_topic_destroy, rd_kafka_topic_new, rd_kafka_topic_t, rd_kafka_vtype_t as vtype,
};
use rdkafka::error::KafkaError;
use rdkafka::message::BorrowedMessage;
use rdkafka::producer::{BaseProducer, Producer};
use rdkafka::util::IntoOpaque;

pub(crate) use self::transactions::{Group, flush, send_offsets, set_leader_epoch};
use crate::context::Context;

/// Returns the fate of a failed record from its persistence status. The error code alone does not tell: a record can time out
/// in the queue or on the wire.
pub(crate) fn fate(message: &BorrowedMessage<'_>) -> Fate {
    // SAFETY: the pointer is valid while `message` lives. The function reads one field, which is not written after the
    // delivery report has been queued.
    let status = unsafe { rd_kafka_message_status(message.ptr()) };
    match status {
        rd_kafka_msg_status_t::RD_KAFKA_MSG_STATUS_NOT_PERSISTED => Fate::NotWritten,
        rd_kafka_msg_status_t::RD_KAFKA_MSG_STATUS_POSSIBLY_PERSISTED => Fate::Unknown,
        rd_kafka_msg_status_t::RD_KAFKA_MSG_STATUS_PERSISTED => Fate::Written,
    }
}

/// Returns the id of the broker that answered for the record, if any.
pub(crate) fn broker(message: &BorrowedMessage<'_>) -> Option<i32> {
    // SAFETY: as in `fate`.
    let id = unsafe { rd_kafka_message_broker_id(message.ptr()) };
    (id >= 0).then_some(id)
}

/// An owned reference to a librdkafka topic handle.
pub(crate) struct Topic<'a> {
    client: &'a BaseProducer<Context>,
    handle: NonNull<rd_kafka_topic_t>,
}

impl<'a> Topic<'a> {
    /// Returns the handle for a topic name, creating it if needed.
    ///
    /// # Errors
    /// The topic name is invalid.
    pub(crate) fn find(client: &'a BaseProducer<Context>, name: &str) -> Result<Self, KafkaError> {
        let name = CString::new(name)?;
        // SAFETY: the reference keeps the client alive; the name is NUL-terminated and copied; a null configuration selects
        // the client's defaults.
        let handle = unsafe { rd_kafka_topic_new(client.client().native_ptr(), name.as_ptr(), null_mut()) };
        match NonNull::new(handle) {
            Some(handle) => Ok(Self { client, handle }),
            // SAFETY: reads the thread-local last error.
            None => Err(KafkaError::MessageProduction(unsafe { rd_kafka_last_error() }.into())),
        }
    }

    /// Produces one record. As [`BaseProducer::send`], but by topic handle.
    ///
    /// # Errors
    /// librdkafka refuses the record.
    pub(crate) fn produce(&self, partition: i32, record: &RecordView<'_>, id: usize) -> Result<(), KafkaError> {
        let (value, value_len) = parts(record.value);
        let (key, key_len) = parts(record.key);
        let headers = Headers::copy(record.headers);
        // SAFETY: client and topic handle are alive. Each argument has the type that its tag requires, and the list ends with
        // END. Value and key have the given lengths, are not written to, and are copied before the call returns (F_COPY
        // covers the value; the key is always copied). The headers are owned here, and by librdkafka only after success. The
        // id is an integer that is returned in the delivery report and never dereferenced.
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
        // SAFETY: this reference is owned and released once, while the client is alive.
        unsafe { rd_kafka_topic_destroy(self.handle.as_ptr()) }
    }
}

/// The headers of a record in librdkafka's representation; `None` if there are none.
struct Headers(Option<NonNull<rd_kafka_headers_t>>);

impl Headers {
    fn copy(list: HeaderList<'_>) -> Self {
        if list.is_empty() {
            return Self(None);
        }
        // SAFETY: it only allocates, and aborts the process on failure.
        let headers = Self(NonNull::new(unsafe { rd_kafka_headers_new(list.len()) }));
        for header in list.iter() {
            let (value, value_len) = parts(header.value);
            // SAFETY: the headers were created above. Name and value have the given lengths, which fit `isize` as those of all
            // slices do, and are copied before the call returns, which always succeeds.
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

    /// Transfers ownership to librdkafka, which destroys them with the record.
    fn release(mut self) {
        self.0 = None;
    }
}

impl Drop for Headers {
    fn drop(&mut self) {
        if let Some(headers) = self.0 {
            // SAFETY: they are owned here and not used again.
            unsafe { rd_kafka_headers_destroy(headers.as_ptr()) }
        }
    }
}

/// Returns pointer and length: `None` is a null pointer, an empty slice is not.
fn parts(bytes: Option<&[u8]>) -> (*mut c_void, usize) {
    bytes.map_or((null_mut(), 0), |bytes| (bytes.as_ptr().cast_mut().cast(), bytes.len()))
}
