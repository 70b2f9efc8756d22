//! Building Produce requests: one per broker, with the next batch of each partition that it leads.

use alloc::vec::Vec;

use bytes::Bytes;

use super::Machine;
use super::responses::{InFlightRequest, SentBatch};
use super::transaction_requests::RequestError;
use crate::failure::FailureReason;
use crate::machine::index::PartitionIndex;
use crate::machine::index::TopicIndex;
use crate::machine::io::ConnectionId;
use crate::machine::network::NodeStatus;
use crate::machine::node::Node;
use crate::machine::partition::{BlockedOn, SendPath};
use crate::machine::schedule::{Condition, Wait};
use crate::machine::timers::Timer;
use crate::machine::versions::Versions;
use crate::protocol::{Acks, ApiKey, ProduceEncoder, ProduceSettings, RequestEncodeError, RequestHeader, Uuid};

/// The latest Produce version with topic names; later ones have topic ids (KIP-516).
const LAST_VERSION_BY_NAME: i16 = 12;

/// The latest Produce version for batches whose partition was added to the transaction before. Later ones add it themselves
/// (KIP-890), and are refused where the finalized level of `transaction.version` is below 2, although brokers list them.
const LAST_VERSION_BELOW_LEVEL_2: i16 = 11;

/// The first Produce version that adds partitions to a transaction of level 2. No broker of Kafka for which that level can be
/// finalized lacks it; one that replaces such a broker in a downgrade can, and so can a proxy.
const FIRST_VERSION_OF_LEVEL_2: i16 = LAST_VERSION_BELOW_LEVEL_2 + 1;

/// Upper bound of the bytes that a request has per partition besides its batch, and per topic besides its name.
const OVERHEAD: usize = 32;

/// A partition with a batch in a request.
#[derive(Clone, Copy, Debug)]
pub(super) struct BatchToSend {
    pub(super) partition: PartitionIndex,
    /// The position of the batch.
    pub(super) at: usize,
    topic_id: Uuid,
}

impl Machine {
    /// Returns the next Produce request, if a batch can be sent.
    ///
    /// Partitions are examined only after something of them has changed; those that could send wait for their turn at
    /// their leader. Nodes are examined only after something of them has changed; then partitions have their turn until
    /// the request is full.
    #[inline(never)] // its caller mostly finds that there is nothing to be sent
    pub(super) fn form_produce(&mut self) -> Option<(ConnectionId, Vec<Bytes>)> {
        loop {
            while let Some(index) = self.accumulator.schedule.next_to_examine() {
                self.examine(index);
            }
            let Some(node) = self.accumulator.schedule.due_node() else {
                #[cfg(debug_assertions)]
                self.assert_waiting_are_blocked();
                return None;
            };
            let path = match self.path_to(node) {
                Ok(path) => path,
                Err(blocked_on) => {
                    self.accumulator.schedule.clear_due_node();
                    match blocked_on {
                        BlockedOn::ProduceVersion => {
                            self.require_abort(RequestError::Unsupported(ApiKey::Produce).into());
                        }
                        _ => self.connect(node),
                    }
                    continue;
                }
            };
            let batches_to_send = self.take_turns(node, &path);
            if batches_to_send.is_empty() {
                self.batches_to_send = batches_to_send;
                continue; // no partition is left there, or some must be examined again
            }
            self.accumulator.schedule.rotate_due_nodes();
            for &BatchToSend { partition, at, .. } in &batches_to_send {
                self.accumulator.partition_mut(partition).stamp(at, &path, &self.identities);
            }
            if let Some(request) = self.send_produce(&path, batches_to_send) {
                return Some(request);
            }
        }
    }

    /// Examines a partition: records what it waits for.
    fn examine(&mut self, index: PartitionIndex) {
        let leader = self.leader(index);
        match self.accumulator.partition(index).next_leader(leader, self.now) {
            Ok((broker, _)) => self.accumulator.schedule.set(index, Wait::Turn(Node::Broker(broker))),
            Err(blocked_on) => self.block(index, blocked_on),
        }
    }

    /// Records what a partition is blocked on.
    fn block(&mut self, index: PartitionIndex, blocked_on: BlockedOn) {
        let wait = match blocked_on {
            BlockedOn::OwnEvent => Wait::OwnEvent,
            BlockedOn::Until(moment) => {
                self.timers.set(Timer::Retry(index), moment);
                Wait::Backoff
            }
            BlockedOn::Leader => {
                self.refresh.topics.want(self.accumulator.partition(index).topic(), self.now);
                Wait::Condition(Condition::Leader)
            }
            BlockedOn::Metadata => Wait::Condition(Condition::Metadata),
            BlockedOn::Identity(_) => Wait::Condition(Condition::Identity),
            BlockedOn::AddPartitions => Wait::Condition(Condition::AddPartitions),
            BlockedOn::Markers => Wait::Condition(Condition::Markers),
            BlockedOn::Node(_) | BlockedOn::Capacity(_) | BlockedOn::ProduceVersion => Wait::Examination,
        };
        self.accumulator.schedule.set(index, wait);
    }

    /// Returns how Produce requests to a node can be sent now.
    ///
    /// # Errors
    /// What they are blocked on.
    fn path_to(&self, node: Node) -> Result<SendPath, BlockedOn> {
        let NodeStatus::Ready(id) = self.network.status(node, self.now) else { return Err(BlockedOn::Node(node)) };
        let connection = self.network.connections.get(&id).ok_or(BlockedOn::Node(node))?;
        let mut versions = connection.versions().ok_or(BlockedOn::Node(node))?;
        let Node::Broker(broker) = node else { return Err(BlockedOn::Node(node)) };
        let is_limited = self.network.rate_limited_until(node, &self.config, self.now).is_some();
        if is_limited || !connection.has_capacity(&self.config, self.now) {
            return Err(BlockedOn::Capacity(id));
        }
        let is_idempotent = self.is_idempotent(versions);
        let (mut must_be_added_to, mut awaits_markers) = (None, false);
        if let Some(transactions) = &self.transactions {
            if !is_idempotent {
                return Err(BlockedOn::Metadata); // it has no transactions, and a newer broker may become leader
            }
            must_be_added_to = transactions.must_be_added_to();
            awaits_markers = !transactions.markers.are_written();
            if must_be_added_to.is_some() {
                versions.produce = versions.produce.min(LAST_VERSION_BELOW_LEVEL_2);
            } else if versions.produce < FIRST_VERSION_OF_LEVEL_2 {
                // It would not add the partition: before Kafka 3.6, it would even append the batch outside of any transaction.
                return Err(BlockedOn::ProduceVersion);
            }
        }
        let is_transactional = self.transactions.is_some();
        // Every transaction of level 2 has an epoch of its own, except the first after an upgrade if the last one was empty: it
        // continues a sequence. Without this, its first request would be in flight alone.
        let begins_at_zero = is_transactional && must_be_added_to.is_none();
        Ok(SendPath {
            connection: id,
            broker,
            versions,
            is_idempotent,
            is_transactional,
            must_be_added_to,
            begins_at_zero,
            awaits_markers,
        })
    }

    /// Returns what the next batch of a partition is blocked on, if it is.
    pub(super) fn blocked_on(&self, index: PartitionIndex) -> Option<BlockedOn> {
        let partition = self.accumulator.partition(index);
        let leader = self.cluster.leader(partition.topic(), partition.number());
        let path = partition.next_leader(leader, self.now).and_then(|(broker, _)| self.path_to(Node::Broker(broker)));
        path.and_then(|path| partition.sendable(&path, &self.identities)).err()
    }

    /// Lets the partitions of a node have their turn until the request is full. Returns those that can send.
    fn take_turns(&mut self, node: Node, path: &SendPath) -> Vec<BatchToSend> {
        let mut batches_to_send = core::mem::take(&mut self.batches_to_send);
        let mut last_topic: Option<(TopicIndex, Uuid)> = None;
        let mut size = OVERHEAD * 4 + self.config.client_id.len();
        while let Some(index) = self.accumulator.schedule.first_turn(node) {
            let leader = self.leader(index);
            let partition = self.accumulator.partition(index);
            let sendable = partition.next_leader(leader, self.now).and_then(|(leader, at)| {
                if leader == path.broker {
                    partition.may_send(at, path, &self.identities).map(|()| at)
                } else {
                    Err(BlockedOn::Node(node))
                }
            });
            let at = match sendable {
                Ok(at) => at,
                Err(blocked_on) => {
                    self.block(index, blocked_on);
                    continue;
                }
            };
            if !self.transition(index, |partition, context| partition.convert_for_broker(at, path.versions, context)) {
                self.finish_transition(index);
                continue;
            }
            let partition = self.accumulator.partition(index);
            let more = partition.size(at) + partition.topic().len() + 2 * OVERHEAD;
            if !batches_to_send.is_empty() && size.saturating_add(more) > self.config.max_request_size {
                break;
            }
            size = size.saturating_add(more);
            let known = last_topic.filter(|(topic, _)| *topic == partition.topic_index);
            let topic = known.unwrap_or_else(|| (partition.topic_index, self.cluster.topic_id(partition.topic())));
            last_topic = Some(topic);
            batches_to_send.push(BatchToSend { partition: index, at, topic_id: topic.1 });
            // It has had its turn. The next one is after all others'. If it has nothing after this batch, it has to wait for
            // an event of its own, and need not be examined for that.
            let wait = if partition.has_after(at) { Wait::Examination } else { Wait::OwnEvent };
            self.accumulator.schedule.set(index, wait);
        }
        batches_to_send
    }

    /// Asserts that no partition waits that could send: otherwise a wake-up is missing.
    #[cfg(debug_assertions)]
    pub(super) fn assert_waiting_are_blocked(&mut self) {
        self.accumulator.schedule.assert_lists();
        for index in self.accumulator.active() {
            self.accumulator.partition(index).assert_window();
            let wait = self.accumulator.schedule.waits_for(index);
            let (partition, blocked_on) = (self.accumulator.partition(index), self.blocked_on(index));
            debug_assert!(blocked_on.is_some(), "{partition} waits for {wait:?}, but can send");
            debug_assert!(!matches!(wait, Wait::Batch | Wait::Examination), "{partition} waits for {wait:?}");
        }
    }

    pub(super) fn is_idempotent(&self, versions: Versions) -> bool {
        self.config.is_idempotent() && versions.init_producer_id.is_some() && versions.magic() == crate::Magic::V2
    }

    fn send_produce(
        &mut self,
        path: &SendPath,
        mut batches_to_send: Vec<BatchToSend>,
    ) -> Option<(ConnectionId, Vec<Bytes>)> {
        let &SendPath { connection: id, broker, versions, .. } = path;
        let partition = |batch: &BatchToSend| self.accumulator.partition(batch.partition);
        batches_to_send.sort_by(|one, two| partition(one).compare(partition(two)));
        let ids_known = batches_to_send.iter().all(|batch| !batch.topic_id.is_zero());
        let version = if ids_known { versions.produce } else { versions.produce.min(LAST_VERSION_BY_NAME) };
        let header = self.network.connections.get(&id)?.header(&self.config);
        match self.encode(version, header, &batches_to_send) {
            Ok(bytes) => {
                if let Some(transactions) = &mut self.transactions {
                    transactions.current.is_known = true; // with level 2, also if every batch is refused
                }
                if self.config.notices {
                    self.report_sent(&batches_to_send, id, broker);
                }
                let mut batches = self.in_flight_requests.take_spare();
                batches.extend(batches_to_send.drain(..).map(|BatchToSend { partition, at, topic_id }| {
                    let entry = self.accumulator.on_sent(partition, at, id, self.now);
                    SentBatch { partition, entry, topic_id }
                }));
                self.batches_to_send = batches_to_send;
                self.register(id, ApiKey::Produce, version, InFlightRequest::Produce { broker, batches });
                let node = Node::Broker(broker);
                if let Some(next) = self.network.count_produce(node, &self.config, self.now) {
                    self.timers.set(Timer::Rate(node), next);
                }
                Some((id, bytes))
            }
            Err(error) => {
                self.dirty = true;
                for BatchToSend { partition: index, at, .. } in batches_to_send {
                    let reason = FailureReason::Request(error);
                    self.transition(index, |partition, context| partition.fail_unsendable(at, reason, context));
                    self.finish_transition(index);
                }
                None
            }
        }
    }

    fn encode(
        &self,
        version: i16,
        header: RequestHeader<'_>,
        batches_to_send: &[BatchToSend],
    ) -> Result<Vec<Bytes>, RequestEncodeError> {
        let timeout_ms = i32::try_from(self.config.request_timeout.as_millis()).unwrap_or(i32::MAX);
        let transactional_id = self.config.transactional_id.as_deref();
        let settings = ProduceSettings { transactional_id, acks: self.config.acks, timeout_ms };
        let partition = |batch: &BatchToSend| self.accumulator.partition(batch.partition);
        let topics = || batches_to_send.chunk_by(|one, next| partition(one).topic_index == partition(next).topic_index);
        let mut encoder = ProduceEncoder::begin(version, header, &settings, topics().count(), batches_to_send.len())?;
        for batches in topics() {
            let Some(first) = batches.first() else { continue };
            encoder.begin_topic(partition(first).topic(), first.topic_id, batches.len())?;
            for batch in batches {
                let partition = partition(batch);
                let stamped = partition.stamped(batch.at).expect("it was stamped when its turn came");
                encoder.partition(partition.number(), stamped.bytes())?;
            }
            encoder.end_topic();
        }
        encoder.finish()
    }

    /// Registers a request that is being sent, under its correlation id.
    pub(super) fn register(&mut self, id: ConnectionId, api: ApiKey, version: i16, request: InFlightRequest) {
        let expects_response = api != ApiKey::Produce || self.config.acks != Acks::None;
        if let Some(connection) = self.network.connections.get_mut(&id) {
            let correlation = connection.sent(api, version, expects_response, &self.config, self.now);
            self.in_flight_requests.push(id, correlation, request);
        }
    }
}
