//! Calls for transactions.
//!
//! - `rd_kafka_flush` in one call. The crate `rdkafka` polls in steps of 100 ms, although another thread polls.
//! - Offsets for a group of which only the values are known: `rdkafka` makes a group's metadata of a consumer only.
//! - Leader epochs of offsets.

use std::ffi::{CStr, CString, NulError};
use std::ptr::{NonNull, null};
use std::time::Duration;

use kafka_batch_core::transaction::GroupMetadata;
use rdkafka::TopicPartitionList;
use rdkafka::bindings::{
    rd_kafka_consumer_group_metadata_destroy, rd_kafka_consumer_group_metadata_new_with_genid,
    rd_kafka_consumer_group_metadata_t, rd_kafka_error_code, rd_kafka_error_destroy, rd_kafka_error_is_fatal,
    rd_kafka_error_is_retriable, rd_kafka_error_string, rd_kafka_error_t, rd_kafka_error_txn_requires_abort,
    rd_kafka_flush, rd_kafka_resp_err_t, rd_kafka_send_offsets_to_transaction, rd_kafka_topic_partition_list_find,
    rd_kafka_topic_partition_set_leader_epoch,
};
use rdkafka::producer::{BaseProducer, Producer};

use crate::context::Context;
use crate::transaction_calls::CallError;

/// Sends the records that linger, and waits until all are reported. Returns false if the time is over before.
pub(crate) fn flush(client: &BaseProducer<Context>, limit: Duration) -> bool {
    // SAFETY: the reference keeps the client alive. Reports are events, which another thread polls.
    let code = unsafe { rd_kafka_flush(client.client().native_ptr(), millis(limit)) };
    code == rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_NO_ERROR
}

/// Sets the leader epoch of an offset in the list, if it is there.
///
/// # Errors
/// The name of the topic contains a NUL.
pub(crate) fn set_leader_epoch(
    offsets: &mut TopicPartitionList,
    topic: &str,
    partition: i32,
    epoch: i32,
) -> Result<(), NulError> {
    let topic = CString::new(topic)?;
    // SAFETY: the list is alive and borrowed for writing; the name is NUL-terminated and only read.
    let found = unsafe { rd_kafka_topic_partition_list_find(offsets.ptr(), topic.as_ptr(), partition) };
    if !found.is_null() {
        // SAFETY: the element belongs to the list.
        unsafe { rd_kafka_topic_partition_set_leader_epoch(found, epoch) }
    }
    Ok(())
}

/// Adds offsets of a group to the transaction.
pub(crate) fn send_offsets(
    client: &BaseProducer<Context>,
    offsets: &TopicPartitionList,
    group: &Group,
    limit: Duration,
) -> Result<(), CallError> {
    // SAFETY: client, list and metadata are alive. The list and the metadata are copied before the call returns.
    let error = unsafe {
        rd_kafka_send_offsets_to_transaction(
            client.client().native_ptr(),
            offsets.ptr(),
            group.0.as_ptr(),
            millis(limit),
        )
    };
    NonNull::new(error).map_or(Ok(()), |error| Err(take(error)))
}

/// Reads an error, and destroys it.
fn take(error: NonNull<rd_kafka_error_t>) -> CallError {
    let error = error.as_ptr();
    // SAFETY: the error is owned here, and destroyed once, after it was read. Its text is NUL-terminated.
    unsafe {
        let taken = CallError {
            code: rd_kafka_error_code(error).into(),
            message: CStr::from_ptr(rd_kafka_error_string(error)).to_string_lossy().into_owned(),
            is_fatal: rd_kafka_error_is_fatal(error) != 0,
            is_retriable: rd_kafka_error_is_retriable(error) != 0,
            requires_abort: rd_kafka_error_txn_requires_abort(error) != 0,
        };
        rd_kafka_error_destroy(error);
        taken
    }
}

/// The metadata of a consumer group in librdkafka's representation.
pub(crate) struct Group(NonNull<rd_kafka_consumer_group_metadata_t>);

// SAFETY: it is a value without references to a thread; librdkafka only reads it.
unsafe impl Send for Group {}

impl Group {
    /// Copies the values.
    ///
    /// # Errors
    /// One of the names contains a NUL.
    pub(crate) fn new(group: &GroupMetadata) -> Result<Self, NulError> {
        let (id, member) = (CString::new(group.group())?, CString::new(group.member_id())?);
        let instance = group.group_instance_id().map(CString::new).transpose()?;
        let instance = instance.as_ref().map_or(null(), |instance| instance.as_ptr());
        // SAFETY: the names are NUL-terminated, and copied before the call returns; the instance may be null.
        let group = unsafe {
            rd_kafka_consumer_group_metadata_new_with_genid(id.as_ptr(), group.generation(), member.as_ptr(), instance)
        };
        Ok(Self(NonNull::new(group).expect("librdkafka aborts the process if it has no memory")))
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        // SAFETY: it is owned here, and not used again.
        unsafe { rd_kafka_consumer_group_metadata_destroy(self.0.as_ptr()) }
    }
}

/// librdkafka's times are `i32` ms.
fn millis(limit: Duration) -> i32 {
    i32::try_from(limit.as_millis()).unwrap_or(i32::MAX)
}
