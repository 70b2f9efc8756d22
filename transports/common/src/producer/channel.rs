//! The channel of a producer: batches are accepted many at a time, without a future for each.

use std::collections::VecDeque;
use std::future::Future;
use std::num::NonZeroU32;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use kafka_batch_core::publisher::{BatchChannel, ChannelBatch, ChannelError, ChannelOutcome};
use kafka_batch_core::{KafkaBatch, SealedBatch, SendError, SendErrorReason, TopicPartition};

use super::Inner;
use crate::accepted::BatchOutcome;
use crate::channel_batch::{OutcomeQueue, SealedChannelBatch};
use crate::command_queue::{Acceptance, BlockTimer};
use crate::observers::Observation;

/// A channel over a [`Producer`](crate::Producer).
pub(crate) struct ProducerChannel<'a> {
    producer: &'a Inner,
    topic: &'a str,
    outcomes: Arc<OutcomeQueue>,
    /// Outcomes that were taken from `outcomes`, to be returned.
    to_return: VecDeque<(u64, BatchOutcome)>,
    /// Batches that were refused, to be returned.
    refused: VecDeque<(u64, Box<SendError>)>,
    /// The next batch, while its partition is being looked up.
    checking: Option<PendingCheck<'a>>,
    /// Batches that wait for memory.
    sealed: VecDeque<SealedChannelBatch>,
    acceptance: Acceptance<'a>,
    partition_count: PartitionCount,
}

/// With how long the batch has waited.
type SealResult = Result<((SealedBatch, Observation), Duration), SendError>;

struct PendingCheck<'a> {
    id: u64,
    result: Pin<Box<dyn Future<Output = SealResult> + Send + 'a>>,
    partition: i32,
}

/// The number of partitions that the topic had at a [generation](crate::topics::TopicCache::generation) of the cache.
#[derive(Clone, Copy, Default)]
struct PartitionCount {
    generation: Option<u64>,
    partitions: u32,
}

impl<'a> ProducerChannel<'a> {
    pub(crate) fn new(producer: &'a Inner, topic: &'a str) -> Self {
        Self {
            producer,
            topic,
            outcomes: OutcomeQueue::new(topic),
            to_return: VecDeque::new(),
            refused: VecDeque::new(),
            checking: None,
            sealed: VecDeque::new(),
            acceptance: Acceptance::new(&producer.queue),
            partition_count: PartitionCount::default(),
        }
    }

    /// Returns `true` if the partition is known to exist.
    fn knows(&mut self, partition: i32) -> bool {
        let topics = &self.producer.queue.topics;
        let generation = Some(topics.generation());
        if self.partition_count.generation != generation {
            self.partition_count = PartitionCount {
                generation,
                partitions: topics.partition_count(self.topic).map_or(0, NonZeroU32::get),
            };
        }
        u32::try_from(partition).is_ok_and(|partition| partition < self.partition_count.partitions)
    }

    fn to_channel_batch(
        &self,
        id: u64,
        partition: i32,
        (batch, observation): (SealedBatch, Observation),
    ) -> SealedChannelBatch {
        SealedChannelBatch::new(&self.outcomes, id, partition, batch, observation)
    }

    /// Checks and seals batches from the front, until `limit` of them wait for memory.
    fn poll_seal(&mut self, batches: &mut VecDeque<ChannelBatch>, limit: usize, context: &mut Context<'_>) -> Poll<()> {
        while self.sealed.len() < limit {
            if let Some(checking) = &mut self.checking {
                let result = ready!(checking.result.as_mut().poll(context));
                let PendingCheck { id, partition, .. } = *checking;
                self.checking = None;
                match result {
                    Ok((batch, waited)) => {
                        self.sealed.push_back(self.to_channel_batch(id, partition, batch).after(waited));
                    }
                    Err(error) => self.refused.push_back((id, Box::new(error))),
                }
                continue;
            }
            let Some(ChannelBatch { id, partition, batch }) = batches.pop_front() else { break };
            if self.knows(partition) {
                match self.producer.seal(batch, self.topic, partition) {
                    Ok(batch) => self.sealed.push_back(self.to_channel_batch(id, partition, batch)),
                    Err(refused) => self.refuse(id, partition, refused.0, refused.1),
                }
            } else {
                let (producer, to) = (self.producer, TopicPartition::new(self.topic, partition));
                let result = Box::pin(async move {
                    let mut timer = BlockTimer::new(&producer.queue);
                    match producer.check_and_seal(batch, &to, &mut timer).await {
                        Ok(sealed) => Ok((sealed, timer.waited())),
                        Err((reason, batch)) => Err(SendError::new(to, reason, batch)),
                    }
                });
                self.checking = Some(PendingCheck { id, result, partition });
            }
        }
        Poll::Ready(())
    }

    fn refuse(&mut self, id: u64, partition: i32, reason: SendErrorReason, batch: KafkaBatch) {
        let error = SendError::new(TopicPartition::new(self.topic, partition), reason, batch);
        self.refused.push_back((id, Box::new(error)));
    }
}

impl BatchChannel for ProducerChannel<'_> {
    fn poll_send(&mut self, batches: &mut VecDeque<ChannelBatch>, limit: usize, context: &mut Context<'_>) -> Poll<()> {
        let is_checking = self.poll_seal(batches, limit, context).is_pending();
        let accepted = ready!(self.acceptance.poll(&mut self.sealed, limit, self.topic, context));
        if let Err(reason) = accepted {
            // If the producer is closed or has stopped, it is so for the batches after this one.
            if let Some(first) = self.sealed.pop_front() {
                let (id, partition) = (first.id(), first.partition());
                if let Some(batch) = first.withdraw() {
                    self.refuse(id, partition, reason, batch.into_batch());
                }
            }
        }
        if is_checking { Poll::Pending } else { Poll::Ready(()) }
    }

    fn unaccepted(&self) -> Vec<u64> {
        let checking = self.checking.iter().map(|checking| checking.id);
        self.sealed.iter().map(SealedChannelBatch::id).chain(checking).collect()
    }

    fn unaccepted_count(&self) -> usize {
        self.sealed.len() + usize::from(self.checking.is_some())
    }

    fn poll_outcome(&mut self, context: &mut Context<'_>) -> Poll<(u64, ChannelOutcome)> {
        if let Some((id, error)) = self.refused.pop_front() {
            return Poll::Ready((id, Err(ChannelError::Send(error))));
        }
        if self.to_return.is_empty() {
            ready!(self.outcomes.poll_take(&mut self.to_return, context));
        }
        match self.to_return.pop_front() {
            Some((id, outcome)) => Poll::Ready((id, outcome.map_err(|error| ChannelError::Delivery(Box::new(error))))),
            None => Poll::Pending,
        }
    }
}

impl Drop for ProducerChannel<'_> {
    fn drop(&mut self) {
        self.outcomes.close();
        // What was not accepted has no outcome, also for observers.
        self.sealed.drain(..).for_each(|batch| drop(batch.withdraw()));
    }
}
