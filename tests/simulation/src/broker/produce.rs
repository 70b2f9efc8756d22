//! The broker's Produce responses: validates, appends, and with acks=all waits for the replicas.

use bytes::Bytes;
use kafka_batch_core::Magic;
use kafka_batch_core::compression::Codec;

use super::{Broker, ExecuteResult, Intercept};
use crate::Moment;
use crate::cluster::Cluster;
use crate::contents;
use crate::wire::Request;
use crate::wire::produce::{DecodedResponse, Set, SetResponse, TopicRef, decode_request, encode_response};

const UNKNOWN_TOPIC: i16 = 3;
const NOT_LEADER: i16 = 6;
const TIMED_OUT: i16 = 7;
const TOO_LARGE: i16 = 10;
const CORRUPT: i16 = 2;
const OUT_OF_ORDER: i16 = 45;
const UNSUPPORTED_COMPRESSION_TYPE: i16 = 76;
const INVALID_RECORD: i16 = 87;
const UNKNOWN_TOPIC_ID: i16 = 100;

/// A Produce request that waits for replicas.
#[derive(Clone, Debug)]
pub(super) struct Pending {
    request: Request,
    answers: DecodedResponse,
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

impl Broker {
    /// Responds to a Produce request, or lets it wait.
    pub(super) fn produce(
        &mut self,
        request: &Request,
        intercept: Option<&Intercept>,
        cluster: &mut Cluster,
        now: Moment,
    ) -> ExecuteResult {
        let decoded = match decode_request(request) {
            Ok(decoded) => decoded,
            Err(error) => {
                self.report_violation(format!("a Produce request that cannot be read: {error}"));
                return ExecuteResult::CloseConnection;
            }
        };
        if decoded.sets.is_empty() {
            self.report_violation("a Produce request without record sets".into());
        }
        for (position, set) in decoded.sets.iter().enumerate() {
            let same = |other: &Set| (&other.topic, other.partition) == (&set.topic, set.partition);
            if decoded.sets[..position].iter().any(same) {
                self.report_violation(format!("partition {} occurs twice in a Produce request", set.partition));
            }
        }
        let mut pending = Pending {
            request: request.clone(),
            answers: DecodedResponse { throttle_ms: self.throttle.take().unwrap_or(0), ..DecodedResponse::default() },
            awaited: Vec::new(),
            until: now + Moment::from_millis(u64::try_from(decoded.timeout_ms).unwrap_or(0)),
            lie: None,
            omit: intercept == Some(&Intercept::Omit),
        };
        if let Some(Intercept::DoAndRefuse { code }) = intercept {
            pending.lie = Some(*code);
        }
        for (position, set) in decoded.sets.iter().enumerate() {
            let refused = match intercept {
                Some(Intercept::Refuse { code, all })
                    if (*all || position == 0) && (*code != OUT_OF_ORDER || counts(set, cluster)) =>
                {
                    Some((*code, Vec::new()))
                }
                Some(Intercept::RejectRecords { positions }) if position == 0 => {
                    Some((INVALID_RECORD, positions.clone()))
                }
                _ => None,
            };
            let mut answered = SetResponse {
                topic: set.topic.clone(),
                partition: set.partition,
                code: 0,
                base_offset: -1,
                append_time: -1,
                log_start: -1,
                rejected_records: Vec::new(),
                leader: None,
            };
            if let Some((code, rejected_records)) = refused {
                answered.code = code;
                answered.rejected_records = rejected_records;
            } else {
                match self.append(request.version, set, cluster, now) {
                    Ok((topic, base_offset, epoch, end, log_start)) => {
                        answered.base_offset = base_offset;
                        answered.log_start = log_start;
                        if decoded.acks == -1 {
                            let partition = set.partition;
                            pending.awaited.push(BlockedOn { set: position, topic, partition, epoch, end });
                        }
                    }
                    Err(code) => answered.code = code,
                }
            }
            if answered.code == NOT_LEADER {
                self.hint(&mut answered, &mut pending.answers, cluster);
            }
            pending.answers.sets.push(answered);
        }
        if decoded.acks == 0 {
            // There is no response; an error closes the connection.
            return if pending.answers.sets.iter().any(|set| set.code != 0) {
                ExecuteResult::CloseConnection
            } else {
                ExecuteResult::Silent
            };
        }
        self.wait(pending, cluster, now)
    }

    /// Appends a record set. Returns the topic's name, the offset, the leader epoch, the end, and the start of the log.
    fn append(
        &mut self,
        version: i16,
        set: &Set,
        cluster: &mut Cluster,
        now: Moment,
    ) -> Result<(String, i64, i32, i64, i64), i16> {
        let identity = match contents::identify(&set.records) {
            Ok(identity) => identity,
            Err(error) => {
                self.report_violation(format!("a record set that cannot be read: {error}"));
                return Err(CORRUPT);
            }
        };
        let allowed = match version {
            0 | 1 => identity.magic == Magic::V0,
            2 => identity.magic <= Magic::V1,
            _ => identity.magic == Magic::V2,
        };
        if !allowed {
            self.report_violation(format!("a batch of {} in Produce v{version}", identity.magic));
            return Err(CORRUPT);
        }
        if identity.codec == Codec::Zstd && version < 7 {
            self.report_violation(format!("zstd in Produce v{version}"));
            return Err(UNSUPPORTED_COMPRESSION_TYPE);
        }
        let unknown = match set.topic {
            TopicRef::Name(_) => UNKNOWN_TOPIC,
            TopicRef::Id(_) => UNKNOWN_TOPIC_ID,
        };
        let topic = cluster.name(&set.topic).ok_or(unknown)?;
        let limit = cluster.settings.max_message_bytes;
        let rules = self.release.rules();
        let partition = cluster.partition(&topic, set.partition).ok_or(UNKNOWN_TOPIC)?;
        if partition.leader != Some(self.id) {
            return Err(NOT_LEADER);
        }
        if set.records.len() > limit {
            return Err(TOO_LARGE);
        }
        if let Some(stamp) = identity.stamp {
            if stamp.epoch < 0 {
                self.violations.push(format!("epoch {} of producer {}", stamp.epoch, stamp.producer));
            }
            if let Some(code) = self.rules.iter().find_map(|rule| rule.rejection_code(stamp, &cluster.assigned)) {
                return Err(code);
            }
        }
        let partition = cluster.partition_mut(&topic, set.partition).ok_or(UNKNOWN_TOPIC)?;
        let bytes = Bytes::copy_from_slice(&set.records);
        let (offset, end) = partition.log.append(identity, bytes, rules)?;
        let (epoch, log_start) = (partition.epoch, partition.log.start());
        cluster.replicate(&topic, set.partition, end, now);
        Ok((topic, offset, epoch, end, log_start))
    }

    /// Names the leader of the partition in most cases (KIP-951).
    fn hint(&mut self, answered: &mut SetResponse, answers: &mut DecodedResponse, cluster: &Cluster) {
        let Some(topic) = cluster.name(&answered.topic) else { return };
        let Some(partition) = cluster.partition(&topic, answered.partition) else { return };
        let Some(leader) = partition.leader else { return };
        if self.random.percent(70) {
            answered.leader = Some((leader, partition.epoch));
            if !answers.endpoints.iter().any(|(id, ..)| *id == leader) {
                answers.endpoints.push((leader, super::host(leader), super::PORT));
            }
        }
    }

    /// Returns the response if nothing has to be awaited any more.
    pub(super) fn wait(&mut self, mut pending: Pending, cluster: &Cluster, now: Moment) -> ExecuteResult {
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
            let answered = &mut pending.answers.sets[awaited.set];
            answered.code = code;
            if code != 0 {
                answered.base_offset = -1;
            }
        }
        pending.awaited = waiting;
        if !pending.awaited.is_empty() {
            return ExecuteResult::Wait(Box::new(pending));
        }
        // Only a batch that was appended can be denied.
        if let (Some(code), Some(first)) = (pending.lie, pending.answers.sets.first_mut().filter(|set| set.code == 0)) {
            first.code = code;
            first.base_offset = -1;
        }
        if pending.omit {
            pending.answers.sets.remove(0);
        }
        if pending.request.version < 1 {
            pending.answers.throttle_ms = 0;
        }
        ExecuteResult::Answer(encode_response(&pending.request, &pending.answers))
    }
}

/// Returns true if the producer of a batch is known in its partition: sequences of unknown producers are not out of
/// order.
fn counts(set: &Set, cluster: &Cluster) -> bool {
    let topic = cluster.name(&set.topic);
    let partition = topic.and_then(|topic| cluster.partition(&topic, set.partition));
    let stamp = contents::identify(&set.records).ok().and_then(|identity| identity.stamp);
    partition.zip(stamp).is_some_and(|(partition, stamp)| partition.log.knows(stamp.producer))
}

impl Pending {
    /// Returns when the broker stops waiting.
    pub(super) const fn until(&self) -> Moment {
        self.until
    }
}
