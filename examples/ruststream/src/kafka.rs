//! kafka-batch as a publisher of RustStream: the policy [`KafkaPublish`] for an `Out` slot, the live [`KafkaPublisher`], and the
//! capability [`KafkaBatches`] for handlers that want the batch itself.

use std::future::Future;

use kafka_batch::message::OutgoingMessage as Message;
use kafka_batch::{Delivery, DeliveryError, KafkaBatch, Publish, PublishError, SendError, TopicPartition, Transport};

use ruststream::runtime::Slot;
use ruststream::{ConnectedBroker, Lend, OutgoingMessage, PairError, PublishPolicy, Publisher};

/// What a slot publishes through. It is the same whatever broker the handler reads from.
pub struct KafkaPublish<T>(pub T);

impl<C: ConnectedBroker, T: Transport + Send> PublishPolicy<C> for KafkaPublish<T> {
    type Live = KafkaPublisher<T>;

    async fn pair(self, _connected: &C) -> Result<Self::Live, PairError> {
        Ok(KafkaPublisher(self.0)) // the producer connects when something is sent
    }
}

/// The live publisher.
pub struct KafkaPublisher<T>(T);

/// One message is one batch, whose outcome is awaited.
impl<T: Transport + Send> Publisher for KafkaPublisher<T> {
    type Payload = Lend;
    type Error = PublishError;
    type Options = ();

    async fn publish(&self, message: OutgoingMessage<'_, &[u8]>, _: Option<&()>) -> Result<(), PublishError> {
        let mut one = Message::new(message.payload());
        for (name, value) in message.headers().iter() {
            one = one.header(name, value);
        }
        self.0.publish_batch(Publish::to(message.name()).messages(&[one])).await.map(drop)
    }
}

/// Batches that a handler fills and sends itself.
pub trait KafkaBatches {
    /// Completes with the outcome of a batch.
    type Pending: Future<Output = Result<Delivery, DeliveryError>> + Send;

    /// Returns an empty batch with the producer's settings.
    fn batch(&self) -> KafkaBatch;

    /// Sends a batch. Completes when it is accepted; while the producer's buffer is full, this waits.
    fn send_batch(
        &self,
        batch: KafkaBatch,
        to: TopicPartition,
    ) -> impl Future<Output = Result<Self::Pending, SendError>> + Send;
}

impl<T: Transport> KafkaBatches for KafkaPublisher<T> {
    type Pending = T::Pending;

    fn batch(&self) -> KafkaBatch {
        self.0.batch()
    }

    fn send_batch(
        &self,
        batch: KafkaBatch,
        to: TopicPartition,
    ) -> impl Future<Output = Result<Self::Pending, SendError>> + Send {
        self.0.send_batch(batch, to)
    }
}

/// What a handler holds is the slot.
impl<M, W: KafkaBatches, E, Pipe, Body> KafkaBatches for Slot<M, W, E, Pipe, Body> {
    type Pending = W::Pending;

    fn batch(&self) -> KafkaBatch {
        (**self).batch()
    }

    fn send_batch(
        &self,
        batch: KafkaBatch,
        to: TopicPartition,
    ) -> impl Future<Output = Result<Self::Pending, SendError>> + Send {
        (**self).send_batch(batch, to)
    }
}
