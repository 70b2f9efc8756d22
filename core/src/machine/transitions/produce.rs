//! Forming Produce requests: one for a broker, with the next batch of each of its partitions.

use alloc::boxed::Box;
use alloc::vec::Vec;

use bytes::Bytes;

use super::Machine;
use super::responses::{Part, PendingRequest};
use crate::batch::Stamp;
use crate::failure::{CodecRefused, FailureReason};
use crate::machine::accumulator::{BlockedOn, Entry, PartitionIndex, Payload};
use crate::machine::handshake::Versions;
use crate::machine::identity::Identity;
use crate::machine::io::ConnectionId;
use crate::machine::network::{Node, Reach};
use crate::machine::timers::Timer;
use crate::protocol::{
    Acks, ApiKey, EncodeError, PartitionProduceData, ProduceRequest, RequestHeader, TopicProduceData,
};

/// The newest Produce version that names topics; later ones have their ids instead (KIP-516).
const BY_NAME: i16 = 12;

/// At most so many bytes come with a partition in a request, beside its batch, and with a topic, beside its name.
const AROUND: usize = 32;

impl Machine {
    /// The next Produce request, if something is ready to be sent. What is not is put aside until what it waits for comes.
    pub(super) fn form_produce(&mut self) -> Option<(ConnectionId, Vec<Bytes>)> {
        let mut chosen: Option<(ConnectionId, i32, Versions)> = None;
        let mut size = AROUND * 4 + self.config.client_id.len();
        let mut members = Vec::new();
        for index in self.accumulator.ripe_from(self.turn) {
            let (id, broker, versions) = match self.ready(index) {
                Ok(found) => found,
                Err(awaited) => {
                    self.put_aside(index, awaited);
                    continue;
                }
            };
            if chosen.is_some_and(|(already, ..)| already != id) || !self.convert(index, broker, versions) {
                continue;
            }
            let partition = self.accumulator.partition(index);
            let Some(at) = partition.next(Some(broker)) else { continue };
            let more = partition.queue[at].payload.size() + partition.to.topic.len() + 2 * AROUND;
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
            self.nobody_is_overlooked();
            return None;
        };
        for &(index, at) in &members {
            self.stamp(index, at, versions);
        }
        self.hand_out(id, broker, versions, members)
    }

    /// Over which connection the next batch of a partition can go now; or what it waits for.
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
        // Those that await proof of what goes now stand aside; what is stamped anew proves nothing, and waits for them too.
        let is_repeat = entry.payload.identity().is_some();
        let earlier = || partition.queue.iter().take(at).filter(|entry| !(is_repeat && entry.awaits_proof(leader)));
        // The new leader waits for the old one's answers, unless the old one leads again.
        if earlier().any(|entry| entry.in_flight != Some(id)) {
            return Err(BlockedOn::News);
        }
        let identity = match &entry.payload {
            Payload::Stamped(batch, identity) if batch.magic() == versions.magic() => *identity,
            // It may be in the log under its sequence, with which so old a broker can do nothing. The leader may move.
            Payload::Stamped(_, Some(_)) if entry.maybe_written => return Err(BlockedOn::News),
            _ if !self.is_idempotent(versions) => None,
            _ => Some(self.identities.usable_by(&partition.sequence).ok_or(BlockedOn::Identity(id))?),
        };
        // Alone on its partition, or in a row of batches whose counting the broker checks: and a new one only if it will still
        // remember the first of them, which it could not tell from a stranger otherwise.
        let in_a_row = |identity: Identity| {
            partition.sequence.is_confirmed(identity, broker)
                && earlier().all(|entry| entry.payload.identity() == Some(identity))
                && (is_repeat || partition.sequence.is_remembered(partition.queue[0].number))
        };
        if earlier().next().is_none() || identity.is_some_and(in_a_row) {
            Ok((id, broker, versions))
        } else {
            Err(BlockedOn::News)
        }
    }

    fn put_aside(&mut self, index: PartitionIndex, awaited: BlockedOn) {
        self.accumulator.park(index, awaited);
        match awaited {
            BlockedOn::Until(moment) => self.timers.set(Timer::Retry(index), moment),
            BlockedOn::Node(node) => self.connect(node),
            BlockedOn::Identity(id) => self.identity_over = Some(id),
            BlockedOn::Itself | BlockedOn::Leader | BlockedOn::News | BlockedOn::Capacity(_) => {}
        }
    }

    /// Whoever is put aside cannot send: else a wake-up is missing.
    #[cfg(debug_assertions)]
    fn nobody_is_overlooked(&self) {
        for &index in self.accumulator.active.iter().filter(|&&index| self.accumulator.is_parked(index)) {
            debug_assert!(self.ready(index).is_err(), "partition {index} is put aside, and ready");
        }
    }

    fn is_idempotent(&self, versions: Versions) -> bool {
        self.config.is_idempotent() && versions.init_producer_id.is_some() && versions.magic() == crate::Magic::V2
    }

    /// Whether new batches of the partition wait for a producer id.
    pub(super) fn waits_for_identity(&self, index: PartitionIndex) -> bool {
        let partition = self.accumulator.partition(index);
        let unstamped = partition.queue.iter().any(|entry| matches!(entry.payload, Payload::Sealed(_)));
        unstamped && self.identities.usable_by(&partition.sequence).is_none()
    }

    /// Puts the next batch of a partition into the format that the broker takes. If that cannot be, it fails (or is split,
    /// if it has become too large and may be), and the answer is false.
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
            partition.sequence.lose(identity); // its range will not be used
        }
        self.reseal(index, at, Some(versions.magic()))
    }

    /// Opens a batch, and seals it again, in this format or as it was.
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
                let stamped = batch.stamp(stamp).expect("an idempotent broker takes magic 2, and the batch is in it");
                Payload::Stamped(stamped, Some(identity))
            }
            (Payload::Sealed(batch), None) => Payload::Stamped(batch.without_producer_id(), None),
            (payload, _) => payload,
        };
    }

    fn hand_out(
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
        let version = if ids_known { versions.produce } else { versions.produce.min(BY_NAME) };
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
                    let reason = FailureReason::Transport(Box::new(error));
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

    /// A request goes out: its answer will come under this number.
    pub(super) fn register(&mut self, id: ConnectionId, api: ApiKey, version: i16, pending_requests: PendingRequest) {
        let answered = api != ApiKey::Produce || self.config.acks != Acks::None;
        if let Some(connection) = self.network.connections.get_mut(&id) {
            let correlation = connection.sent(api, version, answered, &self.config, self.now);
            self.pending_requests.insert((id, correlation), pending_requests);
        }
    }
}

/// Why a batch could not be sealed again.
struct Refused {
    reason: FailureReason,
    too_large: bool,
}

/// Opens a batch and seals it again: what was sent of it is void.
fn open(entry: &mut Entry, magic: Option<crate::Magic>, policy: crate::DownConversion) -> Result<(), Refused> {
    use crate::batch::{ConvertError, SealErrorReason};

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
                (FailureReason::Transport(Box::new(error.reason)), too_large, error.batch)
            }
        },
        Err(ConvertError::Losses { refused, batch }) => (FailureReason::Conversion(Box::new(refused)), false, batch),
        Err(ConvertError::TooLong { reason, batch, .. }) => (FailureReason::Transport(Box::new(reason)), true, batch),
    };
    entry.payload = Payload::Open(*batch);
    Err(Refused { reason, too_large })
}
