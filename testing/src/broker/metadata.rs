//! The broker's Metadata responses: current, stale, or false.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;

use super::fault::FalseMetadata;
use super::{Broker, Call, ExecuteResult, FaultKind};
use crate::Moment;
use crate::cluster::{Cluster, TopicRef, is_valid_topic_name};
use crate::wire::metadata::{
    MetadataRequest, MetadataRequestTopic, MetadataResponse, MetadataResponseBroker, MetadataResponsePartition,
    MetadataResponseTopic,
};
use crate::wire::{self, Malformed, Request};

const UNKNOWN_SERVER_ERROR: i16 = -1;
const UNKNOWN_TOPIC: i16 = 3;
const LEADER_NOT_AVAILABLE: i16 = 5;
const INVALID_TOPIC: i16 = 17;
const INVALID_REQUEST: i16 = 42;
const UNKNOWN_TOPIC_ID: i16 = 100;

/// The operations on a topic that are allowed without an authorizer: all, as bits.
const ALL_OF_TOPIC: i32 = 0b1101_1111_1000;
/// The same for the cluster.
const ALL_OF_CLUSTER: i32 = 0b1_1111_1010_0000;

/// Returns why the topics of a request are invalid, if they are: an error code for all of them, or a reason to close the
/// connection.
fn invalid(version: i16, topics: &[MetadataRequestTopic]) -> Option<Result<i16, Malformed>> {
    let has_id = |topic: &MetadataRequestTopic| topic.topic_id != [0; 16];
    match version {
        ..10 => topics.iter().any(|topic| topic.name.is_none()).then_some(Err(Malformed::Null)),
        10 | 11 => topics.iter().any(|topic| topic.name.is_none() || has_id(topic)).then_some(Ok(INVALID_REQUEST)),
        _ if topics.iter().any(has_id) => None,
        _ => topics.iter().any(|topic| topic.name.is_none()).then_some(Ok(UNKNOWN_SERVER_ERROR)),
    }
}

/// The leaders of all partitions at some time: topic → its id, and each partition's leader and epoch.
pub(super) type View = BTreeMap<String, ([u8; 16], Vec<(Option<i32>, i32)>)>;

fn view(cluster: &Cluster) -> View {
    let of = |topic: &crate::cluster::Topic| {
        (topic.id, topic.partitions.iter().map(|partition| (partition.leader, partition.epoch)).collect())
    };
    cluster.topics.iter().map(|(name, topic)| (name.clone(), of(topic))).collect()
}

impl Broker {
    /// Responds to a Metadata request.
    pub(super) fn metadata(&mut self, call: &Call<'_>, cluster: &mut Cluster) -> ExecuteResult {
        let request = call.request;
        let decoded: MetadataRequest = match self.body(request) {
            Ok(decoded) => decoded,
            Err(error) => return self.unreadable(request, error),
        };
        if let Some(code) = invalid(request.version, decoded.topics.as_deref().unwrap_or_default()) {
            return match code {
                Ok(code) => ExecuteResult::Answer(self.all_refused(request, &decoded, code)),
                Err(error) => self.unreadable(request, error),
            };
        }
        let of_topics = decoded.include_topic_authorized_operations;
        let of_cluster = decoded.include_cluster_authorized_operations;
        let all = decoded.topics.as_ref().is_none_or(|topics| request.version == 0 && topics.is_empty());
        let may_create = cluster.settings.auto_create && (request.version < 4 || decoded.allow_auto_topic_creation);
        let mut wanted: Vec<TopicRef> = Vec::new();
        for topic in decoded.topics.into_iter().flatten() {
            match topic.name.filter(|_| topic.topic_id == [0; 16]) {
                Some(name) => {
                    if may_create && !cluster.topics.contains_key(&name) && is_valid_topic_name(&name) {
                        let ready_at = call.now + self.variation.creation(&mut self.random);
                        cluster.create(&name, cluster.settings.default_partitions, ready_at);
                        if ready_at == call.now {
                            cluster.turn(call.now);
                        }
                    }
                    wanted.push(TopicRef::Name(name));
                }
                None => wanted.push(TopicRef::Id(topic.topic_id)),
            }
        }
        // Once each. If there is an id, names are ignored.
        let mut seen = BTreeSet::new();
        wanted.retain(|topic| seen.insert(topic.clone()));
        if seen.iter().any(|topic| matches!(topic, TopicRef::Id(_))) {
            wanted.retain(|topic| matches!(topic, TopicRef::Id(_)));
        }
        let fresh = view(cluster);
        let known = match (call.fault, &self.remembered) {
            (Some(FaultKind::StaleMetadata), Some(old)) => old.clone(),
            _ => fresh.clone(),
        };
        if self.remembered.is_none() || self.random.percent(30) {
            self.remembered = Some(fresh);
        }
        if all {
            wanted = known.keys().cloned().map(TopicRef::Name).collect();
        }
        let lie = match call.fault {
            Some(FaultKind::FalseMetadata(lie)) => Some(*lie),
            Some(FaultKind::OmitFirst) => Some(FalseMetadata::FewerPartitions),
            _ => None,
        };
        let mut topics: Vec<_> = wanted.iter().map(|topic| self.topic(topic, &known, lie, cluster)).collect();
        if of_topics {
            topics.iter_mut().for_each(|topic| topic.topic_authorized_operations = ALL_OF_TOPIC);
        }
        let mut error_code = 0;
        match call.fault {
            Some(FaultKind::Refuse { code, all: true }) if request.version >= 13 => error_code = *code,
            Some(FaultKind::Refuse { code, all }) => {
                let some = if *all { topics.len() } else { 1 };
                for topic in topics.iter_mut().take(some) {
                    if self.random.percent(50) {
                        topic.error_code = *code;
                        topic.partitions.clear();
                    } else if let Some(partition) = topic.partitions.first_mut() {
                        partition.error_code = *code;
                        partition.leader_id = -1;
                    }
                }
            }
            _ => {}
        }
        if lie == Some(FalseMetadata::NoTopics) {
            topics.clear();
        }
        let listed = cluster.members.iter().filter(|member| member.up && lie != Some(FalseMetadata::NoBrokers));
        let brokers = listed
            .filter_map(|member| {
                let (host, port) = member.address(call.listener)?;
                Some(MetadataResponseBroker { node_id: member.id, host, port: port.into(), rack: None })
            })
            .collect();
        let body = MetadataResponse {
            throttle_time_ms: self.throttle.take().unwrap_or(0),
            brokers,
            cluster_id: cluster.settings.cluster_id.clone(),
            controller_id: self.id,
            topics,
            cluster_authorized_operations: if of_cluster { ALL_OF_CLUSTER } else { i32::MIN },
            error_code,
        };
        ExecuteResult::Answer(wire::answer(request, request.version, &body))
    }

    /// Returns the response in which all topics have this error code.
    fn all_refused(&mut self, request: &Request, decoded: &MetadataRequest, error_code: i16) -> Bytes {
        let each = |topic: &MetadataRequestTopic| MetadataResponseTopic {
            error_code,
            name: Some(topic.name.clone().unwrap_or_default()),
            topic_id: topic.topic_id,
            ..Default::default()
        };
        let topics = decoded.topics.iter().flatten().map(each).collect();
        let throttle_time_ms = self.throttle.take().unwrap_or(0);
        let body = MetadataResponse { throttle_time_ms, topics, error_code, ..Default::default() };
        wire::answer(request, request.version, &body)
    }

    fn topic(
        &mut self,
        wanted: &TopicRef,
        known: &View,
        lie: Option<FalseMetadata>,
        cluster: &Cluster,
    ) -> MetadataResponseTopic {
        let found = match wanted {
            TopicRef::Name(name) => known.get_key_value(name),
            TopicRef::Id(id) => known.iter().find(|(_, (known, _))| known == id),
        };
        let answer = MetadataResponseTopic::default();
        let Some((name, (id, partitions))) = found else {
            return match wanted {
                TopicRef::Name(name) => {
                    let error_code = if is_valid_topic_name(name) { UNKNOWN_TOPIC } else { INVALID_TOPIC };
                    MetadataResponseTopic { name: Some(name.clone()), error_code, ..answer }
                }
                TopicRef::Id(id) => MetadataResponseTopic { topic_id: *id, error_code: UNKNOWN_TOPIC_ID, ..answer },
            };
        };
        let mut answer = MetadataResponseTopic { name: Some(name.clone()), topic_id: *id, ..answer };
        if partitions.iter().all(|(leader, epoch)| leader.is_none() && *epoch < 0) {
            answer.error_code = LEADER_NOT_AVAILABLE;
            return answer;
        }
        answer.partitions = partitions
            .iter()
            .enumerate()
            .map(|(index, (leader, epoch))| {
                let leader = match lie {
                    Some(FalseMetadata::WrongLeader) => Some(self.random.pick(&cluster.members).id),
                    Some(FalseMetadata::UnlistedLeader) => Some(77),
                    _ => *leader,
                };
                MetadataResponsePartition {
                    partition_index: index as i32,
                    leader_epoch: (*epoch).max(0),
                    leader_id: leader.unwrap_or(-1),
                    error_code: if leader.is_some() { 0 } else { LEADER_NOT_AVAILABLE },
                    replica_nodes: cluster.members.iter().map(|member| member.id).collect(),
                    isr_nodes: leader.into_iter().collect(),
                    offline_replicas: Vec::new(),
                }
            })
            .collect();
        if lie == Some(FalseMetadata::FewerPartitions) {
            answer.partitions.pop();
        }
        if self.random.percent(self.variation.reordered_percent) {
            answer.partitions.reverse(); // in any order, as the protocol permits
        }
        answer
    }
}

impl super::Variation {
    /// Returns for how long a topic that is created on request has no leaders, the coordinators' topics among them.
    pub(super) fn creation(&self, random: &mut crate::random::Random) -> Moment {
        if self.creation_ms == 0 { Moment::ZERO } else { random.millis(1, self.creation_ms) }
    }
}
