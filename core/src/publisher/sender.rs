//! Sends batches one after another over a transport, and collects their outcomes.

use alloc::boxed::Box;
use alloc::collections::VecDeque;
use alloc::vec::Vec;
use core::future::Future;
use core::pin::Pin;
use core::task::{Context, Poll};

use futures_core::Stream;
use futures_util::future::{Join, Ready, join, ready};
use futures_util::stream::FuturesUnordered;

use super::outcome::{Published, Undelivered, UndeliveredReason};
use super::outcome_order::{BatchId, OutcomeOrder};
use crate::delivery::Delivery;
use crate::record::TopicPartition;
use crate::send_error::SendError;
use crate::stream::PartitionBatch;
use crate::transport::Transport;

/// The batches that one call of [`BatchSender::poll`] sends at most.
const SENT_PER_POLL: usize = 64;

/// The outcome of a batch, or of a message that is in no batch.
pub(super) type Outcome<M> = Result<Published<M>, Undelivered<M>>;

type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Batches on their way: those that wait to be sent, the one that the transport has not accepted yet, and those in flight.
///
/// The transport gets a batch only when it has accepted the one before, so that batches are sent in order.
pub(super) struct BatchSender<'a, T: Transport, M> {
    transport: &'a T,
    topic: &'a str,
    max_in_flight: usize,
    waiting: VecDeque<(PartitionBatch, Vec<M>)>,
    sending: Option<Sending<'a, T, M>>,
    /// Each is polled only when it was woken, so that the cost of an outcome does not grow with the number in flight.
    in_flight: FuturesUnordered<Join<Ready<BatchId>, T::Pending>>,
    order: OutcomeOrder<Vec<M>, Result<Delivery, UndeliveredReason>>,
}

struct Sending<'a, T: Transport, M> {
    partition: i32,
    messages: Vec<M>,
    accepted: BoxFuture<'a, Result<T::Pending, SendError>>,
}

impl<'a, T: Transport, M> BatchSender<'a, T, M> {
    pub(super) fn new(transport: &'a T, topic: &'a str) -> Self {
        Self {
            transport,
            topic,
            max_in_flight: usize::MAX,
            waiting: VecDeque::new(),
            sending: None,
            in_flight: FuturesUnordered::new(),
            order: OutcomeOrder::new(),
        }
    }

    pub(super) fn set_max_in_flight(&mut self, batches: usize) {
        self.max_in_flight = batches.max(1);
    }

    pub(super) const fn transport(&self) -> &'a T {
        self.transport
    }

    pub(super) const fn topic(&self) -> &'a str {
        self.topic
    }

    /// Adds a batch to be sent, with its messages.
    pub(super) fn push(&mut self, batch: PartitionBatch, messages: Vec<M>) {
        debug_assert_eq!(batch.batch.record_count(), messages.len());
        self.waiting.push_back((batch, messages));
    }

    /// Sends batches and collects outcomes. Returns `true` if anything has changed, and another call may change more.
    pub(super) fn poll(&mut self, context: &mut Context<'_>) -> bool {
        let mut changed = self.poll_in_flight(context);
        for _ in 0..SENT_PER_POLL {
            if !self.poll_sending(context) {
                return changed;
            }
            changed = true;
            self.poll_in_flight(context); // the new one is not woken before it was polled
        }
        true
    }

    /// Removes and returns the next outcome.
    pub(super) fn pop(&mut self) -> Option<Outcome<M>> {
        let (messages, result) = self.order.pop()?;
        Some(match result {
            Ok(delivery) => Ok(Published { messages, delivery }),
            Err(reason) => Err(Undelivered { messages, reason }),
        })
    }

    /// Returns `true` if a batch waits for the transport or for others in flight: back-pressure.
    pub(super) fn has_unsent(&self) -> bool {
        self.sending.is_some() || !self.waiting.is_empty()
    }

    /// Returns `true` if every batch has an outcome.
    pub(super) fn is_idle(&self) -> bool {
        !self.has_unsent() && self.order.in_flight() == 0
    }

    /// Returns `true` if every outcome was returned, too.
    pub(super) fn is_finished(&self) -> bool {
        !self.has_unsent() && self.order.is_empty()
    }

    /// Returns the number of batches that the transport has accepted, without an outcome.
    pub(super) const fn in_flight(&self) -> usize {
        self.order.in_flight()
    }

    /// Returns the messages of the batches that the transport has not accepted, in order.
    pub(super) fn into_unsent(self) -> Vec<M> {
        let refused =
            self.order.into_each().filter(|(_, result)| matches!(result, Some(Err(UndeliveredReason::Send(_)))));
        let refused = refused.map(|(messages, _)| messages);
        let sending = self.sending.into_iter().map(|sending| sending.messages);
        let waiting = self.waiting.into_iter().map(|(_, messages)| messages);
        refused.chain(sending).chain(waiting).flatten().collect()
    }

    fn poll_in_flight(&mut self, context: &mut Context<'_>) -> bool {
        let mut changed = false;
        while let Poll::Ready(Some((batch, result))) = Pin::new(&mut self.in_flight).poll_next(context) {
            let result = result.map_err(|error| UndeliveredReason::Delivery(Box::new(error)));
            self.order.complete(batch, result);
            changed = true;
        }
        changed
    }

    /// Offers the next batch to the transport. Returns `true` if it was accepted or refused.
    fn poll_sending(&mut self, context: &mut Context<'_>) -> bool {
        if self.sending.is_none() && self.order.in_flight() < self.max_in_flight {
            self.sending = self.waiting.pop_front().map(|(PartitionBatch { partition, batch, .. }, messages)| {
                let to = TopicPartition::new(self.topic, partition);
                Sending { partition, messages, accepted: Box::pin(self.transport.send_batch(batch, to)) }
            });
        }
        let Some(sending) = &mut self.sending else { return false };
        let Poll::Ready(accepted) = sending.accepted.as_mut().poll(context) else { return false };
        let Some(Sending { partition, messages, .. }) = self.sending.take() else { return false };
        let batch = self.order.add(partition, messages);
        match accepted {
            Ok(pending) => self.in_flight.push(join(ready(batch), pending)),
            Err(error) => self.order.complete(batch, Err(UndeliveredReason::Send(Box::new(error)))),
        }
        true
    }
}
