//! Sends batches one after another over a transport, and collects their outcomes.

use alloc::boxed::Box;
use alloc::collections::VecDeque;
use alloc::vec::Vec;
use core::task::{Context, Poll, Waker};
use core::{fmt, iter};

use super::outcome::{Published, Undelivered, UndeliveredReason};
use super::outcome_order::{ChannelBatchId, OutcomeOrder};
use crate::stream::PartitionBatch;
use crate::transport::{BatchChannel, ChannelBatch, ChannelError, ChannelOutcome, Transport};

/// The batches that are sent in one poll of the publisher at most, before it yields to other tasks. Few, so that the transport
/// sends them while they are in the processor's caches.
pub(super) const SENT_PER_POLL: usize = 64;

/// The outcome of a batch, or of a message that is in no batch.
pub(super) type Outcome<M> = Result<Published<M>, Undelivered<M>>;

/// Batches on their way: those that wait to be sent, and those in flight. They are sent in order.
pub(super) struct BatchSender<'a, T, M> {
    transport: &'a T,
    topic: &'a str,
    max_in_flight: usize,
    channel: Box<dyn BatchChannel + 'a>,
    waiting: VecDeque<ChannelBatch>,
    /// The number of batches that are not accepted or refused: those in `waiting`, and those that the channel holds.
    unsent: usize,
    /// The messages of all batches without an outcome.
    order: OutcomeOrder<Vec<M>, ChannelOutcome>,
}

impl<'a, T: Transport, M> BatchSender<'a, T, M> {
    pub(super) fn new(transport: &'a T, topic: &'a str) -> Self {
        Self {
            transport,
            topic,
            max_in_flight: usize::MAX,
            channel: transport.channel(topic),
            waiting: VecDeque::new(),
            unsent: 0,
            order: OutcomeOrder::new(),
        }
    }

    pub(super) const fn transport(&self) -> &'a T {
        self.transport
    }
}

impl<'a, T, M> BatchSender<'a, T, M> {
    pub(super) fn set_max_in_flight(&mut self, batches: usize) {
        self.max_in_flight = batches.max(1);
    }

    pub(super) const fn topic(&self) -> &'a str {
        self.topic
    }

    /// Adds a batch to be sent, with its messages.
    pub(super) fn push(&mut self, batch: PartitionBatch, messages: Vec<M>) {
        let PartitionBatch { partition, batch } = batch;
        debug_assert_eq!(batch.record_count(), messages.len());
        let ChannelBatchId(id) = self.order.add(partition, messages);
        self.waiting.push_back(ChannelBatch { id, partition, batch });
        self.unsent += 1;
    }

    /// Sends batches. Returns the number of those that were accepted or refused.
    pub(super) fn poll_send(&mut self, context: &mut Context<'_>) -> usize {
        let room = self.max_in_flight.saturating_sub(self.in_flight());
        if self.unsent == 0 || room == 0 {
            return 0;
        }
        // Whether it is pending shows in how many are left.
        let _ = self.channel.poll_send(&mut self.waiting, room.min(SENT_PER_POLL), context);
        let before = self.unsent;
        self.unsent = self.waiting.len() + self.channel.unaccepted_count();
        before - self.unsent
    }

    /// Removes and returns the next outcome.
    pub(super) fn poll_outcome(&mut self, context: &mut Context<'_>) -> Poll<Outcome<M>> {
        loop {
            let (messages, result) = match self.order.pop() {
                Some(outcome) => outcome,
                None => match self.channel.poll_outcome(context) {
                    Poll::Pending => return Poll::Pending,
                    Poll::Ready((id, result)) => match self.order.complete(ChannelBatchId(id), result) {
                        Some(outcome) => outcome,
                        None => continue, // an earlier batch of its partition has no outcome yet
                    },
                },
            };
            return Poll::Ready(match result {
                Ok(delivery) => Ok(Published { messages, delivery }),
                Err(ChannelError::Send(error)) => Err(Undelivered { messages, reason: UndeliveredReason::Send(error) }),
                Err(ChannelError::Delivery(error)) => {
                    Err(Undelivered { messages, reason: UndeliveredReason::Delivery(error) })
                }
            });
        }
    }

    /// Returns `true` if a batch waits for the transport or for others in flight: back-pressure.
    pub(super) const fn has_unsent(&self) -> bool {
        self.unsent > 0
    }

    /// Returns `true` if every batch has an outcome, except that outcomes may have to be returned.
    pub(super) const fn is_idle(&self) -> bool {
        self.order.pending() == 0
    }

    /// Returns `true` if every outcome was returned, too.
    pub(super) fn is_finished(&self) -> bool {
        self.order.is_empty()
    }

    /// Returns the number of batches that the transport has accepted, without an outcome.
    pub(super) const fn in_flight(&self) -> usize {
        self.order.pending() - self.unsent
    }

    /// Returns the messages of the batches that the transport has not accepted, those of a partition in order: what was
    /// refused, also if that outcome was not returned yet, and what waits.
    pub(super) fn into_unsent(mut self) -> Vec<M> {
        let mut complete: Vec<_> = iter::from_fn(|| self.order.pop()).collect();
        let mut context = Context::from_waker(Waker::noop());
        while let Poll::Ready((id, result)) = self.channel.poll_outcome(&mut context) {
            complete.extend(self.order.complete(ChannelBatchId(id), result));
            complete.extend(iter::from_fn(|| self.order.pop()));
        }
        let mut unaccepted = self.channel.unaccepted();
        unaccepted.extend(self.waiting.iter().map(|batch| batch.id));
        unaccepted.sort_unstable();
        let is_refused = |result: &ChannelOutcome| matches!(result, Err(ChannelError::Send(_)));
        let refused = complete.into_iter().filter(|(_, result)| is_refused(result)).map(|(messages, _)| messages);
        let rest = self.order.into_each().filter_map(|(ChannelBatchId(id), messages, result)| {
            let is_unsent = result.as_ref().map_or_else(|| unaccepted.binary_search(&id).is_ok(), is_refused);
            is_unsent.then_some(messages)
        });
        refused.chain(rest).flatten().collect()
    }
}

impl<T, M> fmt::Debug for BatchSender<'_, T, M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BatchSender").field("topic", &self.topic).field("unsent", &self.unsent).finish_non_exhaustive()
    }
}
