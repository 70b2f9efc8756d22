//! A stream of messages in, a stream of batches out.

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::fmt;
use core::future::{Future, poll_fn};
use core::mem;
use core::pin::Pin;
use core::task::{Context, Poll, ready};
use core::time::Duration;

use futures_core::Stream;

use super::messages::Composer;
use super::rolling::{NumberedBatch, RollingBatch};
use super::{AppendError, KafkaBatch, SizePolicy};
use crate::message::{Defaults, Message};
use crate::time::Timestamp;

/// Makes batches of a stream of messages: a batch comes out when the next message does not fit, when it has waited long
/// enough ([`linger`](Self::linger)), and at the end. The messages come out with it, each at its record's position: so it
/// is known which went into which batch, and whatever was to be done with them once they are delivered can be done.
///
/// It is a [`Stream`] over any stream, and sends nothing: what it gives can go over any transport, to any partition, and
/// while nobody asks for the next batch nothing is taken from the stream. It knows no runtime: clock and timer are handed
/// in as functions, such as `SystemTime::now` and `tokio::time::sleep`.
///
/// **Cancelling loses nothing**: all that it has taken stays in it when a future of [`next`](Self::next) is dropped, and
/// the next one goes on from there. Who stops early takes the open batch out with [`take`](Self::take).
///
/// A message that can go into no batch comes out at once, as a [`RejectedMessage`], and the others are not touched by it. With
/// [`BatchOptions::route_by_key`](crate::BatchOptions::route_by_key) a key that routes elsewhere than the open batch is such
/// a rejected: keep one `BatchStream` for each partition.
///
/// ```
/// use kafka_batch_core::{BatchOptions, BatchStream, Timestamp};
/// # use std::{pin::pin, task::{Context, Poll, Waker}};
/// # fn block_on<T>(future: impl Future<Output = T>) -> T {
/// #     let Poll::Ready(output) = pin!(future).poll(&mut Context::from_waker(Waker::noop())) else { panic!() };
/// #     output
/// # }
/// # block_on(async {
///
/// let mut readings = ["21.5", "21.7", "21.6"].into_iter();
/// let clock = || Timestamp::from_millis(1_700_000_000_000); // with `std`: `SystemTime::now`
/// let first = BatchOptions::default().max_records(2).build(clock())?;
/// // A channel's receiver has `poll_recv`; whatever is a stream already goes into `BatchStream::new`.
/// let mut batches = BatchStream::from_poll_fn(move |_| Poll::Ready(readings.next()), first, clock);
///
/// let rolled = batches.next().await.expect("two readings fill a batch")?;
/// assert_eq!((rolled.number, rolled.messages), (0, vec!["21.5", "21.7"]));
/// let rolled = batches.next().await.expect("the last reading is in a batch of its own")?;
/// assert_eq!((rolled.number, rolled.batch.record_count()), (1, 1));
/// assert!(batches.next().await.is_none());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # }).unwrap();
/// ```
#[must_use = "streams do nothing unless they are asked for their next item"]
pub struct BatchStream<'d, S: Stream> {
    /// `None` once it has ended.
    source: Option<Pin<Box<S>>>,
    rolling: RollingBatch,
    /// Those that are in the open batch, by position.
    messages: Vec<S::Item>,
    composer: Composer<'d>,
    clock: Box<dyn Fn() -> Timestamp + Send + 'd>,
    linger: Option<Linger<'d>>,
}

struct Linger<'d> {
    start: Box<dyn Fn() -> Timer + Send + 'd>,
    /// Since the open batch has its first record.
    timer: Option<Timer>,
}

/// What comes out.
type News<T> = Result<RolledBatch<T>, RejectedMessage<T>>;

type Timer = Pin<Box<dyn Future<Output = ()> + Send>>;

/// A batch out of a [`BatchStream`], to be sent.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct RolledBatch<T> {
    /// Which batch it is: they are counted from 0.
    pub number: u64,
    /// The batch. It has one record at least.
    pub batch: KafkaBatch,
    /// The messages that are in it: each has the position of its record.
    pub messages: Vec<T>,
}

/// A message of a [`BatchStream`] that can go into no batch. It is in none, and comes back.
#[derive(Debug, thiserror::Error)]
#[error("a message does not go into its batch: {error}")]
#[non_exhaustive]
pub struct RejectedMessage<T> {
    /// The message.
    pub message: T,
    /// Why.
    pub error: AppendError,
}

impl<'d, S: Stream<Item: Message>> BatchStream<'d, S> {
    /// Out of these messages, into this batch and then into batches of the same settings. `clock` tells the timestamp of
    /// messages without one: `SystemTime::now`, say.
    ///
    /// If there are records in the first batch already, it comes out as it is, without messages.
    pub fn new<N: Into<Timestamp>>(source: S, first: KafkaBatch, clock: impl Fn() -> N + Send + 'd) -> Self {
        Self {
            source: Some(Box::pin(source)),
            rolling: RollingBatch::new(first),
            messages: Vec::new(),
            composer: Composer::new(Defaults::default()),
            clock: Box::new(move || clock().into()),
            linger: None,
        }
    }

    /// How long a batch may wait from its first message on: Kafka's `linger.ms`. `sleep` makes a future that is over after
    /// the time that it is given: `tokio::time::sleep`, `smol::Timer::after`, `async_std::task::sleep`. Without it a batch
    /// waits until it is full, or the messages are at an end.
    pub fn linger<F: Future + Send + 'static>(
        mut self,
        linger: Duration,
        sleep: impl Fn(Duration) -> F + Send + 'd,
    ) -> Self {
        let start = move || -> Timer {
            let timer = sleep(linger);
            Box::pin(async move { drop(timer.await) })
        };
        self.linger = Some(Linger { start: Box::new(start), timer: None });
        self
    }

    /// What holds for all the messages: key, headers, correlation id and so on, where they say nothing of theirs.
    pub fn defaults(mut self, defaults: Defaults<'d>) -> Self {
        self.composer = Composer::new(defaults);
        self
    }

    /// The next batch, or a message that can go into none; `None` at the end. For those who have no `StreamExt` at hand. A
    /// future that is dropped loses nothing.
    pub async fn next(&mut self) -> Option<News<S::Item>> {
        poll_fn(|context| self.poll_batch(context)).await
    }

    /// The open batch as it is, if it has records: for who stops early, or wants all of it sent now. The next message
    /// begins a new one.
    pub fn take(&mut self) -> Option<RolledBatch<S::Item>> {
        let taken = self.rolling.take()?;
        Some(self.roll(taken))
    }

    /// As [`RollingBatch::set_size_policy`].
    pub const fn set_size_policy(&mut self, policy: SizePolicy) {
        self.rolling.set_size_policy(policy);
    }

    /// The open batch: how full it is.
    #[must_use]
    pub const fn open(&self) -> &KafkaBatch {
        self.rolling.open()
    }

    fn poll_batch(&mut self, context: &mut Context<'_>) -> Poll<Option<News<S::Item>>> {
        if self.messages.len() < self.open().record_count() {
            return Poll::Ready(self.take().map(Ok)); // it came with records
        }
        while let Some(source) = &mut self.source {
            match source.as_mut().poll_next(context) {
                Poll::Ready(Some(message)) => {
                    if let Some(news) = self.place(message).transpose() {
                        return Poll::Ready(Some(news));
                    }
                }
                Poll::Ready(None) => self.source = None,
                Poll::Pending => {
                    let timer = self.linger.as_mut().and_then(|linger| linger.timer.as_mut());
                    let Some(timer) = timer else { return Poll::Pending };
                    ready!(timer.as_mut().poll(context));
                    return Poll::Ready(self.take().map(Ok));
                }
            }
        }
        Poll::Ready(self.take().map(Ok))
    }

    /// Puts a message into a batch. Gives the batch before, if there was no room in it.
    fn place(&mut self, message: S::Item) -> Result<Option<RolledBatch<S::Item>>, RejectedMessage<S::Item>> {
        let placed = self.composer.compose(&message).map_err(AppendError::from);
        let placed = placed.and_then(|record| self.rolling.append(record, (self.clock)()));
        match placed {
            Ok(placed) => {
                let full = placed.full.map(|full| self.roll(full));
                self.messages.push(message);
                if let Some(Linger { start, timer: timer @ None }) = &mut self.linger {
                    *timer = Some(start());
                }
                Ok(full)
            }
            Err(error) => Err(RejectedMessage { message, error }),
        }
    }

    /// With this batch go its messages, and its time is over.
    fn roll(&mut self, NumberedBatch { number, batch }: NumberedBatch) -> RolledBatch<S::Item> {
        if let Some(linger) = &mut self.linger {
            linger.timer = None;
        }
        RolledBatch { number, batch, messages: mem::take(&mut self.messages) }
    }
}

impl<S: Stream<Item: Message>> Stream for BatchStream<'_, S> {
    type Item = News<S::Item>;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.get_mut().poll_batch(context)
    }
}

/// Messages are moved into it, and nothing points at them.
impl<S: Stream> Unpin for BatchStream<'_, S> {}

impl<S: Stream> fmt::Debug for BatchStream<'_, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ended = self.source.is_none();
        f.debug_struct("BatchStream").field("rolling", &self.rolling).field("ended", &ended).finish_non_exhaustive()
    }
}

/// A stream out of a function: [`BatchStream::from_poll_fn`].
pub struct PollFn<F>(F);

impl<'d, T: Message, F: FnMut(&mut Context<'_>) -> Poll<Option<T>>> BatchStream<'d, PollFn<F>> {
    /// As [`new`](Self::new), out of a function that is polled for the next message: what has no [`Stream`], such as
    /// tokio's channels, has such a function (`poll_recv`).
    pub fn from_poll_fn<N: Into<Timestamp>>(poll: F, first: KafkaBatch, clock: impl Fn() -> N + Send + 'd) -> Self {
        Self::new(PollFn(poll), first, clock)
    }
}

impl<T, F: FnMut(&mut Context<'_>) -> Poll<Option<T>>> Stream for PollFn<F> {
    type Item = T;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<T>> {
        self.get_mut().0(context)
    }
}

/// The function is called where it is, and is never pinned itself.
impl<F> Unpin for PollFn<F> {}

impl<F> fmt::Debug for PollFn<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PollFn")
    }
}

#[cfg(test)]
mod tests;
