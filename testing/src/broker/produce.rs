//! The broker's Produce responses: validates, appends, and with acks=all waits for the replicas.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use bytes::Bytes;

use super::{Broker, Call, ExecuteResult, FaultKind};
use crate::Moment;
use crate::cluster::log::Appended;
use crate::cluster::{Cluster, TopicRef};
use crate::validate::{self, Rejection};
use crate::wire::produce::{
    BatchIndexAndErrorMessage, LeaderIdAndEpoch, NodeEndpoint, PartitionProduceResponse, ProduceRequest,
    ProduceResponse, TopicProduceResponse,
};
use crate::wire::{self, Request};

const UNKNOWN_TOPIC: i16 = 3;
const NOT_LEADER: i16 = 6;
const TIMED_OUT: i16 = 7;
const TOO_LARGE: i16 = 10;
const INVALID_REQUIRED_ACKS: i16 = 21;
const OUT_OF_ORDER: i16 = 45;
const TRANSACTIONAL_ID_AUTHORIZATION_FAILED: i16 = 53;
const INVALID_RECORD: i16 = 87;
const UNKNOWN_TOPIC_ID: i16 = 100;

/// A record set for a partition.
#[derive(Clone, Debug)]
pub(super) struct Set {
    pub(super) topic: TopicRef,
    pub(super) partition: i32,
    pub(super) records: Bytes,
}

/// The response for a record set.
#[derive(Clone, Debug)]
struct SetResponse {
    topic: TopicRef,
    partition: PartitionProduceResponse,
}

/// A Produce request that waits for replicas.
#[derive(Clone, Debug)]
pub(super) struct Pending {
    sets: Vec<SetResponse>,
    node_endpoints: Vec<NodeEndpoint>,
    throttle_time_ms: i32,
    awaited: Vec<BlockedOn>,
    until: Moment,
    /// The error code for the first set, although it was appended.
    lie: Option<i16>,
    omit: bool,
}

#[derive(Clone, Debug)]
struct BlockedOn {
    set: usize,
    topic: String,
    partition: i32,
    epoch: i32,
    end: i64,
}

/// Returns the record sets of a request; `None` if one of them is null. Of two for one partition only the second counts, as
/// in Apache Kafka.
fn sets(version: i16, request: ProduceRequest) -> Option<Vec<Set>> {
    let (mut sets, mut places) = (Vec::new(), BTreeMap::new());
    for topic in request.topic_data {
        let name = if version >= 13 { TopicRef::Id(topic.topic_id) } else { TopicRef::Name(topic.name) };
        for partition in topic.partition_data {
            let set = Set { topic: name.clone(), partition: partition.index, records: partition.records? };
            match places.entry((name.clone(), partition.index)) {
                Entry::Occupied(place) => sets[*place.get()] = set,
                Entry::Vacant(place) => {
                    place.insert(sets.len());
                    sets.push(set);
                }
            }
        }
    }
    Some(sets)
}

impl Broker {
    /// Responds to a Produce request, or lets it wait.
    pub(super) fn produce(&mut self, call: &Call<'_>, cluster: &mut Cluster) -> ExecuteResult {
        let Call { request, fault, now, .. } = *call;
        let decoded: ProduceRequest = match self.body(request) {
            Ok(decoded) => decoded,
            Err(error) => return self.unreadable(request, error),
        };
        let (acks, timeout_ms) = (decoded.acks, decoded.timeout_ms);
        let transactional_id = decoded.transactional_id.clone();
        let given: usize = decoded.topic_data.iter().map(|topic| topic.partition_data.len()).sum();
        let Some(sets) = sets(request.version, decoded) else {
            self.report_violation("a Produce request with a record set that is null".into());
            return ExecuteResult::Unresponsive; // as Apache Kafka
        };
        if sets.is_empty() {
            self.report_violation("a Produce request without record sets".into());
        }
        if sets.len() < given {
            self.report_violation("a partition occurs twice in a Produce request".into());
        }
        let mut pending = Pending {
            sets: Vec::new(),
            node_endpoints: Vec::new(),
            throttle_time_ms: self.throttle.take().unwrap_or(0),
            awaited: Vec::new(),
            until: now + Moment::from_millis(u64::try_from(timeout_ms).unwrap_or(0)),
            lie: None,
            omit: fault == Some(&FaultKind::OmitFirst),
        };
        if let Some(FaultKind::ExecuteAndRefuse { code }) = fault {
            pending.lie = Some(*code);
        }
        let whole = sets.iter().find_map(|set| validate::first_header(&set.records).err());
        let whole = whole.map(|rejection| self.client_error(rejection));
        // Concerns the request as a whole, as permission does.
        let is_anonymous =
            transactional_id.is_none() && sets.iter().any(|set| validate::is_transactional(&set.records));
        if is_anonymous {
            self.report_violation("a transactional batch in a Produce request without a transactional id".into());
        }
        for (position, set) in sets.iter().enumerate() {
            let mut answered = PartitionProduceResponse { index: set.partition, ..Default::default() };
            let refused = match fault {
                Some(FaultKind::Refuse { code, all })
                    if (*all || position == 0) && (*code != OUT_OF_ORDER || counts(set, cluster)) =>
                {
                    Some(Rejection::new(*code))
                }
                Some(FaultKind::RejectRecords { positions }) if position == 0 => Some(Rejection::of_records(
                    INVALID_RECORD,
                    positions.iter().map(|&position| (position, "rejected")),
                )),
                _ if is_anonymous => Some(Rejection::new(TRANSACTIONAL_ID_AUTHORIZATION_FAILED)),
                _ => whole.clone(),
            };
            let appended = match refused {
                Some(rejection) => Err(rejection),
                None => self.append(request.version, acks, transactional_id.as_deref(), set, cluster, now),
            };
            match appended {
                Ok((topic, epoch, appended)) => {
                    answered.base_offset = appended.base_offset;
                    answered.log_append_time_ms = appended.append_time_ms;
                    answered.log_start_offset = appended.log_start;
                    if acks == -1 {
                        let (partition, end) = (set.partition, appended.end);
                        pending.awaited.push(BlockedOn { set: position, topic, partition, epoch, end });
                    }
                }
                Err(rejection) => rejected(&mut answered, rejection),
            }
            if answered.error_code == NOT_LEADER {
                self.hint(call, set, &mut answered, &mut pending.node_endpoints, cluster);
            }
            pending.sets.push(SetResponse { topic: set.topic.clone(), partition: answered });
        }
        if acks == 0 {
            // There is no response; an error closes the connection.
            return if pending.sets.iter().any(|set| set.partition.error_code != 0) {
                ExecuteResult::CloseConnection
            } else {
                ExecuteResult::Silent
            };
        }
        self.wait(request, pending, cluster, now)
    }

    /// Appends a record set. Returns the topic's name, the leader epoch, and where it is.
    fn append(
        &mut self,
        version: i16,
        acks: i16,
        transactional_id: Option<&str>,
        set: &Set,
        cluster: &mut Cluster,
        now: Moment,
    ) -> Result<(String, i32, Appended), Rejection> {
        let unknown = match set.topic {
            TopicRef::Name(_) => UNKNOWN_TOPIC,
            TopicRef::Id(_) => UNKNOWN_TOPIC_ID,
        };
        let topic = cluster.name(&set.topic).ok_or(Rejection::new(unknown))?;
        let rules = self.release.rules();
        let partition = cluster.partition(&topic, set.partition).ok_or(Rejection::new(UNKNOWN_TOPIC))?;
        // A client's fault, regardless of which broker leads the partition.
        validate::layout(&set.records, version).map_err(|rejection| self.client_error(rejection))?;
        if !matches!(acks, -1..=1) {
            return Err(Rejection::new(INVALID_REQUIRED_ACKS));
        }
        if partition.leader != Some(self.id) {
            return Err(Rejection::new(NOT_LEADER));
        }
        let log_start = partition.log.start();
        if let (Some(id), Some(stamp)) = (transactional_id, validate::transactional_stamp(&set.records)) {
            // Also if the batch is rejected later.
            let enlisted = self.enlist(version, id, stamp, (topic.as_str(), set.partition), cluster, now);
            enlisted.map_err(Rejection::new)?;
        }
        let config = cluster.config(&topic);
        if validate::largest(&set.records) > config.max_message_bytes {
            return Err(Rejection::new(TOO_LARGE));
        }
        let validated = validate::batch(&set.records, &config, cluster.wall_clock(now))
            .map_err(|rejection| self.client_error(rejection).in_log(log_start))?;
        if let Some(stamp) = validated.info.stamp {
            if stamp.epoch < 0 {
                let (producer, epoch) = (stamp.producer, stamp.epoch);
                self.report_violation(format!("a batch of producer {producer} with the negative epoch {epoch}"));
            }
            if let Some(code) = self.rules.iter().find_map(|rule| rule.rejection_code(stamp, &cluster.assigned)) {
                return Err(Rejection::new(code).in_log(log_start));
            }
        }
        let append_time_ms = if config.log_append_time { cluster.wall_clock(now) } else { -1 };
        let partition = cluster.partition_mut(&topic, set.partition).ok_or(Rejection::new(UNKNOWN_TOPIC))?;
        let epoch = partition.epoch;
        // A batch of magic 2 may be followed by an incomplete one.
        let records = &set.records[..validated.size];
        let appended = partition.log.append(validated, records, epoch, append_time_ms, rules);
        let appended = appended.map_err(|code| Rejection::new(code).in_log(log_start))?;
        cluster.replicate(&topic, set.partition, appended.end, now);
        Ok((topic, epoch, appended))
    }

    /// Records that the client has sent something that no broker accepts.
    fn client_error(&mut self, rejection: Rejection) -> Rejection {
        self.report_violation(format!("a record set that is rejected with {rejection}"));
        rejection
    }

    /// Names the leader of the partition, in most cases (KIP-951).
    fn hint(
        &mut self,
        call: &Call<'_>,
        set: &Set,
        answered: &mut PartitionProduceResponse,
        endpoints: &mut Vec<NodeEndpoint>,
        cluster: &Cluster,
    ) {
        let Some(topic) = cluster.name(&set.topic) else { return };
        let Some(partition) = cluster.partition(&topic, set.partition) else { return };
        let Some(leader) = partition.leader else { return };
        if self.random.percent(self.variation.hint_percent) {
            answered.current_leader = LeaderIdAndEpoch { leader_id: leader, leader_epoch: partition.epoch };
            if !endpoints.iter().any(|endpoint| endpoint.node_id == leader) {
                if let Some((host, port)) = cluster.member(leader).address(call.listener) {
                    endpoints.push(NodeEndpoint { node_id: leader, host, port: port.into(), rack: None });
                }
            }
        }
    }

    /// Returns the response if nothing has to be awaited any more.
    pub(super) fn wait(
        &mut self,
        request: &Request,
        mut pending: Pending,
        cluster: &Cluster,
        now: Moment,
    ) -> ExecuteResult {
        let mut waiting = Vec::new();
        for awaited in std::mem::take(&mut pending.awaited) {
            let partition = cluster.partition(&awaited.topic, awaited.partition);
            let leads = partition.is_some_and(|found| (found.leader, found.epoch) == (Some(self.id), awaited.epoch));
            let code = match partition {
                Some(found) if leads && found.log.high_watermark() >= awaited.end => 0,
                Some(_) if leads && now < pending.until => {
                    waiting.push(awaited);
                    continue;
                }
                Some(_) if leads => TIMED_OUT,
                // It was appended, but this broker no longer knows whether it will remain.
                _ => NOT_LEADER,
            };
            let answered = &mut pending.sets[awaited.set].partition;
            answered.error_code = code;
            if code != 0 {
                answered.base_offset = -1;
            }
        }
        pending.awaited = waiting;
        if !pending.awaited.is_empty() {
            return ExecuteResult::Wait(Box::new(super::Pending::Produce(pending)));
        }
        // Only a batch that was appended can be denied.
        if let (Some(code), Some(first)) =
            (pending.lie, pending.sets.first_mut().filter(|set| set.partition.error_code == 0))
        {
            first.partition.error_code = code;
            first.partition.base_offset = -1;
        }
        if pending.omit && !pending.sets.is_empty() {
            pending.sets.remove(0);
        }
        // Once in a response each, as some brokers do, or all partitions of a topic together.
        let apart = request.version < 3 && self.variation.topics_apart;
        let response = ProduceResponse {
            responses: by_topic(pending.sets, apart),
            throttle_time_ms: pending.throttle_time_ms,
            node_endpoints: pending.node_endpoints,
        };
        ExecuteResult::Answer(wire::answer(request, request.version, &response))
    }
}

fn rejected(answered: &mut PartitionProduceResponse, rejection: Rejection) {
    answered.error_code = rejection.code;
    answered.log_start_offset = rejection.log_start;
    let each = |(batch_index, message): (i32, &str)| BatchIndexAndErrorMessage {
        batch_index,
        batch_index_error_message: Some(message.to_owned()),
    };
    answered.record_errors = rejection.records.into_iter().map(each).collect();
    answered.error_message = Some(rejection.message).filter(|message| rejection.shows_message && !message.is_empty());
}

fn by_topic(sets: Vec<SetResponse>, apart: bool) -> Vec<TopicProduceResponse> {
    let mut topics: Vec<TopicProduceResponse> = Vec::new();
    let mut places: BTreeMap<TopicRef, usize> = BTreeMap::new();
    for set in sets {
        let known = places.get(&set.topic).copied().filter(|_| !apart);
        let place = known.unwrap_or_else(|| {
            let mut topic = TopicProduceResponse::default();
            match &set.topic {
                TopicRef::Name(name) => topic.name = name.clone(),
                TopicRef::Id(id) => topic.topic_id = *id,
            }
            topics.push(topic);
            topics.len() - 1
        });
        places.insert(set.topic, place);
        topics[place].partition_responses.push(set.partition);
    }
    topics
}

/// Returns true if the producer of a batch is known in its partition: sequences of unknown producers are not out of
/// order.
fn counts(set: &Set, cluster: &Cluster) -> bool {
    let topic = cluster.name(&set.topic);
    let partition = topic.and_then(|topic| cluster.partition(&topic, set.partition));
    let stamp = validate::stamp(&set.records);
    partition.zip(stamp).is_some_and(|(partition, stamp)| partition.log.knows(stamp.producer))
}

impl Pending {
    /// Returns when the broker stops waiting.
    pub(super) const fn until(&self) -> Moment {
        self.until
    }
}
