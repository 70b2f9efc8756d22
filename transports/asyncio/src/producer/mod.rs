//! The producer: the state machine with the handle, gathering and back-pressure of all transports. Python's event loop has the
//! sockets and the timer (`python/kafka_batch/_driver.py`); the only I/O here is writing without blocking (`sockets`).
//!
//! No Python object is kept here, so nothing of this takes part in reference cycles. What happened is passed to methods, what is
//! to be done is returned by [`Machine::pump`]. The lock is not held while Python code runs.

mod actions;
mod connections;
mod delivery;
mod logs;
mod operations;
mod sockets;
mod statistics;
mod transactions;

use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Instant;

use kafka_batch_core::machine::{Disconnect, Input};
use kafka_batch_core::{BatchOptions, Destination, EnqueueErrorReason};
use kafka_batch_transport::external::{self, ExternalDriver, ExternalStep, Transactions};
use kafka_batch_transport::{AddressFamily, Producer};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::sync::MutexExt;
use pyo3::types::{PyBytes, PyList};

use self::actions::Action;
use self::connections::Connections;
use self::operations::{OperationId, Operations, OwnedRecord, Ready};
use self::transactions::{Member, Offset};
use crate::batch::{Flags, KafkaBatch};
use crate::call::{Arg, Args};
use crate::errors::exception;

pub(crate) use self::delivery::{Delivery, RecordDelivery};
pub(crate) use self::logs::install as collect_logs;

/// A producer whose event loop, timer and sockets are Python's.
#[pyclass(module = "kafka_batch._native", frozen)]
pub(crate) struct Machine {
    state: Mutex<State>,
    ready: Arc<Ready>,
    has_codec: bool,
}

struct State {
    producer: Producer,
    driver: ExternalDriver,
    connections: Connections,
    operations: Operations,
}

impl Machine {
    fn state(&self, py: Python<'_>) -> MutexGuard<'_, State> {
        self.state.lock_py_attached(py).unwrap_or_else(PoisonError::into_inner)
    }

    fn flags(&self) -> Flags {
        Flags { transactional: false, compressed: self.has_codec }
    }

    /// Gives a command of transactions.
    fn transaction(
        &self,
        py: Python<'_>,
        command: impl FnOnce(&Transactions, &mut Operations) -> OperationId,
    ) -> PyResult<OperationId> {
        let mut state = self.state(py);
        let State { driver, operations, .. } = &mut *state;
        match driver.transactions() {
            Some(transactions) => Ok(command(transactions, operations)),
            None => Err(PyValueError::new_err("this producer has no transactional_id")),
        }
    }
}

#[pymethods]
impl Machine {
    #[new]
    #[pyo3(signature = (settings, *, max_message_bytes, split_too_large, seed))]
    fn new(
        py: Python<'_>,
        settings: Vec<(String, String)>,
        max_message_bytes: Option<usize>,
        split_too_large: bool,
        seed: u64,
    ) -> PyResult<Self> {
        let mut options = BatchOptions::default();
        if let Some(bytes) = max_message_bytes {
            options = options.max_message_bytes(bytes);
        }
        let has_codec = settings.iter().any(|(name, value)| {
            matches!(name.as_str(), "compression.type" | "compression.codec") && !value.eq_ignore_ascii_case("none")
        });
        let (producer, driver) = ExternalDriver::new(settings, options, split_too_large, seed)
            .map_err(|error| exception(py, "ConfigError", (error.to_string(),)))?;
        let ready = Arc::new(Ready::default());
        let operations = Operations::new(Arc::clone(&ready));
        let state = State { producer, driver, connections: Connections::default(), operations };
        Ok(Self { state: Mutex::new(state), ready, has_codec })
    }

    /// Whether connections are to be encrypted.
    #[getter]
    fn over_tls(&self, py: Python<'_>) -> bool {
        self.state(py).driver.is_over_tls()
    }

    /// `socket.connection.setup.timeout.ms`, in seconds.
    #[getter]
    fn setup_timeout(&self, py: Python<'_>) -> f64 {
        self.state(py).driver.setup_timeout().as_secs_f64()
    }

    /// `broker.address.family`: any, v4 or v6.
    #[getter]
    fn address_family(&self, py: Python<'_>) -> &'static str {
        match self.state(py).driver.address_family() {
            AddressFamily::Any => "any",
            AddressFamily::V4 => "v4",
            AddressFamily::V6 => "v6",
        }
    }

    /// The sizes of the buffers of sockets in bytes, and their `TCP_USER_TIMEOUT` in milliseconds. `None` for the system's.
    #[getter]
    fn socket_options(&self, py: Python<'_>) -> (Option<u32>, Option<u32>, Option<u64>) {
        let options = self.state(py).driver.socket_options();
        let timeout = options.tcp_user_timeout.map(|timeout| timeout.as_millis() as u64); // at most i32::MAX
        (options.send_buffer, options.receive_buffer, timeout)
    }

    /// Returns an empty batch with the producer's settings.
    fn batch(&self, py: Python<'_>) -> KafkaBatch {
        let batch = self.state(py).producer.batch();
        KafkaBatch::from_core(batch, self.flags())
    }

    /// Begins to send a batch. Returns the operation, and whether the batch is accepted already.
    fn send_batch(
        &self,
        py: Python<'_>,
        batch: &Bound<'_, KafkaBatch>,
        topic: String,
        partition: Option<i32>,
    ) -> PyResult<(OperationId, bool)> {
        let sealed = batch.get().take(py)?;
        let mut state = self.state(py);
        let State { producer, operations, .. } = &mut *state;
        let (id, accepted) = operations.send_batch(producer.clone(), sealed, topic, partition);
        let refused = match accepted {
            Poll::Pending => return Ok((id, false)),
            Poll::Ready(Ok(())) => return Ok((id, true)),
            Poll::Ready(Err(reason)) => (reason, operations.reclaim(id)),
        };
        drop(state);
        let (reason, sealed) = refused;
        if let Some(sealed) = sealed {
            batch.get().put_back(py, sealed);
        }
        Err(delivery::send_error(py, &reason))
    }

    /// Ends an operation that was refused or cancelled, and returns its batch to the object, unless it was accepted.
    fn reclaim(&self, py: Python<'_>, id: OperationId, batch: &Bound<'_, KafkaBatch>) -> bool {
        let sealed = self.state(py).operations.reclaim(id);
        let is_reclaimed = sealed.is_some();
        if let Some(sealed) = sealed {
            batch.get().put_back(py, sealed);
        }
        is_reclaimed
    }

    /// Begins to send a message. Returns the operation.
    #[pyo3(signature = (topic, message, partition, key, headers, timestamp_ms, correlation_id, reply_to))]
    #[allow(clippy::too_many_arguments)]
    fn send(
        &self,
        py: Python<'_>,
        topic: &str,
        message: Bound<'_, PyAny>,
        partition: Option<i32>,
        key: Option<&Bound<'_, PyAny>>,
        headers: Option<&Bound<'_, PyAny>>,
        timestamp_ms: Option<i64>,
        correlation_id: Option<&str>,
        reply_to: &str,
    ) -> PyResult<OperationId> {
        let args = Args { timestamp_ms, headers, reply_to, correlation_id, key };
        args.with_record(&Arg::Given(message.as_borrowed()), &Arg::Missing, "send", |record| {
            let mut state = self.state(py);
            let State { producer, operations, .. } = &mut *state;
            let to = Destination::from((topic, partition));
            let (id, waker) = operations.next_id();
            let sent = match external::try_send(producer, to, &record, waker) {
                Ok(Some(pending)) => {
                    operations.insert_record(id, pending);
                    Ok(())
                }
                Ok(None) => OwnedRecord::new(&record)
                    .map(|record| operations.enqueue(id, producer.clone(), topic.to_owned(), partition, record))
                    .map_err(EnqueueErrorReason::Append),
                Err(reason) => Err(reason),
            };
            drop(state);
            sent.map(|()| id).map_err(|reason| delivery::enqueue_error(py, reason))
        })
    }

    /// Begins to look up a topic's number of partitions.
    fn partition_count(&self, py: Python<'_>, topic: String) -> OperationId {
        let mut state = self.state(py);
        let State { producer, operations, .. } = &mut *state;
        operations.partition_count(producer.clone(), topic)
    }

    /// Begins to initialise transactions.
    fn init_transactions(&self, py: Python<'_>) -> PyResult<OperationId> {
        self.transaction(py, |transactions, operations| operations.transaction(transactions.init()))
    }

    /// Begins to begin a transaction.
    fn begin_transaction(&self, py: Python<'_>) -> PyResult<OperationId> {
        self.transaction(py, |transactions, operations| operations.transaction(transactions.begin()))
    }

    /// Begins to commit offsets of a group in the transaction.
    fn send_offsets(&self, py: Python<'_>, group: Member, offsets: Vec<Offset>) -> PyResult<OperationId> {
        let (group, offsets) = (transactions::group(group), transactions::offsets(offsets));
        self.transaction(py, |transactions, operations| {
            operations.transaction(transactions.send_offsets(group, offsets))
        })
    }

    /// Begins to commit the transaction. Refuses what is not accepted yet.
    fn commit_transaction(&self, py: Python<'_>) -> PyResult<OperationId> {
        self.transaction(py, |transactions, operations| {
            operations.refuse_unaccepted();
            operations.transaction(transactions.commit())
        })
    }

    /// Begins to abort the transaction. Refuses what is not accepted yet.
    fn abort_transaction(&self, py: Python<'_>) -> PyResult<OperationId> {
        self.transaction(py, |transactions, operations| {
            operations.refuse_unaccepted();
            operations.transaction(transactions.abort())
        })
    }

    /// Begins to get the statistics.
    fn stats(&self, py: Python<'_>) -> OperationId {
        let mut state = self.state(py);
        let State { producer, operations, .. } = &mut *state;
        operations.stats(producer.clone())
    }

    /// Begins a flush.
    fn flush(&self, py: Python<'_>) -> OperationId {
        let mut state = self.state(py);
        let State { producer, operations, .. } = &mut *state;
        operations.flush(producer.clone())
    }

    /// Begins to close the producer: after a flush, or immediately.
    fn close(&self, py: Python<'_>, at_once: bool) -> OperationId {
        let mut state = self.state(py);
        let State { producer, operations, .. } = &mut *state;
        operations.close(producer.clone(), at_once)
    }

    /// Ends an operation. What is accepted is still sent.
    fn cancel(&self, py: Python<'_>, id: OperationId) {
        let cancelled = self.state(py).operations.remove(id);
        drop(cancelled);
    }

    /// Creates a socket for a connection without TLS, to which the machine writes itself. Returns its descriptor, which the caller
    /// has to close, or `None` if the caller is to make the connection, and to write to it.
    fn open_socket(&self, py: Python<'_>, connection: u64, is_ipv6: bool) -> PyResult<Option<i32>> {
        Ok(self.state(py).connections.open_socket(connection, is_ipv6)?)
    }

    fn connected(&self, py: Python<'_>, connection: u64) {
        let mut state = self.state(py);
        if let Some(id) = state.connections.id(connection) {
            state.driver.handle_input(Input::Connected(id));
        }
    }

    fn received(&self, py: Python<'_>, connection: u64, bytes: &Bound<'_, PyBytes>) {
        let mut state = self.state(py);
        if let Some(id) = state.connections.id(connection) {
            state.driver.handle_input(Input::Received(id, bytes.as_bytes()));
        }
    }

    /// Records that frames were sent. Returns whether `pump` is to be called.
    fn transmitted(&self, py: Python<'_>, connection: u64, frames: usize) -> bool {
        let mut state = self.state(py);
        let id = state.connections.id(connection);
        id.is_some_and(|id| state.driver.transmitted(id, frames))
    }

    /// Records that the transport has written the bytes of an action `overflow`. `pump` is to be called.
    fn overflow_written(&self, py: Python<'_>, connection: u64) {
        let mut state = self.state(py);
        let State { driver, connections, .. } = &mut *state;
        let frames = connections.overflow_written(connection);
        if let Some(id) = connections.id(connection) {
            driver.transmitted(id, frames);
        }
    }

    /// Records the end of a connection: `refused`, `untrusted`, `no tls`, `by peer` or `broken`.
    fn disconnected(
        &self,
        py: Python<'_>,
        connection: u64,
        how: &str,
        errno: Option<i32>,
        text: Option<String>,
    ) -> PyResult<()> {
        let how = match how {
            "refused" => Disconnect::NotConnected,
            "untrusted" => Disconnect::Untrusted,
            "no tls" => Disconnect::NoTls,
            "by peer" => Disconnect::ByPeer,
            "broken" => Disconnect::Broken,
            other => return Err(PyValueError::new_err(format!("no connection ends by {other:?}"))),
        };
        let error = errno.map(io::Error::from_raw_os_error).or_else(|| text.map(io::Error::other));
        let mut state = self.state(py);
        if let Some(id) = state.connections.remove(connection) {
            state.driver.disconnected(id, how, error);
        }
        Ok(())
    }

    /// Returns what is to be done, the seconds until this is to be called again at the latest, and whether it is to be called
    /// again after other tasks have run.
    fn pump<'py>(&self, py: Python<'py>) -> PyResult<(Bound<'py, PyList>, Option<f64>, bool)> {
        let mut actions = Vec::new();
        let collected = logs::LogCollection::begin();
        let mut state = self.state(py);
        let deadline = state.pump(py, &self.ready, &mut actions);
        drop(state);
        actions.extend(collected.end().into_iter().map(Action::Log));
        let seconds = deadline.map(|at| at.saturating_duration_since(Instant::now()).as_secs_f64());
        let list = PyList::empty(py);
        for action in actions {
            list.append(action.into_object(py, self.flags())?)?;
        }
        Ok((list, seconds, self.ready.take_woken()))
    }
}

impl State {
    /// Does all that can be done now. Returns the deadline.
    fn pump(&mut self, py: Python<'_>, ready: &Arc<Ready>, actions: &mut Vec<Action>) -> Option<Instant> {
        let Self { driver, connections, operations, .. } = self;
        let waker = Waker::from(Arc::clone(ready));
        let mut has_ended = false;
        loop {
            let deadline = loop {
                match driver.next_step() {
                    ExternalStep::Connect { connection, host, port, failures } => {
                        let connection = connections.insert(connection);
                        actions.push(Action::Connect { connection, host, port, failures });
                    }
                    ExternalStep::Transmit { connection, bytes } => {
                        connections.transmit(connection, bytes, actions);
                    }
                    ExternalStep::Close(connection) => {
                        actions.extend(connections.close(connection).map(Action::Close));
                    }
                    ExternalStep::Wait(deadline) => break deadline,
                    ExternalStep::End => {
                        has_ended = true;
                        break None;
                    }
                }
            };
            if connections.flush(py, driver, actions) {
                continue;
            }
            ready.take_woken();
            let is_ready = operations.poll_ready(actions);
            let has_commands = !has_ended && driver.poll_commands(&Context::from_waker(&waker)).is_ready();
            if !is_ready && !has_commands {
                if has_ended {
                    actions.push(Action::End);
                }
                return deadline;
            }
        }
    }
}

/// Returns the names of all settings.
#[pyfunction]
pub(crate) fn setting_names() -> Vec<&'static str> {
    external::setting_names().collect()
}
