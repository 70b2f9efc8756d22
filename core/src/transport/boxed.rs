//! [`BoxTransport`]: a transport without its type.

use alloc::boxed::Box;
use alloc::sync::Arc;
use core::fmt;
use core::future::Future;
use core::num::NonZeroU32;
use core::pin::Pin;
use core::task::{Context, Poll};

use super::{Capabilities, Transport};
use crate::batch::KafkaBatch;
use crate::delivery::Delivery;
use crate::failure::DeliveryError;
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
        self.0.capabilities()
    }

    fn batch(&self) -> KafkaBatch {
        self.0.batch()
    }

    async fn keyed_batch(&self, topic: &str) -> Result<KafkaBatch, SendErrorReason> {
        self.0.keyed_batch(topic).await
    }

    async fn partition_count(&self, topic: &str) -> Result<NonZeroU32, SendErrorReason> {
        self.0.partition_count(topic).await
    }

    async fn pick_partition(&self, topic: &str) -> Result<i32, SendErrorReason> {
        self.0.pick_partition(topic).await
    }

    async fn send_batch(&self, batch: KafkaBatch, to: TopicPartition) -> Result<BoxPending, SendError> {
        self.0.send_batch(batch, to).await
    }

    async fn flush(&self) -> Result<(), FlushError> {
        self.0.flush().await
    }

    async fn close(&self) -> Result<(), FlushError> {
        self.0.close().await
    }

    async fn close_at_once(&self) -> Result<(), FlushError> {
        self.0.close_at_once().await
    }
}
