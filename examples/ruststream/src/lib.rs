//! A RustStream service whose handler publishes through a `KafkaBatch`, and decides itself what happens when it is full.
//!
//! ```console
//! cargo test --manifest-path examples/ruststream/Cargo.toml
//! ```

pub mod kafka;

use std::error::Error;
use std::mem;

use kafka_batch::{Record, TopicPartition, Transport};
use ruststream::memory::prelude::*;
use serde::{Deserialize, Serialize};

use crate::kafka::{KafkaBatches, KafkaPublish};

#[derive(Debug, Deserialize, Serialize, Outgoing)]
pub struct Order {
    pub id: u64,
    pub customer: String,
}

#[derive(Debug, Deserialize, Serialize, Outgoing)]
pub struct Announcement {
    pub text: String,
}

/// Confirms orders, in as few Kafka batches as hold them.
#[subscriber("orders")]
async fn confirm(orders: &[Order], Out(kafka): Out<impl KafkaBatches>) -> HandlerOutcome {
    match confirm_all(kafka, orders).await {
        Ok(()) => HandlerOutcome::ack(),
        Err(error) => {
            eprintln!("{error}");
            HandlerOutcome::retry()
        }
    }
}

async fn confirm_all<K: KafkaBatches + Sync>(kafka: &K, orders: &[Order]) -> Result<(), Box<dyn Error + Send + Sync>> {
    let to = TopicPartition::new("confirmations", 0);
    let (mut batch, mut pending) = (kafka.batch(), Vec::new());
    for order in orders {
        let confirmation = serde_json::to_vec(order)?;
        let record = Record::new(&confirmation).key(&order.customer);
        if batch.append(record)?.is_full() {
            // The batch is unchanged. This handler sends it and continues with an empty one, which always takes a record that is
            // within the hard limit; another one could wait, drop what is old, or return the rest.
            let next = batch.next_batch();
            pending.push(kafka.send_batch(mem::replace(&mut batch, next), to.clone()).await?);
            if batch.append(record)?.is_full() {
                return Err(format!("order {} is too large for any batch", order.id).into());
            }
        }
    }
    if !batch.is_empty() {
        pending.push(kafka.send_batch(batch, to).await?);
    }
    for outcome in pending {
        outcome.await?;
    }
    Ok(())
}

/// A handler that knows nothing of batches.
#[subscriber("news")]
async fn announce(news: &Announcement, Out(out): Out<impl Publisher>) -> HandlerOutcome {
    match out.message(news).to("announcements").publish().await {
        Ok(()) => HandlerOutcome::ack(),
        Err(_) => HandlerOutcome::retry(),
    }
}

/// Returns the service. Its input comes from RustStream's broker in memory; in production from another one, such as that of
/// `ruststream-rdkafka`.
pub fn app<T>(broker: MemoryBroker, transport: T) -> impl App
where
    T: Transport + Clone + Send + 'static,
    T::Pending: 'static,
{
    RustStream::new(AppInfo::new("orders", "0.1.0")).with_broker(broker, |b| {
        b.include(confirm.batch(nonzero!(64))).out(DefaultSlot, KafkaPublish(transport.clone())).build();
        b.include(announce).out(DefaultSlot, KafkaPublish(transport)).build();
    })
}
