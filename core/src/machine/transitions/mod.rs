//! The machine itself: its two doors, its commands, and the drain.

mod causes;
mod completion;
mod connections;
mod metadata;
mod produce;
mod responses;
mod unfinished;

use alloc::boxed::Box;
use alloc::collections::{BTreeMap, BTreeSet, VecDeque};
use alloc::string::String;
use alloc::vec::Vec;
use core::time::Duration;

use self::completion::SplitBatch;
use self::metadata::Refresh;
use self::responses::PendingRequest;
use super::accumulator::{Accumulator, BlockedOn};
use super::backoff::{Backoff, Seed};
use super::cluster::Cluster;
use super::config::ProducerConfig;
use super::event::{BatchId, Clock, CloseMode, ConnectionError, Event, FlushId, SendError, SendErrorKind};
use super::identity::Identities;
use super::io::{ConnectionId, Input, Output};
use super::network::Network;
use super::timers::{Timer, Timers};
use crate::batch::SealedBatch;
use crate::record::TopicPartition;
use crate::splitmix64::SplitMix64;
use crate::time::{Instant, Timestamp};

/// A Kafka producer as a state machine: see the [module](super) for how to drive it.
#[derive(Debug)]
pub struct Machine {
    config: ProducerConfig,
    started: Clock,
    /// The latest moment that was ever named.
    now: Instant,
    random: SplitMix64,
    timers: Timers,
    network: Network,
    cluster: Cluster,
    refresh: Refresh,
    accumulator: Accumulator,
    identities: Identities,
    /// A batch waits for a producer id, which can be had over this connection.
    identity_over: Option<ConnectionId>,
    /// The last error of a request for a producer id, and when it occurred.
    identity_error: Option<(Instant, ConnectionError)>,
    /// Batches that were split and are not whole again.
    split_batches: BTreeMap<BatchId, SplitBatch>,
    /// What was asked, by the connection and the number under which the answer will come.
    pending_requests: BTreeMap<(ConnectionId, i32), PendingRequest>,
    flushes: VecDeque<(FlushId, BatchId)>,
    next_flush: u64,
    /// Topics that the application wants to hear of, until then.
    look_ups: BTreeMap<String, Instant>,
    /// Where to begin with the next Produce request, so that all partitions get their turn.
    turn: usize,
    outputs: VecDeque<Output>,
    /// Something has changed since the last look for requests to form.
    dirty: bool,
    lifecycle: Lifecycle,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Lifecycle {
    Open,
    /// Closed for new batches, and for good when the old ones are through.
    Flushing,
    Closed,
}

/// The longest name that Kafka lets a topic have.
const LONGEST_TOPIC: usize = 249;

impl Machine {
    /// A producer that has connected to nobody yet: it does when there is something to do. Same clock, seed, commands and
    /// input: same output, byte for byte. With SCRAM, nobody else may be able to guess the seed.
    #[must_use]
    pub fn new(mut config: ProducerConfig, clock: Clock, seed: u64) -> Self {
        if config.client_id.len() > i16::MAX as usize {
            config.client_id = String::new(); // no request could carry it
        }
        // With no time at all it would forget and retire for ever, and come to nothing else.
        for time in [&mut config.metadata_max_idle, &mut config.connections_max_idle] {
            *time = (*time).max(Duration::from_millis(1));
        }
        let mut random = SplitMix64::new(seed);
        let turn = random.below(config.bootstrap_servers.len());
        Self {
            config,
            started: clock,
            now: clock.now,
            random,
            timers: Timers::default(),
            network: Network::new(turn, Seed(seed)),
            cluster: Cluster::default(),
            refresh: Refresh::default(),
            accumulator: Accumulator::default(),
            identities: Identities::default(),
            identity_over: None,
            identity_error: None,
            split_batches: BTreeMap::new(),
            pending_requests: BTreeMap::new(),
            flushes: VecDeque::new(),
            next_flush: 0,
            look_ups: BTreeMap::new(),
            turn: 0,
            outputs: VecDeque::new(),
            dirty: false,
            lifecycle: Lifecycle::Open,
        }
    }

    /// Accepts a batch for a partition. It goes out at the next poll or later; what becomes of it comes as exactly one
    /// [`Event::Delivered`] or [`Event::Failed`].
    ///
    /// # Errors
    /// It was not accepted, and comes back: too many bytes are on their way, or the producer is closed.
    pub fn send(&mut self, batch: SealedBatch, to: TopicPartition, now: Instant) -> Result<BatchId, SendError> {
        self.advance(now);
        if let Some(reason) = self.refusal(batch.size(), &to) {
            return Err(SendError { to, reason, batch: Box::new(batch) });
        }
        let deadline = self.now + self.config.delivery_timeout;
        let (id, partition) = self.accumulator.accept(batch, to, deadline);
        self.watch_deadline(partition);
        self.watch_unused();
        self.dirty = true;
        Ok(id)
    }

    fn refusal(&self, needed: usize, to: &TopicPartition) -> Option<SendErrorKind> {
        let (waiting, limit) = (self.accumulator.bytes(), self.config.buffer_memory);
        if self.lifecycle != Lifecycle::Open {
            Some(SendErrorKind::Closed)
        } else if to.topic.is_empty() || to.topic.len() > LONGEST_TOPIC || to.partition < 0 {
            Some(SendErrorKind::Invalid)
        } else if needed > limit {
            Some(SendErrorKind::NeverFits { needed, limit })
        } else if needed > limit - waiting.min(limit) {
            Some(SendErrorKind::Full { waiting, needed, limit })
        } else {
            None
        }
    }

    /// Whether [`send`](Self::send) takes anything at present. A batch larger than what is left is refused all the same;
    /// there is more room after the next [`Event::Delivered`] or [`Event::Failed`].
    #[must_use]
    pub fn has_room(&self) -> bool {
        self.lifecycle == Lifecycle::Open && self.accumulator.bytes() < self.config.buffer_memory
    }

    /// Bytes of batches that are on their way: at most `buffer.memory`.
    #[must_use]
    pub fn bytes_on_their_way(&self) -> usize {
        self.accumulator.bytes()
    }

    /// Asks for an [`Event::Flushed`] when everything that was accepted until now is through, one way or the other.
    /// Nothing goes faster for it: the machine does not linger.
    pub fn flush(&mut self, now: Instant) -> FlushId {
        self.advance(now);
        let id = FlushId(self.next_flush);
        self.next_flush += 1;
        if self.lifecycle != Lifecycle::Closed {
            self.flushes.push_back((id, self.accumulator.next_batch()));
            self.dirty = true;
        }
        id
    }

    /// Takes no further batch, and ends with [`Event::Closed`]: after flushing, or at once. A second call can only make
    /// it faster. A flush that is called after [`Event::Closed`] is not answered any more.
    pub fn close(&mut self, mode: CloseMode, now: Instant) {
        self.advance(now);
        if self.lifecycle == Lifecycle::Closed {
            return;
        }
        self.lifecycle = Lifecycle::Flushing;
        self.dirty = true;
        if mode == CloseMode::Immediate {
            self.abandon_everything();
        }
    }

    /// Asks what the cluster knows of a topic: the answer comes as [`Event::Topic`].
    pub fn lookup_topic(&mut self, topic: &str, now: Instant) {
        self.advance(now);
        if self.lifecycle == Lifecycle::Open {
            self.begin_look_up(topic);
        }
    }

    /// How many partitions a topic has, as far as is known at present.
    #[must_use]
    pub fn partition_count(&self, topic: &str) -> Option<u32> {
        self.cluster.partition_count(topic)
    }

    /// The time on the wall clock at this moment: what the clock that the producer was made with says, and what has
    /// passed since.
    #[must_use]
    pub fn wall_time(&self, now: Instant) -> Timestamp {
        let passed = now.since(self.started.now).as_millis();
        let passed = i64::try_from(passed).unwrap_or(i64::MAX);
        Timestamp::from_millis(self.started.wall.millis().saturating_add(passed))
    }

    /// Takes in what happened. Only [`poll_output`](Self::poll_output) says what is to be done about it. Several inputs
    /// may come in a row; a `now` earlier than one that was named before counts as that one.
    pub fn handle_input(&mut self, input: Input<'_>, now: Instant) {
        self.advance(now);
        self.dirty = true;
        match input {
            Input::Connected(id) => self.on_connected(id),
            Input::Received(id, bytes) => self.on_received(id, bytes),
            Input::Written(id) => self.on_written(id),
            Input::Closed(id, how, details) => self.on_closed(id, how, details),
        }
    }

    /// The next thing to do. Call it until it says [`Output::Wait`], after every input and command and when the moment has
    /// come that it said; it never fails, for failures are events.
    pub fn poll_output(&mut self, now: Instant) -> Output {
        self.advance(now);
        self.leave_brokers_if_told();
        loop {
            if let Some(output) = self.outputs.pop_front() {
                return output;
            }
            if let Some(timer) = self.timers.pop_due(self.now) {
                self.dirty = true;
                self.on_timer(timer);
                continue;
            }
            if !self.dirty || self.lifecycle == Lifecycle::Closed {
                return Output::Wait(self.timers.next());
            }
            self.dirty = false;
            self.answer_flushes();
            self.close_when_through();
            if self.lifecycle == Lifecycle::Closed {
                continue;
            }
            if let Some((connection, bytes)) = self.next_request() {
                self.watch(connection);
                self.dirty = true; // there may be more to send
                self.outputs.push_back(Output::Transmit { connection, bytes });
            }
        }
    }

    /// What is to be sent now, if anything.
    fn next_request(&mut self) -> Option<(ConnectionId, Vec<bytes::Bytes>)> {
        if let Some(request) = self.form_produce() {
            return Some(request);
        }
        let identity = self.identity_over.take().and_then(|connection| self.next_identity(connection));
        identity.or_else(|| self.ask_metadata(self.accumulator.lacks_leader()))
    }

    fn on_timer(&mut self, timer: Timer) {
        match timer {
            Timer::Overdue(id) => self.on_overdue(id),
            Timer::Idle(id) => self.on_idle(id),
            Timer::Delivery(partition) => self.on_out_of_time(partition),
            Timer::LookupTopic => self.give_up_look_ups(),
            Timer::MetadataAge => self.refresh.is_old = true,
            Timer::MetadataIdle => self.forget_unused(),
            Timer::Retry(partition) => self.accumulator.look_at(partition),
            Timer::Reconnect(node) => self.accumulator.wake(|awaited| *awaited == BlockedOn::Node(node)),
            Timer::Throttle(id) => self.accumulator.wake(|awaited| *awaited == BlockedOn::Capacity(id)),
            Timer::ProducerId => self.accumulator.wake(|awaited| matches!(awaited, BlockedOn::Identity(_))),
            // That it is over is all: whether metadata is asked for is seen in every drain.
            Timer::MetadataRetry => {}
        }
    }

    /// Places that partitions take, or have taken.
    #[cfg(test)]
    pub(super) fn partitions_known(&self) -> usize {
        self.accumulator.places()
    }

    /// Forgets the topics and partitions that nothing was sent for since the last time.
    fn forget_unused(&mut self) {
        for identity in self.accumulator.forget_unused() {
            self.identities.forget_counting(identity);
        }
        let (accumulator, look_ups) = (&self.accumulator, &self.look_ups);
        self.cluster.forget_unused(|topic| accumulator.knows(topic) || look_ups.contains_key(topic));
        self.watch_unused();
    }

    fn watch_unused(&mut self) {
        let is_known = !self.accumulator.is_unused() || !self.cluster.is_unused();
        if is_known && !self.timers.is_set(Timer::MetadataIdle) {
            self.timers.set(Timer::MetadataIdle, self.now + self.config.metadata_max_idle);
        }
    }

    fn advance(&mut self, now: Instant) {
        self.now = self.now.max(now);
    }

    fn answer_flushes(&mut self) {
        while let Some(&(flush, end)) = self.flushes.front() {
            if self.accumulator.oldest().is_some_and(|oldest| oldest < end) {
                break;
            }
            self.flushes.pop_front();
            self.outputs.push_back(Output::Event(Event::Flushed(flush)));
        }
    }

    fn close_when_through(&mut self) {
        if self.lifecycle != Lifecycle::Flushing || self.accumulator.oldest().is_some() || !self.flushes.is_empty() {
            return;
        }
        self.lifecycle = Lifecycle::Closed;
        let connections: Vec<ConnectionId> = self.network.connections.keys().copied().collect();
        for id in connections {
            self.network.retire(id);
            self.outputs.push_back(Output::Close(id));
        }
        self.timers.clear_all();
        self.pending_requests.clear();
        self.outputs.push_back(Output::Event(Event::Closed));
    }

    fn retry_backoff(&self) -> Backoff {
        Backoff { first: self.config.retry_backoff, most: self.config.retry_backoff_max }
    }

    fn reconnect_backoff(&self) -> Backoff {
        Backoff { first: self.config.reconnect_backoff, most: self.config.reconnect_backoff_max }
    }

    /// The topics that are needed now.
    fn needed_topics(&self) -> BTreeSet<&str> {
        let mut topics = self.accumulator.topics();
        topics.extend(self.look_ups.keys().map(String::as_str));
        topics
    }
}
