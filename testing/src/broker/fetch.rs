//! The broker's Fetch responses: waits for enough bytes, and returns batches, the last of which may be cut off.
//!
//! Fetch sessions (KIP-227) are answered as a broker does that has no room for one: the client sends full requests.

use std::collections::BTreeMap;
use std::ops::Range;

use bytes::{Bytes, BytesMut};
use kafka_batch_core::Magic;
use kafka_batch_core::compression::Codec;

use super::{Broker, Call, ExecuteResult, FaultKind};
use crate::Moment;
use crate::cluster::log::{Log, StoredBatch};
use crate::cluster::{Cluster, Partition, TopicRef};
use crate::legacy;
use crate::wire::fetch::{
    AbortedTransaction, FetchPartition, FetchRequest, FetchResponse, FetchableTopicResponse, PartitionData,
};
use crate::wire::produce::{LeaderIdAndEpoch, NodeEndpoint};
use crate::wire::{self, Request};

const UNKNOWN_SERVER_ERROR: i16 = -1;
const OFFSET_OUT_OF_RANGE: i16 = 1;
const UNKNOWN_TOPIC: i16 = 3;
const NOT_LEADER: i16 = 6;
const FETCH_SESSION_ID_NOT_FOUND: i16 = 70;
const FENCED_LEADER_EPOCH: i16 = 74;
const UNKNOWN_LEADER_EPOCH: i16 = 75;
const UNSUPPORTED_COMPRESSION_TYPE: i16 = 76;
const UNKNOWN_TOPIC_ID: i16 = 100;

/// `fetch.max.bytes` of brokers: the maximum size of all records in a response, whatever the client wants.
const MOST_BYTES: usize = 55 << 20;

/// The isolation level of consumers that read only what is committed.
const READ_COMMITTED: i8 = 1;

/// The first version in which a batch is returned that is larger than the limits (KIP-74).
const WHOLE_SINCE: i16 = 3;
/// The first version that names leaders (KIP-951).
const HINTS_SINCE: i16 = 16;

/// A Fetch request that waits for records.
#[derive(Debug)]
pub(super) struct Pending {
    body: FetchRequest,
    until: Moment,
    listener: usize,
    refused: Option<(i16, bool)>,
    omit: bool,
    throttle_time_ms: i32,
}

impl Pending {
    pub(super) const fn until(&self) -> Moment {
        self.until
    }
}

/// What a response contains so far.
#[derive(Default)]
struct Collected {
    bytes: usize,
    has_error: bool,
    endpoints: Vec<NodeEndpoint>,
}

impl Broker {
    /// Responds to a Fetch request, or lets it wait.
    pub(super) fn fetch(&mut self, call: &Call<'_>, cluster: &Cluster) -> ExecuteResult {
        let request = call.request;
        let body: FetchRequest = match self.body(request) {
            Ok(body) => body,
            Err(error) => return self.unreadable(request, error),
        };
        let throttle_time_ms = self.throttle.take().unwrap_or(0);
        if !matches!(body.isolation_level, 0 | 1) {
            return ExecuteResult::Answer(all_refused(request, &body, throttle_time_ms));
        }
        if body.session_epoch > 0 {
            let response =
                FetchResponse { error_code: FETCH_SESSION_ID_NOT_FOUND, throttle_time_ms, ..Default::default() };
            return ExecuteResult::Answer(wire::answer(request, request.version, &response));
        }
        let wait = Moment::from_millis(u64::try_from(body.max_wait_ms).unwrap_or(0));
        let refused = match call.fault {
            Some(FaultKind::Refuse { code, all }) => Some((*code, *all)),
            Some(FaultKind::ExecuteAndRefuse { code }) => Some((*code, false)),
            _ => None,
        };
        let omit = call.fault == Some(&FaultKind::OmitFirst);
        let until = call.now + wait;
        self.fetch_or_wait(
            request,
            Pending { body, until, listener: call.listener, refused, omit, throttle_time_ms },
            cluster,
            call.now,
        )
    }

    /// Responds if there are enough bytes, or the time is over.
    pub(super) fn fetch_or_wait(
        &self,
        request: &Request,
        pending: Pending,
        cluster: &Cluster,
        now: Moment,
    ) -> ExecuteResult {
        let version = request.version;
        let mut collected = Collected::default();
        let mut responses: Vec<FetchableTopicResponse> = Vec::new();
        // Java's limits cannot be negative.
        let limit = usize::try_from(pending.body.max_bytes).ok().map(|limit| limit.min(MOST_BYTES));
        for (position, topic) in pending.body.topics.iter().enumerate() {
            let name = if version >= 13 { TopicRef::Id(topic.topic_id) } else { TopicRef::Name(topic.topic.clone()) };
            let refused = pending.refused.filter(|(_, all)| *all || position == 0).map(|(code, _)| code);
            // Of two entries for one partition the later one counts.
            let last: BTreeMap<i32, usize> =
                topic.partitions.iter().enumerate().map(|(place, wanted)| (wanted.partition, place)).collect();
            let once = topic.partitions.iter().enumerate().filter(|(place, wanted)| last[&wanted.partition] == *place);
            let each = once.map(|(_, wanted)| {
                let committed = pending.body.isolation_level == READ_COMMITTED;
                let mut data =
                    self.partition_data(version, &name, wanted, committed, refused, cluster, limit, &mut collected);
                if data.error_code == NOT_LEADER || data.error_code == FENCED_LEADER_EPOCH {
                    hint(version, &name, pending.listener, &mut data, &mut collected, cluster);
                }
                data
            });
            let partitions: Vec<_> = each.collect();
            if partitions.is_empty() {
                continue;
            }
            responses.push(FetchableTopicResponse { topic: topic.topic.clone(), topic_id: topic.topic_id, partitions });
        }
        let wanted = usize::try_from(pending.body.min_bytes).unwrap_or(0);
        let has_partitions = responses.iter().any(|topic| !topic.partitions.is_empty());
        if collected.bytes < wanted && !collected.has_error && has_partitions && now < pending.until {
            return ExecuteResult::Wait(Box::new(super::Pending::Fetch(pending)));
        }
        if pending.omit && !responses.is_empty() {
            responses.remove(0);
        }
        let response = FetchResponse {
            throttle_time_ms: pending.throttle_time_ms,
            error_code: 0,
            session_id: 0,
            responses,
            node_endpoints: collected.endpoints,
        };
        ExecuteResult::Answer(wire::answer(request, version, &response))
    }

    #[allow(clippy::too_many_arguments)]
    fn partition_data(
        &self,
        version: i16,
        topic: &TopicRef,
        wanted: &FetchPartition,
        committed: bool,
        refused: Option<i16>,
        cluster: &Cluster,
        limit: Option<usize>,
        collected: &mut Collected,
    ) -> PartitionData {
        let mut data = PartitionData {
            partition_index: wanted.partition,
            high_watermark: -1,
            records: Some(Bytes::new()),
            ..Default::default()
        };
        let unknown = match topic {
            TopicRef::Name(_) => UNKNOWN_TOPIC,
            TopicRef::Id(_) => UNKNOWN_TOPIC_ID,
        };
        let name = cluster.name(topic);
        let partition = name.as_ref().and_then(|name| cluster.partition(name, wanted.partition));
        let unknown = if name.is_some() { UNKNOWN_TOPIC } else { unknown };
        let checked = match (refused, partition) {
            (Some(code), _) => Err(code),
            (None, None) => {
                data.aborted_transactions = Some(Vec::new());
                Err(unknown)
            }
            (None, Some(partition)) => {
                self.check_leader(partition, wanted.current_leader_epoch).map(|()| &partition.log)
            }
        };
        let read = checked.and_then(|log| {
            if wanted.fetch_offset < log.start() || wanted.fetch_offset > log.end() {
                return Err(OFFSET_OUT_OF_RANGE);
            }
            if wanted.last_fetched_epoch > partition.map_or(0, |partition| partition.epoch) {
                return Err(OFFSET_OUT_OF_RANGE);
            }
            let Some(limit) = limit.filter(|_| wanted.partition_max_bytes >= 0) else {
                return Err(UNKNOWN_SERVER_ERROR);
            };
            data.high_watermark = log.high_watermark();
            data.last_stable_offset = log.last_stable_offset();
            data.log_start_offset = log.start();
            let most = usize::try_from(wanted.partition_max_bytes).unwrap_or(0);
            let is_first = collected.bytes == 0;
            let most = most.min(limit.saturating_sub(collected.bytes));
            let end = if committed { data.last_stable_offset } else { data.high_watermark };
            let (records, end) = read(log, wanted.fetch_offset..end, version, most, is_first)?;
            if committed {
                let aborted = log.aborted(wanted.fetch_offset, end);
                let each = aborted.map(|(producer_id, first_offset)| AbortedTransaction { producer_id, first_offset });
                data.aborted_transactions = Some(each.collect());
            }
            Ok(records)
        });
        match read {
            Ok(records) => {
                collected.bytes += records.len();
                data.records = Some(records);
            }
            Err(code) => {
                collected.has_error = true;
                data.error_code = code;
            }
        }
        data
    }

    /// Checks that this broker leads a partition, in the epoch that the client knows.
    pub(super) fn check_leader(&self, partition: &Partition, known_epoch: i32) -> Result<(), i16> {
        match known_epoch {
            0.. if known_epoch < partition.epoch => Err(FENCED_LEADER_EPOCH),
            0.. if known_epoch > partition.epoch => Err(UNKNOWN_LEADER_EPOCH),
            _ if partition.leader != Some(self.id) => Err(NOT_LEADER),
            _ => Ok(()),
        }
    }
}

/// Names the leader.
fn hint(
    version: i16,
    topic: &TopicRef,
    listener: usize,
    data: &mut PartitionData,
    collected: &mut Collected,
    cluster: &Cluster,
) {
    let leader = cluster.name(topic).and_then(|name| {
        let partition = cluster.partition(&name, data.partition_index)?;
        Some((partition.leader?, partition.epoch))
    });
    let Some((leader, epoch)) = leader else { return };
    if version < HINTS_SINCE {
        return;
    }
    data.current_leader = LeaderIdAndEpoch { leader_id: leader, leader_epoch: epoch };
    if !collected.endpoints.iter().any(|endpoint| endpoint.node_id == leader) {
        if let Some((host, port)) = cluster.member(leader).address(listener) {
            collected.endpoints.push(NodeEndpoint { node_id: leader, host, port: port.into(), rack: None });
        }
    }
}

/// Returns the response to a request with an unknown isolation level.
fn all_refused(request: &Request, body: &FetchRequest, throttle_time_ms: i32) -> Bytes {
    let refused = |wanted: &FetchPartition| PartitionData {
        partition_index: wanted.partition,
        error_code: UNKNOWN_SERVER_ERROR,
        high_watermark: -1,
        aborted_transactions: Some(Vec::new()),
        records: Some(Bytes::new()),
        ..Default::default()
    };
    let each = body.topics.iter().filter(|_| request.version < 13).map(|topic| FetchableTopicResponse {
        topic: topic.topic.clone(),
        topic_id: topic.topic_id,
        partitions: topic.partitions.iter().map(refused).collect(),
    });
    let responses = each.collect();
    let response =
        FetchResponse { throttle_time_ms, error_code: UNKNOWN_SERVER_ERROR, responses, ..Default::default() };
    wire::answer(request, request.version, &response)
}

/// Reads batches from the one with the first of these offsets on, up to a size, which the first one may exceed. Returns them and
/// the offset after the last one.
fn read(log: &Log, offsets: Range<i64>, version: i16, most: usize, is_first: bool) -> Result<(Bytes, i64), i16> {
    let newest = match version {
        ..=1 => Magic::V0,
        2 | 3 => Magic::V1,
        _ => Magic::V2,
    };
    let mut records = BytesMut::new();
    let mut end = offsets.start;
    for stored in log.readable_from(offsets.start).iter().take_while(|stored| stored.base_offset < offsets.end) {
        if stored.info.control.is_some() && newest < Magic::V2 {
            continue; // older formats have none
        }
        if stored.info.codec == Codec::Zstd && newest < Magic::V2 {
            // It is not converted. (In magic 2 it is returned to every version: Kafka refuses versions before 10 only for
            // topics whose compression.type is zstd.) Batches before it are returned first.
            return if records.is_empty() { Err(UNSUPPORTED_COMPRESSION_TYPE) } else { Ok((records.freeze(), end)) };
        }
        let bytes = in_format(stored, newest)?;
        let is_whole = bytes.len() <= most - records.len();
        if records.is_empty() && !is_whole && version >= WHOLE_SINCE {
            return Ok(if is_first { (bytes, stored.end()) } else { (Bytes::new(), end) });
        }
        // A batch that is cut off tells the client to want more.
        records.extend_from_slice(&bytes[..bytes.len().min(most - records.len())]);
        end = stored.end();
        if !is_whole {
            break;
        }
    }
    Ok((records.freeze(), end))
}

fn in_format(stored: &StoredBatch, newest: Magic) -> Result<Bytes, i16> {
    if stored.info.magic <= newest {
        return Ok(stored.bytes.clone());
    }
    legacy::convert_down(&stored.bytes, newest).ok_or(UNSUPPORTED_COMPRESSION_TYPE)
}
