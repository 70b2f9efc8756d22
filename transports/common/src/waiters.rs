//! What waits for events of the machine, by batch and by flush: the senders of the futures, channels, and messages.

use std::collections::{HashMap, VecDeque};
use std::hash::{BuildHasherDefault, Hasher};

use kafka_batch_core::machine::{BatchId, FlushId};
use kafka_batch_core::{FlushError, FlushErrorReason};

use crate::accepted::{FlushOrClose, TakenBatch};
use crate::channel_batch::TakenChannelBatch;
use crate::completion::Completer;
use crate::gathering::PartitionIndex;
use crate::observers::Observation;
use crate::oneshot::Sender;
use crate::semaphore::Permits;

#[derive(Debug, Default)]
pub(crate) struct Waiters {
    batches: HashMap<BatchId, UnfinishedBatch, BuildHasherDefault<IdHasher>>,
    flushes: VecDeque<(FlushId, Sender<FlushOrClose>)>,
    closes: Vec<Sender<FlushOrClose>>,
}

/// A batch that the machine has accepted and that has no outcome yet.
#[derive(Debug)]
pub(crate) struct UnfinishedBatch {
    pub(crate) waiter: Waiter,
    pub(crate) permits: Permits,
    pub(crate) observation: Observation,
}

/// What waits for the outcome of a batch.
#[derive(Debug)]
pub(crate) enum Waiter {
    /// The future of the batch.
    Batch(Sender<TakenBatch>),
    /// The channel that it was sent through.
    Channel(TakenChannelBatch),
    /// The futures of its messages. The next batch of the partition may wait for this one, too.
    Messages(PartitionIndex, Completer),
}

/// Hashes the id of a batch: one multiplication spreads numbers that count up. They come from the machine, so nobody can choose
/// them to collide, and the order in which the map is dropped is the same in each run.
#[derive(Debug, Default)]
struct IdHasher(u64);

impl Hasher for IdHasher {
    fn write(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|&byte| self.write_u64(byte.into()));
    }

    fn write_u64(&mut self, number: u64) {
        const GOLDEN_RATIO: u64 = 0x9e37_79b9_7f4a_7c15;
        self.0 = (self.0 ^ number).wrapping_mul(GOLDEN_RATIO);
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

impl Waiters {
    pub(crate) fn insert(&mut self, id: BatchId, batch: UnfinishedBatch) {
        self.batches.insert(id, batch);
    }

    pub(crate) fn take(&mut self, id: BatchId) -> Option<UnfinishedBatch> {
        self.batches.remove(&id)
    }

    pub(crate) fn get_mut(&mut self, id: BatchId) -> Option<&mut UnfinishedBatch> {
        self.batches.get_mut(&id)
    }

    /// Returns what observes each batch.
    pub(crate) fn observations(&mut self) -> impl Iterator<Item = &mut Observation> {
        self.batches.values_mut().map(|batch| &mut batch.observation)
    }

    pub(crate) fn insert_flush(&mut self, flush: FlushId, sender: Sender<FlushOrClose>) {
        self.flushes.push_back((flush, sender));
    }

    /// Completes a flush.
    pub(crate) fn flushed(&mut self, flush: FlushId) {
        let at = self.flushes.iter().position(|(id, _)| *id == flush);
        if let Some((_, sender)) = at.and_then(|at| self.flushes.remove(at)) {
            sender.send(Ok(()));
        }
    }

    pub(crate) fn insert_close(&mut self, sender: Sender<FlushOrClose>) {
        self.closes.push(sender);
    }

    /// Completes all flushes and closes: the machine is closed.
    pub(crate) fn closed(&mut self) {
        let flushes = self.flushes.drain(..).map(|(_, sender)| sender);
        flushes.chain(self.closes.drain(..)).for_each(|sender| sender.send(Ok(())));
    }

    /// Fails all flushes and closes, with the number of records whose batches are not complete.
    pub(crate) fn fail_flushes(&mut self) {
        let outstanding = self.batches.values().map(|batch| batch.permits.records).sum();
        let flushes = self.flushes.drain(..).map(|(_, sender)| sender);
        let failed = || Err(FlushError::new(outstanding, FlushErrorReason::Stopped));
        flushes.chain(self.closes.drain(..)).for_each(|sender| sender.send(failed()));
    }
}
