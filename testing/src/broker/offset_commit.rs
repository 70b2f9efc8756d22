//! The broker's OffsetCommit responses.

use super::offsets::{PartitionOffset, TopicOffsets, TopicOutcomes, commit_each, topics_of};
use super::{Broker, Call, ExecuteResult};
use crate::cluster::Cluster;
use crate::cluster::groups::{Committer, GROUP_ID_NOT_FOUND, ILLEGAL_GENERATION};
use crate::cluster::transactions::CoordinatorKind;
use crate::wire;
use crate::wire::offset_commit::{
    OffsetCommitRequest, OffsetCommitRequestTopic, OffsetCommitResponse, OffsetCommitResponsePartition,
    OffsetCommitResponseTopic,
};

const UNSUPPORTED_VERSION: i16 = 35;
const STALE_MEMBER_EPOCH: i16 = 113;

/// The first version with GROUP_ID_NOT_FOUND and STALE_MEMBER_EPOCH.
const NEW_CODES_SINCE: i16 = 9;
/// The first version with topic ids.
const IDS_SINCE: i16 = 10;

topics_of!(OffsetCommitRequestTopic, OffsetCommitResponseTopic, OffsetCommitResponsePartition);

impl Broker {
    /// Responds to an OffsetCommit request.
    pub(super) fn offset_commit(&mut self, call: &Call<'_>, cluster: &mut Cluster) -> ExecuteResult {
        let request = call.request;
        let body: OffsetCommitRequest = match self.body(request) {
            Ok(body) => body,
            Err(error) => return self.unreadable(request, error),
        };
        let group = &body.group_id;
        let by = Committer {
            generation: body.generation_id_or_member_epoch,
            member: &body.member_id,
            instance: body.group_instance_id.as_deref(),
        };
        let (unknown, stale) = if request.version >= NEW_CODES_SINCE {
            (GROUP_ID_NOT_FOUND, STALE_MEMBER_EPOCH)
        } else {
            (ILLEGAL_GENERATION, UNSUPPORTED_VERSION)
        };
        let coordinators = &cluster.transactions.coordinators;
        let checked = coordinators
            .check(CoordinatorKind::Group, group, Some(self.id), call.now)
            .and_then(|_| cluster.groups.check(group, by, false, unknown));
        let by_id = request.version >= IDS_SINCE;
        let topics = commit_each(body.topics, by_id, call.fault, checked, cluster, |cluster, partition, offset| {
            cluster.groups.check_partition(group, by, &partition, stale)?;
            cluster.groups.commit(group, partition, offset);
            Ok(())
        });
        let response = OffsetCommitResponse { throttle_time_ms: self.throttle.take().unwrap_or(0), topics };
        ExecuteResult::Answer(wire::answer(request, request.version, &response))
    }
}
