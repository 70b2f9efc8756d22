//! The members of a group, of either protocol, and who of them may commit offsets.

use std::collections::BTreeMap;

pub(crate) const ILLEGAL_GENERATION: i16 = 22;
pub(crate) const UNKNOWN_MEMBER_ID: i16 = 25;
const FENCED_INSTANCE_ID: i16 = 82;

/// Who commits offsets, as a request says.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Committer<'a> {
    /// The generation or the member's epoch, or −1.
    pub(crate) generation: i32,
    pub(crate) member: &'a str,
    pub(crate) instance: Option<&'a str>,
}

impl Committer<'_> {
    /// Returns true if the request names the group only, as older versions of TxnOffsetCommit do.
    const fn is_nobody(&self) -> bool {
        self.generation < 0 && self.member.is_empty() && self.instance.is_none()
    }
}

/// A member of the new protocol (KIP-848).
#[derive(Clone, Debug, Default)]
pub(super) struct ConsumerMember {
    epoch: i32,
    /// The partitions that it owns, each with the member's epoch in which it got it.
    owned: BTreeMap<(String, i32), i32>,
}

impl ConsumerMember {
    /// Moves the member to an epoch in which it owns these partitions.
    pub(super) fn advance(&mut self, epoch: i32, owned: impl Iterator<Item = (String, i32)>) {
        let since = |partition: &(String, i32)| self.owned.get(partition).copied().unwrap_or(epoch);
        self.owned = owned.map(|partition| (partition.clone(), since(&partition))).collect();
        self.epoch = epoch;
    }
}

/// The members of a group.
#[derive(Clone, Debug)]
pub(super) enum Members {
    /// Members of the classic protocol, which have a generation in common.
    Classic {
        generation: i32,
        /// With the `group.instance.id` of static members.
        members: BTreeMap<String, Option<String>>,
    },
    /// Members of the new protocol, of which each has an epoch of its own.
    Consumer(BTreeMap<String, ConsumerMember>),
}

impl Default for Members {
    fn default() -> Self {
        Self::Classic { generation: 0, members: BTreeMap::new() }
    }
}

impl Members {
    fn is_empty(&self) -> bool {
        match self {
            Self::Classic { members, .. } => members.is_empty(),
            Self::Consumer(members) => members.is_empty(),
        }
    }

    /// Removes a member.
    pub(super) fn remove(&mut self, member: &str) {
        match self {
            Self::Classic { members, .. } => drop(members.remove(member)),
            Self::Consumer(members) => drop(members.remove(member)),
        }
    }

    /// Checks who commits: within a transaction (KIP-447), or not.
    pub(super) fn check(&self, by: Committer<'_>, in_transaction: bool) -> Result<(), i16> {
        if by.generation < 0 && self.is_empty() {
            return Ok(()); // a consumer that manages its partitions itself
        }
        if by.is_nobody() {
            // Older versions of TxnOffsetCommit cannot name a member.
            return if in_transaction { Ok(()) } else { Err(UNKNOWN_MEMBER_ID) };
        }
        match self {
            Self::Classic { generation, members } => {
                match by.instance {
                    Some(instance) => {
                        let mut all = members.iter();
                        let (member, _) =
                            all.find(|(_, of)| of.as_deref() == Some(instance)).ok_or(UNKNOWN_MEMBER_ID)?;
                        if member != by.member {
                            return Err(FENCED_INSTANCE_ID);
                        }
                    }
                    None if !members.contains_key(by.member) => return Err(UNKNOWN_MEMBER_ID),
                    None => {}
                }
                if by.generation == *generation { Ok(()) } else { Err(ILLEGAL_GENERATION) }
            }
            Self::Consumer(members) if members.contains_key(by.member) => Ok(()),
            Self::Consumer(_) => Err(UNKNOWN_MEMBER_ID),
        }
    }

    /// Checks whether a committer, for whom [`check`](Self::check) has succeeded, may commit an offset of this partition. A
    /// member of the new protocol that is late by some epochs still may, if it has owned the partition since the epoch that it
    /// names (KIP-1251). `stale` is the error code otherwise.
    pub(super) fn check_partition(&self, by: Committer<'_>, partition: &(String, i32), stale: i16) -> Result<(), i16> {
        let Self::Consumer(members) = self else { return Ok(()) };
        let Some(member) = members.get(by.member).filter(|_| !by.is_nobody()) else { return Ok(()) };
        let is_current = by.generation == member.epoch;
        let owns = || member.owned.get(partition).is_some_and(|since| (*since..member.epoch).contains(&by.generation));
        if is_current || owns() { Ok(()) } else { Err(stale) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn by<'a>(generation: i32, member: &'a str, instance: Option<&'a str>) -> Committer<'a> {
        Committer { generation, member, instance }
    }

    #[test]
    fn members_and_generations_of_the_classic_protocol_are_checked() {
        let members = [("m".to_owned(), None), ("s".to_owned(), Some("i".to_owned()))].into();
        let members = Members::Classic { generation: 5, members };
        let check = |by| members.check(by, true);
        assert_eq!(check(by(5, "m", None)), Ok(()));
        assert_eq!(check(by(4, "m", None)), Err(22));
        assert_eq!(check(by(5, "x", None)), Err(25));
        assert_eq!(check(by(-1, "x", None)), Err(25));
        assert_eq!(check(by(5, "s", Some("i"))), Ok(()));
        assert_eq!(check(by(5, "old", Some("i"))), Err(82));
        assert_eq!(check(by(5, "s", Some("j"))), Err(25));
        assert_eq!(check(by(-1, "", None)), Ok(()), "with the group's name only nobody is fenced");
        assert_eq!(members.check(by(-1, "", None), false), Err(25));
    }

    /// As Kafka 4.4 responds: OK for a partition that the member has owned since the epoch it names, 22 or 113 for others.
    #[test]
    fn epochs_of_the_new_protocol_are_checked_for_each_partition() {
        let at = |partition| ("t".to_owned(), partition);
        let mut member = ConsumerMember::default();
        member.advance(3, [at(0), at(1)].into_iter());
        member.advance(5, [at(0), at(2)].into_iter());
        let members = Members::Consumer([("m".to_owned(), member)].into());
        let check = |generation, partition| {
            let by = by(generation, "m", None);
            members.check(by, true).and_then(|()| members.check_partition(by, &at(partition), 113))
        };
        assert_eq!([0, 1, 2].map(|partition| check(5, partition)), [Ok(()); 3], "the current epoch");
        assert_eq!([0, 1, 2].map(|partition| check(4, partition)), [Ok(()), Err(113), Err(113)]);
        assert_eq!([0, 1, 2].map(|partition| check(2, partition)), [Err(113); 3], "it had none of them");
        assert_eq!(check(6, 0), Err(113), "an epoch that it does not have yet");
        assert_eq!(members.check(by(5, "x", None), true), Err(25));
        let nobody = by(-1, "", None);
        assert_eq!(members.check(nobody, true).and_then(|()| members.check_partition(nobody, &at(1), 113)), Ok(()));
        assert_eq!(members.check(nobody, false), Err(25));
    }
}
