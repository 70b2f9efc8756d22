//! The machine: its commands, its input, and the loop that produces its output.

mod acceptance;
mod causes;
mod completion;
mod connections;
mod metadata;
mod notices;
mod produce;
mod producer_id;
mod rebootstrap;
mod recovery;
mod responses;
mod stats;
mod telemetry;
mod token;
mod transaction_commands;
mod transaction_coordinators;
mod transaction_end;
mod transaction_markers;
mod transaction_offsets;
mod transaction_requests;
mod transaction_responses;

use alloc::boxed::Box;
use alloc::collections::{BTreeMap, BTreeSet, VecDeque};
use alloc::string::String;
use alloc::vec::Vec;
use core::time::Duration;

use self::completion::SplitBatch;
use self::metadata::Refresh;
use self::produce::BatchToSend;
use self::responses::InFlightRequests;
use super::accumulator::Accumulator;
use super::backoff::{Backoff, Seed};
use super::cluster::Cluster;
use super::config::MachineConfig;
use super::connection::ConnectionEvent;
use super::entry::EntryIds;
use super::event::{BatchId, Clock, CloseMode, Event, FlushId};
use super::identity::Identity;
use super::identity_manager::IdentityManager;
use super::index::PartitionIndex;
use super::io::{ConnectionId, Input, Output};
#[cfg(debug_assertions)]
use super::misuse::ConnectionState;
use super::misuse::{Misuse, MisuseDetector};
use super::network::Network;
use super::output_queue::OutputQueue;
use super::partition::{Effect, Partition, TransitionContext};
use super::schedule::Wait;
use super::telemetry::Telemetry;
use super::timers::{Timer, Timers};
use super::token::Tokens;
use super::transactions::Transactions;
use crate::cause::ConnectionError;
use crate::protocol::PartitionProduceResponse;
use crate::splitmix64::SplitMix64;
use crate::time::{Instant, Timestamp};

/// A Kafka producer as a state machine: see the [module](super) for how to drive it.
#[derive(Debug)]
pub struct Machine {
    config: MachineConfig,
    started: Clock,
    /// The latest time that any call has passed.
    now: Instant,
    random: SplitMix64,
    timers: Timers,
    network: Network,
    cluster: Cluster,
    refresh: Refresh,
    accumulator: Accumulator,
    entry_ids: EntryIds,
    /// The effects of partitions' transitions, until they are applied.
    effects: VecDeque<Effect>,
    identities: IdentityManager,
    /// `None` without a `transactional.id`.
    transactions: Option<Box<Transactions>>,
    /// The identity that was reported last.
    reported_identity: Option<Identity>,
    /// The last error of a request for a producer id, and when it occurred.
    identity_error: Option<(Instant, ConnectionError)>,
    /// Batches that were split and of which some parts have no outcome yet.
    split_batches: BTreeMap<BatchId, SplitBatch>,
    in_flight_requests: InFlightRequests,
    flushes: VecDeque<(FlushId, BatchId)>,
    next_flush: u64,
    /// Topics that the application looks up, each with its deadline.
    lookups: BTreeMap<String, Instant>,
    outputs: OutputQueue,
    /// Empty: kept for its memory.
    events: Vec<ConnectionEvent>,
    /// Empty: kept for its memory.
    batches_to_send: Vec<BatchToSend>,
    /// The results in the last Produce response, which are not needed any more: kept for their memory.
    responses: Vec<PartitionProduceResponse>,
    /// Set if something has changed since the machine last checked whether a request can be sent.
    dirty: bool,
    lifecycle: Lifecycle,
    /// How many batches were refused because `buffer.memory` was full.
    buffer_exhausted: u64,
    misuse: MisuseDetector,
    tokens: Tokens,
    /// `None` until a broker takes telemetry.
    telemetry: Option<Box<Telemetry>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Lifecycle {
    Open,
    /// Accepts no new batches, and closes when the accepted ones have completed.
    Closing,
    Closed,
}

/// The maximum length of a topic name in Kafka, in bytes.
const LONGEST_TOPIC: usize = 249;

impl Machine {
    /// Creates a producer without connections; it connects when there is something to send. The same clock, seed,
    /// commands and input give the same output, byte for byte. With SCRAM, the seed must be unpredictable for others.
    #[must_use]
    pub fn new(mut config: MachineConfig, clock: Clock, seed: u64) -> Self {
        if config.client_id.len() > i16::MAX as usize {
            config.client_id = String::new(); // it exceeds the length field of a request header
        }
        // With a limit of zero these timers would be due again at once, and the poll loop would never end.
        let MachineConfig { metadata_max_idle, connections_max_idle, metadata_recovery_rebootstrap_trigger, .. } =
            &mut config;
        for time in [metadata_max_idle, connections_max_idle, metadata_recovery_rebootstrap_trigger] {
            *time = (*time).max(Duration::from_millis(1));
        }
        config.require_for_transactions();
        let transactions = config.is_transactional().then(|| Box::new(Transactions::new()));
        let mut random = SplitMix64::new(seed);
        let first_node = random.below(config.bootstrap_servers.len());
        Self {
            config,
            started: clock,
            now: clock.now,
            random,
            timers: Timers::default(),
            network: Network::new(first_node, Seed(seed)),
            cluster: Cluster::default(),
            refresh: Refresh::default(),
            accumulator: Accumulator::default(),
            entry_ids: EntryIds::default(),
            effects: VecDeque::new(),
            identities: IdentityManager::new(transactions.is_some()),
            transactions,
            reported_identity: None,
            identity_error: None,
            split_batches: BTreeMap::new(),
            in_flight_requests: InFlightRequests::default(),
            flushes: VecDeque::new(),
            next_flush: 0,
            lookups: BTreeMap::new(),
            outputs: OutputQueue::default(),
            events: Vec::new(),
            batches_to_send: Vec::new(),
            responses: Vec::new(),
            dirty: false,
            lifecycle: Lifecycle::Open,
            buffer_exhausted: 0,
            misuse: MisuseDetector::default(),
            tokens: Tokens::default(),
            telemetry: None,
        }
    }

    /// Requests an [`Event::Flushed`] once every batch that was accepted before this call is delivered or has failed.
    /// This does not speed up delivery: the machine does not linger.
    pub fn flush(&mut self, now: Instant) -> FlushId {
        self.advance(now);
        let id = FlushId(self.next_flush);
        self.next_flush += 1;
        if self.lifecycle != Lifecycle::Closed {
            self.flushes.push_back((id, self.accumulator.next_batch()));
            self.dirty = true;
            self.misuse.on_change(self.now);
        }
        id
    }

    /// Accepts no further batches, and ends with [`Event::Closed`]: after flushing, or immediately. A second call can
    /// change a graceful close to an immediate one, but not the reverse. A flush that is requested after
    /// [`Event::Closed`] gets no event.
    pub fn close(&mut self, mode: CloseMode, now: Instant) {
        self.advance(now);
        if self.lifecycle == Lifecycle::Closed {
            return;
        }
        self.lifecycle = Lifecycle::Closing;
        self.close_transactions();
        self.dirty = true;
        self.misuse.on_change(self.now);
        if mode == CloseMode::Immediate {
            self.telemetry = None;
            self.abandon_everything();
            self.abandon_transaction();
        }
    }

    /// Looks up a topic in the cluster's metadata. The result is reported as [`Event::Topic`].
    pub fn lookup_topic(&mut self, topic: &str, now: Instant) {
        self.advance(now);
        if self.lifecycle == Lifecycle::Open {
            self.start_lookup(topic);
            self.misuse.on_change(self.now);
        }
    }

    /// Returns the number of partitions of a topic, or `None` if it is not known now.
    #[must_use]
    pub fn partition_count(&self, topic: &str) -> Option<u32> {
        self.cluster.partition_count(topic)
    }

    /// Returns the wall-clock time at this instant: that of the clock which the producer was created with, plus the
    /// time elapsed since.
    #[must_use]
    pub fn wall_time(&self, now: Instant) -> Timestamp {
        let elapsed = now.since(self.started.now).as_millis();
        let elapsed = i64::try_from(elapsed).unwrap_or(i64::MAX);
        Timestamp::from_millis(self.started.wall.millis().saturating_add(elapsed))
    }

    /// Processes an input. Call [`poll_output`](Self::poll_output) for the resulting output; several inputs may precede
    /// that call. A `now` that is earlier than the one of a previous call is replaced by that one.
    pub fn handle_input(&mut self, input: Input<'_>, now: Instant) {
        self.advance(now);
        #[cfg(debug_assertions)]
        self.check_input(&input);
        self.misuse.on_change(self.now);
        self.dirty = true;
        match input {
            Input::Connected(id) => self.on_connected(id),
            Input::Received(id, bytes) => self.on_received(id, bytes),
            Input::Transmitted(id) => self.on_transmitted(id),
            Input::Closed(id, how, error) => self.on_closed(id, how, error),
        }
    }

    /// Returns the next action for the driver. Call it until it returns [`Output::Wait`]: after every input and
    /// command, and at the instant that [`Output::Wait`] names. It cannot fail: failures are reported as events.
    pub fn poll_output(&mut self, now: Instant) -> Output {
        self.advance(now);
        self.misuse.on_poll(self.now);
        let output = self.next_output();
        #[cfg(debug_assertions)]
        self.misuse.on_output(&output, self.now);
        output
    }

    /// Returns the oldest mistake of the driver that has not been returned yet, in debug builds; the machine remembers 16. Release
    /// builds do not look for any, and return `None`.
    ///
    /// A driver calls it after each drain, and logs or panics. The machine tolerates each mistake, so its outputs are the same
    /// in both kinds of builds.
    ///
    /// ```
    /// use core::time::Duration;
    /// use kafka_batch_core::Timestamp;
    /// use kafka_batch_core::machine::{Clock, Instant, Machine, MachineConfig, Output};
    ///
    /// let clock = Clock { now: Instant::START, wall: Timestamp::from_millis(0) };
    /// let mut machine = Machine::new(MachineConfig::new([("localhost", 9092)]), clock, 42);
    /// machine.lookup_topic("readings", clock.now);
    /// let Output::Connect { .. } = machine.poll_output(clock.now) else { panic!() };
    /// // The driver connects, and forgets that there may be further outputs.
    /// machine.poll_output(clock.now + Duration::from_secs(3));
    /// if let Some(misuse) = machine.take_misuse() {
    ///     assert!(misuse.to_string().starts_with("the outputs were not drained: poll_output was called again after 3000 ms"));
    /// } else {
    ///     assert!(!cfg!(debug_assertions));
    /// }
    /// ```
    pub fn take_misuse(&mut self) -> Option<Misuse> {
        self.misuse.take()
    }

    /// Looks for mistakes of the driver in an input.
    #[cfg(debug_assertions)]
    fn check_input(&mut self, input: &Input<'_>) {
        let id = input.connection();
        let state = match self.network.connections.get(&id) {
            Some(connection) if connection.is_connecting() => ConnectionState::Connecting,
            Some(_) => ConnectionState::Open,
            None if !self.network.has_assigned(id) => ConnectionState::Unknown,
            None if self.outputs.has_close(id) => ConnectionState::Closing,
            None => ConnectionState::Ended,
        };
        self.misuse.on_input(input, id, state);
    }

    fn next_output(&mut self) -> Output {
        self.rebootstrap_if_required();
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
            if self.config.notices {
                self.report_identity();
            }
            if self.transactions.is_some() {
                self.drive_transaction();
            }
            self.complete_flushes();
            self.close_when_finished();
            if self.lifecycle == Lifecycle::Closed {
                continue;
            }
            if let Some((connection, bytes)) = self.next_request() {
                self.dirty = true; // another request may follow
                let output = self.transmission(connection, bytes);
                if self.outputs.is_empty() {
                    return output;
                }
                self.outputs.push_back(output);
            }
        }
    }

    /// Returns the next request that can be sent now.
    fn next_request(&mut self) -> Option<(ConnectionId, Vec<bytes::Bytes>)> {
        if self.accumulator.schedule.is_settled() {
            #[cfg(debug_assertions)]
            self.assert_waiting_are_blocked();
        } else if let Some(request) = self.form_produce() {
            return Some(request);
        }
        if self.transactions.is_some() {
            if let Some(request) = self.request_for_transaction() {
                return Some(request);
            }
        }
        self.request_identity().or_else(|| self.request_metadata()).or_else(|| self.request_telemetry())
    }

    fn on_timer(&mut self, timer: Timer) {
        match timer {
            Timer::Overdue(id) => self.on_overdue(id),
            Timer::Idle(id) => self.on_idle(id),
            Timer::Delivery => self.on_delivery_timeout(),
            Timer::LookupTopic => self.expire_lookups(),
            Timer::Token => self.on_token_due(),
            Timer::MetadataAge => self.refresh.is_old = true,
            Timer::MetadataIdle => self.forget_unused(),
            Timer::Retry(partition) => {
                if self.accumulator.schedule.waits_for(partition) == Wait::Backoff {
                    self.accumulator.mark_for_examination(partition);
                }
            }
            Timer::Reconnect(node) | Timer::Rate(node) => self.accumulator.schedule.node_changed(node),
            Timer::Rebootstrap => self.on_rebootstrap_due(),
            Timer::Throttle(id) => self.capacity_changed(id),
            // Nothing else is to be done: every poll checks whether these are to be requested.
            Timer::MetadataRetry
            | Timer::ProducerId
            | Timer::Transaction
            | Timer::TransactionDeadline
            | Timer::Telemetry => {}
        }
    }

    /// Returns the number of slots for partitions, in use or free.
    #[cfg(test)]
    pub(super) fn partitions_known(&self) -> usize {
        self.accumulator.slots()
    }

    /// Returns how often it has changed what a partition waits for.
    #[cfg(test)]
    pub(super) fn schedule_changes(&self) -> usize {
        self.accumulator.schedule.changes()
    }

    fn advance(&mut self, now: Instant) {
        self.misuse.on_call(now, self.now);
        self.now = self.now.max(now);
    }

    fn complete_flushes(&mut self) {
        while let Some(&(flush, end)) = self.flushes.front() {
            if self.accumulator.oldest().is_some_and(|oldest| oldest.id < end) {
                break;
            }
            self.flushes.pop_front();
            self.outputs.push_back(Output::Event(Event::Flushed(flush)));
        }
    }

    fn close_when_finished(&mut self) {
        if self.lifecycle != Lifecycle::Closing || self.accumulator.oldest().is_some() || !self.flushes.is_empty() {
            return;
        }
        if !self.is_transaction_settled() || !self.end_telemetry() {
            return;
        }
        self.lifecycle = Lifecycle::Closed;
        let connections: Vec<ConnectionId> = self.network.connections.keys().copied().collect();
        for id in connections {
            self.network.retire(id);
            self.outputs.push_back(Output::Close(id));
        }
        self.timers.clear_all();
        self.in_flight_requests = InFlightRequests::default();
        self.outputs.push_back(Output::Event(Event::Closed));
    }

    fn retry_backoff(&self) -> Backoff {
        Backoff { first: self.config.retry_backoff, most: self.config.retry_backoff_max }
    }

    fn reconnect_backoff(&self) -> Backoff {
        Backoff { first: self.config.reconnect_backoff, most: self.config.reconnect_backoff_max }
    }

    /// Returns `true` if metadata is needed of any topic now.
    fn needs_topics(&self) -> bool {
        self.accumulator.is_active() || !self.lookups.is_empty()
    }

    /// Returns the topics of which metadata is needed now.
    fn needed_topics(&self) -> BTreeSet<&str> {
        self.accumulator.topics.active().chain(self.lookups.keys().map(String::as_str)).collect()
    }

    /// Lets a partition make a transition. Its effects are to be applied with [`finish_transition`](Self::finish_transition).
    fn transition<T>(
        &mut self,
        index: PartitionIndex,
        step: impl FnOnce(&mut Partition, &mut TransitionContext<'_>) -> T,
    ) -> T {
        let Self { accumulator, config, random, entry_ids: ids, effects, now, .. } = self;
        let mut context = TransitionContext { config, now: *now, random, ids, effects };
        step(accumulator.partition_mut(index), &mut context)
    }

    /// Applies the effects of a partition's transition, and marks the partition to be examined.
    fn finish_transition(&mut self, index: PartitionIndex) {
        self.apply_effects();
        let wait = match self.accumulator.schedule.waits_for(index) {
            Wait::OwnEvent => self.accumulator.mark_for_examination(index),
            _ => {
                let leader = self.leader(index);
                self.accumulator.mark_unless_queued(index, leader)
            }
        };
        if wait == Wait::Backoff {
            self.timers.remove(Timer::Retry(index));
        }
    }

    /// Records that the capacity of a connection has changed.
    fn capacity_changed(&mut self, id: ConnectionId) {
        if let Some(connection) = self.network.connections.get(&id) {
            self.accumulator.schedule.node_changed(connection.node);
        }
    }
}
