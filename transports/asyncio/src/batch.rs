//! `KafkaBatch`, as Python sees it.

use std::time::SystemTime;

use kafka_batch_core as core;
use kafka_batch_core::{AppendError, BatchOptions, Record as CoreRecord, SealedBatch};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList, PyTuple};

use crate::aiokafka::{self, Builder};
use crate::call::{Arg, Args, no_others};
use crate::errors::{self, Refusal, exception, lookup};
use crate::fill;
use crate::options::{Settings, value_error};
use crate::record::{RecordMetadata, records};
use crate::shared::{Sent, Shared, State, TakeError};

/// A batch of records for one partition, which is filled by the program and sent as it is.
#[pyclass(module = "kafka_batch", frozen)]
pub(crate) struct KafkaBatch {
    shared: Shared,
    options: BatchOptions,
    flags: Flags,
}

/// What only this layer knows about a batch.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Flags {
    /// The program expects a transaction.
    pub(crate) transactional: bool,
    /// The batch has a codec.
    pub(crate) compressed: bool,
}

/// Bytes from which compressing is worth the way to another thread.
const SLOW_TO_SEAL: usize = 64 * 1024;

/// A position in a batch, for `KafkaBatch.rollback`.
#[pyclass(module = "kafka_batch", frozen)]
pub(crate) struct Mark(core::batch::Mark);

impl KafkaBatch {
    fn with_state(state: State, options: BatchOptions, flags: Flags) -> Self {
        Self { shared: Shared::new(state), options, flags }
    }

    /// Creates the Python object of a batch, for example of one that a producer returns.
    pub(crate) fn from_core(batch: core::KafkaBatch, flags: Flags) -> Self {
        let options = batch.options().clone();
        Self::with_state(State::Open(batch), options, flags)
    }

    /// Seals the batch and takes it, to be sent. Raises `SealError`, and `BatchSentError` the second time.
    pub(crate) fn take(&self, py: Python<'_>) -> PyResult<SealedBatch> {
        self.shared.take(py).map_err(|error| match error {
            TakeError::Seal(reason) => errors::seal(py, &reason),
            TakeError::Sent => errors::sent(py),
        })
    }

    /// Returns a batch that was taken and not sent.
    pub(crate) fn put_back(&self, py: Python<'_>, sealed: SealedBatch) {
        self.shared.access(py, |state| *state = State::Sealed(sealed));
    }

    /// Calls a function with the open batch.
    fn open<R>(&self, py: Python<'_>, function: impl FnOnce(&mut core::KafkaBatch) -> R) -> PyResult<R> {
        let result = self.shared.access(py, |state| match state {
            State::Open(batch) => Some(function(batch)),
            _ => None,
        });
        result.ok_or_else(|| errors::not_open(py))
    }

    /// Returns a copy of the batch, open.
    fn snapshot(&self, py: Python<'_>) -> PyResult<core::KafkaBatch> {
        enum Found {
            Open(Box<core::KafkaBatch>),
            Sealed(Box<SealedBatch>),
            Taken,
        }
        let found = self.shared.access(py, |state| match state {
            State::Open(batch) => Found::Open(Box::new(batch.clone())),
            State::Sealed(sealed) => Found::Sealed(Box::new(sealed.clone())),
            State::Sent(Sent { sealed: Some(sealed), .. }) => Found::Sealed(Box::new(SealedBatch::clone(sealed))),
            State::Sent(_) | State::Sealing => Found::Taken,
        });
        match found {
            Found::Open(batch) => Ok(*batch),
            Found::Sealed(sealed) => Ok(py.detach(|| sealed.into_batch())),
            Found::Taken => Err(errors::sent(py)),
        }
    }
}

#[pymethods]
impl KafkaBatch {
    #[new]
    #[pyo3(signature = (
        *messages, timestamp_ms = None, headers = None, reply_to = "", correlation_id = None, batch_size = Some(16384),
        compression_type = None, api_version = Some("auto"), is_transactional = Some(false),
        max_message_bytes = 1_048_588, max_records = None, boundary = "inclusive", key = None,
    ))]
    #[allow(clippy::too_many_arguments)]
    fn new(
        py: Python<'_>,
        messages: &Bound<'_, PyTuple>,
        timestamp_ms: Option<i64>,
        headers: Option<&Bound<'_, PyAny>>,
        reply_to: &str,
        correlation_id: Option<&str>,
        batch_size: Option<usize>,
        compression_type: Option<&str>,
        api_version: Option<&str>,
        is_transactional: Option<bool>,
        max_message_bytes: usize,
        max_records: Option<u32>,
        boundary: &str,
        key: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<Self> {
        let settings = Settings { batch_size, compression_type, api_version, max_message_bytes, max_records, boundary };
        let options = settings.options()?;
        let batch = options.clone().build(SystemTime::now()).map_err(|error| value_error(&error))?;
        let compressed = compression_type.is_some_and(|codec| codec != "none");
        let flags = Flags { transactional: is_transactional.unwrap_or(false), compressed };
        let this = Self::with_state(State::Open(batch), options, flags);
        this.extend(py, messages, timestamp_ms, headers, reply_to, correlation_id, key, None)?;
        Ok(this)
    }

    #[pyo3(signature = (
        message = Arg::Missing, timestamp_ms = None, headers = None, reply_to = "", correlation_id = None, *,
        key = None, value = Arg::Missing, timestamp = None,
    ))]
    #[allow(clippy::too_many_arguments)]
    fn append(
        &self,
        py: Python<'_>,
        message: Arg<'_, '_>,
        timestamp_ms: Option<i64>,
        headers: Option<&Bound<'_, PyAny>>,
        reply_to: &str,
        correlation_id: Option<&str>,
        key: Option<&Bound<'_, PyAny>>,
        value: Arg<'_, '_>,
        timestamp: Option<i64>,
    ) -> PyResult<Option<Py<RecordMetadata>>> {
        let args = Args { timestamp_ms: timestamp_ms.or(timestamp), headers, reply_to, correlation_id, key };
        args.with_record(&message, &value, "append", |record| {
            let now = record.timestamp.unwrap_or_else(|| SystemTime::now().into());
            self.shared.append(py, CoreRecord { timestamp: Some(now), ..record })
        })
    }

    #[pyo3(signature = (
        *messages, timestamp_ms = None, headers = None, reply_to = "", correlation_id = None, key = None, **others,
    ))]
    #[allow(clippy::too_many_arguments)]
    fn extend(
        &self,
        py: Python<'_>,
        messages: &Bound<'_, PyTuple>,
        timestamp_ms: Option<i64>,
        headers: Option<&Bound<'_, PyAny>>,
        reply_to: &str,
        correlation_id: Option<&str>,
        key: Option<&Bound<'_, PyAny>>,
        others: Option<&Bound<'_, PyDict>>,
    ) -> PyResult<()> {
        no_others("extend", others)?;
        let args = Args { timestamp_ms, headers, reply_to, correlation_id, key };
        fill::extend(py, &self.shared, messages, &args, false)
    }

    #[pyo3(signature = (
        *messages, timestamp_ms = None, headers = None, reply_to = "", correlation_id = None, key = None, **others,
    ))]
    #[allow(clippy::too_many_arguments)]
    fn try_extend(
        &self,
        py: Python<'_>,
        messages: &Bound<'_, PyTuple>,
        timestamp_ms: Option<i64>,
        headers: Option<&Bound<'_, PyAny>>,
        reply_to: &str,
        correlation_id: Option<&str>,
        key: Option<&Bound<'_, PyAny>>,
        others: Option<&Bound<'_, PyDict>>,
    ) -> PyResult<()> {
        no_others("try_extend", others)?;
        let args = Args { timestamp_ms, headers, reply_to, correlation_id, key };
        fill::extend(py, &self.shared, messages, &args, true)
    }

    #[pyo3(signature = (
        messages, start = 0, *, timestamp_ms = None, headers = None, reply_to = "", correlation_id = None, key = None,
    ))]
    #[allow(clippy::too_many_arguments)]
    fn fill_from(
        &self,
        messages: &Bound<'_, PyAny>,
        start: usize,
        timestamp_ms: Option<i64>,
        headers: Option<&Bound<'_, PyAny>>,
        reply_to: &str,
        correlation_id: Option<&str>,
        key: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<usize> {
        let args = Args { timestamp_ms, headers, reply_to, correlation_id, key };
        fill::fill_from(&self.shared, messages, start, &args)
    }

    #[pyo3(signature = (
        message = Arg::Missing, timestamp_ms = None, headers = None, reply_to = "", correlation_id = None, *,
        key = None, value = Arg::Missing, timestamp = None,
    ))]
    #[allow(clippy::too_many_arguments)]
    fn cost(
        &self,
        py: Python<'_>,
        message: Arg<'_, '_>,
        timestamp_ms: Option<i64>,
        headers: Option<&Bound<'_, PyAny>>,
        reply_to: &str,
        correlation_id: Option<&str>,
        key: Option<&Bound<'_, PyAny>>,
        value: Arg<'_, '_>,
        timestamp: Option<i64>,
    ) -> PyResult<usize> {
        let args = Args { timestamp_ms: timestamp_ms.or(timestamp), headers, reply_to, correlation_id, key };
        args.with_record(&message, &value, "cost", |record| {
            let now = SystemTime::now();
            let cost: Result<usize, AppendError> = self.open(py, |batch| {
                batch.set_now(now);
                batch.cost(record)
            })?;
            cost.map_err(|error| Refusal::Invalid(error).into_exception(py, None))
        })
    }

    #[pyo3(signature = (
        message = Arg::Missing, timestamp_ms = None, headers = None, reply_to = "", correlation_id = None, *,
        key = None, value = Arg::Missing, timestamp = None,
    ))]
    #[allow(clippy::too_many_arguments)]
    fn fits(
        &self,
        py: Python<'_>,
        message: Arg<'_, '_>,
        timestamp_ms: Option<i64>,
        headers: Option<&Bound<'_, PyAny>>,
        reply_to: &str,
        correlation_id: Option<&str>,
        key: Option<&Bound<'_, PyAny>>,
        value: Arg<'_, '_>,
        timestamp: Option<i64>,
    ) -> PyResult<bool> {
        let args = Args { timestamp_ms: timestamp_ms.or(timestamp), headers, reply_to, correlation_id, key };
        args.with_record(&message, &value, "fits", |record| {
            let now = SystemTime::now();
            Ok(self.shared.access(py, |state| match state {
                State::Open(batch) => {
                    batch.set_now(now);
                    batch.fits(record)
                }
                _ => false,
            }))
        })
    }

    fn room(&self, py: Python<'_>) -> usize {
        self.shared.access(py, |state| match state {
            State::Open(batch) if !batch.is_closed() => batch.room(),
            _ => 0,
        })
    }

    fn size(&self, py: Python<'_>) -> usize {
        self.shared.access(py, |state| match state {
            State::Open(batch) => batch.size(),
            State::Sealed(sealed) => sealed.size(),
            State::Sent(sent) => sent.size,
            State::Sealing => unreachable!("access waits for the end of it"),
        })
    }

    fn record_count(&self, py: Python<'_>) -> usize {
        self.shared.access(py, |state| match state {
            State::Open(batch) => batch.record_count(),
            State::Sealed(sealed) => sealed.record_count(),
            State::Sent(sent) => sent.record_count,
            State::Sealing => unreachable!("access waits for the end of it"),
        })
    }

    fn closed(&self, py: Python<'_>) -> bool {
        self.shared.access(py, |state| match state {
            State::Open(batch) => batch.is_closed(),
            _ => true,
        })
    }

    fn close(&self, py: Python<'_>) {
        self.shared.access(py, |state| {
            if let State::Open(batch) = state {
                batch.close();
            }
        });
    }

    fn mark(&self, py: Python<'_>) -> PyResult<Mark> {
        self.open(py, core::KafkaBatch::mark).map(Mark)
    }

    fn rollback(&self, py: Python<'_>, mark: &Bound<'_, Mark>) -> PyResult<()> {
        let mark = &mark.get().0;
        self.open(py, |batch| batch.rollback(mark))?
            .map_err(|error| exception(py, "RollbackError", (error.to_string(),)))
    }

    fn seal(&self, py: Python<'_>) -> PyResult<usize> {
        self.shared.seal(py).map_err(|reason| errors::seal(py, &reason))?;
        Ok(self.size(py))
    }

    fn split<'py>(&self, py: Python<'py>, max_message_bytes: usize) -> PyResult<Bound<'py, PyAny>> {
        let batch = self.snapshot(py)?;
        let split = match py.detach(|| batch.split(max_message_bytes)) {
            Ok(split) => split,
            Err(error) => return Err(exception(py, "SealError", (error.to_string(), "compression"))),
        };
        let (parts, too_large) = (PyList::empty(py), PyList::empty(py));
        let mut split_parts = split.parts;
        split_parts.sort_by_key(|(position, _)| *position);
        for (position, sealed) in split_parts {
            let part = Self::with_state(State::Sealed(sealed), self.options.clone(), self.flags);
            parts.append((position, part))?;
        }
        for record in split.too_large {
            too_large.append((record.position, record.size, Self::from_core(record.batch, self.flags)))?;
        }
        lookup(py, "kafka_batch._types", "Split")?.call1((parts, too_large))
    }

    fn next_batch(&self, py: Python<'_>) -> PyResult<Self> {
        let now = SystemTime::now();
        let next = self.shared.access(py, |state| match state {
            State::Open(batch) => Ok(batch.next_batch()),
            _ => self.options.clone().build(now),
        });
        next.map(|next| Self::from_core(next, self.flags)).map_err(|error| value_error(&error))
    }

    fn copy(&self, py: Python<'_>) -> PyResult<Self> {
        self.snapshot(py).map(|batch| Self::from_core(batch, self.flags))
    }

    #[getter]
    const fn is_transactional(&self) -> bool {
        self.flags.transactional
    }

    /// Whether sealing takes so long that an event loop should leave it to a thread.
    fn _is_slow_to_seal(&self, py: Python<'_>) -> bool {
        self.flags.compressed
            && self.shared.access(py, |state| matches!(state, State::Open(batch) if batch.size() >= SLOW_TO_SEAL))
    }

    /// Seals and claims the batch for aiokafka.
    #[pyo3(signature = (*, idempotent, transactional))]
    fn _builder(&self, py: Python<'_>, idempotent: bool, transactional: bool) -> PyResult<Builder> {
        aiokafka::claim(py, &self.shared, idempotent, transactional)
    }

    /// Undoes `_builder`: the producer did not accept the batch.
    fn _unclaim(&self, py: Python<'_>) {
        aiokafka::unclaim(py, &self.shared);
    }

    fn __len__(&self, py: Python<'_>) -> usize {
        self.record_count(py)
    }

    fn __iter__<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let records = records(py, &self.snapshot(py)?)?;
        PyList::new(py, records)?.into_any().call_method0("__iter__")
    }

    fn __repr__(&self, py: Python<'_>) -> String {
        let (what, count, size) = self.shared.access(py, |state| match state {
            State::Open(batch) if batch.is_closed() => ("closed", batch.record_count(), batch.size()),
            State::Open(batch) => ("open", batch.record_count(), batch.size()),
            State::Sealed(sealed) => ("sealed", sealed.record_count(), sealed.size()),
            State::Sent(sent) => ("sent", sent.record_count, sent.size),
            State::Sealing => unreachable!("access waits for the end of it"),
        });
        format!("<KafkaBatch: {count} records, {size} bytes, {what}>")
    }
}
