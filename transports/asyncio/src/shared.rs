//! The state of a batch, for several threads.
//!
//! The lock is never held while Python code runs, or while memory is allocated by Python (whose garbage collector may run any
//! code): a finalizer that uses the same batch would wait for its own thread. So arguments are read before, and results are
//! made after.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use kafka_batch_core::{Append, KafkaBatch, Record, SealErrorReason, SealedBatch};
use pyo3::prelude::*;
use pyo3::sync::MutexExt;

use crate::errors::Refusal;
use crate::record::{MetadataCache, RecordMetadata, Reuse, metadata};

pub(crate) enum State {
    Open(KafkaBatch),
    /// A thread seals the batch. Every other one waits for the end of it.
    Sealing,
    Sealed(SealedBatch),
    Sent(Sent),
}

/// What is left of a batch that was given to a producer.
#[derive(Clone)]
pub(crate) struct Sent {
    pub(crate) record_count: usize,
    pub(crate) size: usize,
    /// The batch, if the producer shares it.
    pub(crate) sealed: Option<Arc<SealedBatch>>,
}

/// Why a batch could not be taken, to be sent.
pub(crate) enum TakeError {
    Seal(SealErrorReason),
    Sent,
}

pub(crate) struct Shared {
    guarded: Mutex<Guarded>,
    sealed: Condvar,
}

struct Guarded {
    state: State,
    metadata: MetadataCache,
}

impl Guarded {
    const fn is_sealing(&self) -> bool {
        matches!(self.state, State::Sealing)
    }
}

impl Shared {
    pub(crate) fn new(state: State) -> Self {
        let guarded = Guarded { state, metadata: MetadataCache::default() };
        Self { guarded: Mutex::new(guarded), sealed: Condvar::new() }
    }

    /// Calls a function with the state, which is not [`State::Sealing`]. The function must not call Python.
    pub(crate) fn access<R>(&self, py: Python<'_>, function: impl FnOnce(&mut State) -> R) -> R {
        function(&mut self.lock(py).state)
    }

    /// Locks the state once it is not [`State::Sealing`].
    #[inline]
    fn lock(&self, py: Python<'_>) -> MutexGuard<'_, Guarded> {
        let guarded = self.guarded.lock_py_attached(py).unwrap_or_else(PoisonError::into_inner);
        if guarded.is_sealing() { self.lock_after_sealing(py, guarded) } else { guarded }
    }

    #[cold]
    fn lock_after_sealing<'a>(&'a self, py: Python<'_>, sealing: MutexGuard<'a, Guarded>) -> MutexGuard<'a, Guarded> {
        drop(sealing);
        loop {
            py.detach(|| {
                let guarded = self.guarded.lock().unwrap_or_else(PoisonError::into_inner);
                drop(self.sealed.wait_while(guarded, |guarded| guarded.is_sealing()));
            });
            let guarded = self.guarded.lock_py_attached(py).unwrap_or_else(PoisonError::into_inner);
            if !guarded.is_sealing() {
                return guarded;
            }
        }
    }

    /// Appends a record. Returns its metadata, or `None` if it does not fit or the batch is not open.
    #[inline]
    pub(crate) fn append(&self, py: Python<'_>, record: Record<'_>) -> PyResult<Option<Py<RecordMetadata>>> {
        let mut guarded = self.lock(py);
        let State::Open(batch) = &mut guarded.state else { return Ok(None) };
        let appended = match batch.append(record) {
            Ok(Append::Appended(appended)) => appended,
            Ok(Append::Full(_)) => return Ok(None),
            Err(error) => {
                drop(guarded);
                return Err(Refusal::Invalid(error).into_exception(py, None));
            }
        };
        let is_first = match guarded.metadata.reuse(py, appended) {
            Reuse::Reused(metadata) => return Ok(Some(metadata)),
            Reuse::InUse => false,
            Reuse::Empty => true,
        };
        drop(guarded);
        let metadata = metadata(py, appended)?;
        if is_first {
            // Another thread may have been faster. The object that is then too many is dropped without the lock.
            let excess = self.lock(py).metadata.keep(metadata.clone_ref(py));
            drop(excess);
        }
        Ok(Some(metadata))
    }

    /// Compresses the batch, without the interpreter. Has no effect if it is sealed or sent.
    pub(crate) fn seal(&self, py: Python<'_>) -> Result<(), SealErrorReason> {
        let open = self.access(py, |state| match std::mem::replace(state, State::Sealing) {
            State::Open(batch) => Some(batch),
            other => {
                *state = other;
                None
            }
        });
        let Some(batch) = open else { return Ok(()) };
        py.detach(|| {
            let restored = Restored(self);
            match batch.seal() {
                Ok(sealed) => {
                    restored.set(State::Sealed(sealed));
                    Ok(())
                }
                Err(error) => {
                    restored.set(State::Open(*error.batch));
                    Err(error.reason)
                }
            }
        })
    }

    /// Seals the batch and takes it. It can be taken once.
    pub(crate) fn take(&self, py: Python<'_>) -> Result<SealedBatch, TakeError> {
        self.seal(py).map_err(TakeError::Seal)?;
        self.access(py, |state| match std::mem::replace(state, State::Sealing) {
            State::Sealed(sealed) => {
                let (record_count, size) = (sealed.record_count(), sealed.size());
                *state = State::Sent(Sent { record_count, size, sealed: None });
                Ok(sealed)
            }
            other => {
                *state = other;
                Err(TakeError::Sent)
            }
        })
    }

    fn locked(&self) -> MutexGuard<'_, Guarded> {
        self.guarded.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Ends the state [`State::Sealing`], whatever happens: otherwise a panic of a codec would let all threads wait forever.
struct Restored<'a>(&'a Shared);

impl Restored<'_> {
    fn set(&self, state: State) {
        self.0.locked().state = state;
    }
}

impl Drop for Restored<'_> {
    fn drop(&mut self) {
        let mut guarded = self.0.locked();
        if guarded.is_sealing() {
            guarded.state = State::Sent(Sent { record_count: 0, size: 0, sealed: None }); // the panic took the batch
        }
        drop(guarded);
        self.0.sealed.notify_all();
    }
}
