//! The exceptions of `kafka_batch.errors`. They are Python classes, because they have attributes.
//!
//! They are looked up in `sys.modules` each time: a class that a static kept would be another one than the class that a program
//! catches, once a second interpreter of the process has imported the module.

use kafka_batch_core::{AppendError, ExtendError, Full, FullReason, SealErrorReason};
use pyo3::call::PyCallArgs;
use pyo3::prelude::*;
use pyo3::types::PyTuple;

/// Creates the exception of this name.
pub(crate) fn exception<'py>(py: Python<'py>, name: &str, args: impl PyCallArgs<'py>) -> PyErr {
    match lookup(py, "kafka_batch.errors", name).and_then(|class| class.call1(args)) {
        Ok(exception) => PyErr::from_value(exception),
        Err(error) => error,
    }
}

/// Returns an attribute of a module of the current interpreter.
pub(crate) fn lookup<'py>(py: Python<'py>, module: &str, name: &str) -> PyResult<Bound<'py, PyAny>> {
    py.import(module)?.getattr(name)
}

/// Why a message was not appended, without its position.
pub(crate) enum Refusal {
    Full(Full),
    /// The batch is sealed or sent.
    Closed,
    Invalid(AppendError),
    /// The message could not be encoded. The exception says why.
    Encoding(PyErr),
}

impl Refusal {
    /// Returns the exception of a message at this position of a call, or of a call with one message.
    pub(crate) fn into_exception(self, py: Python<'_>, position: Option<usize>) -> PyErr {
        match self {
            Self::Full(full) => overflow(py, position.unwrap_or(0), full),
            Self::Closed => {
                let args = (position.unwrap_or(0), 0, 0, "closed", None::<usize>, "the batch is sealed");
                exception(py, "BatchBufferOverflowError", args)
            }
            Self::Invalid(error) => exception(py, "AppendError", (error.to_string(), position)),
            Self::Encoding(cause) => {
                let error = exception(py, "EncodeError", (cause.value(py).to_string(), position));
                error.set_cause(py, Some(cause));
                error
            }
        }
    }
}

impl From<ExtendError> for Refusal {
    fn from(error: ExtendError) -> Self {
        match error {
            ExtendError::Overflow(overflow) => Self::Full(overflow.full),
            ExtendError::Failed { error, .. } => Self::Invalid(error),
            _ => unreachable!("an extend fails in one of two ways"),
        }
    }
}

fn overflow(py: Python<'_>, position: usize, full: Full) -> PyErr {
    let Full { needed, available, .. } = full;
    let (reason, limit) = match full.reason {
        FullReason::BatchSize { limit } => ("batch_size", Some(limit)),
        FullReason::MaxMessageBytes { limit } => ("max_message_bytes", Some(limit)),
        FullReason::MaxRecords { limit } => ("max_records", Some(limit as usize)),
        FullReason::Format { limit } => ("format", Some(limit)),
        FullReason::Closed => ("closed", None),
        _ => ("other", None),
    };
    exception(py, "BatchBufferOverflowError", (position, needed, available, reason, limit, full.to_string()))
}

/// Returns the exception of a batch that could not be sealed.
pub(crate) fn seal(py: Python<'_>, reason: &SealErrorReason) -> PyErr {
    let text = reason.to_string();
    match *reason {
        SealErrorReason::Empty => exception(py, "SealError", (text, "empty", 0)),
        SealErrorReason::TooLarge { records, sealed, limit, .. } => {
            exception(py, "SealError", (text, "too_large", records, sealed, limit))
        }
        _ => exception(py, "SealError", (text, "compression")),
    }
}

/// Returns the exception for a call that needs an open batch.
pub(crate) fn not_open(py: Python<'_>) -> PyErr {
    exception(py, "BatchSealedError", PyTuple::empty(py))
}

/// Returns the exception for a batch that was given to a producer before.
pub(crate) fn sent(py: Python<'_>) -> PyErr {
    exception(py, "BatchSentError", PyTuple::empty(py))
}
