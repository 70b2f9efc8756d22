//! The locks and atomics of producer handles. They are those of `std`; where the explorations are built, those of `shuttle`,
//! which decides at each use of one which thread continues.

#[cfg(not(all(test, kafka_batch_shuttle)))]
pub(crate) use std::sync::{Mutex, MutexGuard, OnceLock, atomic};

#[cfg(all(test, kafka_batch_shuttle))]
pub(crate) use shuttle::sync::{Mutex, MutexGuard, atomic};

#[cfg(all(test, kafka_batch_shuttle))]
pub(crate) use crate::exploration::once_lock::OnceLock;
