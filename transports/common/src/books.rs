//! Who waits for what of the machine.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use kafka_batch_core::producer::{BatchId, FlushId};
use kafka_batch_core::{DeliveryError, FailureReason, Fate, FlushError, KafkaBatch, TopicPartition};

use crate::desk::{Answer, Flushed};
use crate::error::Stopped;
use crate::slot::Slot;
use crate::window::Load;

#[derive(Debug, Default)]
pub(crate) struct Books {
    batches: BTreeMap<BatchId, Entry>,
    flushes: VecDeque<(FlushId, Arc<Slot<Flushed>>)>,
    closes: Vec<Arc<Slot<Flushed>>>,
}

/// A batch that the machine has.
#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) slot: Arc<Slot<Answer>>,
    pub(crate) load: Load,
    pub(crate) to: TopicPartition,
}

impl Books {
    pub(crate) fn enter(&mut self, batch: BatchId, entry: Entry) {
        self.batches.insert(batch, entry);
    }

    pub(crate) fn take(&mut self, batch: BatchId) -> Option<Entry> {
        self.batches.remove(&batch)
    }

    pub(crate) fn enter_flush(&mut self, flush: FlushId, slot: Arc<Slot<Flushed>>) {
        self.flushes.push_back((flush, slot));
    }

    pub(crate) fn flushed(&mut self, flush: FlushId) {
        if let Some(at) = self.flushes.iter().position(|(id, _)| *id == flush)
            && let Some((_, slot)) = self.flushes.remove(at)
        {
            slot.fill(Ok(()));
        }
    }

    pub(crate) fn enter_close(&mut self, slot: Arc<Slot<Flushed>>) {
        self.closes.push(slot);
    }

    /// Everything is through.
    pub(crate) fn closed(&mut self) {
        let flushes = self.flushes.drain(..).map(|(_, slot)| slot);
        flushes.chain(self.closes.drain(..)).for_each(|slot| slot.fill(Ok(())));
    }

    /// Whoever waits for everything to be through waits in vain.
    pub(crate) fn stop_waiting(&mut self) {
        let outstanding = self.batches.values().map(|entry| entry.load.records).sum();
        let flushes = self.flushes.drain(..).map(|(_, slot)| slot);
        flushes.chain(self.closes.drain(..)).for_each(|slot| slot.fill(Err(FlushError::new(outstanding, Stopped))));
    }

    /// The machine broke, by a fault of ours, and kept the batches: whoever waits hears at least that nothing is known.
    pub(crate) fn abandon(&mut self) {
        self.stop_waiting();
        while let Some((_, Entry { slot, to, .. })) = self.batches.pop_first() {
            let reason = FailureReason::Transport(Box::new(Stopped));
            slot.fill(Err(DeliveryError::new(to, reason, Fate::Unknown, KafkaBatch::new(0))));
        }
    }
}
