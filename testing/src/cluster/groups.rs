//! Groups: their committed offsets, those of open transactions, and the members that a test has given them. (The brokers do not
//! form groups: there is no JoinGroup.)

use std::collections::BTreeMap;

use super::Cluster;

const OFFSET_METADATA_TOO_LARGE: i16 = 12;
pub(crate) const ILLEGAL_GENERATION: i16 = 22;
pub(crate) const UNKNOWN_MEMBER_ID: i16 = 25;
const INVALID_PRODUCER_EPOCH: i16 = 47;
pub(crate) const GROUP_ID_NOT_FOUND: i16 = 69;
const FENCED_INSTANCE_ID: i16 = 82;

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

/// Who commits offsets, as a request says.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Committer<'a> {
    pub(crate) generation: i32,
    pub(crate) member: &'a str,
    pub(crate) instance: Option<&'a str>,
}

/// The members of a group, in a generation.
#[derive(Clone, Debug, Default)]
struct Members {
    generation: i32,
    /// With the `group.instance.id` of static members.
    members: BTreeMap<String, Option<String>>,
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
        let members = self.0.get(group).filter(|group| group.exists).map(|group| &group.members);
        if by.generation < 0 && members.is_none_or(|members| members.members.is_empty()) {
            return Ok(()); // a consumer that manages its partitions itself
        }
        let Some(members) = members else { return Err(unknown) };
        if by.generation < 0 && by.member.is_empty() && by.instance.is_none() {
            // Older versions of TxnOffsetCommit cannot name a member.
            return if in_transaction { Ok(()) } else { Err(UNKNOWN_MEMBER_ID) };
        }
        match by.instance {
            Some(instance) => {
                let mut all = members.members.iter();
                let (member, _) = all.find(|(_, of)| of.as_deref() == Some(instance)).ok_or(UNKNOWN_MEMBER_ID)?;
                if member != by.member {
                    return Err(FENCED_INSTANCE_ID);
                }
            }
            None if !members.members.contains_key(by.member) => return Err(UNKNOWN_MEMBER_ID),
            None => {}
        }
        if by.generation == members.generation { Ok(()) } else { Err(ILLEGAL_GENERATION) }
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
        (group.exists, group.members) = (true, Members { generation, members });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn groups() -> Groups {
        let members = [("m".to_owned(), None), ("s".to_owned(), Some("i".to_owned()))].into();
        let group = Group { exists: true, members: Members { generation: 5, members }, ..Group::default() };
        Groups([("g".to_owned(), group)].into())
    }

    fn by<'a>(generation: i32, member: &'a str, instance: Option<&'a str>) -> Committer<'a> {
        Committer { generation, member, instance }
    }

    #[test]
    fn members_and_generations_are_checked() {
        let groups = groups();
        let check = |by| groups.check("g", by, true, 22);
        assert_eq!(check(by(5, "m", None)), Ok(()));
        assert_eq!(check(by(4, "m", None)), Err(22));
        assert_eq!(check(by(5, "x", None)), Err(25));
        assert_eq!(check(by(-1, "x", None)), Err(25));
        assert_eq!(check(by(5, "s", Some("i"))), Ok(()));
        assert_eq!(check(by(5, "old", Some("i"))), Err(82));
        assert_eq!(check(by(5, "s", Some("j"))), Err(25));
        assert_eq!(check(by(-1, "", None)), Ok(()), "with the group's name only nobody is fenced");
        assert_eq!(groups.check("g", by(-1, "", None), false, 22), Err(25));
    }

    #[test]
    fn an_unknown_group_has_no_generation() {
        let groups = groups();
        assert_eq!(groups.check("other", by(-1, "", None), true, 22), Ok(()));
        assert_eq!(groups.check("other", by(3, "m", None), true, 22), Err(22));
        assert_eq!(groups.check("other", by(3, "m", None), true, 69), Err(69));
        let mut groups = groups;
        groups.commit("other", ("t".to_owned(), 0), CommittedOffset::new(1, -1, None).unwrap());
        assert_eq!(groups.check("other", by(3, "m", None), true, 69), Err(25), "it has no members");
        assert_eq!(groups.check("other", by(-1, "m", None), true, 69), Ok(()));
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
