//! The state of a batch, for several threads.
//!
//! The lock is never held while Python code runs, or while memory is allocated by Python (whose garbage collector may run any
//! code): a finalizer that uses the same batch would wait for its own thread. So arguments are read before, and results are
//! made after.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use kafka_batch_core::{KafkaBatch, SealErrorReason, SealedBatch};
use pyo3::prelude::*;
use pyo3::sync::MutexExt;

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
    state: Mutex<State>,
    sealed: Condvar,
}

impl Shared {
    pub(crate) fn new(state: State) -> Self {
        Self { state: Mutex::new(state), sealed: Condvar::new() }
    }

    /// Calls a function with the state, which is not [`State::Sealing`]. The function must not call Python.
    pub(crate) fn access<R>(&self, py: Python<'_>, function: impl FnOnce(&mut State) -> R) -> R {
        loop {
            let mut state = self.state.lock_py_attached(py).unwrap_or_else(PoisonError::into_inner);
            if !matches!(*state, State::Sealing) {
                return function(&mut state);
            }
            drop(state);
            py.detach(|| {
                let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
                drop(self.sealed.wait_while(state, |state| matches!(state, State::Sealing)));
            });
        }
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

    fn locked(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Ends the state [`State::Sealing`], whatever happens: otherwise a panic of a codec would let all threads wait forever.
struct Restored<'a>(&'a Shared);

impl Restored<'_> {
    fn set(&self, state: State) {
        *self.0.locked() = state;
    }
}

impl Drop for Restored<'_> {
    fn drop(&mut self) {
        let mut state = self.0.locked();
        if matches!(*state, State::Sealing) {
            *state = State::Sent(Sent { record_count: 0, size: 0, sealed: None }); // the panic took the batch
        }
        drop(state);
        self.0.sealed.notify_all();
    }
}
