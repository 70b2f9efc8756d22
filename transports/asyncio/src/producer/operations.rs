//! The calls of a program that wait for something, as futures of the producer's handle, by number. A waker only notes the number:
//! the future is polled at the next turn of the event loop.

use std::collections::HashMap;
use std::future::{Future, ready};
use std::num::NonZeroU32;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Wake, Waker};

use kafka_batch_core::error::TransportError;
use kafka_batch_core::machine::Stats;
use kafka_batch_core::message::EncodeError;
use kafka_batch_core::record::EncodedHeaders;
use kafka_batch_core::{
    AppendError, EnqueueErrorReason, FlushError, HeaderList, Record, SealedBatch, SendErrorReason, Timestamp,
};
use kafka_batch_transport::external::send_sealed;
use kafka_batch_transport::waiting::Permits;
use kafka_batch_transport::{Pending, PendingRecord, Producer, StatsError};

use super::actions::{Action, Outcome};
use super::transactions::TransactionFailure;

/// The number of an operation. Never used again.
pub(super) type OperationId = u64;

type Boxed<T> = Pin<Box<dyn Future<Output = T> + Send>>;
type Slot = Arc<Mutex<Option<SealedBatch>>>;

const NOT_ACCEPTED_IN_TIME: &str = "its transaction ended before it was accepted: await each send in the block of its \
    transaction, and send this in the next one";

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The operations whose futures were woken, and whether the driver was.
#[derive(Default)]
pub(super) struct Ready {
    operations: Mutex<Vec<OperationId>>,
    is_driver_woken: AtomicBool,
}

impl Ready {
    /// Returns whether the driver was woken since the last call.
    pub(super) fn take_woken(&self) -> bool {
        self.is_driver_woken.swap(false, Ordering::AcqRel)
    }
}

impl Wake for Ready {
    fn wake(self: Arc<Self>) {
        self.is_driver_woken.store(true, Ordering::Release);
    }
}

struct OperationWaker {
    id: OperationId,
    ready: Arc<Ready>,
}

impl Wake for OperationWaker {
    fn wake(self: Arc<Self>) {
        lock(&self.ready.operations).push(self.id);
    }
}

/// What a call waits for.
pub(super) enum Operation {
    /// Until it is accepted, the batch is in the slot.
    AcceptBatch(Boxed<Result<Pending, SendErrorReason>>, Slot),
    /// It was refused, and is in the slot.
    RefusedBatch(Slot),
    Batch(Pending),
    AcceptRecord(Boxed<Result<PendingRecord, EnqueueErrorReason>>),
    Record(PendingRecord),
    Partitions(Boxed<Result<NonZeroU32, SendErrorReason>>),
    Stats(Boxed<Result<Stats, StatsError>>),
    Flush(Boxed<Result<(), FlushError>>),
    Transaction(Boxed<Result<(), TransactionFailure>>),
}

pub(super) struct Operations {
    last: OperationId,
    each: HashMap<OperationId, (Operation, Waker)>,
    ready: Arc<Ready>,
}

impl Operations {
    pub(super) fn new(ready: Arc<Ready>) -> Self {
        Self { last: 0, each: HashMap::new(), ready }
    }

    pub(super) fn next_id(&mut self) -> (OperationId, Waker) {
        self.last += 1;
        (self.last, self.waker(self.last))
    }

    fn waker(&self, id: OperationId) -> Waker {
        Waker::from(Arc::new(OperationWaker { id, ready: Arc::clone(&self.ready) }))
    }

    /// Inserts an operation that is polled at the next turn.
    fn insert(&mut self, operation: Operation) -> OperationId {
        let (id, waker) = self.next_id();
        self.each.insert(id, (operation, waker));
        lock(&self.ready.operations).push(id);
        id
    }

    /// Begins to send a batch. Returns whether it is accepted already; if it is refused, [`reclaim`](Self::reclaim) returns it.
    pub(super) fn send_batch(
        &mut self,
        producer: Producer,
        batch: SealedBatch,
        topic: String,
        partition: Option<i32>,
    ) -> (OperationId, Poll<Result<(), SendErrorReason>>) {
        let needed = Permits { records: batch.record_count(), bytes: batch.size() };
        let slot: Slot = Arc::new(Mutex::new(Some(batch)));
        let take = {
            let slot = Arc::clone(&slot);
            move || lock(&slot).take()
        };
        let mut future: Boxed<_> = Box::pin(send_sealed(producer, topic, partition, needed, take));
        let (id, waker) = self.next_id();
        let mut context = Context::from_waker(&waker);
        let (operation, accepted) = match future.as_mut().poll(&mut context) {
            Poll::Pending => (Operation::AcceptBatch(future, slot), Poll::Pending),
            Poll::Ready(Err(reason)) => (Operation::RefusedBatch(slot), Poll::Ready(Err(reason))),
            Poll::Ready(Ok(pending)) => {
                lock(&self.ready.operations).push(id); // it has no waker yet
                (Operation::Batch(pending), Poll::Ready(Ok(())))
            }
        };
        self.each.insert(id, (operation, waker));
        (id, accepted)
    }

    /// Removes an operation. Returns its batch, if it was not accepted.
    pub(super) fn reclaim(&mut self, id: OperationId) -> Option<SealedBatch> {
        let (Operation::AcceptBatch(_, slot) | Operation::RefusedBatch(slot)) = &self.each.get(&id)?.0 else {
            return None;
        };
        let slot = Arc::clone(slot);
        self.each.remove(&id);
        let mut slot = lock(&slot);
        slot.take()
    }

    /// Inserts the operation of a record that was accepted with the waker of this number.
    pub(super) fn insert_record(&mut self, id: OperationId, pending: PendingRecord) {
        let waker = self.waker(id);
        self.each.insert(id, (Operation::Record(pending), waker));
    }

    /// Sends a record that cannot be accepted yet.
    pub(super) fn enqueue(
        &mut self,
        id: OperationId,
        producer: Producer,
        topic: String,
        partition: Option<i32>,
        record: OwnedRecord,
    ) {
        let future = async move {
            let accepted = producer.enqueue((topic.as_str(), partition), record.as_record()).await;
            accepted.map_err(|error| error.reason)
        };
        let waker = self.waker(id);
        self.each.insert(id, (Operation::AcceptRecord(Box::pin(future)), waker));
        lock(&self.ready.operations).push(id);
    }

    /// Refuses what is not accepted yet. For the end of a transaction, from which on it would be accepted into the next one.
    pub(super) fn refuse_unaccepted(&mut self) {
        let reason = || SendErrorReason::Transport(TransportError::new(NOT_ACCEPTED_IN_TIME));
        for (&id, (operation, _)) in &mut self.each {
            match operation {
                Operation::AcceptBatch(future, _) => *future = Box::pin(ready(Err(reason()))),
                Operation::AcceptRecord(future) => *future = Box::pin(ready(Err(reason().into()))),
                Operation::RefusedBatch(_)
                | Operation::Batch(_)
                | Operation::Record(_)
                | Operation::Partitions(_)
                | Operation::Stats(_)
                | Operation::Flush(_)
                | Operation::Transaction(_) => continue,
            }
            lock(&self.ready.operations).push(id);
        }
    }

    pub(super) fn partition_count(&mut self, producer: Producer, topic: String) -> OperationId {
        self.insert(Operation::Partitions(Box::pin(async move { producer.partition_count(&topic).await })))
    }

    pub(super) fn stats(&mut self, producer: Producer) -> OperationId {
        self.insert(Operation::Stats(Box::pin(async move { producer.stats().await })))
    }

    pub(super) fn flush(&mut self, producer: Producer) -> OperationId {
        self.insert(Operation::Flush(Box::pin(async move { producer.flush().await })))
    }

    pub(super) fn close(&mut self, producer: Producer, at_once: bool) -> OperationId {
        self.insert(Operation::Flush(Box::pin(async move {
            if at_once { producer.close_at_once().await } else { producer.close().await }
        })))
    }

    /// Inserts the result of a command of transactions.
    pub(super) fn transaction<E: Into<TransactionFailure>>(
        &mut self,
        result: impl Future<Output = Result<(), E>> + Send + 'static,
    ) -> OperationId {
        self.insert(Operation::Transaction(Box::pin(async { result.await.map_err(Into::into) })))
    }

    pub(super) fn remove(&mut self, id: OperationId) -> Option<Operation> {
        self.each.remove(&id).map(|(operation, _)| operation)
    }

    /// Polls the futures that were woken, and appends what they resolve to. Returns whether there were any.
    pub(super) fn poll_ready(&mut self, actions: &mut Vec<Action>) -> bool {
        let ready = std::mem::take(&mut *lock(&self.ready.operations));
        for &id in &ready {
            // It may be complete or cancelled.
            let Some((operation, waker)) = self.each.get_mut(&id) else { continue };
            let mut context = Context::from_waker(waker);
            if let Poll::Ready(outcome) = operation.poll(id, &mut context, actions) {
                let is_refused = matches!(operation, Operation::RefusedBatch(_));
                actions.push(Action::Outcome(id, outcome));
                if !is_refused {
                    self.each.remove(&id);
                }
            }
        }
        !ready.is_empty()
    }
}

impl Operation {
    fn poll(&mut self, id: OperationId, context: &mut Context<'_>, actions: &mut Vec<Action>) -> Poll<Outcome> {
        loop {
            *self = match self {
                Self::AcceptBatch(future, slot) => match std::task::ready!(future.as_mut().poll(context)) {
                    Ok(pending) => {
                        actions.push(Action::Accepted(id));
                        Self::Batch(pending)
                    }
                    Err(reason) => {
                        *self = Self::RefusedBatch(Arc::clone(slot));
                        return Poll::Ready(Outcome::Refused(reason));
                    }
                },
                Self::RefusedBatch(_) => return Poll::Pending,
                Self::Batch(pending) => return Pin::new(pending).poll(context).map(Box::new).map(Outcome::Batch),
                Self::AcceptRecord(future) => match std::task::ready!(future.as_mut().poll(context)) {
                    Ok(pending) => Self::Record(pending),
                    Err(reason) => return Poll::Ready(Outcome::RecordRefused(reason)),
                },
                Self::Record(pending) => {
                    let outcome = std::task::ready!(Pin::new(&mut *pending).poll(context));
                    let topic = pending.topic_partition().topic.clone();
                    return Poll::Ready(Outcome::Record(topic, outcome));
                }
                Self::Partitions(future) => return future.as_mut().poll(context).map(Outcome::Partitions),
                Self::Stats(future) => {
                    return future.as_mut().poll(context).map(|stats| Outcome::Stats(stats.map(Box::new)));
                }
                Self::Flush(future) => return future.as_mut().poll(context).map(Outcome::Flush),
                Self::Transaction(future) => return future.as_mut().poll(context).map(Outcome::Transaction),
            }
        }
    }
}

/// A record with its own memory.
pub(super) struct OwnedRecord {
    key: Option<Vec<u8>>,
    value: Option<Vec<u8>>,
    headers: EncodedHeaders,
    timestamp: Option<Timestamp>,
}

impl OwnedRecord {
    /// # Errors
    /// The headers are too long.
    pub(super) fn new(record: &Record<'_>) -> Result<Self, AppendError> {
        let headers: Vec<_> = record.headers.iter().collect();
        Ok(Self {
            key: record.key.map(<[u8]>::to_vec),
            value: record.value.map(<[u8]>::to_vec),
            headers: EncodedHeaders::new(&headers).map_err(EncodeError::new)?,
            timestamp: record.timestamp,
        })
    }

    fn as_record(&self) -> Record<'_> {
        let headers = HeaderList::from(&self.headers);
        Record { key: self.key.as_deref(), value: self.value.as_deref(), headers, timestamp: self.timestamp }
    }
}
