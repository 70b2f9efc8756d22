//! A stream of batches made from a stream of messages.

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::error::Error;
use core::fmt;
use core::future::{Future, poll_fn};
use core::mem;
use core::pin::Pin;
use core::task::{Context, Poll, ready};
use core::time::Duration;

use futures_core::Stream;

use super::{NumberedBatch, RollingBatch};
use crate::batch::{AppendError, KafkaBatch, RecordComposer, SizePolicy};
use crate::outgoing::{Defaults, Message};
use crate::time::Timestamp;

/// Makes batches from a stream of messages.
///
/// A batch is returned when the next message does not fit into it, when it has waited for [`linger`](Self::linger), and at
/// the end of the stream. The messages in it are returned with it, each at the position of its record, so that they can be
/// acknowledged at their source once the batch is delivered.
///
/// It is a [`Stream`] over any stream, and sends nothing: its batches can go over any transport to any partition. It takes
/// messages from the source only while it is polled. It needs no particular runtime: clock and timer are given as functions,
/// such as `SystemTime::now` and `tokio::time::sleep`.
///
/// A message that no batch can hold is returned at once, as a [`RejectedMessage`], and the others are not affected. With
/// [`BatchOptions::route_by_key`](crate::BatchOptions::route_by_key) that includes a message whose key routes to another
/// partition than the current batch: keep one `BatchStream` per partition.
///
/// # Cancellation safety
///
/// A future of [`next`](Self::next) that is dropped loses nothing: the messages taken so far stay in the `BatchStream`, and
/// the next call continues from there. To stop early, remove the current batch with [`take`](Self::take).
///
/// # Examples
///
/// ```
/// use kafka_batch_core::stream::BatchStream;
/// use kafka_batch_core::{BatchOptions, Timestamp};
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
/// // A channel's receiver has `poll_recv`. A source that is a `Stream` is passed to `BatchStream::new`.
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
#[must_use = "streams do nothing unless polled"]
pub struct BatchStream<'d, S: Stream> {
    /// `None` once the source has ended.
    source: Option<Pin<Box<S>>>,
    rolling: RollingBatch,
    /// The messages in the current batch, by position.
    messages: Vec<S::Item>,
    composer: RecordComposer<'d>,
    clock: Box<dyn Fn() -> Timestamp + Send + 'd>,
    linger: Option<Linger<'d>>,
}

struct Linger<'d> {
    start: Box<dyn Fn() -> Timer + Send + 'd>,
    /// Runs while the current batch has records.
    timer: Option<Timer>,
}

/// An item of the stream.
type BatchResult<T> = Result<RolledBatch<T>, RejectedMessage<T>>;

type Timer = Pin<Box<dyn Future<Output = ()> + Send>>;

/// A batch of a [`BatchStream`], to be sent.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct RolledBatch<T> {
    /// The number of the batch, counted from 0.
    pub number: u64,
    /// The batch. It has at least one record.
    pub batch: KafkaBatch,
    /// The messages in the batch, each at the position of its record.
    pub messages: Vec<T>,
}

/// A message of a [`BatchStream`] that no batch with its settings can hold. It is in no batch.
#[derive(Debug)]
#[non_exhaustive]
pub struct RejectedMessage<T> {
    /// The message.
    pub message: T,
    /// The reason.
    pub error: AppendError,
}

impl<T> fmt::Display for RejectedMessage<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a message was rejected by its batch: {}", self.error)
    }
}

impl<T: fmt::Debug> Error for RejectedMessage<T> {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.error.source()
    }
}

impl<'d, S: Stream<Item: Message>> BatchStream<'d, S> {
    /// Creates a stream of batches from a stream of messages. The first batch is `first`, and the others have its settings.
    ///
    /// `clock` returns the timestamp of messages without one, such as `SystemTime::now`. If `first` has records already, it
    /// is returned as it is, without messages.
    pub fn new<N: Into<Timestamp>>(source: S, first: KafkaBatch, clock: impl Fn() -> N + Send + 'd) -> Self {
        Self {
            source: Some(Box::pin(source)),
            rolling: RollingBatch::new(first),
            messages: Vec::new(),
            composer: RecordComposer::new(Defaults::default()),
            clock: Box::new(move || clock().into()),
            linger: None,
        }
    }

    /// Sets how long a batch may wait from its first message on: Kafka's `linger.ms`. By default a batch waits until it is
    /// full or the stream ends.
    ///
    /// `sleep` returns a future that completes after the given time: `tokio::time::sleep`, `smol::Timer::after`,
    /// `async_std::task::sleep`.
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

    /// Sets the key, headers, correlation id and so on of messages that do not set their own.
    pub fn defaults(mut self, defaults: Defaults<'d>) -> Self {
        self.composer = RecordComposer::new(defaults);
        self
    }

    /// Returns the next batch, or a message that no batch can hold; `None` at the end of the stream.
    ///
    /// The same as `StreamExt::next`, for callers that do not depend on a crate with that trait.
    ///
    /// # Errors
    /// The item is a [`RejectedMessage`]; the stream continues after it.
    pub async fn next(&mut self) -> Option<BatchResult<S::Item>> {
        poll_fn(|context| self.poll_batch(context)).await
    }

    /// Removes and returns the current batch, if it has records: to stop early, or to send everything now. The next message
    /// begins a new batch.
    pub fn take(&mut self) -> Option<RolledBatch<S::Item>> {
        let taken = self.rolling.take()?;
        Some(self.finish(taken))
    }

    /// Sets the size policy from the next batch on, as [`RollingBatch::set_size_policy`].
    pub const fn set_size_policy(&mut self, policy: SizePolicy) {
        self.rolling.set_size_policy(policy);
    }

    /// Returns the batch that is being filled.
    #[must_use]
    pub const fn current(&self) -> &KafkaBatch {
        self.rolling.current()
    }

    fn poll_batch(&mut self, context: &mut Context<'_>) -> Poll<Option<BatchResult<S::Item>>> {
        if self.messages.len() < self.current().record_count() {
            return Poll::Ready(self.take().map(Ok)); // the first batch had records when it was passed in
        }
        while let Some(source) = &mut self.source {
            match source.as_mut().poll_next(context) {
                Poll::Ready(Some(message)) => {
                    if let Some(result) = self.append(message).transpose() {
                        return Poll::Ready(Some(result));
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

    /// Appends a message. Returns the previous batch, if the message did not fit into it.
    fn append(&mut self, message: S::Item) -> Result<Option<RolledBatch<S::Item>>, RejectedMessage<S::Item>> {
        let composed = self.composer.compose(&message).map_err(AppendError::from);
        let placement = composed.and_then(|record| self.rolling.append(record, (self.clock)()));
        match placement {
            Ok(placement) => {
                let full = placement.full.map(|full| self.finish(full));
                self.messages.push(message);
                if let Some(Linger { start, timer: timer @ None }) = &mut self.linger {
                    *timer = Some(start());
                }
                Ok(full)
            }
            Err(error) => Err(RejectedMessage { message, error }),
        }
    }

    /// Adds its messages to a finished batch, and stops the timer.
    fn finish(&mut self, NumberedBatch { number, batch }: NumberedBatch) -> RolledBatch<S::Item> {
        if let Some(linger) = &mut self.linger {
            linger.timer = None;
        }
        RolledBatch { number, batch, messages: mem::take(&mut self.messages) }
    }
}

impl<S: Stream<Item: Message>> Stream for BatchStream<'_, S> {
    type Item = BatchResult<S::Item>;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.get_mut().poll_batch(context)
    }
}

/// Messages are moved into the stream and out of it, and never pinned; the source and the timer are boxed.
impl<S: Stream> Unpin for BatchStream<'_, S> {}

impl<S: Stream> fmt::Debug for BatchStream<'_, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ended = self.source.is_none();
        f.debug_struct("BatchStream").field("rolling", &self.rolling).field("ended", &ended).finish_non_exhaustive()
    }
}

/// The stream that [`BatchStream::from_poll_fn`] makes of a function.
pub struct PollFn<F>(pub(crate) F);

impl<'d, T: Message, F: FnMut(&mut Context<'_>) -> Poll<Option<T>>> BatchStream<'d, PollFn<F>> {
    /// Creates a stream of batches from a function that is polled for the next message.
    ///
    /// For sources that are no [`Stream`] but have a `poll_recv`, such as the channels of tokio. Otherwise as
    /// [`new`](Self::new).
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

/// The function is called by `&mut` reference and never pinned.
impl<F> Unpin for PollFn<F> {}

impl<F> fmt::Debug for PollFn<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PollFn")
    }
}

#[cfg(test)]
mod tests;
