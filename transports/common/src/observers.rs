//! Calls of observers, which are foreign code: a panic in one ends neither the producer's task nor the calls of the others.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use kafka_batch_core::machine::{Change, Retry};
use kafka_batch_core::observer::{BatchToSeal, Observer, Sent};
use kafka_batch_core::{Delivery, DeliveryError, KafkaBatch, TopicPartition};

/// The observers of a producer, in the order in which they are called.
#[derive(Clone, Default)]
pub struct Observers {
    client_id: Arc<str>,
    observers: Vec<Arc<dyn AnyObserver>>,
}

impl Observers {
    /// Appends an observer.
    pub fn push(&mut self, observer: impl Observer) {
        self.observers.push(Arc::new(observer));
    }

    /// Sets `client.id`.
    #[must_use]
    pub fn client_id(mut self, client_id: &str) -> Self {
        self.client_id = client_id.into();
        self
    }

    /// Returns `true` if there are no observers.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.observers.is_empty()
    }

    /// Calls [`Observer::before_seal`]. Returns what calls the observers about this batch.
    #[must_use]
    pub fn before_seal(&self, topic: &str, partition: i32, batch: &KafkaBatch) -> Observation {
        if self.is_empty() {
            return Observation::default();
        }
        self.observe(&BatchToSeal::new(topic, partition, batch, &self.client_id))
    }

    #[cold]
    fn observe(&self, batch: &BatchToSeal<'_>) -> Observation {
        let begin = |observer: &Arc<dyn AnyObserver>| {
            caught(|| Arc::clone(observer).before_seal(batch)).map(|batch| Observed(Some(batch)))
        };
        let observed: Vec<_> = self.observers.iter().filter_map(begin).collect();
        let to = TopicPartition::new(batch.topic, batch.partition);
        Observation(Some(Box::new(ObservedBatch { to, observed })))
    }

    /// Calls [`Observer::on_change`].
    pub(crate) fn on_change(&self, change: &Change) {
        for observer in &self.observers {
            caught(|| observer.on_change(change));
        }
    }
}

impl fmt::Debug for Observers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} observers", self.observers.len())
    }
}

/// The destructor of an observer is foreign code, too.
impl Drop for Observers {
    fn drop(&mut self) {
        while let Some(observer) = self.observers.pop() {
            caught(|| drop(observer));
        }
    }
}

/// Calls foreign code. `None` if it has panicked, which the panic hook has reported.
pub(crate) fn caught<T>(call: impl FnOnce() -> T) -> Option<T> {
    catch_unwind(AssertUnwindSafe(call)).ok()
}

/// Calls the observers about one batch, from [`Observers::before_seal`] to its outcome. Empty without observers.
#[derive(Default)]
pub struct Observation(Option<Box<ObservedBatch>>);

struct ObservedBatch {
    to: TopicPartition,
    observed: Vec<Observed>,
}

/// An observer and what it keeps with the batch, whose `drop` is foreign code, too. `None` once it was taken.
struct Observed(Option<Box<dyn AnyObserved>>);

impl Drop for Observed {
    fn drop(&mut self) {
        let observed = self.0.take();
        caught(|| drop(observed));
    }
}

impl Observation {
    pub(crate) fn on_sent(&mut self, sent: &Sent<'_>) {
        if let Some(batch) = &mut self.0 {
            batch.each(|observed| observed.on_sent(sent));
        }
    }

    pub(crate) fn on_retry(&mut self, retry: &Retry) {
        if let Some(batch) = &mut self.0 {
            batch.each(|observed| observed.on_retry(retry));
        }
    }

    pub(crate) fn on_change(&mut self, change: &Change) {
        if let Some(batch) = &mut self.0 {
            batch.each(|observed| observed.on_change(change));
        }
    }

    /// Returns the destination of the batch, if there are observers.
    pub(crate) fn destination(&self) -> Option<&TopicPartition> {
        self.0.as_ref().map(|batch| &batch.to)
    }

    /// Calls [`Observer::on_acknowledgement`] or [`Observer::on_failure`].
    pub fn complete(self, outcome: &Result<Delivery, DeliveryError>) {
        let Some(batch) = self.0 else { return };
        for mut observed in batch.observed {
            let observed = observed.0.take();
            caught(|| observed.map(|observed| observed.complete(outcome)));
        }
    }
}

impl ObservedBatch {
    /// Calls all observers. One that panics is not called again for this batch.
    fn each(&mut self, mut call: impl FnMut(&mut dyn AnyObserved)) {
        let mut index = 0;
        while let Some(observed) = self.observed.get_mut(index) {
            let called = caught(|| {
                if let Some(observed) = &mut observed.0 {
                    call(&mut **observed);
                }
            });
            if called.is_some() {
                index += 1;
            } else {
                drop(self.observed.remove(index));
            }
        }
    }
}

impl fmt::Debug for Observation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Observation({})", self.0.as_ref().map_or(0, |batch| batch.observed.len()))
    }
}

/// An [`Observer`] of any type.
trait AnyObserver: Send + Sync {
    fn before_seal(self: Arc<Self>, batch: &BatchToSeal<'_>) -> Box<dyn AnyObserved>;
    fn on_change(&self, change: &Change);
}

/// An [`Observer`] of any type with what it keeps of a batch.
trait AnyObserved: Send {
    fn on_sent(&mut self, sent: &Sent<'_>);
    fn on_retry(&mut self, retry: &Retry);
    fn on_change(&mut self, change: &Change);
    fn complete(self: Box<Self>, outcome: &Result<Delivery, DeliveryError>);
}

struct WithBatch<O: Observer> {
    observer: Arc<O>,
    batch: O::Batch,
}

impl<O: Observer> AnyObserver for O {
    fn before_seal(self: Arc<Self>, batch: &BatchToSeal<'_>) -> Box<dyn AnyObserved> {
        let batch = Observer::before_seal(&*self, batch);
        Box::new(WithBatch { observer: self, batch })
    }

    fn on_change(&self, change: &Change) {
        Observer::on_change(self, change);
    }
}

impl<O: Observer> AnyObserved for WithBatch<O> {
    fn on_sent(&mut self, sent: &Sent<'_>) {
        self.observer.on_sent(&mut self.batch, sent);
    }

    fn on_retry(&mut self, retry: &Retry) {
        self.observer.on_retry(&mut self.batch, retry);
    }

    fn on_change(&mut self, change: &Change) {
        self.observer.on_change_during(&mut self.batch, change);
    }

    fn complete(self: Box<Self>, outcome: &Result<Delivery, DeliveryError>) {
        let Self { observer, batch } = *self;
        match outcome {
            Ok(delivery) => observer.on_acknowledgement(batch, delivery),
            Err(error) => observer.on_failure(batch, error),
        }
    }
}
