//! [`BoxTransport`]: a transport without its type.

use alloc::boxed::Box;
use alloc::sync::Arc;
use core::fmt;
use core::future::Future;
use core::num::NonZeroU32;
use core::pin::Pin;
use core::task::{Context, Poll};

use super::{BatchChannel, Capabilities, Transport};
use crate::batch::KafkaBatch;
use crate::delivery::Delivery;
use crate::failure::DeliveryError;
use crate::headers::EncodedHeaders;
use crate::outgoing::Message;
use crate::publish::{PreparedBatch, Publish, PublishError};
use crate::record::TopicPartition;
use crate::send_error::{FlushError, SendError, SendErrorReason};

type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// A [`Transport`] of any type, made by [`Transport::boxed`]. It is a transport itself.
///
/// A cheap handle: clones share one transport.
#[derive(Clone)]
pub struct BoxTransport(Arc<dyn DynTransport>);

impl BoxTransport {
    pub(crate) fn new<T>(transport: T) -> Self
    where
        T: Transport + Send + 'static,
        T::Pending: 'static,
    {
        Self(Arc::new(transport))
    }

    /// Returns what the transport guarantees.
    #[must_use]
    pub fn capabilities(&self) -> Capabilities {
        self.0.capabilities()
    }

    /// Creates an empty batch, as [`Transport::batch`].
    #[must_use]
    pub fn batch(&self) -> KafkaBatch {
        self.0.batch()
    }

    /// Creates an empty batch for the records of one partition, as [`Transport::keyed_batch`].
    ///
    /// # Errors
    /// The topic does not exist, or no broker responds.
    pub async fn keyed_batch(&self, topic: &str) -> Result<KafkaBatch, SendErrorReason> {
        self.0.keyed_batch(topic).await
    }

    /// Returns the number of partitions of a topic.
    ///
    /// # Errors
    /// The topic does not exist, or no broker responds.
    pub async fn partition_count(&self, topic: &str) -> Result<NonZeroU32, SendErrorReason> {
        self.0.partition_count(topic).await
    }

    /// Returns the current sticky partition of a topic, as [`Transport::pick_partition`].
    ///
    /// # Errors
    /// The topic does not exist, or no broker responds.
    pub async fn pick_partition(&self, topic: &str) -> Result<i32, SendErrorReason> {
        self.0.pick_partition(topic).await
    }

    /// Sends a batch to this partition, as [`Transport::send_batch`].
    ///
    /// # Errors
    /// The batch was not accepted. Nothing of it was sent, and the error has the batch.
    pub async fn send_batch(&self, batch: KafkaBatch, to: TopicPartition) -> Result<BoxPending, SendError> {
        self.0.send_batch(batch, to).await
    }

    /// Publishes a batch, messages, or both, and waits for the acknowledgement, as [`Transport::publish_batch`].
    ///
    /// # Errors
    /// The messages overflow the batch, it was not accepted, or its delivery failed. The error has the batch.
    pub async fn publish_batch<M: Message + Sync>(&self, publish: Publish<'_, M>) -> Result<Delivery, PublishError> {
        Transport::publish_batch(self, publish).await
    }

    /// Publishes, and returns when the batch is accepted, as [`Transport::publish_batch_no_confirm`].
    ///
    /// # Errors
    /// The messages overflow the batch, or it was not accepted. The error has the batch.
    pub async fn publish_batch_no_confirm<M: Message + Sync>(
        &self,
        publish: Publish<'_, M>,
    ) -> Result<BoxPending, PublishError> {
        Transport::publish_batch_no_confirm(self, publish).await
    }

    /// Waits until every batch that was accepted before this call is delivered or has failed.
    ///
    /// # Errors
    /// As [`Transport::flush`].
    pub async fn flush(&self) -> Result<(), FlushError> {
        self.0.flush().await
    }

    /// Closes the producer: accepts no further batches, and waits for those that were accepted.
    ///
    /// # Errors
    /// As [`Transport::flush`]. The producer is closed even if this returns an error.
    pub async fn close(&self) -> Result<(), FlushError> {
        self.0.close().await
    }

    /// Closes the producer without waiting for responses, as [`Transport::close_at_once`].
    ///
    /// # Errors
    /// As [`Transport::flush`]. The producer is closed even if this returns an error.
    pub async fn close_at_once(&self) -> Result<(), FlushError> {
        self.0.close_at_once().await
    }
}

impl fmt::Debug for BoxTransport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BoxTransport").field("capabilities", &self.0.capabilities()).finish_non_exhaustive()
    }
}

/// A batch in flight over a [`BoxTransport`]: its [`Transport::Pending`].
#[must_use = "it completes with the outcome of the batch; drop it where that does not matter"]
pub struct BoxPending(BoxFuture<'static, Result<Delivery, DeliveryError>>);

impl Future for BoxPending {
    type Output = Result<Delivery, DeliveryError>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        self.0.as_mut().poll(context)
    }
}

impl fmt::Debug for BoxPending {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BoxPending").finish_non_exhaustive()
    }
}

/// The methods of [`Transport`] that have no type parameters, with allocated futures.
trait DynTransport: Send + Sync {
    fn capabilities(&self) -> Capabilities;
    fn batch(&self) -> KafkaBatch;
    fn keyed_batch<'a>(&'a self, topic: &'a str) -> BoxFuture<'a, Result<KafkaBatch, SendErrorReason>>;
    fn partition_count<'a>(&'a self, topic: &'a str) -> BoxFuture<'a, Result<NonZeroU32, SendErrorReason>>;
    fn pick_partition<'a>(&'a self, topic: &'a str) -> BoxFuture<'a, Result<i32, SendErrorReason>>;
    fn send_batch(&self, batch: KafkaBatch, to: TopicPartition) -> BoxFuture<'_, Result<BoxPending, SendError>>;
    fn send_prepared(&self, prepared: PreparedBatch) -> BoxFuture<'_, Result<BoxPending, SendError>>;
    fn injected_headers(&self, topic: &str) -> EncodedHeaders;
    fn channel<'a>(&'a self, topic: &'a str) -> Box<dyn BatchChannel + 'a>;
    fn flush(&self) -> BoxFuture<'_, Result<(), FlushError>>;
    fn close(&self) -> BoxFuture<'_, Result<(), FlushError>>;
    fn close_at_once(&self) -> BoxFuture<'_, Result<(), FlushError>>;
}

impl<T> DynTransport for T
where
    T: Transport + Send,
    T::Pending: 'static,
{
    fn capabilities(&self) -> Capabilities {
        Transport::capabilities(self)
    }

    fn batch(&self) -> KafkaBatch {
        Transport::batch(self)
    }

    fn keyed_batch<'a>(&'a self, topic: &'a str) -> BoxFuture<'a, Result<KafkaBatch, SendErrorReason>> {
        Box::pin(Transport::keyed_batch(self, topic))
    }

    fn partition_count<'a>(&'a self, topic: &'a str) -> BoxFuture<'a, Result<NonZeroU32, SendErrorReason>> {
        Box::pin(Transport::partition_count(self, topic))
    }

    fn pick_partition<'a>(&'a self, topic: &'a str) -> BoxFuture<'a, Result<i32, SendErrorReason>> {
        Box::pin(Transport::pick_partition(self, topic))
    }

    fn send_batch(&self, batch: KafkaBatch, to: TopicPartition) -> BoxFuture<'_, Result<BoxPending, SendError>> {
        Box::pin(async move {
            let pending = Transport::send_batch(self, batch, to).await?;
            Ok(BoxPending(Box::pin(pending)))
        })
    }

    fn send_prepared(&self, prepared: PreparedBatch) -> BoxFuture<'_, Result<BoxPending, SendError>> {
        Box::pin(async move {
            let pending = Transport::send_prepared(self, prepared).await?;
            Ok(BoxPending(Box::pin(pending)))
        })
    }

    fn injected_headers(&self, topic: &str) -> EncodedHeaders {
        Transport::injected_headers(self, topic)
    }

    fn channel<'a>(&'a self, topic: &'a str) -> Box<dyn BatchChannel + 'a> {
        Transport::channel(self, topic)
    }

    fn flush(&self) -> BoxFuture<'_, Result<(), FlushError>> {
        Box::pin(Transport::flush(self))
    }

    fn close(&self) -> BoxFuture<'_, Result<(), FlushError>> {
        Box::pin(Transport::close(self))
    }

    fn close_at_once(&self) -> BoxFuture<'_, Result<(), FlushError>> {
        Box::pin(Transport::close_at_once(self))
    }
}

impl Transport for BoxTransport {
    type Pending = BoxPending;

    fn capabilities(&self) -> Capabilities {
        self.capabilities()
    }

    fn batch(&self) -> KafkaBatch {
        self.batch()
    }

    async fn keyed_batch(&self, topic: &str) -> Result<KafkaBatch, SendErrorReason> {
        self.keyed_batch(topic).await
    }

    async fn partition_count(&self, topic: &str) -> Result<NonZeroU32, SendErrorReason> {
        self.partition_count(topic).await
    }

    async fn pick_partition(&self, topic: &str) -> Result<i32, SendErrorReason> {
        self.pick_partition(topic).await
    }

    async fn send_batch(&self, batch: KafkaBatch, to: TopicPartition) -> Result<BoxPending, SendError> {
        self.send_batch(batch, to).await
    }

    async fn send_prepared(&self, prepared: PreparedBatch) -> Result<BoxPending, SendError> {
        self.0.send_prepared(prepared).await
    }

    fn injected_headers(&self, topic: &str) -> EncodedHeaders {
        self.0.injected_headers(topic)
    }

    fn channel<'a>(&'a self, topic: &'a str) -> Box<dyn BatchChannel + 'a> {
        self.0.channel(topic)
    }

    async fn flush(&self) -> Result<(), FlushError> {
        self.flush().await
    }

    async fn close(&self) -> Result<(), FlushError> {
        self.close().await
    }

    async fn close_at_once(&self) -> Result<(), FlushError> {
        self.close_at_once().await
    }
}
