//! What OffsetCommit and TxnOffsetCommit share: the offsets of a request, one by one, and the outcome of each.

use super::FaultKind;
use super::transactional::Refusal;
use crate::cluster::groups::CommittedOffset;
use crate::cluster::{Cluster, TopicRef};

const UNKNOWN_TOPIC: i16 = 3;
const UNKNOWN_TOPIC_ID: i16 = 100;

/// A topic of a request, and the offsets of its partitions.
pub(super) struct TopicOffsets {
    pub(super) name: String,
    pub(super) topic_id: [u8; 16],
    pub(super) partitions: Vec<PartitionOffset>,
}

/// An offset of a request.
pub(super) struct PartitionOffset {
    pub(super) partition: i32,
    pub(super) offset: i64,
    pub(super) leader_epoch: i32,
    pub(super) metadata: Option<String>,
}

/// A topic of a response, with the error code of each partition.
pub(super) struct TopicOutcomes {
    pub(super) name: String,
    pub(super) topic_id: [u8; 16],
    /// Partition and error code.
    pub(super) partitions: Vec<(i32, i16)>,
}

/// Converts the topics of one of the two APIs, whose messages have the same fields.
macro_rules! topics_of {
    ($request:ty, $response:ident, $partition:ident) => {
        impl From<$request> for TopicOffsets {
            fn from(topic: $request) -> Self {
                let partitions = topic.partitions.into_iter().map(|wanted| PartitionOffset {
                    partition: wanted.partition_index,
                    offset: wanted.committed_offset,
                    leader_epoch: wanted.committed_leader_epoch,
                    metadata: wanted.committed_metadata,
                });
                Self { name: topic.name, topic_id: topic.topic_id, partitions: partitions.collect() }
            }
        }

        impl From<TopicOutcomes> for $response {
            fn from(topic: TopicOutcomes) -> Self {
                let partitions = topic
                    .partitions
                    .into_iter()
                    .map(|(partition_index, error_code)| $partition { partition_index, error_code });
                Self { name: topic.name, topic_id: topic.topic_id, partitions: partitions.collect() }
            }
        }
    };
}
pub(super) use topics_of;

/// Commits the offsets of a request with `commit`, which is not called if `checked` is an error, for partitions that do not exist,
/// or for a request that a fault refuses. Returns the outcome of each.
pub(super) fn commit_each<Request, Response>(
    topics: Vec<Request>,
    by_id: bool,
    fault: Option<&FaultKind>,
    checked: Result<(), i16>,
    cluster: &mut Cluster,
    mut commit: impl FnMut(&mut Cluster, (String, i32), CommittedOffset) -> Result<(), i16>,
) -> Vec<Response>
where
    TopicOffsets: From<Request>,
    Response: From<TopicOutcomes>,
{
    let refusal = Refusal::of(fault);
    let is_executed = refusal.is_none_or(|refusal| refusal.done);
    let mut position = 0;
    let mut all = Vec::new();
    for topic in topics.into_iter().map(TopicOffsets::from) {
        let wanted = if by_id { TopicRef::Id(topic.topic_id) } else { TopicRef::Name(topic.name.clone()) };
        let name = cluster.name(&wanted).ok_or(if by_id { UNKNOWN_TOPIC_ID } else { UNKNOWN_TOPIC });
        let mut partitions = Vec::new();
        for PartitionOffset { partition, offset, leader_epoch, metadata } in topic.partitions {
            let execute = || {
                checked?;
                let name = name.clone()?;
                cluster.partition(&name, partition).ok_or(UNKNOWN_TOPIC)?;
                commit(cluster, (name, partition), CommittedOffset::new(offset, leader_epoch, metadata)?)
            };
            let committed = if is_executed { execute() } else { Ok(()) };
            let refused = refusal.and_then(|refusal| refusal.at(position));
            partitions.push((partition, refused.unwrap_or(committed.err().unwrap_or(0))));
            position += 1;
        }
        all.push(TopicOutcomes { name: topic.name, topic_id: topic.topic_id, partitions }.into());
    }
    if fault == Some(&FaultKind::OmitFirst) && !all.is_empty() {
        all.remove(0);
    }
    all
}
