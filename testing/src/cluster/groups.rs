//! Groups: their committed offsets, those of open transactions, and the members that a test has given them. (The brokers do not
//! form groups: there is no JoinGroup.)

mod members;

use std::collections::BTreeMap;

pub(crate) use self::members::{Committer, ILLEGAL_GENERATION, UNKNOWN_MEMBER_ID};
use self::members::{ConsumerMember, Members};
use super::Cluster;

const OFFSET_METADATA_TOO_LARGE: i16 = 12;
const INVALID_PRODUCER_EPOCH: i16 = 47;
pub(crate) const GROUP_ID_NOT_FOUND: i16 = 69;

/// `offset.metadata.max.bytes`.
const MOST_METADATA: usize = 4_096;

/// An offset that a group has committed.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct CommittedOffset {
    /// The offset of the next record to read.
    pub offset: i64,
    /// The leader epoch of the last record that was read, or −1.
    pub leader_epoch: i32,
    /// What the client keeps with it.
    pub metadata: Option<String>,
}

impl CommittedOffset {
    /// Checks what a client wants to keep with an offset.
    pub(crate) fn new(offset: i64, leader_epoch: i32, metadata: Option<String>) -> Result<Self, i16> {
        if metadata.as_ref().is_some_and(|metadata| metadata.len() > MOST_METADATA) {
            return Err(OFFSET_METADATA_TOO_LARGE);
        }
        Ok(Self { offset, leader_epoch, metadata })
    }
}

type Offsets = BTreeMap<(String, i32), CommittedOffset>;

/// The offsets of an open transaction.
#[derive(Clone, Debug)]
struct Pending {
    epoch: i16,
    offsets: Offsets,
}

#[derive(Clone, Debug, Default)]
struct Group {
    /// False if only the coordinator of transactions knows its name.
    exists: bool,
    members: Members,
    offsets: Offsets,
    /// By producer id.
    pending: BTreeMap<i64, Pending>,
    /// The epoch of the last marker of each producer id.
    epochs: BTreeMap<i64, i16>,
}

/// All groups.
#[derive(Debug, Default)]
pub(crate) struct Groups(BTreeMap<String, Group>);

impl Groups {
    /// Checks who commits: within a transaction (KIP-447), or not. `unknown` is the error code for a generation of a group that
    /// does not exist.
    pub(crate) fn check(&self, group: &str, by: Committer<'_>, in_transaction: bool, unknown: i16) -> Result<(), i16> {
        match self.0.get(group).filter(|group| group.exists) {
            Some(group) => group.members.check(by, in_transaction),
            None if by.generation < 0 => Ok(()), // a consumer that manages its partitions itself
            None => Err(unknown),
        }
    }

    /// Checks whether a committer, for whom [`check`](Self::check) has succeeded, may commit an offset of this partition.
    /// `stale` is the error code if it does not own it any more.
    pub(crate) fn check_partition(
        &self,
        group: &str,
        by: Committer<'_>,
        partition: &(String, i32),
        stale: i16,
    ) -> Result<(), i16> {
        self.0.get(group).map_or(Ok(()), |group| group.members.check_partition(by, partition, stale))
    }

    /// Returns the names of the groups.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }

    /// Commits an offset.
    pub(crate) fn commit(&mut self, group: &str, partition: (String, i32), offset: CommittedOffset) {
        let group = self.0.entry(group.to_owned()).or_default();
        group.exists = true;
        group.offsets.insert(partition, offset);
    }

    /// Returns true if a producer has offsets of an open transaction here, with this epoch.
    pub(crate) fn has_transaction(&self, group: &str, producer: i64, epoch: i16) -> bool {
        self.0.get(group).and_then(|group| group.pending.get(&producer)).is_some_and(|pending| pending.epoch == epoch)
    }

    /// Checks that no newer epoch of a producer was seen.
    pub(crate) fn check_epoch(&self, group: &str, producer: i64, epoch: i16) -> Result<(), i16> {
        let last = self.0.get(group).and_then(|group| {
            let pending = group.pending.get(&producer).map(|pending| pending.epoch);
            group.epochs.get(&producer).copied().max(pending)
        });
        if last.is_some_and(|last| epoch < last) { Err(INVALID_PRODUCER_EPOCH) } else { Ok(()) }
    }

    /// Keeps an offset until the transaction of a producer ends.
    pub(crate) fn commit_in_transaction(
        &mut self,
        group: &str,
        (producer, epoch): (i64, i16),
        partition: (String, i32),
        offset: CommittedOffset,
    ) {
        let group = self.0.entry(group.to_owned()).or_default();
        group.exists = true;
        let pending = group.pending.entry(producer).or_insert_with(|| Pending { epoch, offsets: Offsets::new() });
        pending.epoch = epoch;
        pending.offsets.insert(partition, offset);
    }

    /// Ends the transaction of a producer.
    pub(crate) fn end_transaction(&mut self, group: &str, producer: i64, epoch: i16, commits: bool) {
        let group = self.0.entry(group.to_owned()).or_default();
        group.epochs.insert(producer, epoch);
        if let Some(pending) = group.pending.remove(&producer) {
            if commits {
                group.offsets.extend(pending.offsets);
            }
        }
    }

    /// Returns the partitions with committed offsets, or with offsets of open transactions.
    pub(crate) fn partitions(&self, group: &str) -> Vec<(String, i32)> {
        let Some(group) = self.0.get(group) else { return Vec::new() };
        let pending = group.pending.values().flat_map(|pending| pending.offsets.keys());
        let all: std::collections::BTreeSet<_> = group.offsets.keys().chain(pending).cloned().collect();
        all.into_iter().collect()
    }

    /// Returns the committed offset of a partition.
    pub(crate) fn committed(&self, group: &str, partition: &(String, i32)) -> Option<&CommittedOffset> {
        self.0.get(group)?.offsets.get(partition)
    }

    /// Returns true if an open transaction has an offset of this partition.
    pub(crate) fn is_unstable(&self, group: &str, partition: &(String, i32)) -> bool {
        self.0
            .get(group)
            .is_some_and(|group| group.pending.values().any(|pending| pending.offsets.contains_key(partition)))
    }
}

impl Cluster {
    /// Returns the offsets that a group has committed, by topic and partition.
    #[must_use]
    pub fn committed_offsets(&self, group: &str) -> Vec<((String, i32), CommittedOffset)> {
        let offsets = self.groups.0.get(group).map(|group| group.offsets.clone()).unwrap_or_default();
        offsets.into_iter().collect()
    }

    /// Returns true if an open transaction has an offset of this partition for a group.
    #[must_use]
    pub fn is_offset_pending(&self, group: &str, topic: &str, partition: i32) -> bool {
        self.groups.is_unstable(group, &(topic.to_owned(), partition))
    }

    /// Gives a group these members in this generation, as the classic protocol would: offsets are then committed only by a
    /// member, with this generation. Members that have a `group.instance.id` are named with it.
    pub fn set_group_members<'a>(
        &mut self,
        group: &str,
        generation: i32,
        members: impl IntoIterator<Item = (&'a str, Option<&'a str>)>,
    ) {
        let owned = |(member, instance): (&str, Option<&str>)| (member.to_owned(), instance.map(str::to_owned));
        let members = members.into_iter().map(owned).collect();
        let group = self.groups.0.entry(group.to_owned()).or_default();
        (group.exists, group.members) = (true, Members::Classic { generation, members });
    }

    /// Gives a group this member in this epoch, as the new protocol would (KIP-848), which owns these partitions from then on:
    /// offsets are then committed only by a member, with its epoch, or with an earlier one for a partition that it has owned
    /// since then. Members of the classic protocol, if there are any, are removed.
    pub fn set_consumer_group_member<'a>(
        &mut self,
        group: &str,
        member: &str,
        epoch: i32,
        owned: impl IntoIterator<Item = (&'a str, i32)>,
    ) {
        let group = self.groups.0.entry(group.to_owned()).or_default();
        group.exists = true;
        let mut members = match std::mem::take(&mut group.members) {
            Members::Consumer(members) => members,
            Members::Classic { .. } => BTreeMap::new(),
        };
        let owned = owned.into_iter().map(|(topic, partition)| (topic.to_owned(), partition));
        let entry: &mut ConsumerMember = members.entry(member.to_owned()).or_default();
        entry.advance(epoch, owned);
        group.members = Members::Consumer(members);
    }

    /// Removes a member of a group, of either protocol.
    pub fn remove_group_member(&mut self, group: &str, member: &str) {
        if let Some(group) = self.groups.0.get_mut(group) {
            group.members.remove(member);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn by(generation: i32, member: &str) -> Committer<'_> {
        Committer { generation, member, instance: None }
    }

    #[test]
    fn an_unknown_group_has_no_generation() {
        let mut groups = Groups::default();
        assert_eq!(groups.check("other", by(-1, ""), true, 22), Ok(()));
        assert_eq!(groups.check("other", by(3, "m"), true, 22), Err(22));
        assert_eq!(groups.check("other", by(3, "m"), true, 69), Err(69));
        groups.commit("other", ("t".to_owned(), 0), CommittedOffset::new(1, -1, None).unwrap());
        assert_eq!(groups.check("other", by(3, "m"), true, 69), Err(25), "it has no members");
        assert_eq!(groups.check("other", by(-1, "m"), true, 69), Ok(()));
    }

    #[test]
    fn offsets_of_transactions_become_visible_with_their_end() {
        let mut groups = Groups::default();
        let at = ("t".to_owned(), 0);
        let offset = |offset| CommittedOffset::new(offset, -1, None).unwrap();
        groups.commit("g", at.clone(), offset(1));
        for (epoch, commits, expected) in [(0, false, 1), (0, true, 2)] {
            groups.commit_in_transaction("g", (7, epoch), at.clone(), offset(2));
            assert!(groups.is_unstable("g", &at) && groups.has_transaction("g", 7, epoch));
            assert_eq!(groups.committed("g", &at).unwrap().offset, 1);
            groups.end_transaction("g", 7, epoch + 1, commits);
            assert!(!groups.is_unstable("g", &at));
            assert_eq!(groups.committed("g", &at).unwrap().offset, expected);
        }
        assert_eq!([0, 1].map(|epoch| groups.check_epoch("g", 7, epoch)), [Err(47), Ok(())]);
        assert_eq!(CommittedOffset::new(1, -1, Some("x".repeat(4_097))), Err(12));
    }
}
