//! The markers that end a transaction in each partition and group that takes part.

use super::state::{Metadata, Participant, TransactionState};
use super::{CoordinatorKind, Transactions, transition};
use crate::Moment;
use crate::cluster::Cluster;

/// A marker that a transaction has to have before it is complete.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Marker {
    /// It is written at this time or later: when its partition has a leader.
    Due(Moment),
    /// It is at this offset, and awaits replication.
    Written(i64),
}

impl Transactions {
    /// Returns the time before which no markers are written to a participant.
    fn held_until(&self, participant: &Participant) -> Moment {
        self.held.get(participant).copied().unwrap_or(Moment::ZERO)
    }
}

impl Cluster {
    /// Writes the markers that are due, and completes the transactions that have all.
    pub(super) fn write_markers(&mut self, now: Moment) {
        let is_ending = |(_, entry): &(&String, &super::Entry)| entry.metadata.is_ending();
        let ending: Vec<String> =
            self.transactions.entries.iter().filter(is_ending).map(|(id, _)| id.clone()).collect();
        for id in ending {
            // Only the coordinator sends markers.
            let Ok(coordinator_epoch) = self.transactions.check(&id, None, now) else { continue };
            let Some(entry) = self.transactions.entries.get_mut(&id) else { continue };
            let (metadata, mut markers) = (entry.metadata.clone(), std::mem::take(&mut entry.markers));
            markers.retain(|participant, marker| {
                let is_there = self.write_marker(&metadata, participant, marker, coordinator_epoch, now);
                self.changes += u64::from(is_there);
                !is_there
            });
            let Some(entry) = self.transactions.entries.get_mut(&id) else { continue };
            if markers.is_empty() {
                entry.metadata = transition::complete(&metadata);
                self.changes += 1;
            }
            entry.markers = markers;
        }
    }

    /// Writes a marker, if it is due. Returns true once it is replicated, or there is nothing to write it to.
    fn write_marker(
        &mut self,
        metadata: &Metadata,
        participant: &Participant,
        marker: &mut Marker,
        coordinator_epoch: i32,
        now: Moment,
    ) -> bool {
        let commits = metadata.state == TransactionState::PrepareCommit;
        match (participant, *marker) {
            (_, Marker::Due(at)) if at.max(self.transactions.held_until(participant)) > now => false,
            (Participant::Group(group), _) => {
                if self.transactions.coordinators.check(CoordinatorKind::Group, group, None, now).is_err() {
                    return false;
                }
                self.groups.end_transaction(group, metadata.producer, metadata.epoch, commits);
                true
            }
            (Participant::Partition(topic, index), Marker::Due(_)) => {
                let time = self.wall_clock(now);
                let append_time_ms = if self.config(topic).log_append_time { time } else { -1 };
                let Some(partition) = self.partition_mut(topic, *index) else { return true };
                if partition.leader.is_none() {
                    return false;
                }
                let identity = (metadata.producer, metadata.epoch);
                let epochs = (coordinator_epoch, partition.epoch);
                let offset = partition.log.append_marker(identity, commits, epochs, time, append_time_ms);
                self.replicate(topic, *index, offset + 1, now);
                *marker = Marker::Written(offset);
                self.write_marker(metadata, participant, marker, coordinator_epoch, now)
            }
            (Participant::Partition(topic, index), Marker::Written(offset)) => {
                let Some(partition) = self.partition(topic, *index) else { return true };
                if !partition.log.has_marker(metadata.producer, offset) {
                    // It was lost with its leader, and is written again.
                    *marker = Marker::Due(now);
                    self.changes += 1;
                    return false;
                }
                partition.log.high_watermark() > offset
            }
        }
    }

    /// Returns when the next marker can be written.
    pub(super) fn markers_wake_at(&self) -> Option<Moment> {
        let Transactions { entries, coordinators, held, .. } = &self.transactions;
        let ending = entries.iter().filter(|(_, entry)| entry.metadata.is_ending());
        let times = ending.filter_map(|(id, entry)| {
            let available_at = coordinators.available_at(CoordinatorKind::Transaction, id)?;
            if entry.markers.is_empty() {
                return Some(available_at);
            }
            let of_marker = |(participant, marker): (&Participant, &Marker)| {
                let Marker::Due(at) = *marker else { return None };
                let writable_at = match participant {
                    _ if held.get(participant) == Some(&Moment::MAX) => return None,
                    Participant::Group(group) => coordinators.available_at(CoordinatorKind::Group, group)?,
                    // A partition without a leader gets one before its marker, and one that is gone needs none.
                    Participant::Partition(topic, index) => match self.partition(topic, *index) {
                        Some(partition) if partition.leader.is_none() => return None,
                        _ => Moment::ZERO,
                    },
                };
                Some(at.max(writable_at).max(available_at).max(self.transactions.held_until(participant)))
            };
            entry.markers.iter().filter_map(of_marker).min()
        });
        times.min()
    }

    /// Writes no markers to a partition until they are [released](Self::release_markers): a transaction that has it stays
    /// `PrepareCommit` or `PrepareAbort`, and further requests are answered with CONCURRENT_TRANSACTIONS.
    pub fn hold_markers(&mut self, topic: &str, partition: i32) {
        self.transactions.held.insert(Participant::Partition(topic.to_owned(), partition), Moment::MAX);
    }

    /// The same for the offsets of a group.
    pub fn hold_group_markers(&mut self, group: &str) {
        self.transactions.held.insert(Participant::Group(group.to_owned()), Moment::MAX);
    }

    /// Writes no markers until this time to one of the partitions and groups that exist: the one at this position, modulo their
    /// number. Returns what gets none; `None` if nothing exists.
    pub fn delay_markers(&mut self, position: usize, until: Moment) -> Option<String> {
        let partitions = self.all_partitions().into_iter();
        let mut all: Vec<_> = partitions.map(|(topic, index)| Participant::Partition(topic, index)).collect();
        all.extend(self.groups.names().map(|group| Participant::Group(group.to_owned())));
        let position = position.checked_rem(all.len())?;
        let participant = all.swap_remove(position);
        let name = match &participant {
            Participant::Partition(topic, index) => format!("{topic}-{index}"),
            Participant::Group(group) => format!("the group {group}"),
        };
        let held = self.transactions.held.entry(participant).or_insert(until);
        *held = until.max(*held);
        Some(name)
    }

    /// Writes all markers that are held.
    pub fn release_markers(&mut self) {
        self.transactions.held.clear();
        self.changes += 1;
    }
}
