//! The outcome of one batch.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use kafka_batch_core::{Delivery, DeliveryError};

type Outcome = Result<Delivery, DeliveryError>;

/// A batch in flight over a [`MockTransport`](super::MockTransport). It completes with the outcome, once.
#[derive(Debug)]
#[must_use = "it completes with the outcome of the batch; drop it where that does not matter"]
pub struct MockPending(pub(super) Arc<Slot>);

#[derive(Debug, Default)]
pub(super) struct Slot(Mutex<Content>);

#[derive(Debug, Default)]
struct Content {
    outcome: Option<Outcome>,
    waker: Option<Waker>,
}

impl Slot {
    fn content(&self) -> MutexGuard<'_, Content> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Stores the outcome. Returns the waker of the task that waits for it.
    pub(super) fn fill(&self, outcome: Outcome) -> Option<Waker> {
        let mut content = self.content();
        content.outcome = Some(outcome);
        content.waker.take()
    }
}

impl Future for MockPending {
    type Output = Outcome;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Outcome> {
        let mut content = self.0.content();
        match content.outcome.take() {
            Some(outcome) => Poll::Ready(outcome),
            None => {
                content.waker = Some(context.waker().clone());
                Poll::Pending
            }
        }
    }
}
