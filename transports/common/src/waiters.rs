//! Who waits for what of the machine.

use std::collections::{BTreeMap, VecDeque};

use kafka_batch_core::FlushError;
use kafka_batch_core::machine::{BatchId, FlushId};

use crate::error::Stopped;
use crate::promise::{Accepted, Everything, Promise};
use crate::semaphore::Permits;

#[derive(Debug, Default)]
pub(crate) struct Waiters {
    batches: BTreeMap<BatchId, Entry>,
    flushes: VecDeque<(FlushId, Promise<Everything>)>,
    closes: Vec<Promise<Everything>>,
}

/// A batch that the machine has.
#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) promise: Promise<Accepted>,
    pub(crate) permits: Permits,
}

impl Waiters {
    pub(crate) fn enter(&mut self, batch: BatchId, entry: Entry) {
        self.batches.insert(batch, entry);
    }

    pub(crate) fn take(&mut self, batch: BatchId) -> Option<Entry> {
        self.batches.remove(&batch)
    }

    pub(crate) fn enter_flush(&mut self, flush: FlushId, promise: Promise<Everything>) {
        self.flushes.push_back((flush, promise));
    }

    pub(crate) fn flushed(&mut self, flush: FlushId) {
        let at = self.flushes.iter().position(|(id, _)| *id == flush);
        if let Some((_, promise)) = at.and_then(|at| self.flushes.remove(at)) {
            promise.keep(Ok(()));
        }
    }

    pub(crate) fn enter_close(&mut self, promise: Promise<Everything>) {
        self.closes.push(promise);
    }

    /// Everything is through.
    pub(crate) fn closed(&mut self) {
        let flushes = self.flushes.drain(..).map(|(_, promise)| promise);
        flushes.chain(self.closes.drain(..)).for_each(|promise| promise.keep(Ok(())));
    }

    /// Whoever waits for everything to be through waits in vain.
    pub(crate) fn stop_waiting(&mut self) {
        let outstanding = self.batches.values().map(|entry| entry.permits.records).sum();
        let flushes = self.flushes.drain(..).map(|(_, promise)| promise);
        flushes
            .chain(self.closes.drain(..))
            .for_each(|promise| promise.keep(Err(FlushError::new(outstanding, Stopped))));
    }
}
