//! Functions of the application that a producer calls: observers, and what adds headers to messages.

use kafka_batch_core::observer::Observer;
use kafka_batch_core::record::EncodedHeaders;

use super::ProducerBuilder;
use crate::injector::HeaderInjector;

impl<R> ProducerBuilder<R> {
    /// Adds an observer of batches: see [`kafka_batch_core::observer`]. Several are called in the order in which they were added.
    ///
    /// ```
    /// use kafka_batch_core::observer::{BatchToSeal, Observer};
    /// use kafka_batch_core::{Delivery, DeliveryError};
    /// use kafka_batch_transport::ProducerBuilder;
    ///
    /// /// Prints the outcome of each batch.
    /// struct Print;
    ///
    /// impl Observer for Print {
    ///     type Batch = ();
    ///
    ///     fn before_seal(&self, _batch: &BatchToSeal<'_>) {}
    ///
    ///     fn on_acknowledgement(&self, (): (), delivery: &Delivery) {
    ///         println!("{} records for {}", delivery.record_count(), delivery.topic_partition());
    ///     }
    ///
    ///     fn on_failure(&self, (): (), error: &DeliveryError) {
    ///         eprintln!("{error}");
    ///     }
    /// }
    ///
    /// # fn builder<R>(builder: ProducerBuilder<R>) -> ProducerBuilder<R> {
    /// builder.observer(Print)
    /// # }
    /// ```
    pub fn observer(mut self, observer: impl Observer) -> Self {
        self.observers.push(observer);
        self
    }

    /// Sets a function that adds headers to messages, such as `traceparent` and `tracestate` of the current trace (W3C Trace
    /// Context). Its arguments are the topic and the headers, which are empty. Default: none are added.
    ///
    /// It is called in the task that sends, once for each message that is passed to [`send`] or [`enqueue`], and once for the
    /// messages of one [`Publish`](kafka_batch_core::Publish). The message's own headers, and those of the call, replace added
    /// ones of the same name. Batches that the application has filled, and streams of messages, get no headers: they have those
    /// that they were filled with. If the function panics, the panic is caught, and the message has no added headers.
    ///
    /// ```
    /// use kafka_batch_core::Header;
    /// use kafka_batch_transport::ProducerBuilder;
    ///
    /// # fn traceparent() -> Option<String> { None }
    /// # fn builder<R>(builder: ProducerBuilder<R>) -> ProducerBuilder<R> {
    /// builder.inject_headers(|_topic, headers| {
    ///     if let Some(value) = traceparent() {
    ///         headers.push(Header::new("traceparent", &value)).expect("it is short");
    ///     }
    /// })
    /// # }
    /// ```
    ///
    /// [`send`]: crate::Producer::send
    /// [`enqueue`]: crate::Producer::enqueue
    pub fn inject_headers<F>(mut self, inject: F) -> Self
    where
        F: Fn(&str, &mut EncodedHeaders) + Send + Sync + 'static,
    {
        self.injector = HeaderInjector::new(inject);
        self
    }
}
