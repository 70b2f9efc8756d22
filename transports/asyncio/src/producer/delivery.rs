//! Outcomes as Python objects.

use kafka_batch_core as core;
use kafka_batch_core::error::Rejection;
use kafka_batch_core::{EnqueueErrorReason, Fate, RecordDeliveryError, SendErrorReason};
use pyo3::exceptions::PyIndexError;
use pyo3::prelude::*;

use crate::batch::{Flags, KafkaBatch};
use crate::errors::{self, Refusal, exception};

/// A batch that is in the log.
#[pyclass(module = "kafka_batch", frozen)]
pub(crate) struct Delivery {
    inner: core::Delivery,
    flags: Flags,
}

impl Delivery {
    pub(super) fn new(inner: core::Delivery, flags: Flags) -> Self {
        Self { inner, flags }
    }

    fn checked(&self, position: usize) -> PyResult<usize> {
        let count = self.inner.record_count();
        if position < count {
            Ok(position)
        } else {
            Err(PyIndexError::new_err(format!("the batch has {count} records, and none at position {position}")))
        }
    }
}

#[pymethods]
impl Delivery {
    #[getter]
    fn topic(&self) -> &str {
        &self.inner.topic_partition().topic
    }

    #[getter]
    fn partition(&self) -> i32 {
        self.inner.topic_partition().partition
    }

    #[getter]
    fn base_offset(&self) -> Option<i64> {
        self.inner.base_offset()
    }

    #[getter]
    fn log_append_time(&self) -> Option<i64> {
        self.inner.log_append_time().map(core::Timestamp::millis)
    }

    fn offset(&self, position: usize) -> PyResult<Option<i64>> {
        self.checked(position).map(|position| self.inner.offset(position))
    }

    fn timestamp(&self, position: usize) -> PyResult<Option<i64>> {
        self.checked(position).map(|position| self.inner.timestamp(position).map(core::Timestamp::millis))
    }

    fn batch(&self, py: Python<'_>) -> KafkaBatch {
        KafkaBatch::from_core(py.detach(|| self.inner.batch().clone()), self.flags)
    }

    fn __len__(&self) -> usize {
        self.inner.record_count()
    }

    fn __repr__(&self) -> String {
        let offset = self.base_offset().map_or_else(|| "None".into(), |offset| offset.to_string());
        format!("<Delivery: {} records in {} from offset {offset}>", self.__len__(), self.inner.topic_partition())
    }
}

/// A message that is in the log.
#[pyclass(module = "kafka_batch", frozen, get_all, eq)]
#[derive(PartialEq)]
pub(crate) struct RecordDelivery {
    topic: String,
    partition: i32,
    offset: Option<i64>,
    timestamp: i64,
}

impl RecordDelivery {
    pub(super) fn new(topic: String, delivery: core::RecordDelivery) -> Self {
        let core::RecordDelivery { partition, offset, timestamp, .. } = delivery;
        Self { topic, partition, offset, timestamp: timestamp.millis() }
    }
}

#[pymethods]
impl RecordDelivery {
    fn __repr__(&self) -> String {
        let Self { topic, partition, offset, timestamp } = self;
        let offset = offset.map_or_else(|| "None".into(), |offset| offset.to_string());
        format!("RecordDelivery(topic={topic:?}, partition={partition}, offset={offset}, timestamp={timestamp})")
    }
}

fn name(fate: Fate) -> &'static str {
    match fate {
        Fate::NotWritten => "not_written",
        Fate::Written => "written",
        Fate::Unknown => "unknown",
    }
}

/// Returns the exception of a batch that failed. It has the batch.
pub(super) fn delivery_error(py: Python<'_>, error: core::DeliveryError, flags: Flags) -> PyErr {
    let text = error.to_string();
    let is_retriable = error.is_retriable();
    let fates: Vec<_> = (0..error.record_count()).map_while(|position| error.fate_of(position)).map(name).collect();
    let fate = error.fate().map(name);
    let core::DeliveryError { to, record_errors, batch, .. } = error;
    let record_errors: Vec<_> = record_errors.into_iter().map(|error| (error.position, error.message)).collect();
    let batch = batch.map(|batch| KafkaBatch::from_core(*batch, flags));
    exception(py, "DeliveryError", (text, to.topic, to.partition, fate, fates, record_errors, batch, is_retriable))
}

/// Returns the exception of a message that failed.
pub(super) fn record_error(py: Python<'_>, error: &RecordDeliveryError) -> PyErr {
    let fate = name(error.fate);
    let record_errors = match &error.rejection {
        Rejection::This(message) => vec![(0, message.clone())],
        Rejection::Unnamed | Rejection::Others => Vec::new(),
    };
    let to = (error.to.topic.as_str(), error.to.partition);
    let batch = None::<KafkaBatch>;
    let args = (error.to_string(), to.0, to.1, fate, [fate], record_errors, batch, error.is_retriable());
    exception(py, "DeliveryError", args)
}

/// Returns the exception of a message that was not accepted.
pub(super) fn enqueue_error(py: Python<'_>, reason: EnqueueErrorReason) -> PyErr {
    match reason {
        EnqueueErrorReason::Append(error) => Refusal::Invalid(error).into_exception(py, None),
        EnqueueErrorReason::Send(reason) => send_error(py, &reason),
        other => exception(py, "SendError", (other.to_string(), false)),
    }
}

/// Returns the exception of what was not accepted.
pub(super) fn send_error(py: Python<'_>, reason: &SendErrorReason) -> PyErr {
    match reason {
        SendErrorReason::Seal(reason) => errors::seal(py, reason),
        reason => exception(py, "SendError", (reason.to_string(), reason.is_retriable())),
    }
}
