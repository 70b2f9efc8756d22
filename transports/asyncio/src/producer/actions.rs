//! What the event loop has to do.

use std::num::NonZeroU32;

use bytes::Bytes;
use kafka_batch_core::machine::Stats;
use kafka_batch_core::{
    DeliveryError, EnqueueErrorReason, FlushError, RecordDelivery, RecordDeliveryError, SendErrorReason,
};
use kafka_batch_transport::StatsError;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyTuple};

use super::delivery::{self, Delivery};
use super::logs::Line;
use super::operations::OperationId;
use super::statistics;
use super::transactions::TransactionFailure;
use crate::batch::Flags;
use crate::errors::exception;

/// What an operation resolves to.
pub(super) enum Outcome {
    Batch(Box<Result<kafka_batch_core::Delivery, DeliveryError>>),
    Refused(SendErrorReason),
    /// With the topic.
    Record(String, Result<RecordDelivery, RecordDeliveryError>),
    RecordRefused(EnqueueErrorReason),
    Partitions(Result<NonZeroU32, SendErrorReason>),
    Stats(Result<Box<Stats>, StatsError>),
    Flush(Result<(), FlushError>),
    Transaction(Result<(), TransactionFailure>),
}

/// What the event loop has to do.
pub(super) enum Action {
    Connect {
        connection: u64,
        host: String,
        port: u16,
        failures: usize,
    },
    /// Frames for the transport, and how many they are, to be reported as written later.
    Transmit {
        connection: u64,
        bytes: Vec<Bytes>,
        frames: usize,
    },
    /// Bytes for the transport: the socket is full.
    Overflow {
        connection: u64,
        bytes: Vec<u8>,
    },
    Close(u64),
    Accepted(OperationId),
    Outcome(OperationId, Outcome),
    Log(Line),
    End,
}

impl Action {
    /// Returns a tuple that begins with the name of the action.
    pub(super) fn into_object(self, py: Python<'_>, flags: Flags) -> PyResult<Bound<'_, PyTuple>> {
        match self {
            Self::Connect { connection, host, port, failures } => {
                ("connect", connection, host, port, failures).into_pyobject(py)
            }
            Self::Transmit { connection, bytes, frames } => {
                ("transmit", connection, joined(py, &bytes)?, frames).into_pyobject(py)
            }
            Self::Overflow { connection, bytes } => {
                ("overflow", connection, PyBytes::new(py, &bytes)).into_pyobject(py)
            }
            Self::Close(connection) => ("close", connection).into_pyobject(py),
            Self::Accepted(id) => ("accepted", id).into_pyobject(py),
            Self::Outcome(id, outcome) => match outcome.into_object(py, flags) {
                Ok(result) => ("result", id, result).into_pyobject(py),
                Err(error) => ("error", id, error.into_value(py)).into_pyobject(py),
            },
            Self::Log(Line { is_error, text }) => ("log", is_error, text).into_pyobject(py),
            Self::End => ("end",).into_pyobject(py),
        }
    }
}

/// Frames that follow each other are written together up to so many bytes: one write takes less time than several, and wakes
/// the broker once. Beyond it, copying takes longer.
const MAX_JOINED: usize = 128 * 1024;

/// Appends a frame, to the action before it if that is one for the same connection.
pub(super) fn push_frame(actions: &mut Vec<Action>, connection: u64, frame: Vec<Bytes>) {
    let length = |segments: &[Bytes]| segments.iter().map(Bytes::len).sum::<usize>();
    if let Some(Action::Transmit { connection: last, bytes, frames }) = actions.last_mut() {
        if *last == connection && length(bytes) + length(&frame) <= MAX_JOINED {
            bytes.extend(frame);
            *frames += 1;
            return;
        }
    }
    actions.push(Action::Transmit { connection, bytes: frame, frames: 1 });
}

/// Returns segments as one object: one copy and one write take less time than a write for each.
fn joined<'py>(py: Python<'py>, segments: &[Bytes]) -> PyResult<Bound<'py, PyBytes>> {
    PyBytes::new_with(py, segments.iter().map(Bytes::len).sum(), |mut buffer| {
        for segment in segments {
            let (target, rest) = buffer.split_at_mut(segment.len());
            target.copy_from_slice(segment);
            buffer = rest;
        }
        Ok(())
    })
}

impl Outcome {
    fn into_object(self, py: Python<'_>, flags: Flags) -> PyResult<Bound<'_, PyAny>> {
        match self {
            Self::Batch(outcome) => match *outcome {
                Ok(delivery) => Ok(Bound::new(py, Delivery::new(delivery, flags))?.into_any()),
                Err(error) => Err(delivery::delivery_error(py, error, flags)),
            },
            Self::Refused(reason) | Self::Partitions(Err(reason)) => Err(delivery::send_error(py, &reason)),
            Self::Record(topic, Ok(delivery)) => {
                Ok(Bound::new(py, delivery::RecordDelivery::new(topic, delivery))?.into_any())
            }
            Self::Record(_, Err(error)) => Err(delivery::record_error(py, &error)),
            Self::RecordRefused(reason) => Err(delivery::enqueue_error(py, reason)),
            Self::Partitions(Ok(count)) => Ok(count.get().into_pyobject(py)?.into_any()),
            Self::Stats(Ok(stats)) => Ok(statistics::stats(py, *stats)?.into_any()),
            Self::Stats(Err(error)) => Err(exception(py, "KafkaBatchError", (error.to_string(),))),
            Self::Flush(Ok(())) | Self::Transaction(Ok(())) => Ok(py.None().into_bound(py)),
            Self::Transaction(Err(failure)) => Err(failure.into_exception(py)),
            Self::Flush(Err(error)) => Err(exception(py, "SendError", (error.to_string(), false))),
        }
    }
}
