//! The broker's OffsetForLeaderEpoch responses, by which a consumer finds out whether its log was truncated (KIP-320).

use super::{Broker, Call, ExecuteResult, FaultKind};
use crate::cluster::{Cluster, Partition, TopicRef};
use crate::wire;
use crate::wire::offset_for_leader_epoch::{
    EpochEnd, OffsetForLeaderEpochRequest, OffsetForLeaderEpochResponse, OffsetForLeaderTopicResult,
};

const UNKNOWN_TOPIC: i16 = 3;

impl Broker {
    /// Responds to an OffsetForLeaderEpoch request.
    pub(super) fn offset_for_leader_epoch(&mut self, call: &Call<'_>, cluster: &Cluster) -> ExecuteResult {
        let request = call.request;
        let body: OffsetForLeaderEpochRequest = match wire::body(request) {
            Ok(body) => body,
            Err(error) => return self.unreadable(request, error),
        };
        let mut topics = Vec::new();
        for (position, topic) in body.topics.into_iter().enumerate() {
            let refused = match call.fault {
                Some(FaultKind::Refuse { code, all }) if *all || position == 0 => Some(*code),
                Some(FaultKind::ExecuteAndRefuse { code }) if position == 0 => Some(*code),
                _ => None,
            };
            let name = cluster.name(&TopicRef::Name(topic.topic.clone()));
            let each = topic.partitions.iter().map(|wanted| {
                let partition = name.as_ref().and_then(|name| cluster.partition(name, wanted.partition));
                let checked = match (refused, partition) {
                    (Some(code), _) => Err(code),
                    (None, None) => Err(UNKNOWN_TOPIC),
                    (None, Some(partition)) => {
                        self.check_leader(partition, wanted.current_leader_epoch).map(|()| partition)
                    }
                };
                let answer = EpochEnd { partition: wanted.partition, ..Default::default() };
                match checked.map(|partition| end_of(partition, wanted.leader_epoch)) {
                    Ok(Some((leader_epoch, end_offset))) => EpochEnd { leader_epoch, end_offset, ..answer },
                    Ok(None) => answer,
                    Err(error_code) => EpochEnd { error_code, ..answer },
                }
            });
            topics.push(OffsetForLeaderTopicResult { partitions: each.collect(), topic: topic.topic });
        }
        if call.fault == Some(&FaultKind::OmitFirst) && !topics.is_empty() {
            topics.remove(0);
        }
        let response = OffsetForLeaderEpochResponse { throttle_time_ms: self.throttle.take().unwrap_or(0), topics };
        ExecuteResult::Answer(wire::answer(request, request.version, &response))
    }
}

/// Returns the largest epoch in the log that is not later than this one, and its end; `None` if there was no such epoch yet.
/// An epoch in which nothing was written is not in the log, except the current one.
fn end_of(partition: &Partition, epoch: i32) -> Option<(i32, i64)> {
    let log = &partition.log;
    if epoch < 0 || epoch > partition.epoch {
        return None;
    }
    if epoch == partition.epoch {
        return Some((epoch, log.end()));
    }
    let readable = log.readable();
    let next = readable.partition_point(|stored| stored.leader_epoch <= epoch);
    let end = readable.get(next).map_or(log.end(), |stored| stored.base_offset);
    match next.checked_sub(1) {
        Some(last) => Some((readable[last].leader_epoch, end)),
        // Earlier than all in the log: it ends where the log begins.
        None => Some((epoch, readable.first().map_or(log.end(), |stored| stored.base_offset.max(log.start())))),
    }
}
