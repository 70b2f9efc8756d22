//! Sending many batches in order, and collecting their outcomes, without a future for each in the caller.

use alloc::boxed::Box;
use alloc::collections::VecDeque;
use alloc::vec::Vec;
use core::future::Future;
use core::pin::Pin;
use core::task::{Context, Poll};

use futures_core::Stream;
use futures_util::future::{Join, Ready, join, ready};
use futures_util::stream::FuturesUnordered;

use super::Transport;
use crate::batch::KafkaBatch;
use crate::delivery::Delivery;
use crate::failure::DeliveryError;
use crate::record::TopicPartition;
use crate::send_error::SendError;

/// A batch to be sent through a [`BatchChannel`].
#[derive(Debug)]
// Exhaustive on purpose: implementations make and match it.
pub struct ChannelBatch {
    /// Identifies the batch in its outcome. The caller chooses it.
    pub id: u64,
    /// The partition.
    pub partition: i32,
    /// The batch.
    pub batch: KafkaBatch,
}

/// The outcome of a batch that was passed to a [`BatchChannel`].
pub type ChannelOutcome = Result<Delivery, ChannelError>;

/// Why a batch that was passed to a [`BatchChannel`] was not delivered.
#[derive(Debug, thiserror::Error)]
// Exhaustive on purpose: a batch is not accepted, or its delivery fails.
pub enum ChannelError {
    /// The batch was not accepted. Nothing of it was sent. The error has the batch.
    #[error(transparent)]
    Send(Box<SendError>),
    /// The batch was accepted, and its delivery failed. The error has the batch and the fate of each record.
    #[error(transparent)]
    Delivery(Box<DeliveryError>),
}

/// Sends batches to the partitions of one topic, in order, and returns the outcome of each. Created by
/// [`Transport::channel`].
///
/// The same as calling [`Transport::send_batch`] for one batch after the other and awaiting all the handles, for callers with so
/// many batches that a future for each takes a noticeable time. Dropping it drops the batches that are not accepted, and discards
/// the outcomes of those that are.
pub trait BatchChannel: Send {
    /// Removes batches from the front and sends them, until `limit` of them are accepted or refused, or none is left
    /// (ready), or the next one has to wait, as for memory (pending). Does not wait for outcomes.
    fn poll_send(&mut self, batches: &mut VecDeque<ChannelBatch>, limit: usize, context: &mut Context<'_>) -> Poll<()>;

    /// Returns the ids of the batches that were removed and are neither accepted nor refused, in order.
    fn unaccepted(&self) -> Vec<u64>;

    /// Returns the number of [`unaccepted`](Self::unaccepted) batches.
    fn unaccepted_count(&self) -> usize {
        self.unaccepted().len()
    }

    /// Returns the next outcome, with the id of its batch. Outcomes are in any order. Pending while there is none.
    fn poll_outcome(&mut self, context: &mut Context<'_>) -> Poll<(u64, ChannelOutcome)>;
}

/// A channel over any transport: a future for each batch.
pub(super) struct FutureChannel<'a, T: Transport> {
    transport: &'a T,
    topic: &'a str,
    /// The batch that the transport has not accepted yet.
    sending: Option<(u64, Sending<'a, T>)>,
    /// Each is polled only when it was woken, so that the cost of an outcome does not grow with the number in flight.
    in_flight: FuturesUnordered<Join<Ready<u64>, T::Pending>>,
    refused: VecDeque<(u64, Box<SendError>)>,
}

type Sending<'a, T> = Pin<Box<dyn Future<Output = Result<<T as Transport>::Pending, SendError>> + Send + 'a>>;

impl<'a, T: Transport> FutureChannel<'a, T> {
    pub(super) fn new(transport: &'a T, topic: &'a str) -> Self {
        let (in_flight, refused) = (FuturesUnordered::new(), VecDeque::new());
        Self { transport, topic, sending: None, in_flight, refused }
    }
}

impl<T: Transport> BatchChannel for FutureChannel<'_, T> {
    fn poll_send(&mut self, batches: &mut VecDeque<ChannelBatch>, limit: usize, context: &mut Context<'_>) -> Poll<()> {
        for _ in 0..limit {
            let (id, mut accepted) = match self.sending.take() {
                Some(sending) => sending,
                None => {
                    let Some(ChannelBatch { id, partition, batch }) = batches.pop_front() else { break };
                    let to = TopicPartition::new(self.topic, partition);
                    (id, Box::pin(self.transport.send_batch(batch, to)) as Sending<'_, T>)
                }
            };
            match accepted.as_mut().poll(context) {
                Poll::Ready(Ok(pending)) => self.in_flight.push(join(ready(id), pending)),
                Poll::Ready(Err(error)) => self.refused.push_back((id, Box::new(error))),
                Poll::Pending => {
                    self.sending = Some((id, accepted));
                    return Poll::Pending;
                }
            }
        }
        Poll::Ready(())
    }

    fn unaccepted(&self) -> Vec<u64> {
        self.sending.iter().map(|(id, _)| *id).collect()
    }

    fn unaccepted_count(&self) -> usize {
        usize::from(self.sending.is_some())
    }

    fn poll_outcome(&mut self, context: &mut Context<'_>) -> Poll<(u64, ChannelOutcome)> {
        if let Some((id, error)) = self.refused.pop_front() {
            return Poll::Ready((id, Err(ChannelError::Send(error))));
        }
        match Pin::new(&mut self.in_flight).poll_next(context) {
            Poll::Ready(Some((id, result))) => {
                Poll::Ready((id, result.map_err(|error| ChannelError::Delivery(Box::new(error)))))
            }
            Poll::Ready(None) | Poll::Pending => Poll::Pending,
        }
    }
}
