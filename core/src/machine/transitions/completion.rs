//! The completion of batches: each has exactly one event with the fate of its records, even if it was split into parts.

use alloc::boxed::Box;
use alloc::collections::btree_map::Entry as MapEntry;
use alloc::format;
use alloc::vec;
use alloc::vec::Vec;
use core::ops::Range;

use super::Machine;
use crate::batch::KafkaBatch;
use crate::delivery::Delivery;
use crate::failure::{DeliveryError, FailureReason, Fate, RecordError};
use crate::machine::entry::{Entry, Origin};
use crate::machine::event::{BatchId, Event, Notice};
use crate::machine::index::PartitionIndex;
use crate::machine::io::Output;
use crate::machine::partition::{Effect, FailedEntry, LogPosition, SplitEntry};
use crate::machine::stats::TopicCounters;
use crate::machine::timers::Timer;
use crate::machine::unfinished::{UnfinishedBatch, UnfinishedIndex};
use crate::record::TopicPartition;
use crate::time::Instant;

/// A batch that was split, with the results of its parts so far.
#[derive(Debug)]
pub(super) struct SplitBatch {
    pub(super) batch: KafkaBatch,
    pub(super) to: TopicPartition,
    place: UnfinishedIndex,
    /// The number of parts without an outcome.
    parts: usize,
    offsets: Vec<i64>,
    append_times: Vec<i64>,
    log_start_offset: i64,
    pub(super) fates: Vec<Fate>,
    pub(super) reason: Option<FailureReason>,
    pub(super) errors: Vec<RecordError>,
    /// After a panic: the positions and the fate of records in parts that had no outcome.
    pub(super) unfinished: Vec<(Range<usize>, Fate)>,
}

impl Machine {
    /// Applies the effects of partitions' transitions, in order.
    pub(super) fn apply_effects(&mut self) {
        while let Some(effect) = self.effects.pop_front() {
            match effect {
                Effect::Delivered(entry, log_position) => self.deliver(entry, log_position),
                Effect::Failed(failed) => self.fail(*failed),
                Effect::Split(split) => self.split(*split),
                Effect::Confirmed(identity) => self.identities.confirm(identity),
                Effect::Refused(identity, refusal) => self.on_identity_refused(identity, refusal),
                Effect::Retried(id, retry) => self.notice(Notice::Retry { id, retry }),
            }
        }
    }

    fn deliver(&mut self, entry: Box<Entry>, log_position: LogPosition) {
        self.on_batch_delivered();
        let id = entry.batch;
        let LogPosition { offset, append_time, log_start_offset } = log_position;
        let records = entry.payload.record_count();
        match entry.origin {
            Origin::Whole(_) => {
                self.complete(id, entry.place, |counters, nanos| counters.on_acknowledged(records, nanos));
                self.outputs.push_delivered(entry, log_position);
            }
            Origin::Part { position } => {
                if let Some(split_batch) = self.split_batches.get_mut(&id) {
                    for record in 0..records {
                        let position = position + record;
                        split_batch.fates[position] = Fate::Written;
                        split_batch.offsets[position] =
                            if offset < 0 { -1 } else { offset.saturating_add(record as i64) };
                        split_batch.append_times[position] = append_time;
                    }
                    split_batch.log_start_offset = split_batch.log_start_offset.max(log_start_offset);
                }
                self.part_finished(id);
            }
        }
    }

    fn fail(&mut self, failed: FailedEntry) {
        let FailedEntry { entry, maybe_written, reason, errors } = failed;
        self.on_batch_failed(&entry, &reason);
        let Entry { batch: id, place, origin, payload, .. } = *entry;
        let fate = if maybe_written { Fate::Unknown } else { Fate::NotWritten };
        match origin {
            Origin::Whole(to) => {
                let error = DeliveryError::new(to, reason, fate, payload.into_batch()).with_record_errors(errors);
                self.complete(id, place, |counters, _| counters.on_failed(error.record_count(), 0));
                self.outputs.push_back(Output::Event(Event::Failed { id, error }));
            }
            Origin::Part { position } => {
                if let Some(split_batch) = self.split_batches.get_mut(&id) {
                    split_batch.fates[position..][..payload.record_count()].fill(fate);
                    let moved =
                        errors.into_iter().map(|error| RecordError::new(error.position + position, error.message));
                    split_batch.errors.extend(moved);
                    split_batch.reason.get_or_insert(reason);
                }
                self.part_finished(id);
            }
        }
    }

    /// Fails every entry of a partition that is not in flight.
    pub(super) fn fail_waiting(&mut self, index: PartitionIndex, reason: impl Fn() -> FailureReason) {
        self.transition(index, |partition, context| partition.fail_waiting(reason, context));
        self.finish_transition(index);
    }

    /// Fails the batches whose `delivery.timeout.ms` has expired: the oldest ones of each partition.
    pub(super) fn on_delivery_timeout(&mut self) {
        while let Some(oldest) =
            self.accumulator.oldest().copied().filter(|oldest| self.deadline_of(oldest) <= self.now)
        {
            let index = oldest.partition;
            while self
                .accumulator
                .partition(index)
                .oldest()
                .is_some_and(|entry| entry.deadline(&self.config) <= self.now)
            {
                let reason = self.timeout_reason(index);
                self.transition(index, |partition, context| partition.abandon_oldest(reason, context));
                self.apply_effects();
            }
            self.transition(index, |partition, context| partition.reseal_after_gap(context));
            self.finish_transition(index);
            if self.accumulator.oldest().is_some_and(|still| still.id == oldest.id) {
                debug_assert!(false, "{:?} is in no queue", oldest.id);
                return;
            }
        }
        self.update_delivery_timer();
    }

    fn timeout_reason(&self, index: PartitionIndex) -> FailureReason {
        let partition = self.accumulator.partition(index);
        let (topic, number) = (partition.topic(), partition.number());
        let known = self.cluster.partition_count(topic);
        if let Some(partitions) = known.filter(|&count| i64::from(number) >= i64::from(count)) {
            return FailureReason::UnknownPartition { topic: topic.into(), partition: number, partitions };
        }
        let cause = partition.oldest().and_then(|entry| self.delivery_timeout_cause(index, entry));
        FailureReason::TimedOut { limit: Some(self.config.delivery_timeout), cause: cause.map(Box::new) }
    }

    /// Fails every batch without an outcome, because the producer is closed immediately.
    pub(super) fn abandon_everything(&mut self) {
        let active: Vec<PartitionIndex> = self.accumulator.active().collect();
        for index in active {
            while !self.accumulator.partition(index).is_empty() {
                let reason = FailureReason::Closed;
                self.transition(index, |partition, context| partition.abandon_oldest(reason, context));
                self.apply_effects();
            }
            self.finish_transition(index);
        }
    }

    /// Returns when `delivery.timeout.ms` of a batch ends.
    fn deadline_of(&self, batch: &UnfinishedBatch) -> Instant {
        batch.accepted + self.config.delivery_timeout
    }

    /// Sets the timer for the deadline of the oldest batch.
    pub(super) fn update_delivery_timer(&mut self) {
        let deadline = self.accumulator.oldest().map(|oldest| self.deadline_of(oldest));
        self.timers.set_or_clear(Timer::Delivery, deadline);
    }

    /// Records that an entry was replaced with parts.
    pub(super) fn split(&mut self, split: SplitEntry) {
        let SplitEntry { batch: id, place, whole, count, parts, reason, too_large, limit } = split;
        let split_batch = match (self.split_batches.entry(id), whole) {
            (MapEntry::Occupied(split_batch), _) => split_batch.into_mut(),
            (MapEntry::Vacant(free), Some((batch, to))) => free.insert(SplitBatch {
                batch,
                to,
                place,
                parts: 1,
                offsets: vec![-1; count],
                append_times: vec![-1; count],
                log_start_offset: -1,
                fates: vec![Fate::NotWritten; count],
                reason: None,
                errors: Vec::new(),
                unfinished: Vec::new(),
            }),
            (MapEntry::Vacant(_), None) => return, // not possible: a part's batch was split
        };
        split_batch.parts += parts;
        let place = split_batch.place;
        if let Some(reason) = reason {
            split_batch.reason.get_or_insert(reason);
        }
        for (position, size) in too_large {
            let what = format!("the record alone makes a batch of {size} bytes, and the limit is {limit}");
            split_batch.errors.push(RecordError::new(position, Some(what)));
        }
        self.accumulator.on_split(place);
        self.dirty = true;
        self.part_finished(id); // its parts have replaced the entry itself
    }

    fn part_finished(&mut self, id: BatchId) {
        let MapEntry::Occupied(mut slot) = self.split_batches.entry(id) else { return };
        slot.get_mut().parts -= 1;
        if slot.get().parts > 0 {
            self.dirty = true;
            return;
        }
        let SplitBatch { batch, to, place, offsets, append_times, log_start_offset, fates, reason, mut errors, .. } =
            slot.remove();
        let records = fates.len();
        match reason {
            None => {
                let delivery = Delivery::from_offsets(to, offsets, batch)
                    .with_log_append_times(&append_times)
                    .with_log_start_offset(log_start_offset);
                self.complete(id, place, |counters, nanos| counters.on_acknowledged(records, nanos));
                self.outputs.push_back(Output::Event(Event::Delivered { id, delivery }));
            }
            Some(reason) => {
                let written = fates.iter().filter(|fate| **fate == Fate::Written).count();
                errors.sort_by_key(|error| error.position);
                let error = DeliveryError::from_fates(to, reason, fates, batch).with_record_errors(errors);
                self.complete(id, place, |counters, _| counters.on_failed(records, written));
                self.outputs.push_back(Output::Event(Event::Failed { id, error }));
            }
        }
    }

    /// Completes a batch, whose event is to be appended. `count` gets the counters of its topic, and for how many nanoseconds it
    /// was unfinished.
    fn complete(&mut self, id: BatchId, place: UnfinishedIndex, count: impl FnOnce(&mut TopicCounters, u64)) {
        let was_oldest = self.accumulator.oldest().is_some_and(|oldest| oldest.id == id);
        let (counters, nanos) = self.accumulator.finish(id, place, self.now);
        count(counters, nanos);
        if was_oldest {
            self.update_delivery_timer();
        }
        self.dirty = true;
    }
}
