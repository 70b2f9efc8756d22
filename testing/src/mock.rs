//! A transport without brokers, for unit tests of code that sends batches.

mod failure;
mod pending;
mod sent;
mod state;

use std::collections::BTreeMap;
use std::fmt;
use std::future::{Future, poll_fn};
use std::num::NonZeroU32;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Poll;
use std::time::SystemTime;

use kafka_batch_core::{
    BatchOptions, Capabilities, FailureReason, Fate, FlushError, KafkaBatch, SealError, SendError, SendErrorReason,
    Timestamp, TopicPartition, Transport,
};

pub use self::failure::{Failure, Response};
pub use self::pending::MockPending;
pub use self::sent::SentBatch;
use self::state::{State, Topics};
use crate::StoredRecord;

/// A transport without brokers, for unit tests of code that is generic over [`Transport`] or holds a
/// [`BoxTransport`](kafka_batch_core::BoxTransport). It keeps what was sent, and responds as a test asks. Its counterpart in
/// Kafka's Java client is `MockProducer`.
///
/// Each batch is delivered at once, with offsets from 0 on in each partition, unless a test has asked for another
/// [`Response`]. With [`auto_complete(false)`](MockTransportBuilder::auto_complete), or [`Response::Hold`], a batch is in
/// flight until [`complete_next`](Self::complete_next) or [`error_next`](Self::error_next).
///
/// It needs no runtime, opens no socket and starts no thread. A cheap handle: clones share what was sent. When the last one is
/// dropped, batches in flight fail with [`FailureReason::Stopped`], so that no test waits for ever.
///
/// ```
/// use kafka_batch_core::{Fate, Record, TopicPartition, Transport};
/// use kafka_batch_testing::{Failure, MockTransport};
///
/// # async fn test() -> Result<(), Box<dyn std::error::Error>> {
/// let mock = MockTransport::new();
/// mock.respond(Failure::lost_response()); // to the next batch: it is in the log, but the producer does not know
///
/// let mut batch = mock.batch();
/// batch.extend([Record::new("one"), Record::new("two")])?;
/// let error = mock.send_batch(batch, TopicPartition::new("orders", 0)).await?.await.unwrap_err();
///
/// assert_eq!(error.fate(), Some(Fate::Unknown));
/// mock.assert_sent("orders", 0, &["one", "two"]);
/// assert_eq!(mock.log("orders", 0).len(), 2);
/// # Ok(())
/// # }
/// # use std::{future::Future, pin::pin, task::{Context, Waker}};
/// # assert!(pin!(test()).poll(&mut Context::from_waker(Waker::noop())).is_ready());
/// ```
#[derive(Clone)]
pub struct MockTransport(Arc<Inner>);

struct Inner {
    state: Mutex<State>,
    options: BatchOptions,
    now: Option<Timestamp>,
}

/// Sets up a [`MockTransport`].
#[derive(Clone, Debug)]
pub struct MockTransportBuilder {
    topics: BTreeMap<String, NonZeroU32>,
    options: BatchOptions,
    auto_completes: bool,
    now: Option<Timestamp>,
}

impl MockTransportBuilder {
    /// Adds a topic. Once there is one, other topics do not exist. Default: every topic whose name Kafka allows exists, with one
    /// partition.
    #[must_use]
    pub fn topic(mut self, name: impl Into<String>, partitions: NonZeroU32) -> Self {
        self.topics.insert(name.into(), partitions);
        self
    }

    /// Sets the options of new batches.
    #[must_use]
    pub fn batch_options(mut self, options: BatchOptions) -> Self {
        self.options = options;
        self
    }

    /// Sets whether batches are delivered at once. If not, they are in flight until
    /// [`complete_next`](MockTransport::complete_next) or [`error_next`](MockTransport::error_next). Default: `true`.
    #[must_use]
    pub const fn auto_complete(mut self, auto_complete: bool) -> Self {
        self.auto_completes = auto_complete;
        self
    }

    /// Sets the time of new batches. Default: the current time.
    #[must_use]
    pub fn now(mut self, now: impl Into<Timestamp>) -> Self {
        self.now = Some(now.into());
        self
    }

    /// Creates the transport.
    ///
    /// # Panics
    /// The batch options are invalid.
    #[must_use]
    #[track_caller]
    pub fn build(self) -> MockTransport {
        let Self { topics, options, auto_completes, now } = self;
        if let Err(error) = options.clone().build(0) {
            panic!("the batch options of the mock are invalid: {error}");
        }
        let topics = if topics.is_empty() { Topics::Any } else { Topics::Named(topics) };
        MockTransport(Arc::new(Inner { state: Mutex::new(State::new(topics, auto_completes)), options, now }))
    }
}

impl MockTransport {
    /// Creates a transport on which every topic exists, with one partition, and every batch is delivered at once.
    #[must_use]
    pub fn new() -> Self {
        Self::builder().build()
    }

    /// Returns a builder.
    #[must_use]
    pub fn builder() -> MockTransportBuilder {
        let (topics, options) = (BTreeMap::new(), BatchOptions::default());
        MockTransportBuilder { topics, options, auto_completes: true, now: None }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state()
    }

    /// Appends a response to those of the batches that will be sent: the first is that of the next batch.
    pub fn respond(&self, response: impl Into<Response>) {
        self.state().responses.push_back(response.into());
    }

    /// Delivers the oldest batch in flight. Returns `false` if there is none.
    #[must_use = "it is `false` if no batch is in flight"]
    pub fn complete_next(&self) -> bool {
        self.finish_next(None)
    }

    /// Fails the oldest batch in flight. Returns `false` if there is none.
    #[must_use = "it is `false` if no batch is in flight"]
    pub fn error_next(&self, failure: Failure) -> bool {
        self.finish_next(Some(failure))
    }

    fn finish_next(&self, failure: Option<Failure>) -> bool {
        let mut state = self.state();
        let finished = state.finish_next(failure);
        drop(state);
        finished.map(state::Finished::wake).is_some()
    }

    /// Returns the number of batches in flight.
    #[must_use]
    pub fn in_flight(&self) -> usize {
        self.state().in_flight()
    }

    /// Returns all batches that were accepted, in order, whatever their outcome.
    #[must_use]
    pub fn history(&self) -> Vec<SentBatch> {
        self.state().history.clone()
    }

    /// Returns the records of the batches that were accepted for a partition, in order, whatever their outcome.
    #[must_use]
    pub fn sent(&self, topic: &str, partition: i32) -> Vec<StoredRecord> {
        let state = self.state();
        let of_partition = state.history.iter().filter(|sent| sent.to.topic == topic && sent.to.partition == partition);
        of_partition.flat_map(|sent| sent::records(&sent.batch, 0)).collect()
    }

    /// Returns the records in the log of a partition: those of batches that were delivered, or that failed with
    /// [`Failure::lost_response`] or the fate [`Fate::Written`]. The offset of each is its index.
    #[must_use]
    pub fn log(&self, topic: &str, partition: i32) -> Vec<StoredRecord> {
        let to = TopicPartition::new(topic, partition);
        self.state().logs.get(&to).cloned().unwrap_or_default()
    }

    /// Returns `true` if the transport was closed.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.state().is_closed
    }

    /// Forgets what was sent and the responses that were not used. Logs, and batches in flight, stay.
    pub fn clear(&self) {
        let mut state = self.state();
        state.history.clear();
        state.responses.clear();
    }

    /// Checks that exactly these values were sent to a partition, in this order, whatever the outcome.
    ///
    /// # Panics
    /// They were not. The message has what was sent, also to other partitions.
    #[track_caller]
    pub fn assert_sent(&self, topic: &str, partition: i32, values: &[impl AsRef<[u8]>]) {
        let found = self.sent(topic, partition);
        self.assert_values("sent to", &TopicPartition::new(topic, partition), &found, values);
    }

    /// Checks that exactly these values are in the [log](Self::log) of a partition, in this order.
    ///
    /// # Panics
    /// They are not. The message has the log, and what was sent.
    #[track_caller]
    pub fn assert_log(&self, topic: &str, partition: i32, values: &[impl AsRef<[u8]>]) {
        let found = self.log(topic, partition);
        self.assert_values("in the log of", &TopicPartition::new(topic, partition), &found, values);
    }

    #[track_caller]
    fn assert_values(&self, place: &str, to: &TopicPartition, found: &[StoredRecord], expected: &[impl AsRef<[u8]>]) {
        let found: Vec<Option<&[u8]>> = found.iter().map(|record| record.value.as_deref()).collect();
        let expected: Vec<Option<&[u8]>> = expected.iter().map(|value| Some(value.as_ref())).collect();
        if found == expected {
            return;
        }
        let differs = found.iter().zip(&expected).position(|(found, expected)| found != expected);
        let first = differs.unwrap_or(found.len().min(expected.len()));
        let state = self.state();
        panic!(
            "{place} {to}: {}\n expected: {}\n   from value {first} on they differ\n{}",
            sent::shown(&found),
            sent::shown(&expected),
            state.summary()
        );
    }

    /// Checks that no batch is in flight, and that every [response](Self::respond) was used.
    ///
    /// # Panics
    /// One is, or was not.
    #[track_caller]
    pub fn assert_finished(&self) {
        let state = self.state();
        if state.in_flight() > 0 || !state.responses.is_empty() {
            panic!(
                "{} batches are in flight, and {} responses were not used: {:?}\n{}",
                state.in_flight(),
                state.responses.len(),
                state.responses,
                state.summary()
            );
        }
    }

    /// Waits until the batches that were accepted before have an outcome.
    fn finished(&self) -> impl Future<Output = Result<(), FlushError>> + Send + '_ {
        let last = self.state().next_number();
        poll_fn(move |context| {
            let mut state = self.state();
            if state.is_finished(last) {
                Poll::Ready(Ok(()))
            } else {
                state.flushes.push(context.waker().clone());
                Poll::Pending
            }
        })
    }

    /// Accepts a batch, unless it has to be refused.
    fn accept(&self, batch: KafkaBatch, to: TopicPartition) -> Result<MockPending, SendError> {
        let mut state = self.state();
        if let Err(reason) = state.check(&batch, &to) {
            return Err(SendError::new(to, reason, batch));
        }
        let sealed = match batch.seal() {
            Ok(sealed) => sealed,
            Err(SealError { reason, batch, .. }) => return Err(SendError::new(to, reason.into(), *batch)),
        };
        let (pending, finished) = match state.next_response() {
            Response::Refuse(reason) => return Err(SendError::new(to, reason, sealed.into_batch())),
            Response::Hold => (state.hold(sealed, to), None),
            Response::Deliver => state.respond(sealed, to, None),
            Response::Fail(failure) => state.respond(sealed, to, Some(failure)),
        };
        drop(state);
        finished.into_iter().for_each(state::Finished::wake);
        Ok(pending)
    }
}

impl Default for MockTransport {
    fn default() -> Self {
        Self::new()
    }
}

impl Inner {
    fn state(&self) -> MutexGuard<'_, State> {
        // An assertion of a test may have panicked under the lock.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        while let Some(finished) =
            { self.state() }.finish_next(Some(Failure::new(FailureReason::Stopped, Fate::Unknown)))
        {
            finished.wake();
        }
    }
}

impl Transport for MockTransport {
    type Pending = MockPending;

    fn capabilities(&self) -> Capabilities {
        Capabilities::new(true)
    }

    fn batch(&self) -> KafkaBatch {
        let now = self.0.now.unwrap_or_else(|| SystemTime::now().into());
        self.0.options.clone().build(now).expect("the options were checked when the mock was built")
    }

    async fn partition_count(&self, topic: &str) -> Result<NonZeroU32, SendErrorReason> {
        self.state().partition_count(topic)
    }

    /// Returns 0, and the next partition once a batch was sent to the one before.
    async fn pick_partition(&self, topic: &str) -> Result<i32, SendErrorReason> {
        self.state().pick_partition(topic)
    }

    async fn send_batch(&self, batch: KafkaBatch, to: TopicPartition) -> Result<MockPending, SendError> {
        self.accept(batch, to)
    }

    async fn flush(&self) -> Result<(), FlushError> {
        self.finished().await
    }

    async fn close(&self) -> Result<(), FlushError> {
        self.state().is_closed = true;
        self.finished().await
    }

    async fn close_at_once(&self) -> Result<(), FlushError> {
        self.state().is_closed = true;
        while self.error_next(Failure::new(FailureReason::Closed, Fate::Unknown)) {}
        Ok(())
    }
}

impl fmt::Debug for MockTransport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.state();
        let mut shown = f.debug_struct("MockTransport");
        shown.field("sent", &state.history.len()).field("in_flight", &state.in_flight());
        shown.field("is_closed", &state.is_closed).finish_non_exhaustive()
    }
}
