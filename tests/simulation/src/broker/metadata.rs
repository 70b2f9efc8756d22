//! The broker's Metadata responses: current, stale, or false.

use std::collections::BTreeMap;

use kafka_protocol::messages::metadata_response::{
    MetadataResponseBroker, MetadataResponsePartition, MetadataResponseTopic,
};
use kafka_protocol::messages::{MetadataRequest, MetadataResponse, TopicName};

use super::intercept::FalseMetadata;
use super::{Broker, ExecuteResult, Intercept};
use crate::Moment;
use crate::cluster::Cluster;
use crate::wire::produce::{IntoUuid as _, TopicRef};
use crate::wire::{self, Request, text};

const UNKNOWN_TOPIC: i16 = 3;
const LEADER_NOT_AVAILABLE: i16 = 5;
const UNKNOWN_TOPIC_ID: i16 = 100;

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
    pub(super) fn metadata(
        &mut self,
        request: &Request,
        intercept: Option<&Intercept>,
        cluster: &mut Cluster,
        now: Moment,
    ) -> ExecuteResult {
        let decoded: MetadataRequest = match wire::body(request) {
            Ok(decoded) => decoded,
            Err(error) => {
                self.report_violation(format!("a Metadata request that cannot be read: {error}"));
                return ExecuteResult::CloseConnection;
            }
        };
        let all = decoded.topics.as_ref().is_none_or(|topics| request.version == 0 && topics.is_empty());
        let may_create = cluster.settings.auto_create && (request.version < 4 || decoded.allow_auto_topic_creation);
        let mut wanted: Vec<TopicRef> = Vec::new();
        for topic in decoded.topics.iter().flatten() {
            match &topic.name {
                Some(name) => {
                    if may_create && !cluster.topics.contains_key(name.as_str()) {
                        let ready_at = now + self.random.millis(1, 400);
                        cluster.create(name, cluster.settings.default_partitions, ready_at);
                    }
                    wanted.push(TopicRef::Name(name.to_string()));
                }
                None => wanted.push(TopicRef::Id(topic.topic_id.into_bytes())),
            }
        }
        let fresh = view(cluster);
        let known = match (intercept, &self.remembered) {
            (Some(Intercept::Stale), Some(old)) => old.clone(),
            _ => fresh.clone(),
        };
        if self.remembered.is_none() || self.random.percent(30) {
            self.remembered = Some(fresh);
        }
        if all {
            wanted = known.keys().cloned().map(TopicRef::Name).collect();
        }
        let lie = match intercept {
            Some(Intercept::FalseMetadata(lie)) => Some(*lie),
            Some(Intercept::Omit) => Some(FalseMetadata::FewerPartitions),
            _ => None,
        };
        let mut topics: Vec<_> = wanted.iter().map(|topic| self.topic(topic, &known, lie, cluster)).collect();
        let mut body = MetadataResponse::default();
        match intercept {
            Some(Intercept::Refuse { code, all: true }) if request.version >= 13 => body.error_code = *code,
            Some(Intercept::Refuse { code, all }) => {
                let some = if *all { topics.len() } else { 1 };
                for topic in topics.iter_mut().take(some) {
                    if self.random.percent(50) {
                        topic.error_code = *code;
                        topic.partitions.clear();
                    } else if let Some(partition) = topic.partitions.first_mut() {
                        partition.error_code = *code;
                        partition.leader_id = (-1).into();
                    }
                }
            }
            _ => {}
        }
        if lie == Some(FalseMetadata::NoTopics) {
            topics.clear();
        }
        let listed = cluster.members.iter().filter(|member| member.up && lie != Some(FalseMetadata::NoBrokers));
        body.brokers = listed
            .map(|member| {
                MetadataResponseBroker::default()
                    .with_node_id(member.id.into())
                    .with_host(text(&super::host(member.id)))
                    .with_port(super::PORT)
            })
            .collect();
        body.controller_id = (if request.version >= 1 { self.id } else { -1 }).into();
        body.topics = topics;
        let throttle = self.throttle.take().unwrap_or(0);
        body.throttle_time_ms = if request.version >= 3 { throttle } else { 0 };
        ExecuteResult::Answer(wire::answer(request, request.version, &body))
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
                TopicRef::Name(name) => answer.with_name(Some(TopicName(text(name)))).with_error_code(UNKNOWN_TOPIC),
                TopicRef::Id(id) => {
                    answer.with_name(None).with_topic_id((*id).into_uuid()).with_error_code(UNKNOWN_TOPIC_ID)
                }
            };
        };
        let answer = answer.with_name(Some(TopicName(text(name)))).with_topic_id((*id).into_uuid());
        if partitions.iter().all(|(leader, epoch)| leader.is_none() && *epoch < 0) {
            return answer.with_error_code(LEADER_NOT_AVAILABLE);
        }
        let mut answers: Vec<_> = partitions
            .iter()
            .enumerate()
            .map(|(index, (leader, epoch))| {
                let leader = match lie {
                    Some(FalseMetadata::WrongLeader) => Some(self.random.pick(&cluster.members).id),
                    Some(FalseMetadata::UnlistedLeader) => Some(77),
                    _ => *leader,
                };
                MetadataResponsePartition::default()
                    .with_partition_index(index as i32)
                    .with_leader_epoch((*epoch).max(0))
                    .with_leader_id(leader.unwrap_or(-1).into())
                    .with_error_code(if leader.is_some() { 0 } else { LEADER_NOT_AVAILABLE })
                    .with_replica_nodes(cluster.members.iter().map(|member| member.id.into()).collect())
                    .with_isr_nodes(leader.map(Into::into).into_iter().collect())
            })
            .collect();
        if lie == Some(FalseMetadata::FewerPartitions) {
            answers.pop();
        }
        if self.random.percent(20) {
            answers.reverse(); // in any order, as the protocol permits
        }
        answer.with_partitions(answers)
    }
}
