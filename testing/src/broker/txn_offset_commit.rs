//! The broker's TxnOffsetCommit responses.

use super::offsets::{PartitionOffset, TopicOffsets, TopicOutcomes, commit_each, topics_of};
use super::transactional::Refusal;
use super::{Broker, Call, ExecuteResult};
use crate::broker::release::Release;
use crate::cluster::Cluster;
use crate::cluster::groups::{Committer, GROUP_ID_NOT_FOUND, ILLEGAL_GENERATION, UNKNOWN_MEMBER_ID};
use crate::cluster::transactions::CoordinatorKind;
use crate::wire;
use crate::wire::txn_offset_commit::{
    TxnOffsetCommitRequest, TxnOffsetCommitRequestTopic, TxnOffsetCommitResponse, TxnOffsetCommitResponsePartition,
    TxnOffsetCommitResponseTopic,
};

const INVALID_GROUP_ID: i16 = 24;
const STALE_MEMBER_EPOCH: i16 = 113;

/// The first version with topic ids, and with GROUP_ID_NOT_FOUND and STALE_MEMBER_EPOCH.
const IDS_SINCE: i16 = 6;

topics_of!(TxnOffsetCommitRequestTopic, TxnOffsetCommitResponseTopic, TxnOffsetCommitResponsePartition);

impl Broker {
    /// Responds to a TxnOffsetCommit request.
    pub(super) fn txn_offset_commit(&mut self, call: &Call<'_>, cluster: &mut Cluster) -> ExecuteResult {
        let request = call.request;
        let body: TxnOffsetCommitRequest = match self.body(request) {
            Ok(body) => body,
            Err(error) => return self.unreadable(request, error),
        };
        let group = &body.group_id;
        let by = Committer {
            generation: body.generation_id_or_member_epoch,
            member: &body.member_id,
            instance: body.group_instance_id.as_deref(),
        };
        let is_executed = Refusal::of(call.fault).is_none_or(|refusal| refusal.done);
        let checked = if is_executed { self.may_commit(call, &body, by, cluster) } else { Ok(()) };
        let identity = (body.producer_id, body.producer_epoch);
        let by_id = request.version >= IDS_SINCE;
        let stale = if by_id { STALE_MEMBER_EPOCH } else { ILLEGAL_GENERATION };
        let topics = commit_each(body.topics, by_id, call.fault, checked, cluster, |cluster, partition, offset| {
            cluster.groups.check_partition(group, by, &partition, stale)?;
            cluster.groups.commit_in_transaction(group, identity, partition, offset);
            Ok(())
        });
        let response = TxnOffsetCommitResponse { throttle_time_ms: self.throttle.take().unwrap_or(0), topics };
        ExecuteResult::Answer(wire::answer(request, request.version, &response))
    }

    /// Checks what concerns the request as a whole, and makes sure that the group is in the transaction.
    fn may_commit(
        &self,
        call: &Call<'_>,
        body: &TxnOffsetCommitRequest,
        by: Committer<'_>,
        cluster: &mut Cluster,
    ) -> Result<(), i16> {
        let group = &body.group_id;
        if group.is_empty() {
            return Err(INVALID_GROUP_ID);
        }
        cluster.transactions.coordinators.check(CoordinatorKind::Group, group, Some(self.id), call.now)?;
        let version = call.request.version;
        let identity = (body.producer_id, body.producer_epoch);
        self.enlist_group(version, &body.transactional_id, identity, group, cluster, call.now)?;
        cluster.groups.check_epoch(group, body.producer_id, body.producer_epoch)?;
        let unknown = match version {
            IDS_SINCE.. => GROUP_ID_NOT_FOUND,
            // Before 4.0 the group was created, without members.
            _ if self.release < Release::V4_0 => UNKNOWN_MEMBER_ID,
            _ => ILLEGAL_GENERATION,
        };
        cluster.groups.check(group, by, true, unknown)
    }
}
