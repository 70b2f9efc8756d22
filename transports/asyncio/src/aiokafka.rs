//! What aiokafka's producer asks of a `BatchBuilder`, for a batch that is sealed.

use std::sync::{Arc, Mutex, PoisonError};

use kafka_batch_core::batch::Stamp;
use kafka_batch_core::{Magic, SealedBatch};
use pyo3::prelude::*;
use pyo3::sync::{MutexExt, PyOnceLock};
use pyo3::types::{PyBytes, PyDict};

use crate::errors;
use crate::options::value_error;
use crate::shared::{Sent, Shared, State};

/// A sealed batch, as aiokafka's sender calls it. None of its methods can fail: an exception in the sender would end the
/// producer (`Unexpected error during batch delivery`), so what can fail is done before the producer has the batch.
#[pyclass(module = "kafka_batch._native", frozen)]
pub(crate) struct Builder {
    sealed: Arc<SealedBatch>,
    stamp: Mutex<Stamp>,
    /// The bytes of the first attempt, which are those of every retry.
    built: PyOnceLock<Py<PyBytes>>,
}

/// Seals a batch and claims it for one producer.
pub(crate) fn claim(py: Python<'_>, shared: &Shared, idempotent: bool, transactional: bool) -> PyResult<Builder> {
    shared.seal(py).map_err(|reason| errors::seal(py, &reason))?;
    let claimed = shared.access(py, |state| match state {
        State::Sealed(sealed) if idempotent && sealed.magic() != Magic::V2 => Err(Some(sealed.magic())),
        State::Sealed(sealed) => {
            let sealed = Arc::new(sealed.clone());
            let (record_count, size) = (sealed.record_count(), sealed.size());
            *state = State::Sent(Sent { record_count, size, sealed: Some(Arc::clone(&sealed)) });
            Ok(sealed)
        }
        _ => Err(None),
    });
    match claimed {
        Ok(sealed) => {
            let stamp = Mutex::new(Stamp::NONE.transactional(transactional));
            Ok(Builder { sealed, stamp, built: PyOnceLock::new() })
        }
        Err(None) => Err(errors::sent(py)),
        Err(Some(magic)) => Err(value_error(&format_args!(
            "{magic} carries no producer id: an idempotent or transactional producer needs a batch without api_version"
        ))),
    }
}

/// Undoes [`claim`]: the producer did not accept the batch.
pub(crate) fn unclaim(py: Python<'_>, shared: &Shared) {
    shared.access(py, |state| {
        if let State::Sent(Sent { sealed, .. }) = state {
            if let Some(sealed) = sealed.take() {
                *state = State::Sealed(Arc::unwrap_or_clone(sealed));
            }
        }
    });
}

#[pymethods]
impl Builder {
    fn _set_producer_state(&self, py: Python<'_>, producer_id: i64, producer_epoch: i16, base_sequence: i32) {
        let mut stamp = self.stamp.lock_py_attached(py).unwrap_or_else(PoisonError::into_inner);
        *stamp = stamp.producer(producer_id, producer_epoch, base_sequence);
    }

    fn _build(&self, py: Python<'_>) -> Py<PyBytes> {
        let built = self.built.get_or_init(py, || {
            let stamp = *self.stamp.lock_py_attached(py).unwrap_or_else(PoisonError::into_inner);
            let sealed = SealedBatch::clone(&self.sealed);
            let stamped = match sealed.stamp(stamp) {
                Ok(stamped) => stamped,
                // Magic 0 or 1. `KafkaBatch._builder` refuses them for producers with an id.
                Err(error) => error.batch.without_producer_id(),
            };
            PyBytes::new(py, stamped.bytes()).unbind()
        });
        built.clone_ref(py)
    }

    /// `AIOKafkaProducer.send` offers its messages to a batch that waits. This one is closed.
    #[pyo3(signature = (**_arguments))]
    fn append(&self, _arguments: Option<&Bound<'_, PyDict>>) {}

    fn close(&self) {}

    fn closed(&self) -> bool {
        true
    }

    fn record_count(&self) -> usize {
        self.sealed.record_count()
    }

    fn size(&self) -> usize {
        self.sealed.size()
    }
}
