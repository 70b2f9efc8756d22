//! The broker's ListOffsets responses.

use std::collections::{BTreeMap, BTreeSet};

use kafka_batch_core::decode::{DEFAULT_MAX_DECOMPRESSED, RecordBatches};

use super::{Broker, Call, ExecuteResult, FaultKind};
use crate::cluster::log::{Log, StoredBatch};
use crate::cluster::{Cluster, Partition, TopicRef};
use crate::wire;
use crate::wire::list_offsets::{
    ListOffsetsPartition, ListOffsetsPartitionResponse, ListOffsetsRequest, ListOffsetsResponse,
    ListOffsetsTopicResponse,
};

const UNKNOWN_TOPIC: i16 = 3;
const UNKNOWN_SERVER_ERROR: i16 = -1;
const UNSUPPORTED_VERSION: i16 = 35;
const INVALID_REQUEST: i16 = 42;
const FENCED_LEADER_EPOCH: i16 = 74;

/// The isolation level of consumers that read only what is committed.
const READ_COMMITTED: i8 = 1;

/// The end of the log.
const LATEST: i64 = -1;
/// The first offset.
const EARLIEST: i64 = -2;
/// The record with the largest timestamp (KIP-734).
const MAX_TIMESTAMP: i64 = -3;
/// The first offset on local storage (KIP-405). Everything is local.
const EARLIEST_LOCAL: i64 = -4;
/// The last offset on remote storage (KIP-1005).
const LATEST_TIERED: i64 = -5;
/// The first offset that is not on remote storage yet (KIP-1023).
const EARLIEST_PENDING_UPLOAD: i64 = -6;

/// Returns the first version in which a timestamp has a meaning.
const fn supported_since(timestamp: i64) -> i16 {
    match timestamp {
        MAX_TIMESTAMP => 7,
        EARLIEST_LOCAL => 8,
        LATEST_TIERED => 9,
        EARLIEST_PENDING_UPLOAD => 11,
        ..EARLIEST_PENDING_UPLOAD => i16::MAX,
        _ => 0,
    }
}

impl Broker {
    /// Responds to a ListOffsets request.
    pub(super) fn list_offsets(&mut self, call: &Call<'_>, cluster: &Cluster) -> ExecuteResult {
        let request = call.request;
        let body: ListOffsetsRequest = match self.body(request) {
            Ok(body) => body,
            Err(error) => return self.unreadable(request, error),
        };
        let isolation_level = body.isolation_level;
        let mut topics: Vec<_> = body
            .topics
            .into_iter()
            .filter(|topic| !topic.partitions.is_empty())
            .enumerate()
            .map(|(position, topic)| {
                let refused = match call.fault {
                    Some(FaultKind::Refuse { code, all }) if *all || position == 0 => Some(*code),
                    Some(FaultKind::ExecuteAndRefuse { code }) if position == 0 => Some(*code),
                    _ => None,
                };
                let name = cluster.name(&TopicRef::Name(topic.name.clone()));
                let mut counts: BTreeMap<i32, usize> = BTreeMap::new();
                for partition in &topic.partitions {
                    *counts.entry(partition.partition_index).or_default() += 1;
                }
                let mut seen = BTreeSet::new();
                let once = topic.partitions.iter().filter(|wanted| seen.insert(wanted.partition_index));
                let each = once.map(|wanted| {
                    let is_repeated = counts.get(&wanted.partition_index).is_some_and(|count| *count > 1);
                    let partition = name.as_ref().and_then(|name| cluster.partition(name, wanted.partition_index));
                    let found = match refused {
                        Some(code) => Err(code),
                        None if !matches!(isolation_level, 0 | 1) => Err(UNKNOWN_SERVER_ERROR),
                        None if request.version >= 1 && is_repeated => Err(INVALID_REQUEST),
                        None if request.version < supported_since(wanted.timestamp) => Err(UNSUPPORTED_VERSION),
                        None => self.offset(request.version, wanted, isolation_level, partition),
                    };
                    found.unwrap_or_else(|error_code| ListOffsetsPartitionResponse {
                        partition_index: wanted.partition_index,
                        error_code,
                        ..Default::default()
                    })
                });
                ListOffsetsTopicResponse { partitions: each.collect(), name: topic.name }
            })
            .collect();
        if call.fault == Some(&FaultKind::OmitFirst) && !topics.is_empty() {
            topics.remove(0);
        }
        let response = ListOffsetsResponse { throttle_time_ms: self.throttle.take().unwrap_or(0), topics };
        ExecuteResult::Answer(wire::answer(request, request.version, &response))
    }

    fn offset(
        &self,
        version: i16,
        wanted: &ListOffsetsPartition,
        isolation_level: i8,
        partition: Option<&Partition>,
    ) -> Result<ListOffsetsPartitionResponse, i16> {
        let partition = partition.ok_or(UNKNOWN_TOPIC)?;
        if wanted.current_leader_epoch < -1 {
            return Err(FENCED_LEADER_EPOCH);
        }
        self.check_leader(partition, wanted.current_leader_epoch)?;
        let log = &partition.log;
        let answer = ListOffsetsPartitionResponse { partition_index: wanted.partition_index, ..Default::default() };
        if version == 0 {
            let most = usize::try_from(wanted.max_num_offsets).unwrap_or(0);
            return Ok(ListOffsetsPartitionResponse {
                old_style_offsets: segments(log, wanted.timestamp, most),
                ..answer
            });
        }
        let end = if isolation_level == READ_COMMITTED { log.last_stable_offset() } else { log.high_watermark() };
        let found = match wanted.timestamp {
            LATEST => Some((end, -1, partition.epoch)),
            EARLIEST | EARLIEST_LOCAL => Some((log.start(), -1, partition.epoch)),
            MAX_TIMESTAMP => last_of_time(log).filter(|(offset, ..)| *offset < end),
            timestamp @ 0.. => first_from(log, timestamp).filter(|(offset, ..)| *offset < end),
            // Nothing is on remote storage.
            _ => None,
        };
        Ok(match found {
            Some((offset, timestamp, leader_epoch)) => {
                ListOffsetsPartitionResponse { offset, timestamp, leader_epoch, ..answer }
            }
            None => answer,
        })
    }
}

/// Returns the offsets of v0: the end, and where segments begin, of which there is one.
fn segments(log: &Log, timestamp: i64, most: usize) -> Vec<i64> {
    let mut offsets = match timestamp {
        LATEST => vec![log.high_watermark(), log.start()],
        EARLIEST => vec![log.start()],
        timestamp => {
            let is_older = log.readable_from(0).last().is_some_and(|last| last.max_timestamp <= timestamp);
            if is_older { vec![log.start()] } else { Vec::new() }
        }
    };
    offsets.dedup();
    offsets.truncate(most);
    offsets
}

/// Returns offset, timestamp and leader epoch of each record of a batch.
fn records(stored: &StoredBatch) -> Vec<(i64, i64, i32)> {
    let mut all = Vec::new();
    for batch in RecordBatches::new(&stored.bytes).flatten() {
        let Ok(records) = batch.records(DEFAULT_MAX_DECOMPRESSED) else { continue };
        let readable = records.iter_lenient().flatten();
        all.extend(readable.map(|record| (record.offset, record.timestamp.millis(), stored.leader_epoch)));
    }
    if all.is_empty() {
        // The codec is not built in: the batch counts as one record.
        all.push((stored.base_offset, stored.max_timestamp, stored.leader_epoch));
    }
    all
}

/// Returns the first record with this timestamp or a later one.
fn first_from(log: &Log, timestamp: i64) -> Option<(i64, i64, i32)> {
    let mut later = log.readable_from(0).iter().filter(|stored| stored.max_timestamp >= timestamp);
    later.find_map(|stored| records(stored).into_iter().find(|(_, of_record, _)| *of_record >= timestamp))
}

/// Returns the first of the records with the largest timestamp.
fn last_of_time(log: &Log) -> Option<(i64, i64, i32)> {
    let largest = log.readable_from(0).iter().map(|stored| stored.max_timestamp).max()?;
    first_from(log, largest)
}
