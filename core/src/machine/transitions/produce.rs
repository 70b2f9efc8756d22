//! Building Produce requests: one per broker, with the next batch of each partition that it leads.

use alloc::boxed::Box;
use alloc::vec::Vec;

use bytes::Bytes;

use super::Machine;
use super::responses::{Part, PendingRequest};
use crate::batch::Stamp;
use crate::failure::{CodecRefused, FailureReason};
use crate::machine::accumulator::{BlockedOn, Entry, PartitionIndex, Payload};
use crate::machine::io::ConnectionId;
use crate::machine::network::Reach;
use crate::machine::node::Node;
use crate::machine::producer_id::Identity;
use crate::machine::timers::Timer;
use crate::machine::versions::Versions;
use crate::protocol::{
    Acks, ApiKey, EncodeError, PartitionProduceData, ProduceRequest, RequestHeader, TopicProduceData,
};

/// The latest Produce version with topic names; later ones have topic ids (KIP-516).
const LAST_VERSION_BY_NAME: i16 = 12;

/// Upper bound of the bytes that a request has per partition besides its batch, and per topic besides its name.
const OVERHEAD: usize = 32;

impl Machine {
    /// Returns the next Produce request, if a batch can be sent. Partitions that cannot send are parked until they are
    /// woken.
    pub(super) fn form_produce(&mut self) -> Option<(ConnectionId, Vec<Bytes>)> {
        let mut chosen: Option<(ConnectionId, i32, Versions)> = None;
        let mut size = OVERHEAD * 4 + self.config.client_id.len();
        let mut members = Vec::new();
        for index in self.accumulator.runnable_from(self.turn) {
            let (id, broker, versions) = match self.ready(index) {
                Ok(found) => found,
                Err(blocked_on) => {
                    self.park(index, blocked_on);
                    continue;
                }
            };
            if chosen.is_some_and(|(already, ..)| already != id) || !self.convert(index, broker, versions) {
                continue;
            }
            let partition = self.accumulator.partition(index);
            let Some(at) = partition.next(Some(broker)) else { continue };
            let more = partition.queue[at].payload.size() + partition.to.topic.len() + 2 * OVERHEAD;
            if !members.is_empty() && size.saturating_add(more) > self.config.max_request_size {
                break;
            }
            size = size.saturating_add(more);
            chosen = Some((id, broker, versions));
            members.push((index, at));
            self.turn = index + 1;
        }
        let Some((id, broker, versions)) = chosen else {
            #[cfg(debug_assertions)]
            self.assert_parked_are_blocked();
            return None;
        };
        for &(index, at) in &members {
            self.stamp(index, at, versions);
        }
        self.send_produce(id, broker, versions, members)
    }

    /// Returns the connection, the broker and its versions for the next batch of a partition.
    ///
    /// # Errors
    /// What the partition is blocked on.
    pub(super) fn ready(&self, index: PartitionIndex) -> Result<(ConnectionId, i32, Versions), BlockedOn> {
        let partition = self.accumulator.partition(index);
        let leader = self.cluster.leader(&partition.to);
        let at = partition.next(leader).ok_or(BlockedOn::Itself)?;
        let entry = &partition.queue[at];
        if entry.not_before > self.now {
            return Err(BlockedOn::Until(entry.not_before));
        }
        let broker = leader.ok_or(BlockedOn::Leader)?;
        let node = Node::Broker(broker);
        let Reach::Ready(id) = self.network.reach(node, self.now) else { return Err(BlockedOn::Node(node)) };
        let connection = self.network.connections.get(&id).ok_or(BlockedOn::Node(node))?;
        let versions = connection.versions().ok_or(BlockedOn::Node(node))?;
        if !connection.has_capacity(&self.config, self.now) {
            return Err(BlockedOn::Capacity(id));
        }
        // Entries that this retransmission may prove to be in the log do not block it. A new batch proves nothing, so
        // they do block it.
        let is_retransmission = entry.payload.identity().is_some();
        let earlier =
            || partition.queue.iter().take(at).filter(|entry| !(is_retransmission && entry.awaits_proof(leader)));
        // Nothing is sent to a new leader before the old one has responded, unless the old one leads again.
        if earlier().any(|entry| entry.in_flight != Some(id)) {
            return Err(BlockedOn::News);
        }
        let identity = match &entry.payload {
            Payload::Stamped(batch, identity) if batch.magic() == versions.magic() => *identity,
            // It may be in the log under its sequence, and a broker this old cannot detect the duplicate. Wait: a newer
            // broker may become leader.
            Payload::Stamped(_, Some(_)) if entry.maybe_written => return Err(BlockedOn::News),
            _ if !self.is_idempotent(versions) => None,
            _ => Some(self.identities.usable_by(&partition.sequence).ok_or(BlockedOn::Identity(id))?),
        };
        // Pipelined only after batches whose sequences the broker checks. A new batch also only while the broker still
        // remembers the first of those (it keeps the last five per producer): else it could not detect its duplicate.
        let is_next_in_sequence = |identity: Identity| {
            partition.sequence.is_confirmed(identity, broker)
                && earlier().all(|entry| entry.payload.identity() == Some(identity))
                && (is_retransmission || partition.sequence.is_remembered(partition.queue[0].number))
        };
        if earlier().next().is_none() || identity.is_some_and(is_next_in_sequence) {
            Ok((id, broker, versions))
        } else {
            Err(BlockedOn::News)
        }
    }

    fn park(&mut self, index: PartitionIndex, blocked_on: BlockedOn) {
        self.accumulator.park(index, blocked_on);
        match blocked_on {
            BlockedOn::Until(moment) => self.timers.set(Timer::Retry(index), moment),
            BlockedOn::Node(node) => self.connect(node),
            BlockedOn::Identity(id) => self.identity_connection = Some(id),
            BlockedOn::Itself | BlockedOn::Leader | BlockedOn::News | BlockedOn::Capacity(_) => {}
        }
    }

    /// Asserts that no parked partition could send: otherwise a wake-up is missing.
    #[cfg(debug_assertions)]
    fn assert_parked_are_blocked(&self) {
        for &index in self.accumulator.active.iter().filter(|&&index| self.accumulator.is_parked(index)) {
            debug_assert!(self.ready(index).is_err(), "partition {index} is parked but can send");
        }
    }

    fn is_idempotent(&self, versions: Versions) -> bool {
        self.config.is_idempotent() && versions.init_producer_id.is_some() && versions.magic() == crate::Magic::V2
    }

    /// Returns `true` if unsent batches of the partition need a producer id that is not available.
    pub(super) fn waits_for_identity(&self, index: PartitionIndex) -> bool {
        let partition = self.accumulator.partition(index);
        let unstamped = partition.queue.iter().any(|entry| matches!(entry.payload, Payload::Sealed(_)));
        unstamped && self.identities.usable_by(&partition.sequence).is_none()
    }

    /// Converts the next batch of a partition to the format of the broker. If that is not possible, the batch fails (or
    /// is split, if it has become too large and splitting is allowed), and `false` is returned.
    fn convert(&mut self, index: PartitionIndex, broker: i32, versions: Versions) -> bool {
        let partition = self.accumulator.partition_mut(index);
        let Some(at) = partition.next(Some(broker)) else { return false };
        let (magic, codec) = match &partition.queue[at].payload {
            Payload::Sealed(batch) => (batch.magic(), batch.codec()),
            Payload::Stamped(batch, _) => (batch.magic(), batch.codec()),
            Payload::Open(_) | Payload::Gone => return false,
        };
        if magic == versions.magic() {
            if !codec.fits_produce_version(versions.produce) {
                let reason = CodecRefused::new(codec, versions.produce).into();
                self.fail_at(index, at, false, reason, Vec::new());
                return false;
            }
            return true;
        }
        if let Some(identity) = partition.queue[at].payload.identity() {
            partition.sequence.lose(identity); // its sequence numbers will not be used
        }
        self.reseal(index, at, Some(versions.magic()))
    }

    /// Opens a batch and seals it again, in this format or (`None`) in its own. Returns `false` if that failed: then
    /// the batch has failed or was split.
    pub(super) fn reseal(&mut self, index: PartitionIndex, at: usize, magic: Option<crate::Magic>) -> bool {
        let policy = self.config.down_conversion;
        let entry = &mut self.accumulator.partition_mut(index).queue[at];
        match open(entry, magic, policy) {
            Ok(()) => true,
            Err(Refused { reason, too_large: true }) if self.may_split(index, at) => {
                self.split(index, at, reason);
                false
            }
            Err(Refused { reason, .. }) => {
                self.fail_at(index, at, false, reason, Vec::new());
                false
            }
        }
    }

    fn stamp(&mut self, index: PartitionIndex, at: usize, versions: Versions) {
        let idempotent = self.is_idempotent(versions);
        let partition = self.accumulator.partition_mut(index);
        let identity = self.identities.usable_by(&partition.sequence).filter(|_| idempotent);
        let entry = &mut partition.queue[at];
        let count = entry.payload.record_count();
        let payload = core::mem::replace(&mut entry.payload, Payload::Gone);
        entry.payload = match (payload, identity) {
            (Payload::Sealed(batch), Some(identity)) => {
                let (first, number) = partition.sequence.take(identity, count);
                entry.number = number;
                let stamp = Stamp::NONE.producer(identity.id, identity.epoch, first);
                let stamped =
                    batch.stamp(stamp).expect("is_idempotent implies magic 2, and convert() has put the batch into it");
                Payload::Stamped(stamped, Some(identity))
            }
            (Payload::Sealed(batch), None) => Payload::Stamped(batch.without_producer_id(), None),
            (payload, _) => payload,
        };
    }

    fn send_produce(
        &mut self,
        id: ConnectionId,
        broker: i32,
        versions: Versions,
        mut members: Vec<(PartitionIndex, usize)>,
    ) -> Option<(ConnectionId, Vec<Bytes>)> {
        members.sort_by(|(one, _), (two, _)| {
            self.accumulator.partition(*one).to.cmp(&self.accumulator.partition(*two).to)
        });
        let ids_known = members.iter().all(|&(index, _)| !self.topic_id(index).is_zero());
        let version = if ids_known { versions.produce } else { versions.produce.min(LAST_VERSION_BY_NAME) };
        let header = self.network.connections.get(&id)?.header(&self.config);
        match self.encode(version, header, &members) {
            Ok(bytes) => {
                let mut parts = Vec::with_capacity(members.len());
                for (index, at) in members {
                    let topic_id = self.topic_id(index);
                    let entry = &mut self.accumulator.partition_mut(index).queue[at];
                    entry.in_flight = Some(id);
                    parts.push(Part { partition: index, entry: entry.id, topic_id });
                }
                self.register(id, ApiKey::Produce, version, PendingRequest::Produce { broker, parts });
                Some((id, bytes))
            }
            Err(error) => {
                self.dirty = true;
                for (index, at) in members {
                    let reason = FailureReason::Request(error);
                    self.fail_at(index, at, false, reason, Vec::new());
                }
                None
            }
        }
    }

    fn topic_id(&self, index: PartitionIndex) -> crate::protocol::Uuid {
        self.cluster.topic_id(&self.accumulator.partition(index).to.topic)
    }

    fn encode(
        &self,
        version: i16,
        header: RequestHeader<'_>,
        members: &[(PartitionIndex, usize)],
    ) -> Result<Vec<Bytes>, EncodeError> {
        let mut topic_data: Vec<TopicProduceData<'_>> = Vec::new();
        for &(index, at) in members {
            let partition = self.accumulator.partition(index);
            let Payload::Stamped(batch, _) = &partition.queue[at].payload else { continue };
            let data = PartitionProduceData { index: partition.to.partition, records: batch.bytes().clone() };
            match topic_data.last_mut().filter(|topic| topic.name == partition.to.topic) {
                Some(topic) => topic.partition_data.push(data),
                None => topic_data.push(TopicProduceData {
                    name: &partition.to.topic,
                    topic_id: self.topic_id(index),
                    partition_data: Vec::from([data]),
                }),
            }
        }
        let timeout_ms = i32::try_from(self.config.request_timeout.as_millis()).unwrap_or(i32::MAX);
        ProduceRequest { transactional_id: None, acks: self.config.acks, timeout_ms, topic_data }
            .encode(version, header)
    }

    /// Registers a request that is being sent, under its correlation id.
    pub(super) fn register(&mut self, id: ConnectionId, api: ApiKey, version: i16, request: PendingRequest) {
        let expects_response = api != ApiKey::Produce || self.config.acks != Acks::None;
        if let Some(connection) = self.network.connections.get_mut(&id) {
            let correlation = connection.sent(api, version, expects_response, &self.config, self.now);
            self.pending_requests.insert((id, correlation), request);
        }
    }
}

/// Why a batch could not be sealed again.
struct Refused {
    reason: FailureReason,
    too_large: bool,
}

/// Opens a batch and seals it again, without producer id and sequence: nothing sent of it may be in the log.
fn open(
    entry: &mut Entry,
    magic: Option<crate::Magic>,
    policy: crate::batch::convert::DownConversion,
) -> Result<(), Refused> {
    use crate::batch::SealErrorReason;
    use crate::batch::convert::ConvertError;

    let batch = core::mem::replace(&mut entry.payload, Payload::Gone).into_batch();
    let magic = magic.unwrap_or(batch.magic());
    let (reason, too_large, batch) = match batch.convert(magic, policy) {
        Ok(batch) => match batch.seal() {
            Ok(sealed) => {
                entry.payload = Payload::Sealed(sealed);
                return Ok(());
            }
            Err(error) => {
                let too_large = matches!(error.reason, SealErrorReason::TooLarge { .. });
                (FailureReason::Seal(Box::new(error.reason)), too_large, error.batch)
            }
        },
        Err(ConvertError::Losses { refused, batch }) => (FailureReason::Conversion(Box::new(refused)), false, batch),
        Err(ConvertError::TooLong { reason, batch, .. }) => (FailureReason::Append(Box::new(reason)), true, batch),
    };
    entry.payload = Payload::Open(*batch);
    Err(Refused { reason, too_large })
}
