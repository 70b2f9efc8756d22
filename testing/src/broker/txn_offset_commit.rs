//! The broker's TxnOffsetCommit responses.

use super::transactional::Refusal;
use super::{Broker, Call, ExecuteResult, FaultKind};
use crate::broker::release::Release;
use crate::cluster::groups::{CommittedOffset, Committer, GROUP_ID_NOT_FOUND, ILLEGAL_GENERATION, UNKNOWN_MEMBER_ID};
use crate::cluster::transactions::CoordinatorKind;
use crate::cluster::{Cluster, TopicRef};
use crate::wire;
use crate::wire::txn_offset_commit::{
    TxnOffsetCommitRequest, TxnOffsetCommitRequestPartition, TxnOffsetCommitResponse, TxnOffsetCommitResponsePartition,
    TxnOffsetCommitResponseTopic,
};

const UNKNOWN_TOPIC: i16 = 3;
const INVALID_GROUP_ID: i16 = 24;
const UNKNOWN_TOPIC_ID: i16 = 100;

/// The first version with topic ids, and with GROUP_ID_NOT_FOUND.
const IDS_SINCE: i16 = 6;

impl Broker {
    /// Responds to a TxnOffsetCommit request.
    pub(super) fn txn_offset_commit(&mut self, call: &Call<'_>, cluster: &mut Cluster) -> ExecuteResult {
        let request = call.request;
        let body: TxnOffsetCommitRequest = match self.body(request) {
            Ok(body) => body,
            Err(error) => return self.unreadable(request, error),
        };
        let refusal = Refusal::of(call.fault);
        let is_executed = refusal.is_none_or(|refusal| refusal.done);
        let checked = if is_executed { self.may_commit(call, &body, cluster) } else { Ok(()) };
        let identity = (body.producer_id, body.producer_epoch);
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
                    checked.and_then(|()| keep(&body.group_id, identity, name.as_deref(), wanted, cluster))
                } else {
                    Ok(())
                };
                let refused = refusal.and_then(|refusal| refusal.at(position));
                let error_code = refused.unwrap_or(committed.err().unwrap_or(0));
                partitions.push(TxnOffsetCommitResponsePartition { partition_index, error_code });
                position += 1;
            }
            topics.push(TxnOffsetCommitResponseTopic { name: topic.name, topic_id: topic.topic_id, partitions });
        }
        if call.fault == Some(&FaultKind::OmitFirst) && !topics.is_empty() {
            topics.remove(0);
        }
        let response = TxnOffsetCommitResponse { throttle_time_ms: self.throttle.take().unwrap_or(0), topics };
        ExecuteResult::Answer(wire::answer(request, request.version, &response))
    }

    /// Checks what concerns the request as a whole, and makes sure that the group is in the transaction.
    fn may_commit(&self, call: &Call<'_>, body: &TxnOffsetCommitRequest, cluster: &mut Cluster) -> Result<(), i16> {
        let group = &body.group_id;
        if group.is_empty() {
            return Err(INVALID_GROUP_ID);
        }
        cluster.transactions.coordinators.check(CoordinatorKind::Group, group, Some(self.id), call.now)?;
        let version = call.request.version;
        let identity = (body.producer_id, body.producer_epoch);
        self.enlist_group(version, &body.transactional_id, identity, group, cluster, call.now)?;
        cluster.groups.check_epoch(group, body.producer_id, body.producer_epoch)?;
        let by = Committer {
            generation: body.generation_id_or_member_epoch,
            member: &body.member_id,
            instance: body.group_instance_id.as_deref(),
        };
        let unknown = match version {
            IDS_SINCE.. => GROUP_ID_NOT_FOUND,
            // Before 4.0 the group was created, without members.
            _ if self.release < Release::V4_0 => UNKNOWN_MEMBER_ID,
            _ => ILLEGAL_GENERATION,
        };
        cluster.groups.check(group, by, true, unknown)
    }
}

/// Keeps an offset until the transaction ends.
fn keep(
    group: &str,
    identity: (i64, i16),
    topic: Result<&str, &i16>,
    wanted: TxnOffsetCommitRequestPartition,
    cluster: &mut Cluster,
) -> Result<(), i16> {
    let topic = topic.map_err(|code| *code)?;
    cluster.partition(topic, wanted.partition_index).ok_or(UNKNOWN_TOPIC)?;
    let offset =
        CommittedOffset::new(wanted.committed_offset, wanted.committed_leader_epoch, wanted.committed_metadata)?;
    let partition = (topic.to_owned(), wanted.partition_index);
    cluster.groups.commit_in_transaction(group, identity, partition, offset);
    Ok(())
}
