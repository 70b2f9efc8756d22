//! The broker's OffsetCommit responses.

use super::transactional::Refusal;
use super::{Broker, Call, ExecuteResult, FaultKind};
use crate::cluster::groups::{CommittedOffset, Committer, GROUP_ID_NOT_FOUND, ILLEGAL_GENERATION};
use crate::cluster::transactions::CoordinatorKind;
use crate::cluster::{Cluster, TopicRef};
use crate::wire;
use crate::wire::offset_commit::{
    OffsetCommitRequest, OffsetCommitRequestPartition, OffsetCommitResponse, OffsetCommitResponsePartition,
    OffsetCommitResponseTopic,
};

const UNKNOWN_TOPIC: i16 = 3;
const UNKNOWN_TOPIC_ID: i16 = 100;

/// The first version with GROUP_ID_NOT_FOUND.
const GROUP_ID_NOT_FOUND_SINCE: i16 = 9;
/// The first version with topic ids.
const IDS_SINCE: i16 = 10;

impl Broker {
    /// Responds to an OffsetCommit request.
    pub(super) fn offset_commit(&mut self, call: &Call<'_>, cluster: &mut Cluster) -> ExecuteResult {
        let request = call.request;
        let body: OffsetCommitRequest = match self.body(request) {
            Ok(body) => body,
            Err(error) => return self.unreadable(request, error),
        };
        let refusal = Refusal::of(call.fault);
        let is_executed = refusal.is_none_or(|refusal| refusal.done);
        let group = &body.group_id;
        let by = Committer {
            generation: body.generation_id_or_member_epoch,
            member: &body.member_id,
            instance: body.group_instance_id.as_deref(),
        };
        let has_new_code = request.version >= GROUP_ID_NOT_FOUND_SINCE;
        let unknown = if has_new_code { GROUP_ID_NOT_FOUND } else { ILLEGAL_GENERATION };
        let coordinators = &cluster.transactions.coordinators;
        let checked = coordinators
            .check(CoordinatorKind::Group, group, Some(self.id), call.now)
            .and_then(|_| cluster.groups.check(group, by, false, unknown));
        let mut position = 0;
        let mut topics = Vec::new();
        for topic in body.topics {
            let by_id = request.version >= IDS_SINCE;
            let wanted = if by_id { TopicRef::Id(topic.topic_id) } else { TopicRef::Name(topic.name.clone()) };
            let name = cluster.name(&wanted).ok_or(if by_id { UNKNOWN_TOPIC_ID } else { UNKNOWN_TOPIC });
            let mut partitions = Vec::new();
            for wanted in topic.partitions {
                let partition_index = wanted.partition_index;
                let committed = if is_executed {
                    checked.and_then(|()| commit(group, name.as_deref(), wanted, cluster))
                } else {
                    Ok(())
                };
                let refused = refusal.and_then(|refusal| refusal.at(position));
                let error_code = refused.unwrap_or(committed.err().unwrap_or(0));
                partitions.push(OffsetCommitResponsePartition { partition_index, error_code });
                position += 1;
            }
            topics.push(OffsetCommitResponseTopic { name: topic.name, topic_id: topic.topic_id, partitions });
        }
        if call.fault == Some(&FaultKind::OmitFirst) && !topics.is_empty() {
            topics.remove(0);
        }
        let response = OffsetCommitResponse { throttle_time_ms: self.throttle.take().unwrap_or(0), topics };
        ExecuteResult::Answer(wire::answer(request, request.version, &response))
    }
}

fn commit(
    group: &str,
    topic: Result<&str, &i16>,
    wanted: OffsetCommitRequestPartition,
    cluster: &mut Cluster,
) -> Result<(), i16> {
    let topic = topic.map_err(|code| *code)?;
    cluster.partition(topic, wanted.partition_index).ok_or(UNKNOWN_TOPIC)?;
    let offset =
        CommittedOffset::new(wanted.committed_offset, wanted.committed_leader_epoch, wanted.committed_metadata)?;
    cluster.groups.commit(group, (topic.to_owned(), wanted.partition_index), offset);
    Ok(())
}
