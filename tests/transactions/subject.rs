//! The transports whose transactions are tested.

use kafka_batch::transaction::{
    AbortError, BeginError, CommitError, GroupMetadata, InitTransactionsError, SendOffsetsError,
};
use kafka_batch::transports::rdkafka;
use kafka_batch::{RdkafkaProducer, Record, TokioProducer, TopicPartition};
use kafka_batch_transport as common;

use super::broker::Kafka;

/// A producer of transactions.
pub(crate) trait Subject: Sized {
    /// The transport.
    const NAME: &'static str;
    /// An open transaction.
    type Open<'p>: Open
    where
        Self: 'p;

    async fn build(kafka: &Kafka, id: &str) -> Result<Self, InitTransactionsError>;
    async fn begin(&mut self) -> Result<Self::Open<'_>, BeginError>;
    async fn close(self);

    async fn producer(kafka: &Kafka, id: &str) -> Self {
        Self::build(kafka, id).await.unwrap_or_else(|error| panic!("{}: {error}", Self::NAME))
    }
}

/// An open transaction.
pub(crate) trait Open: Sized {
    /// Sends a batch of one record, which may still be on its way.
    async fn send(&self, value: &str, to: TopicPartition);
    /// Sends a batch of one record, and waits until it is in the log.
    async fn write(&self, value: &str, to: TopicPartition);
    /// Sends a message.
    async fn message(&self, value: &str, to: &TopicPartition);
    async fn send_offsets(
        &self,
        group: &GroupMetadata,
        offsets: Vec<(TopicPartition, i64)>,
    ) -> Result<(), SendOffsetsError>;
    async fn commit(self) -> Result<(), CommitError>;
    async fn abort(self) -> Result<(), AbortError>;
}

/// Implements both traits for the types of a transport, which have the same methods.
macro_rules! subject {
    ($name:literal, $producer:ty, $transaction:ident, $error:ident, $builder:expr) => {
        impl Subject for $producer {
            const NAME: &'static str = $name;
            type Open<'p> = $transaction<'p>;

            async fn build(kafka: &Kafka, id: &str) -> Result<Self, InitTransactionsError> {
                let mut builder = $builder
                    .set("bootstrap.servers", &kafka.address)
                    .set("socket.connection.setup.timeout.ms", "1000")
                    .set("transaction.timeout.ms", "60000")
                    .transactional_id(id);
                if let Some(version) = kafka.fallback() {
                    builder = builder.set("broker.version.fallback", version);
                }
                match builder.build_transactional().await {
                    Ok(producer) => Ok(producer),
                    Err($error::Init(error)) => Err(error),
                    Err(error) => panic!("{error}"),
                }
            }

            async fn begin(&mut self) -> Result<Self::Open<'_>, BeginError> {
                <$producer>::begin(self).await
            }

            async fn close(self) {
                <$producer>::close(self).await.unwrap();
            }
        }

        impl Open for $transaction<'_> {
            async fn send(&self, value: &str, to: TopicPartition) {
                let mut batch = self.batch();
                assert!(!batch.append(Record::new(value)).unwrap().is_full());
                drop(self.send_batch(batch, to).await.unwrap());
            }

            async fn write(&self, value: &str, to: TopicPartition) {
                let mut batch = self.batch();
                assert!(!batch.append(Record::new(value)).unwrap().is_full());
                let pending = self.send_batch(batch, to).await.unwrap();
                pending.await.unwrap();
            }

            async fn message(&self, value: &str, to: &TopicPartition) {
                <$transaction<'_>>::send(self, to, Record::new(value)).await.unwrap();
            }

            async fn send_offsets(
                &self,
                group: &GroupMetadata,
                offsets: Vec<(TopicPartition, i64)>,
            ) -> Result<(), SendOffsetsError> {
                <$transaction<'_>>::send_offsets(self, group, offsets).await
            }

            async fn commit(self) -> Result<(), CommitError> {
                <$transaction<'_>>::commit(self).await
            }

            async fn abort(self) -> Result<(), AbortError> {
                <$transaction<'_>>::abort(self).await
            }
        }
    };
}

use common::{BuildTransactionalError as CommonError, Transaction as CommonTransaction};
use rdkafka::{BuildTransactionalError as RdkafkaError, Transaction as RdkafkaTransaction};

subject!("tokio", common::TransactionalProducer, CommonTransaction, CommonError, TokioProducer::builder());
// Requests are repeated late, so that an error of the coordinator answers the first request for certain.
subject!(
    "rdkafka",
    rdkafka::TransactionalProducer,
    RdkafkaTransaction,
    RdkafkaError,
    RdkafkaProducer::builder().set("retry.backoff.ms", "1000").set("retry.backoff.max.ms", "1000")
);
