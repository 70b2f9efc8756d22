//! A stream of messages, published to the partitions of a topic.

use alloc::boxed::Box;
use alloc::vec;
use alloc::vec::Vec;
use core::fmt;
use core::future::{Future, poll_fn};
use core::mem;
use core::num::NonZeroU32;
use core::pin::Pin;
use core::task::{Context, Poll};
use core::time::Duration;

use futures_core::Stream;

use super::outcome::{Published, Undelivered, UndeliveredReason};
use super::pace::{MAX_DELAY, Pace, SourcePoll};
use super::sender::{BatchSender, Outcome, SENT_PER_POLL};
use crate::batch::{AppendError, RecordComposer};
use crate::outgoing::{Defaults, Message};
use crate::send_error::SendErrorReason;
use crate::stream::{PartitionBatch, PartitionedAppendError, PartitionedBatches, PollFn};
use crate::time::Timestamp;
use crate::transport::Transport;

/// The default of [`PartitionedPublisher::max_open_bytes`]: that of Kafka's producer setting `buffer.memory`.
const DEFAULT_MAX_OPEN_BYTES: usize = 32 << 20;

/// How often the number of partitions is looked up, in milliseconds. The transport requests it from a broker less often
/// (`metadata.max.age.ms`).
const LOOKUP_INTERVAL: i64 = 1_000;

/// The messages that are taken from the source before the clock is read again.
const MESSAGES_PER_ROUND: usize = 64;

/// The rounds of one poll, after which it yields to other tasks.
const ROUNDS_PER_POLL: usize = 16;

/// Publishes a stream of messages to the partitions of a topic, in batches.
///
/// A message goes to an explicit partition ([`partition_by`](Self::partition_by)), to the partition of its key, or, without
/// either, to the sticky partition, as with [`PartitionedBatches`]. A batch is sent when the next message does not fit, when it
/// has waited for [`linger`](Self::linger) since its own first message, and at the end of the stream. One timer serves all
/// partitions.
///
/// It is a [`Stream`] of outcomes, each with the messages concerned: [`Published`](super::Published) with the offset of each,
/// or [`Undelivered`] with the reason. Every message that was taken from the source is in exactly one of them. The outcomes
/// of a partition's batches are in the order of the batches; partitions do not wait for each other. A rejected message is
/// returned at once, and the others are not affected.
///
/// It works only while it is polled, and needs no particular runtime: clock and timer are given as functions, such as
/// `SystemTime::now` and `tokio::time::sleep`.
///
/// - **Order.** Batches of a partition are sent in the order of their messages. A batch that fails is not sent again: messages
///   that the caller publishes again come after later ones.
/// - **Back-pressure.** While the transport does not accept a batch (`buffer.memory` is full), or
///   [`max_in_flight`](Self::max_in_flight) batches have no outcome, no messages are taken from the source. Batches that
///   become due meanwhile are sent next.
/// - **Linger under load.** While the source has messages without a pause, and batches become due with fewer than 16 records on
///   average, not all of them are sent at once: some wait for up to 100 ms longer, and get further records. Otherwise, with very
///   many partitions, batches of a record or two would take all the time. Batches of the Java client grow in the same way while
///   its sender is busy. At least 32 due batches a millisecond are sent, so that a slow source delays none.
/// - **New partitions.** The number of partitions is looked up once a second, from the cache of the transport
///   (`metadata.max.age.ms`). When it has changed, all batches are sent, and the source waits until they have an
///   outcome, so that the messages of a key stay in order although the key now has another partition. The Java client does not
///   wait for that.
/// - **Shutdown.** At the end of the source everything is sent, and the stream ends with the last outcome.
///   [`stop`](Self::stop) does the same at any time. [`into_unsent`](Self::into_unsent) stops at once and returns the messages
///   that were not sent.
/// - **Memory.** [`recycle`](Self::recycle) takes outcomes back, and uses their memory again. A batch that waits to be sent may
///   have up to one and a half times the memory of its bytes, which are what `buffer.memory` counts.
///
/// # Cancellation safety
///
/// A future of [`next`](Self::next) that is dropped loses nothing: the next call continues from there. Dropping the
/// `PartitionedPublisher` drops the messages that were not sent; batches in flight are still sent.
///
/// # Examples
///
/// ```
/// use std::time::{Duration, SystemTime};
///
/// use futures_core::Stream;
/// use kafka_batch_core::message::OutgoingMessage;
/// use kafka_batch_core::publisher::PartitionedPublisher;
/// use kafka_batch_core::{SendErrorReason, Transport};
///
/// /// Returns how many messages were not delivered.
/// async fn publish<'m>(
///     transport: &impl Transport,
///     readings: impl Stream<Item = OutgoingMessage<'m, String>>,
///     sleep: fn(Duration) -> std::future::Ready<()>, // `tokio::time::sleep`, for example
/// ) -> Result<usize, SendErrorReason> {
///     let mut publisher = PartitionedPublisher::new(transport, "readings", readings, || 0) // `SystemTime::now`
///         .await?
///         .linger(Duration::from_millis(5), sleep);
///     let mut undelivered = 0;
///     while let Some(outcome) = publisher.next().await {
///         match outcome {
///             Ok(published) => println!("{} messages from {:?} on", published.messages.len(), published.delivery.offset(0)),
///             Err(failed) => undelivered += failed.messages.len(),
///         }
///     }
///     Ok(undelivered)
/// }
/// ```
#[must_use = "streams do nothing unless polled"]
pub struct PartitionedPublisher<'a, T: Transport, S: Stream> {
    /// `None` once the source has ended or was removed.
    source: Option<Pin<Box<S>>>,
    batches: PartitionedBatches,
    /// The messages in the open batch of each partition, by position.
    messages: Vec<Vec<S::Item>>,
    /// Empty vectors, for their memory.
    spare: Vec<Vec<S::Item>>,
    pace: Pace,
    /// Not yet returned.
    rejected: Option<Undelivered<S::Item>>,
    sender: BatchSender<'a, T, S::Item>,
    composer: RecordComposer<'a>,
    partitioner: Option<Partitioner<'a, S::Item>>,
    clock: Box<dyn Fn() -> Timestamp + Send + 'a>,
    sleep: Option<Box<dyn Fn(Duration) -> Timer + Send + 'a>>,
    /// Ends no later than the oldest open batch is due.
    timer: Option<Timer>,
    /// The time when batches were last looked for that are due.
    checked_due: Timestamp,
    /// Whether some were due then and not sent.
    has_late: bool,
    lookup: Lookup<'a>,
}

type Partitioner<'a, M> = Box<dyn FnMut(&M, NonZeroU32) -> Option<i32> + Send + 'a>;

type PartitionCount<'a> = Pin<Box<dyn Future<Output = Result<NonZeroU32, SendErrorReason>> + Send + 'a>>;

type Timer = Pin<Box<dyn Future<Output = ()> + Send>>;

/// The lookup of the number of partitions.
struct Lookup<'a> {
    last: Timestamp,
    pending: Option<PartitionCount<'a>>,
    /// The new number, which applies once every batch has an outcome.
    changed_to: Option<NonZeroU32>,
}

impl<'a, T: Transport, S: Stream<Item: Message>> PartitionedPublisher<'a, T, S> {
    /// Looks up the topic, and creates the publisher. Batches have the settings of [`Transport::batch`].
    ///
    /// `clock` returns the time from which batches wait, and the timestamp of messages without one, such as
    /// `SystemTime::now`.
    ///
    /// # Errors
    /// As [`Transport::partition_count`]. No message was taken from the source, which is dropped: pass it by reference to keep
    /// it.
    pub async fn new<N: Into<Timestamp>>(
        transport: &'a T,
        topic: &'a str,
        source: S,
        clock: impl Fn() -> N + Send + 'a,
    ) -> Result<Self, SendErrorReason> {
        let partitions = transport.partition_count(topic).await?;
        let now = clock().into();
        let batches = PartitionedBatches::new(&transport.batch(), partitions)
            .max_open_bytes(DEFAULT_MAX_OPEN_BYTES)
            .seed(now.millis() as u64);
        Ok(Self {
            source: Some(Box::pin(source)),
            batches,
            messages: Vec::new(),
            spare: Vec::new(),
            pace: Pace::new(now),
            rejected: None,
            sender: BatchSender::new(transport, topic),
            composer: RecordComposer::new(Defaults::default()),
            partitioner: None,
            clock: Box::new(move || clock().into()),
            sleep: None,
            timer: None,
            checked_due: now,
            has_late: false,
            lookup: Lookup { last: now, pending: None, changed_to: None },
        })
    }

    /// Sets how long a batch may wait from its first message on, in whole milliseconds: Kafka's `linger.ms`. By default a batch
    /// waits until it is full or the stream ends.
    ///
    /// With 0, a batch is sent as soon as the source has no further message for the moment.
    ///
    /// `sleep` returns a future that completes after the given time: `tokio::time::sleep`, `smol::Timer::after`,
    /// `async_std::task::sleep`.
    pub fn linger<F: Future + Send + 'static>(
        mut self,
        linger: Duration,
        sleep: impl Fn(Duration) -> F + Send + 'a,
    ) -> Self {
        self.batches = self.batches.linger(linger);
        self.sleep = Some(Box::new(move |time| {
            let timer = sleep(time);
            Box::pin(async move { drop(timer.await) })
        }));
        self
    }

    /// Sets the key, headers, correlation id and so on of messages that do not set their own.
    pub fn defaults(mut self, defaults: Defaults<'a>) -> Self {
        self.composer = RecordComposer::new(defaults);
        self
    }

    /// Sets a function that returns the partition of a message, given the number of partitions; `None` stands for the partition of
    /// its key or the sticky partition.
    pub fn partition_by(mut self, partitioner: impl FnMut(&S::Item, NonZeroU32) -> Option<i32> + Send + 'a) -> Self {
        self.partitioner = Some(Box::new(partitioner));
        self
    }

    /// Sets how many batches may be in flight without an outcome, at least 1. By default the transport limits them
    /// (`buffer.memory`).
    pub fn max_in_flight(mut self, batches: usize) -> Self {
        self.sender.set_max_in_flight(batches);
        self
    }

    /// Sets how many bytes all open batches may have together, before compression; above, the oldest are sent. Default: 32 MiB.
    pub fn max_open_bytes(mut self, bytes: usize) -> Self {
        self.batches = self.batches.max_open_bytes(bytes);
        self
    }

    /// Returns the next outcome; `None` once the source has ended and every outcome was returned.
    ///
    /// The same as `StreamExt::next`, for callers that do not depend on a crate with that trait.
    ///
    /// # Errors
    /// The item is an [`Undelivered`]; the stream continues after it.
    pub async fn next(&mut self) -> Option<Outcome<S::Item>> {
        poll_fn(|context| self.poll_outcome(context)).await
    }

    /// Takes no further messages from the source, and returns it, unless it has ended. All messages that were taken are sent
    /// without waiting for linger: call [`next`](Self::next) until it returns `None`.
    pub fn stop(&mut self) -> Option<Pin<Box<S>>> {
        self.source.take()
    }

    /// Stops at once, and returns the messages that the transport has not accepted. Nothing of them was sent. Those of a
    /// partition are in order, and rejected ones are last.
    ///
    /// Batches in flight are still sent. Their outcomes, and other outcomes that were not returned yet, are discarded: call
    /// [`stop`](Self::stop) to wait for them.
    #[must_use = "these messages were not sent"]
    pub fn into_unsent(mut self) -> Vec<S::Item> {
        while let Some(batch) = self.batches.take_oldest() {
            self.push(batch);
        }
        let mut unsent = self.sender.into_unsent();
        unsent.extend(self.rejected.into_iter().flat_map(|rejected| rejected.messages));
        unsent
    }

    /// Keeps the memory of an outcome for later batches. Optional: with large batches, or very many, it saves a noticeable part of
    /// the time, since new memory from the system takes longer to fill.
    pub fn recycle(&mut self, published: Published<S::Item>) {
        let Published { mut messages, delivery } = published;
        messages.clear();
        // There are at most as many as batches at one time.
        if self.spare.len() < self.batches.open_count() {
            self.spare.push(messages);
        }
        if let Some(buffer) = delivery.into_buffer() {
            self.batches.recycle(buffer);
        }
    }

    /// Returns the open batches: for their number and their size.
    #[must_use]
    pub const fn open(&self) -> &PartitionedBatches {
        &self.batches
    }

    /// Returns the number of batches that the transport has accepted, without an outcome.
    #[must_use]
    pub const fn in_flight(&self) -> usize {
        self.sender.in_flight()
    }

    fn poll_outcome(&mut self, context: &mut Context<'_>) -> Poll<Option<Outcome<S::Item>>> {
        let mut sent = 0;
        for _ in 0..ROUNDS_PER_POLL {
            if let Some(rejected) = self.rejected.take() {
                return Poll::Ready(Some(Err(rejected)));
            }
            if let Poll::Ready(outcome) = self.sender.poll_outcome(context) {
                return Poll::Ready(Some(outcome));
            }
            let sent_now = self.sender.poll_send(context);
            sent += sent_now;
            if sent >= SENT_PER_POLL {
                break;
            }
            let mut changed = sent_now > 0;
            let now = (self.clock)();
            changed |= self.poll_lookup(now, context);
            let source = self.poll_source(now, context);
            changed |= source == SourcePoll::Some;
            // While the source has messages, batches are due at most once a millisecond, also with a linger of 0.
            let is_time = now != self.checked_due || self.has_late || self.batches.exceeds_max_open_bytes();
            if is_time || source != SourcePoll::Some {
                self.checked_due = now;
                // Blocked by batches that are being sent, it has messages; blocked for want of memory, it waits.
                let is_busy = source == SourcePoll::Some || source == SourcePoll::Blocked && sent_now > 0;
                changed |= self.push_due(now, is_busy);
            }
            if self.source.is_none() && self.batches.open_count() == 0 && self.sender.is_finished() {
                return Poll::Ready(None);
            }
            if !changed && !self.poll_timer(now, context) {
                return Poll::Pending;
            }
        }
        context.waker().wake_by_ref();
        Poll::Pending
    }

    /// Appends messages until the source has none for the moment, or a batch has to be sent first.
    fn poll_source(&mut self, now: Timestamp, context: &mut Context<'_>) -> SourcePoll {
        if self.sender.has_unsent() || self.lookup.changed_to.is_some() {
            return SourcePoll::Blocked;
        }
        for _ in 0..MESSAGES_PER_ROUND {
            let Some(source) = &mut self.source else { return SourcePoll::None };
            match source.as_mut().poll_next(context) {
                Poll::Ready(Some(message)) => {
                    self.pace.took_message();
                    self.append(message, now);
                    let is_blocked = self.sender.has_unsent() || self.rejected.is_some();
                    if is_blocked || self.batches.exceeds_max_open_bytes() {
                        return SourcePoll::Some;
                    }
                }
                Poll::Ready(None) => {
                    self.source = None;
                    return SourcePoll::Some;
                }
                Poll::Pending => return SourcePoll::None,
            }
        }
        SourcePoll::Some
    }

    #[inline]
    fn append(&mut self, message: S::Item, now: Timestamp) {
        let partitions = self.batches.partitions();
        let partition = self.partitioner.as_mut().and_then(|choose| choose(&message, partitions));
        let composed = self.composer.compose(&message).map_err(|error| AppendError::from(error).into());
        let placed = composed.and_then(|record| match self.batches.append_usual(&record, partition, now) {
            Some(partition) => Ok((partition, None)),
            None => self.batches.append(record, partition, now).map(|placed| (placed.partition as usize, placed.full)),
        });
        match placed {
            Ok((place, full)) => {
                full.into_iter().for_each(|full| self.push(full));
                if self.messages.len() <= place {
                    self.messages.resize_with(place + 1, Vec::new);
                }
                let messages = &mut self.messages[place];
                if messages.capacity() == 0 {
                    *messages = self.spare.pop().unwrap_or_default();
                }
                messages.push(message);
            }
            Err(error) => self.reject(message, error),
        }
    }

    fn reject(&mut self, message: S::Item, error: PartitionedAppendError) {
        let reason = UndeliveredReason::Rejected { topic: self.sender.topic().into(), error };
        self.rejected = Some(Undelivered { messages: vec![message], reason });
    }

    /// Passes the batches that are due to the sender: all of them at the end, and before the number of partitions changes; as many
    /// as the [pace](Pace) allows while the source may have messages.
    fn push_due(&mut self, now: Timestamp, is_busy: bool) -> bool {
        let mut changed = false;
        let all = self.source.is_none() || self.lookup.changed_to.is_some();
        self.has_late = false;
        loop {
            let is_late = |millis| self.batches.is_late(now, millis);
            let may_wait = is_busy && !all && !self.batches.exceeds_max_open_bytes();
            let may_wait = may_wait && is_late(0) && !is_late(MAX_DELAY);
            if may_wait && !self.pace.take_batch(now) {
                self.has_late = true;
                return changed;
            }
            let due = if all { self.batches.take_oldest() } else { self.batches.take_due(now) };
            let Some(due) = due else { return changed };
            self.push(due);
            changed = true;
        }
    }

    fn push(&mut self, batch: PartitionBatch) {
        let messages = self.messages.get_mut(batch.partition as usize).map(mem::take).unwrap_or_default();
        self.sender.push(batch, messages);
    }

    /// Waits until the oldest batch is due. Returns `true` when the time is over.
    fn poll_timer(&mut self, now: Timestamp, context: &mut Context<'_>) -> bool {
        let (Some(sleep), Some(left)) = (&self.sleep, self.batches.time_left(now)) else { return false };
        // A timer that is running was started for an older batch, so it ends early enough.
        let timer = self.timer.get_or_insert_with(|| sleep(left));
        let is_over = timer.as_mut().poll(context).is_ready();
        if is_over {
            self.timer = None;
        }
        is_over
    }

    /// Looks up the number of partitions from time to time, and applies a new one once every batch has an outcome.
    fn poll_lookup(&mut self, now: Timestamp, context: &mut Context<'_>) -> bool {
        let Lookup { last, pending, changed_to } = &mut self.lookup;
        if self.source.is_none() {
            (*pending, *changed_to) = (None, None);
            return false;
        }
        if let Some(partitions) = *changed_to {
            let is_time = self.batches.open_count() == 0 && self.sender.is_idle();
            if is_time {
                *changed_to = None;
                let open = self.batches.set_partitions(partitions);
                debug_assert!(open.is_empty(), "every batch has an outcome");
            }
            return is_time;
        }
        let passed = now.millis().saturating_sub(last.millis());
        if pending.is_none() && !(0..LOOKUP_INTERVAL).contains(&passed) {
            *last = now;
            *pending = Some(Box::pin(self.sender.transport().partition_count(self.sender.topic())));
        }
        let Some(lookup) = pending else { return false };
        let Poll::Ready(result) = lookup.as_mut().poll(context) else { return false };
        *pending = None;
        // While no broker responds, the known number is used.
        let Ok(partitions) = result else { return false };
        self.batches.set_settings(&self.sender.transport().batch()); // the brokers' newest format may have changed
        *changed_to = Some(partitions).filter(|&partitions| partitions != self.batches.partitions());
        changed_to.is_some()
    }
}

impl<'a, T, M, F> PartitionedPublisher<'a, T, PollFn<F>>
where
    T: Transport,
    M: Message,
    F: FnMut(&mut Context<'_>) -> Poll<Option<M>>,
{
    /// Creates a publisher from a function that is polled for the next message.
    ///
    /// For sources that are no [`Stream`] but have a `poll_recv`, such as the channels of tokio. Otherwise as
    /// [`new`](Self::new).
    ///
    /// # Errors
    /// As [`new`](Self::new).
    pub async fn from_poll_fn<N: Into<Timestamp>>(
        transport: &'a T,
        topic: &'a str,
        poll: F,
        clock: impl Fn() -> N + Send + 'a,
    ) -> Result<Self, SendErrorReason> {
        Self::new(transport, topic, PollFn(poll), clock).await
    }
}

impl<T: Transport, S: Stream<Item: Message>> Stream for PartitionedPublisher<'_, T, S> {
    type Item = Outcome<S::Item>;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.get_mut().poll_outcome(context)
    }
}

/// The source and the futures are pinned in boxes.
impl<T: Transport, S: Stream> Unpin for PartitionedPublisher<'_, T, S> {}

impl<T: Transport, S: Stream> fmt::Debug for PartitionedPublisher<'_, T, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PartitionedPublisher")
            .field("topic", &self.sender.topic())
            .field("partitions", &self.batches.partitions())
            .field("open_batches", &self.batches.open_count())
            .field("in_flight", &self.sender.in_flight())
            .field("source_has_ended", &self.source.is_none())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
