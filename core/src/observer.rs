//! Observing what a producer does with its batches: what Java's producer has interceptors for, and franz-go hooks.
//!
//! An [`Observer`] is called before a batch is sealed, when it is acknowledged, and when it fails, and also for what happens
//! in between. `ProducerBuilder::observer` adds one to a producer; without any, nothing is called, allocated or counted.
//!
//! **It observes, and changes nothing.** A batch has its final records, offsets and size since they were appended, and its user
//! relies on them; another header would have it encoded again, perhaps beyond its limit. What interceptors change in records in
//! practice are headers, such as those of a trace. They belong to the message, before it is encoded: `ProducerBuilder::inject_headers`
//! adds headers to single messages and to those of [`Publish`](crate::Publish).
//!
//! ```
//! use std::sync::atomic::{AtomicU64, Ordering};
//! use std::time::Instant;
//!
//! use kafka_batch_core::observer::{BatchToSeal, Observer};
//! use kafka_batch_core::{Delivery, DeliveryError};
//!
//! /// Adds up the times from sealing to the acknowledgement.
//! #[derive(Default)]
//! struct Latency {
//!     batches: AtomicU64,
//!     failed: AtomicU64,
//!     micros: AtomicU64,
//! }
//!
//! impl Observer for Latency {
//!     type Batch = Instant; // kept with each batch from here to its outcome
//!
//!     fn before_seal(&self, _batch: &BatchToSeal<'_>) -> Instant {
//!         Instant::now()
//!     }
//!
//!     fn on_acknowledgement(&self, sealed: Instant, _delivery: &Delivery) {
//!         self.batches.fetch_add(1, Ordering::Relaxed);
//!         self.micros.fetch_add(sealed.elapsed().as_micros() as u64, Ordering::Relaxed);
//!     }
//!
//!     fn on_failure(&self, _sealed: Instant, _error: &DeliveryError) {
//!         self.failed.fetch_add(1, Ordering::Relaxed);
//!     }
//! }
//! ```

use alloc::sync::Arc;

use crate::batch::KafkaBatch;
use crate::delivery::Delivery;
use crate::failure::DeliveryError;
use crate::machine::{Change, Retry};

/// Observes the batches of a producer.
///
/// Its methods are called by tasks of the application and by the task of the producer, which sends nothing meanwhile: they must
/// not block. A panic in one of them is caught, after the panic hook has reported it; the observer is not called again for that
/// batch.
///
/// The trait is dyn-compatible: `dyn Observer<Batch = T>` is an observer, and so is an [`Arc`] of one.
pub trait Observer: Send + Sync + 'static {
    /// What the observer keeps with each batch until its outcome, such as a time or a span; `()` if nothing.
    ///
    /// It is dropped without a call if the batch is not accepted (then the caller has the error, and nothing was sent), or
    /// if it is lost because the producer's task has panicked.
    type Batch: Send + 'static;

    /// Called before a batch is sealed (over librdkafka: before its records are passed on), once for each batch, in the task
    /// that sends it. A batch of single messages is sealed in the task of the producer.
    fn before_seal(&self, batch: &BatchToSeal<'_>) -> Self::Batch;

    /// Called when a batch is sent, each time. Not over librdkafka.
    fn on_sent(&self, batch: &mut Self::Batch, sent: &Sent<'_>) {
        let _ = (batch, sent);
    }

    /// Called when an attempt to send a batch has failed, and it will be sent again. Not over librdkafka.
    fn on_retry(&self, batch: &mut Self::Batch, retry: &Retry) {
        let _ = (batch, retry);
    }

    /// Called once for each change of the cluster or of the producer. Not over librdkafka.
    fn on_change(&self, change: &Change) {
        let _ = change;
    }

    /// Called for each batch without an outcome that a change concerns: those for the partition whose leader has changed, those
    /// for partitions that the throttling broker leads, and all when the producer id changes. Not over librdkafka.
    fn on_change_during(&self, batch: &mut Self::Batch, change: &Change) {
        let _ = (batch, change);
    }

    /// Called when a batch is in the log (with `acks=0`: was sent), before its sender knows.
    fn on_acknowledgement(&self, batch: Self::Batch, delivery: &Delivery) {
        let _ = (batch, delivery);
    }

    /// Called when an accepted batch has failed for good, before its sender knows.
    fn on_failure(&self, batch: Self::Batch, error: &DeliveryError) {
        let _ = (batch, error);
    }
}

/// A batch that is about to be sealed.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct BatchToSeal<'a> {
    /// The topic.
    pub topic: &'a str,
    /// The partition.
    pub partition: i32,
    /// The batch, with all its records.
    pub batch: &'a KafkaBatch,
    /// `client.id` of the producer.
    pub client_id: &'a str,
}

impl<'a> BatchToSeal<'a> {
    /// Creates the description of a batch, for transports.
    #[must_use]
    pub const fn new(topic: &'a str, partition: i32, batch: &'a KafkaBatch, client_id: &'a str) -> Self {
        Self { topic, partition, batch, client_id }
    }
}

/// An attempt to send a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Sent<'a> {
    /// The node id of the broker.
    pub broker: i32,
    /// The broker's host; empty if its connection has ended at the same time.
    pub host: &'a str,
    /// The broker's port.
    pub port: u16,
    /// How often the batch is sent with this, beginning with 1.
    pub attempt: u32,
}

impl<'a> Sent<'a> {
    /// Creates the description of an attempt, for transports.
    #[must_use]
    pub const fn new(broker: i32, host: &'a str, port: u16, attempt: u32) -> Self {
        Self { broker, host, port, attempt }
    }
}

impl<O: Observer + ?Sized> Observer for Arc<O> {
    type Batch = O::Batch;

    fn before_seal(&self, batch: &BatchToSeal<'_>) -> Self::Batch {
        (**self).before_seal(batch)
    }

    fn on_sent(&self, batch: &mut Self::Batch, sent: &Sent<'_>) {
        (**self).on_sent(batch, sent);
    }

    fn on_retry(&self, batch: &mut Self::Batch, retry: &Retry) {
        (**self).on_retry(batch, retry);
    }

    fn on_change(&self, change: &Change) {
        (**self).on_change(change);
    }

    fn on_change_during(&self, batch: &mut Self::Batch, change: &Change) {
        (**self).on_change_during(batch, change);
    }

    fn on_acknowledgement(&self, batch: Self::Batch, delivery: &Delivery) {
        (**self).on_acknowledgement(batch, delivery);
    }

    fn on_failure(&self, batch: Self::Batch, error: &DeliveryError) {
        (**self).on_failure(batch, error);
    }
}
