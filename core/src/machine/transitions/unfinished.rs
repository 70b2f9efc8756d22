//! Batches that are left after a panic.

use alloc::vec::Vec;

use super::{Lifecycle, Machine};
use crate::failure::{DeliveryError, FailureReason, Fate};
use crate::machine::accumulator::Payload;
use crate::machine::event::Event;
use crate::machine::io::Output;

impl Machine {
    /// Takes out a batch that has not ended, and returns its [`Event::Delivered`] or [`Event::Failed`]. `None` if there is
    /// none left.
    ///
    /// For a driver in which the machine has panicked, which is a bug of the machine: nothing but batches can be had from it
    /// any more. As little as possible is done here, so that the bug does no harm a second time; if this panics too, call it
    /// again for the next batch. What was ever sent counts as [unknown](Fate::Unknown). A batch that the machine was working
    /// on when it panicked is lost.
    pub fn take_unfinished(&mut self) -> Option<Event> {
        self.lifecycle = Lifecycle::Closed;
        while let Some(output) = self.outputs.pop_front() {
            if let Output::Event(event @ (Event::Delivered { .. } | Event::Failed { .. })) = output {
                return Some(event);
            }
        }
        while let Some((to, entry)) = self.accumulator.pop() {
            let is_unsent =
                matches!(entry.payload, Payload::Sealed(_)) && !entry.maybe_written && entry.in_flight.is_none();
            let fate = if is_unsent { Fate::NotWritten } else { Fate::Unknown };
            if let Some(split_batch) = self.split_batches.get_mut(&entry.batch) {
                let end = entry.position + entry.payload.record_count();
                split_batch.unfinished.push((entry.position..end, fate));
                continue;
            }
            if matches!(entry.payload, Payload::Gone) {
                continue;
            }
            let error = DeliveryError::new(to, FailureReason::Closed, fate, entry.payload.into_batch());
            return Some(Event::Failed { batch: entry.batch, error });
        }
        let (batch, split_batch) = self.split_batches.pop_first()?;
        let mut fates: Vec<Fate> = split_batch.fates;
        // Where a part is missing, nobody knows how far it had come.
        fates.iter_mut().filter(|fate| **fate == Fate::NotWritten).for_each(|fate| *fate = Fate::Unknown);
        for (range, fate) in split_batch.unfinished {
            fates.get_mut(range).into_iter().flatten().for_each(|of_record| *of_record = fate);
        }
        let reason = split_batch.reason.unwrap_or(FailureReason::Closed);
        let error = DeliveryError::one_by_one(split_batch.to, reason, fates, split_batch.batch)
            .with_record_errors(split_batch.errors);
        Some(Event::Failed { batch, error })
    }
}
