//! Sending single messages: `Producer::send` and `Producer::enqueue`.

use std::future::{Future, poll_fn};
use std::mem;
use std::num::NonZeroU32;
use std::pin::Pin;
use std::task::{Poll, Waker};

use kafka_batch_core::message::{Defaults, Message, RecordComposer};
use kafka_batch_core::record::EncodedHeaders;
use kafka_batch_core::{
    Destination, EnqueueError, EnqueueErrorReason, Record, RecordDelivery, SendErrorReason, SendMessageError,
    TopicPartition,
};

use crate::command_queue::{BlockTimer, EnqueueOutcome, EnqueueState};
use crate::completion::PendingRecord;
use crate::producer::{Inner, Producer, RECORD_OVERHEAD};

/// The bytes by which a record can be larger than as the first one of its batch: its offset delta by 4, its timestamp delta
/// by 9, its length by 2.
const GROWTH: usize = 15;

impl Producer {
    /// Sends a message, and waits for its acknowledgement. Messages for the same partition share batches, so call it from
    /// many tasks at once, or await several of its futures together.
    ///
    /// The key of the message chooses the partition as in the Java client, unless `to` names one. Messages without a key
    /// are sent to one partition until its batch is sent, and then to another one (KIP-480). Any [`Message`] can be sent;
    /// a [`Record`] has key, headers and timestamp, and adds nothing. A message that is passed by value is dropped, also if
    /// sending fails: pass a reference to keep it for another attempt.
    ///
    /// - **Batches** have the producer's batch options. One is sent when it is full (`batch.size`), or due: `linger.ms` after
    ///   its first message, which with `linger.ms=0`, the default, is the next poll of the producer's task. While as many batches
    ///   of its partition are in flight as the producer sends at a time (`max.in.flight.requests.per.connection`, 5 by default;
    ///   1 without idempotence), a due batch still takes messages until one of those is acknowledged, for at most 100 ms.
    /// - **Order**: messages and batches of a partition are sent in the order in which they were accepted.
    ///   [`send_batch`](Self::send_batch) sends the messages that were accepted before it first.
    /// - **Cancelling**: a future that is dropped before the message is accepted sends nothing. After that, the message is
    ///   sent and only its outcome is discarded. [`enqueue`](Self::enqueue) tells the two apart. No other message is
    ///   affected.
    /// - **Back-pressure** as with `send_batch`: the future waits while `buffer.memory` is full, in the order of the calls.
    ///   While a call waits, messages do not linger, since they hold memory.
    /// - `delivery.timeout.ms` begins when the batch is full, or at most 100 ms after it is due.
    ///
    /// ```no_run
    /// use kafka_batch_core::message::OutgoingMessage;
    /// use kafka_batch_core::{Fate, Record};
    /// use kafka_batch_transport::Producer;
    ///
    /// async fn publish(producer: &Producer) -> Result<(), Box<dyn std::error::Error>> {
    ///     let delivery = producer.send("orders", "no key").await?;
    ///     println!("partition {}, offset {:?}", delivery.partition, delivery.offset);
    ///
    ///     let record = Record::new("three books").key("customer-7");
    ///     producer.send("orders", &record).await?; // the partition of its key
    ///     producer.send(("orders", 2), &record).await?; // this partition
    ///     producer.send("orders", OutgoingMessage::new("with a header").header("source", "shop")).await?;
    ///
    ///     match producer.send("orders", &record).await {
    ///         Ok(_) => {}
    ///         Err(error) if error.is_retriable() && error.fate() == Fate::NotWritten => {} // safe to send again
    ///         Err(error) => eprintln!("{error}"),
    ///     }
    ///     Ok(())
    /// }
    /// ```
    ///
    /// # Errors
    /// The message was not accepted, and nothing was sent; or its delivery failed, and the error has the fate of its record.
    pub fn send<'t, M: Message>(
        &self,
        to: impl Into<Destination<'t>>,
        message: M,
    ) -> impl Future<Output = Result<RecordDelivery, SendMessageError>> {
        // A block, because the future of an `async fn` has a second place for each argument.
        let (inner, to) = (&*self.inner, to.into());
        async move {
            let tried = poll_fn(|context| {
                let waker = Some(context.waker().clone());
                Poll::Ready(inner.try_enqueue(to, &message, &mut EnqueueState::default(), waker))
            });
            // Matched here, so that the future has no place for the reason, which is large.
            let enqueued = match tried.await {
                Ok(enqueued) => enqueued,
                Err(reason) => return Err(EnqueueError::new(to, reason).into()),
            };
            match enqueued {
                Ok(mut pending) => {
                    let mut has_waker = true; // it was stored with the record, so the first poll is not needed
                    let outcome = poll_fn(|context| {
                        if mem::take(&mut has_waker) { Poll::Pending } else { Pin::new(&mut pending).poll(context) }
                    });
                    Ok(outcome.await?)
                }
                Err(waiting) => {
                    let pending = inner.enqueue_after(waiting, to, message).await?;
                    Ok(pending.await?)
                }
            }
        }
    }

    /// Sends a message as [`send`](Self::send), but returns when it is accepted. Await the returned handle for the outcome,
    /// or drop it: the message is sent in either case. One task can have many messages in flight in this way.
    ///
    /// ```no_run
    /// use kafka_batch_core::Record;
    /// use kafka_batch_transport::Producer;
    ///
    /// async fn publish(producer: &Producer, orders: &[String]) -> Result<(), Box<dyn std::error::Error>> {
    ///     let mut pending = Vec::new();
    ///     for order in orders {
    ///         pending.push(producer.enqueue("orders", Record::new(order)).await?);
    ///     }
    ///     for (order, pending) in orders.iter().zip(pending) {
    ///         println!("{order} has the offset {:?}", pending.await?.offset);
    ///     }
    ///     Ok(())
    /// }
    /// ```
    ///
    /// # Errors
    /// The message was not accepted. Nothing was sent.
    pub async fn enqueue<'t, M: Message>(
        &self,
        to: impl Into<Destination<'t>>,
        message: M,
    ) -> Result<PendingRecord, EnqueueError> {
        let to = to.into();
        match self.inner.try_enqueue(to, &message, &mut EnqueueState::default(), None) {
            Ok(Ok(pending)) => Ok(pending),
            Ok(Err(waiting)) => self.inner.enqueue_after(waiting, to, message).await,
            Err(reason) => Err(EnqueueError::new(to, reason)),
        }
    }
}

/// A message that has to wait before it is accepted.
pub(crate) struct Waiting {
    wait_for: WaitFor,
    /// The headers that were added to it, if there is a function that adds some.
    injected: Option<Box<EncodedHeaders>>,
}

/// What a message waits for before it is accepted.
enum WaitFor {
    Topic,
    /// This many bytes of `buffer.memory`.
    Memory(usize),
}

impl Inner {
    /// Accepts a message once what it waits for is there. Allocated, because few messages wait, and the futures of all
    /// others are small and cheap to move without this part.
    fn enqueue_after<'f, M: Message + 'f>(
        &'f self,
        mut waiting: Waiting,
        to: Destination<'f>,
        message: M,
    ) -> Pin<Box<impl Future<Output = Result<PendingRecord, EnqueueError>>>> {
        Box::pin(async move {
            let (mut state, mut timer) = (EnqueueState::default(), BlockTimer::new(&self.queue));
            loop {
                state.injected = waiting.injected.take();
                let waited = match waiting.wait_for {
                    WaitFor::Topic => {
                        self.look_up(to, &mut timer).await.map(|count| state.partition_count = Some(count))
                    }
                    WaitFor::Memory(bytes) => {
                        drop(state.held.take());
                        self.queue.acquire(bytes, &mut timer).await.map(|acquired| state.held = Some(acquired))
                    }
                };
                // The record is composed again, rather than kept while waiting: then the future can move to another
                // thread also if the message cannot be shared with one.
                let tried = waited.map_err(EnqueueErrorReason::from);
                match tried.and_then(|()| self.try_enqueue(to, &message, &mut state, None)) {
                    Ok(Ok(pending)) => return Ok(pending),
                    Ok(Err(again)) => waiting = again,
                    Err(reason) => return Err(EnqueueError::new(to, reason)),
                }
            }
        })
    }

    /// Accepts a message, or returns what it has to wait for.
    pub(crate) fn try_enqueue<'q, M: Message>(
        &'q self,
        to: Destination<'_>,
        message: &M,
        state: &mut EnqueueState<'q>,
        waker: Option<Waker>,
    ) -> Result<Result<PendingRecord, Waiting>, EnqueueErrorReason> {
        let injected = state.injected.take();
        let injected = injected.map_or_else(|| self.queue.injector.headers(to.topic), |headers| *headers);
        let mut composer = RecordComposer::new(Defaults::default().injected_headers(&injected));
        let record = composer.compose(message)?;
        let needed = self.memory_for(&record)?;
        let wait_for = match self.queue.enqueue_message(to, &record, needed, state, waker, &self.batch_options)? {
            EnqueueOutcome::Accepted(pending) => return Ok(Ok(pending)),
            EnqueueOutcome::UnknownTopic => WaitFor::Topic,
            EnqueueOutcome::NoMemory => WaitFor::Memory(needed),
        };
        let injected = self.queue.injector.is_set().then(|| Box::new(injected));
        Ok(Err(Waiting { wait_for, injected }))
    }

    /// Returns the bytes of memory that a record needs at most, whichever batch it gets into.
    fn memory_for(&self, record: &Record<'_>) -> Result<usize, EnqueueErrorReason> {
        if record.headers.is_empty() {
            // An upper bound takes less time than the exact size, and is enough unless a limit is near.
            let fields = record.key.map_or(0, <[u8]>::len) + record.value.map_or(0, <[u8]>::len);
            if fields <= self.ample_len {
                return Ok(fields + RECORD_OVERHEAD);
            }
        }
        let cost = self.template.cost(record)?;
        let size = self.template.size() + cost;
        if cost > self.template.room() {
            // It exceeds the soft limit, so it may exceed the hard one. An empty batch knows.
            self.template.clone().append(record).map(drop)?;
        }
        if size > self.buffer_memory {
            return Err(SendErrorReason::ExceedsBufferMemory { size, limit: self.buffer_memory }.into());
        }
        Ok(size + GROWTH)
    }

    /// Returns the number of partitions of the topic, and checks that a requested partition is one of them.
    async fn look_up(&self, to: Destination<'_>, timer: &mut BlockTimer<'_>) -> Result<NonZeroU32, SendErrorReason> {
        if let Some(partition) = to.partition {
            self.check_partition_within(&TopicPartition::new(to.topic, partition), timer).await?;
        }
        self.partitions_within(to.topic, timer).await
    }
}

#[cfg(test)]
mod tests;
