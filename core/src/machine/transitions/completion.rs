//! The completion of batches: each has exactly one event with the fate of its records, even if it was split into parts.

use alloc::boxed::Box;
use alloc::collections::btree_map::Entry as Slot;
use alloc::format;
use alloc::vec;
use alloc::vec::Vec;
use core::ops::Range;

use super::Machine;
use crate::batch::KafkaBatch;
use crate::delivery::Delivery;
use crate::failure::{DeliveryError, FailureReason, Fate, RecordError};
use crate::machine::accumulator::{Entry, Partition, PartitionIndex, Payload};
use crate::machine::event::{BatchId, Event};
use crate::machine::io::Output;
use crate::machine::timers::Timer;
use crate::machine::verdict::{self, Outcome, Verdict};
use crate::protocol::{ApiKey, BrokerError, ErrorCode, PartitionProduceResponse};
use crate::record::TopicPartition;

/// A batch that was split, with the results of its parts so far.
#[derive(Debug)]
pub(super) struct SplitBatch {
    pub(super) batch: KafkaBatch,
    pub(super) to: TopicPartition,
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
    /// Completes an entry that is in the log (with `acks=0`: that was written to the connection).
    pub(super) fn complete(&mut self, index: PartitionIndex, at: usize, response: Option<&PartitionProduceResponse>) {
        let to = self.accumulator.partition(index).to.clone();
        let Some(entry) = self.accumulator.remove(index, at) else { return };
        let offset =
            response.filter(|response| !response.error_code.is_error()).map_or(-1, |response| response.base_offset);
        if let Some(split_batch) = self.split_batches.get_mut(&entry.batch) {
            for record in 0..entry.payload.record_count() {
                let position = entry.position + record;
                split_batch.fates[position] = Fate::Written;
                split_batch.offsets[position] = if offset < 0 { -1 } else { offset.saturating_add(record as i64) };
                split_batch.append_times[position] = response.map_or(-1, |response| response.log_append_time_ms);
            }
            let log_start_offset = response.map_or(-1, |response| response.log_start_offset);
            split_batch.log_start_offset = split_batch.log_start_offset.max(log_start_offset);
            return self.part_finished(entry.batch);
        }
        let Payload::Stamped(batch, _) = entry.payload else { return };
        let mut delivery = Delivery::as_one(to, offset, batch);
        if let Some(response) = response {
            delivery = delivery
                .with_log_append_time(response.log_append_time_ms)
                .with_log_start_offset(response.log_start_offset);
        }
        self.finish(entry.batch, Event::Delivered { batch: entry.batch, delivery });
    }

    /// Fails an entry for good. `maybe_written`: the last attempt may have been written.
    pub(super) fn fail_at(
        &mut self,
        index: PartitionIndex,
        at: usize,
        maybe_written: bool,
        reason: FailureReason,
        errors: Vec<RecordError>,
    ) {
        let to = self.accumulator.partition(index).to.clone();
        let Some(entry) = self.accumulator.remove(index, at) else { return };
        let may_be_written = maybe_written || entry.maybe_written;
        if let Some(identity) = entry.payload.identity() {
            self.accumulator.partition_mut(index).sequence.lose(identity);
        }
        let fate = if may_be_written { Fate::Unknown } else { Fate::NotWritten };
        if let Some(split_batch) = self.split_batches.get_mut(&entry.batch) {
            for record in 0..entry.payload.record_count() {
                split_batch.fates[entry.position + record] = fate;
            }
            let moved =
                errors.into_iter().map(|error| RecordError::new(error.position + entry.position, error.message));
            split_batch.errors.extend(moved);
            split_batch.reason.get_or_insert(reason);
            self.part_finished(entry.batch);
            return self.fail_unprovable(index);
        }
        let error = DeliveryError::new(to, reason, fate, entry.payload.into_batch()).with_record_errors(errors);
        self.finish(entry.batch, Event::Failed { batch: entry.batch, error });
        self.fail_unprovable(index); // others may have waited for it to prove them
    }

    /// Fails every entry of a partition that is not in flight.
    pub(super) fn fail_waiting(&mut self, index: PartitionIndex, reason: impl Fn() -> FailureReason) {
        let waiting = |machine: &Self| {
            machine.accumulator.partition(index).queue.iter().position(|entry| entry.in_flight.is_none())
        };
        while let Some(at) = waiting(self) {
            self.fail_at(index, at, false, reason(), Vec::new());
        }
        self.watch_deadline(index);
    }

    /// Fails the entries of a partition whose `delivery.timeout.ms` has expired.
    pub(super) fn on_delivery_timeout(&mut self, index: PartitionIndex) {
        while self.accumulator.partition(index).queue.front().is_some_and(|entry| entry.deadline <= self.now) {
            let reason = self.timeout_reason(index);
            self.fail_first(index, reason);
        }
        self.reseal_void(index);
        self.watch_deadline(index);
        self.accumulator.look_at(index);
    }

    fn fail_first(&mut self, index: PartitionIndex, reason: FailureReason) {
        let Some(entry) = self.accumulator.partition(index).queue.front() else { return };
        let outcome = Outcome::Abandoned { in_flight: entry.in_flight.is_some() };
        let verdict = verdict::produce(outcome, self.config.acks, entry.payload.identity().is_some());
        self.fail_at(index, 0, verdict == Verdict::Fail { maybe_written: true }, reason, Vec::new());
    }

    fn timeout_reason(&self, index: PartitionIndex) -> FailureReason {
        let Partition { to, queue, .. } = self.accumulator.partition(index);
        if let Some(error) = self.cluster.error(&to.topic) {
            let message = format!("for topic {:?} until delivery.timeout.ms expired", to.topic);
            return error.clone().with_message(message).into();
        }
        let known = self.cluster.partition_count(&to.topic);
        if let Some(count) = known.filter(|&count| i64::from(to.partition) >= i64::from(count)) {
            let error = BrokerError::new(ApiKey::Metadata, ErrorCode::UNKNOWN_TOPIC_OR_PARTITION);
            return error.with_message(format!("topic {:?} has partitions 0 to {}", to.topic, count - 1)).into();
        }
        let cause = queue.front().and_then(|entry| self.delivery_timeout_cause(index, entry));
        FailureReason::TimedOut { cause: cause.map(Box::new) }
    }

    /// Fails every batch without an outcome, because the producer is closed immediately.
    pub(super) fn abandon_everything(&mut self) {
        while let Some(&index) = self.accumulator.active.first() {
            self.fail_first(index, FailureReason::Closed);
        }
    }

    pub(super) fn watch_deadline(&mut self, index: PartitionIndex) {
        let oldest = self.accumulator.partition(index).queue.front();
        self.timers.set_or_clear(Timer::Delivery(index), oldest.map(|entry| entry.deadline));
        if oldest.is_none() {
            self.timers.clear(Timer::Retry(index));
        }
    }

    /// Returns `true` if a batch that is too large is to be split: `split_too_large` is set, it has more than one
    /// record, and none of it may be in the log.
    pub(super) fn may_split(&self, index: PartitionIndex, at: usize) -> bool {
        let entry = &self.accumulator.partition(index).queue[at];
        self.config.split_too_large && !entry.maybe_written && entry.payload.record_count() > 1
    }

    /// Replaces a batch with two or more parts. They are sent in order, and their outcomes are merged into one event.
    /// `reason`: why the batch is split, which is also the reason for a record that is too large by itself.
    pub(super) fn split(&mut self, index: PartitionIndex, at: usize, reason: FailureReason) {
        let to = self.accumulator.partition(index).to.clone();
        let Some(entry) = self.accumulator.remove(index, at) else { return };
        if let Some(identity) = entry.payload.identity() {
            self.accumulator.partition_mut(index).sequence.lose(identity);
        }
        let Entry { batch: id, position, payload, deadline, .. } = entry;
        // A batch that the broker refused is split into halves, as the response does not have the limit. One that could
        // not be sealed is split to fit its own limit.
        let limit = match &payload {
            Payload::Open(batch) => batch.options().max_message_bytes,
            payload => payload.size(),
        };
        let count = payload.record_count();
        let batch = payload.into_batch();
        let split_batch = match self.split_batches.entry(id) {
            Slot::Occupied(split_batch) => split_batch.into_mut(),
            Slot::Vacant(free) => free.insert(SplitBatch {
                batch: batch.without(&[]),
                to,
                parts: 1,
                offsets: vec![-1; count],
                append_times: vec![-1; count],
                log_start_offset: -1,
                fates: vec![Fate::NotWritten; count],
                reason: None,
                errors: Vec::new(),
                unfinished: Vec::new(),
            }),
        };
        match batch.split(limit) {
            Ok(split) => {
                split_batch.parts += split.parts.len();
                if !split.too_large.is_empty() {
                    split_batch.reason.get_or_insert(reason);
                }
                for record in split.too_large {
                    let what = format!("the record alone has {} bytes, but the limit is {limit}", record.size);
                    split_batch.errors.push(RecordError::new(position + record.position, Some(what)));
                }
                for (step, (offset, part)) in split.parts.into_iter().enumerate() {
                    let part = self.accumulator.entry(id, position + offset, part, deadline);
                    self.accumulator.insert(index, at + step, part);
                }
            }
            Err(error) => {
                split_batch.reason.get_or_insert(FailureReason::Seal(Box::new(error.reason.into())));
            }
        }
        self.dirty = true;
        self.part_finished(id); // its parts have replaced the entry itself
    }

    fn part_finished(&mut self, id: BatchId) {
        let Slot::Occupied(mut slot) = self.split_batches.entry(id) else { return };
        slot.get_mut().parts -= 1;
        if slot.get().parts > 0 {
            self.dirty = true;
            return;
        }
        let SplitBatch { batch, to, offsets, append_times, log_start_offset, fates, reason, mut errors, .. } =
            slot.remove();
        let event = match reason {
            None => {
                let delivery = Delivery::one_by_one(to, offsets, batch)
                    .with_log_append_times(&append_times)
                    .with_log_start_offset(log_start_offset);
                Event::Delivered { batch: id, delivery }
            }
            Some(reason) => {
                errors.sort_by_key(|error| error.position);
                let error = DeliveryError::one_by_one(to, reason, fates, batch).with_record_errors(errors);
                Event::Failed { batch: id, error }
            }
        };
        self.finish(id, event);
    }

    fn finish(&mut self, id: BatchId, event: Event) {
        self.accumulator.finish(id);
        self.outputs.push_back(Output::Event(event));
        self.dirty = true;
    }
}
