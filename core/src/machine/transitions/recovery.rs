//! Recovery of batches after a panic of the machine.

use alloc::boxed::Box;
use alloc::vec::Vec;

use super::{Lifecycle, Machine};
use crate::failure::{DeliveryError, FailureReason, Fate};
use crate::machine::entry::{Entry, Origin, Payload};
use crate::machine::event::Event;
use crate::machine::io::Output;
use crate::machine::partition::{Effect, FailedEntry};

impl Machine {
    /// Removes a batch without a reported outcome, and returns its [`Event::Delivered`] or [`Event::Failed`]. Returns
    /// `None` if there is none left.
    ///
    /// For drivers, after the machine has panicked, which is a bug in the machine; it is closed and must not be used
    /// for anything else. This method does as little as possible, so that it does not panic for the same reason; if it
    /// panics too, call it again for the next batch. The fate of every batch that was ever sent is
    /// [unknown](Fate::Unknown). A batch that the machine was processing when it panicked is lost.
    pub fn take_unfinished(&mut self) -> Option<Event> {
        self.lifecycle = Lifecycle::Closed;
        if let Some(event) = self.pop_outcome() {
            return Some(event);
        }
        while let Some(entry) = self.pop_unfinished() {
            let was_never_sent =
                matches!(entry.payload, Payload::Sealed(_)) && !entry.maybe_written && entry.in_flight.is_none();
            let fate = if was_never_sent { Fate::NotWritten } else { Fate::Unknown };
            if let Some(split_batch) = self.split_batches.get_mut(&entry.batch) {
                let start = entry.position();
                split_batch.unfinished.push((start..start + entry.payload.record_count(), fate));
                continue;
            }
            let Entry { batch, origin: Origin::Whole(to), payload, .. } = *entry else { continue };
            if matches!(payload, Payload::Gone) {
                continue;
            }
            let error = DeliveryError::new(to, FailureReason::Closed, fate, payload.into_batch());
            return Some(Event::Failed { id: batch, error });
        }
        // Applying the effect of a split can have reported a batch of which no part is left.
        if let Some(event) = self.pop_outcome() {
            return Some(event);
        }
        let (batch, split_batch) = self.split_batches.pop_first()?;
        let mut fates: Vec<Fate> = split_batch.fates;
        // For a record whose part is missing, it is not known whether it was sent.
        fates.iter_mut().filter(|fate| **fate == Fate::NotWritten).for_each(|fate| *fate = Fate::Unknown);
        for (range, fate) in split_batch.unfinished {
            fates.get_mut(range).into_iter().flatten().for_each(|record_fate| *record_fate = fate);
        }
        let reason = split_batch.reason.unwrap_or(FailureReason::Closed);
        let error = DeliveryError::from_fates(split_batch.to, reason, fates, split_batch.batch)
            .with_record_errors(split_batch.errors);
        Some(Event::Failed { id: batch, error })
    }

    /// Removes the outputs up to the next outcome of a batch, and returns that.
    fn pop_outcome(&mut self) -> Option<Event> {
        while let Some(output) = self.outputs.pop_front() {
            if let Output::Event(event @ (Event::Delivered { .. } | Event::Failed { .. })) = output {
                return Some(event);
            }
        }
        None
    }

    /// Removes an entry that was removed from its queue and not reported yet, or the first of any queue.
    fn pop_unfinished(&mut self) -> Option<Box<Entry>> {
        while let Some(effect) = self.effects.pop_front() {
            let entry = match effect {
                Effect::Delivered(entry, _) => entry,
                Effect::Failed(failed) => {
                    let FailedEntry { entry, .. } = *failed;
                    entry
                }
                // So that its parts, which are in the queue, are known as such.
                Effect::Split(split) => {
                    self.split(*split);
                    continue;
                }
                Effect::Confirmed(_) | Effect::Refused(..) | Effect::Retried(..) => continue,
            };
            return Some(entry);
        }
        self.accumulator.pop()
    }
}
