//! The broker's OffsetFetch responses.

use super::transactional::Refusal;
use super::{Broker, Call, ExecuteResult, FaultKind};
use crate::cluster::transactions::CoordinatorKind;
use crate::cluster::{Cluster, TopicRef};
use crate::wire;
use crate::wire::offset_fetch::{
    OffsetFetchRequest, OffsetFetchResponse, OffsetFetchResponseGroup, OffsetFetchResponsePartition,
    OffsetFetchResponseTopic, OffsetFetchResponseTopics,
};

const UNSTABLE_OFFSET_COMMIT: i16 = 88;
const UNKNOWN_TOPIC_ID: i16 = 100;

/// The first version whose response has an error code of its own.
const ERROR_SINCE: i16 = 2;
/// The first version for several groups.
const GROUPS_SINCE: i16 = 8;
/// The first version with topic ids.
const IDS_SINCE: i16 = 10;

/// A topic and partitions, as a request says.
struct Wanted {
    topic: TopicRef,
    partitions: Vec<i32>,
}

/// The outcome of a topic.
struct Found {
    topic: TopicRef,
    partitions: Vec<OffsetFetchResponsePartition>,
}

impl Broker {
    /// Responds to an OffsetFetch request.
    pub(super) fn offset_fetch(&mut self, call: &Call<'_>, cluster: &Cluster) -> ExecuteResult {
        let request = call.request;
        let version = request.version;
        let body: OffsetFetchRequest = match self.body(request) {
            Ok(body) => body,
            Err(error) => return self.unreadable(request, error),
        };
        let refusal = Refusal::of(call.fault);
        let stable = body.require_stable;
        let mut response =
            OffsetFetchResponse { throttle_time_ms: self.throttle.take().unwrap_or(0), ..Default::default() };
        if version >= GROUPS_SINCE {
            for (position, group) in body.groups.into_iter().enumerate() {
                let wanted = group.topics.map(|topics| {
                    let each = topics.into_iter().map(|topic| Wanted {
                        topic: if version >= IDS_SINCE {
                            TopicRef::Id(topic.topic_id)
                        } else {
                            TopicRef::Name(topic.name)
                        },
                        partitions: topic.partition_indexes,
                    });
                    each.collect()
                });
                let (found, checked) = self.offsets(call, &group.group_id, wanted, stable, cluster);
                let refused = refusal.and_then(|refusal| refusal.at(position));
                let error_code = refused.unwrap_or(checked.err().unwrap_or(0));
                let topics = if error_code == 0 { found } else { Vec::new() };
                let topics = topics.into_iter().map(|found| {
                    let (name, topic_id) = match found.topic {
                        TopicRef::Name(name) => (name, [0; 16]),
                        TopicRef::Id(id) => (String::new(), id),
                    };
                    OffsetFetchResponseTopics { name, topic_id, partitions: found.partitions }
                });
                let topics = topics.collect();
                response.groups.push(OffsetFetchResponseGroup { group_id: group.group_id, topics, error_code });
            }
        } else {
            let wanted = body.topics.map(|topics| {
                let each = topics
                    .into_iter()
                    .map(|topic| Wanted { topic: TopicRef::Name(topic.name), partitions: topic.partition_indexes });
                each.collect()
            });
            let (found, checked) = self.offsets(call, &body.group_id, wanted, stable, cluster);
            let refused = refusal.and_then(|refusal| refusal.at(0));
            let error_code = refused.unwrap_or(checked.err().unwrap_or(0));
            let failed = |found: OffsetFetchResponsePartition| OffsetFetchResponsePartition {
                partition_index: found.partition_index,
                error_code,
                ..Default::default()
            };
            let is_failed = error_code != 0;
            response.topics = found
                .into_iter()
                .filter(|_| !is_failed || version < ERROR_SINCE)
                .map(|found| {
                    let TopicRef::Name(name) = found.topic else { unreachable!("topics have names in these versions") };
                    let partitions = found.partitions.into_iter();
                    let partitions = partitions.map(|found| if is_failed { failed(found) } else { found }).collect();
                    OffsetFetchResponseTopic { name, partitions }
                })
                .collect();
            response.error_code = error_code;
        }
        if call.fault == Some(&FaultKind::OmitFirst) {
            // The first group or topic, if there is one.
            response.groups = response.groups.split_off(response.groups.len().min(1));
            response.topics = response.topics.split_off(response.topics.len().min(1));
        }
        ExecuteResult::Answer(wire::answer(request, version, &response))
    }

    /// Returns the offsets of a group, and whether this broker is its coordinator.
    fn offsets(
        &self,
        call: &Call<'_>,
        group: &str,
        wanted: Option<Vec<Wanted>>,
        stable: bool,
        cluster: &Cluster,
    ) -> (Vec<Found>, Result<(), i16>) {
        let coordinators = &cluster.transactions.coordinators;
        let checked = coordinators.check(CoordinatorKind::Group, group, Some(self.id), call.now).map(|_| ());
        let wanted = wanted.unwrap_or_else(|| all(group, call.request.version >= IDS_SINCE, cluster));
        let of_topic = |wanted: Wanted| {
            let name = cluster.name(&wanted.topic);
            let of_partition = |partition_index: i32| {
                let none = OffsetFetchResponsePartition { partition_index, ..Default::default() };
                let name = match (&wanted.topic, &name) {
                    (_, Some(name)) | (TopicRef::Name(name), None) => name.clone(),
                    (TopicRef::Id(_), None) => {
                        return OffsetFetchResponsePartition { error_code: UNKNOWN_TOPIC_ID, ..none };
                    }
                };
                let partition = (name, partition_index);
                if stable && cluster.groups.is_unstable(group, &partition) {
                    return OffsetFetchResponsePartition { error_code: UNSTABLE_OFFSET_COMMIT, ..none };
                }
                let Some(committed) = cluster.groups.committed(group, &partition) else { return none };
                OffsetFetchResponsePartition {
                    committed_offset: committed.offset,
                    committed_leader_epoch: committed.leader_epoch,
                    metadata: committed.metadata.clone(),
                    ..none
                }
            };
            let partitions = wanted.partitions.iter().copied().map(of_partition).collect();
            Found { topic: wanted.topic, partitions }
        };
        (wanted.into_iter().map(of_topic).collect(), checked)
    }
}

/// Returns all partitions with offsets of a group.
fn all(group: &str, by_id: bool, cluster: &Cluster) -> Vec<Wanted> {
    let mut wanted: Vec<Wanted> = Vec::new();
    for (name, partition) in cluster.groups.partitions(group) {
        let Some(topic) = cluster.topics.get(&name) else { continue };
        let topic = if by_id { TopicRef::Id(topic.id) } else { TopicRef::Name(name) };
        match wanted.last_mut().filter(|last| last.topic == topic) {
            Some(last) => last.partitions.push(partition),
            None => wanted.push(Wanted { topic, partitions: vec![partition] }),
        }
    }
    wanted
}
