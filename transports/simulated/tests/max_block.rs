//! `max.block.ms` in simulated time: one call waits for metadata and for room, and both waits together are bounded.

use std::time::Duration;

use kafka_batch_core::error::BlockedOn;
use kafka_batch_core::{
    EnqueueErrorReason, KafkaBatch, Publish, PublishError, Record, SendErrorReason, SendMessageError, TopicPartition,
    Transport,
};
use kafka_batch_simulated::{FaultIntensity, SimulatedProducer, Simulation, World};
use kafka_batch_testing::{ApiKey, Fault, FaultKind};

const LIMIT: Duration = Duration::from_millis(500);
/// How long the metadata of `orders` takes to arrive.
const METADATA: Duration = Duration::from_millis(300);

fn batch(producer: &impl Transport) -> KafkaBatch {
    let mut batch = producer.batch();
    batch.extend([Record::new(&[b'x'; 300][..])]).unwrap();
    batch
}

/// Returns a producer whose buffer is full, and stays so.
async fn full(world: &World) -> SimulatedProducer {
    let settings = [("max.block.ms", "500"), ("buffer.memory", "500"), ("delivery.timeout.ms", "60000")];
    let builder = settings.iter().fold(world.producer_builder(), |builder, (name, value)| builder.set(*name, *value));
    let producer = builder.build().unwrap();
    let cluster = world.cluster();
    cluster.inject(Fault::new(FaultKind::DropRequest).api(ApiKey::Produce).always());
    cluster.inject(Fault::new(FaultKind::DelayResponse(METADATA)).api(ApiKey::Metadata).topic("orders").always());
    drop(producer.send_batch(batch(&producer), TopicPartition::new("full", 0)).await.unwrap());
    producer
}

fn publish(producer: &impl Transport) -> Publish<'static> {
    Publish::to("orders").batch(batch(producer))
}

/// The reason of a batch that is in its error.
fn reason(error: PublishError) -> SendErrorReason {
    match error {
        PublishError::Send(error) => {
            assert_eq!((error.batch.record_count(), &*error.to.topic), (1, "orders"));
            error.reason
        }
        other => panic!("{other}"),
    }
}

async fn through_the_trait(transport: &impl Transport) -> SendErrorReason {
    reason(transport.publish_batch(publish(transport)).await.unwrap_err())
}

async fn blocked(producer: SimulatedProducer, call: usize) -> SendErrorReason {
    match call {
        0 => producer.send_batch(batch(&producer), TopicPartition::new("orders", 0)).await.unwrap_err().reason,
        1 => reason(producer.publish_batch(publish(&producer)).await.unwrap_err()),
        2 => through_the_trait(&producer).await,
        3 => through_the_trait(&producer.boxed()).await,
        4 => match producer.send("orders", Record::new(&[b'x'; 300][..])).await.unwrap_err() {
            SendMessageError::NotAccepted(error) => match error.reason {
                EnqueueErrorReason::Send(reason) => reason,
                other => panic!("{other}"),
            },
            other => panic!("{other}"),
        },
        _ => unreachable!(),
    }
}

#[test]
fn both_waits_of_one_call_together_are_bounded() {
    for call in 0..5 {
        let simulation = Simulation::new().faults(FaultIntensity::None);
        let run = simulation.run(1, move |world: World| async move {
            let producer = full(&world).await;
            let began = world.elapsed();
            let reason = blocked(producer, call).await;
            let waited = world.elapsed() - began;
            assert!(
                matches!(reason, SendErrorReason::Blocked { limit: LIMIT, on: BlockedOn::BufferMemory }),
                "{call}: {reason}"
            );
            assert_eq!(waited, LIMIT, "{call}");
            let asked = world.cluster().requests().iter().filter(|request| request.api == ApiKey::Metadata).count();
            assert!(asked >= 2, "{call}: its metadata was waited for");
        });
        run.unwrap();
    }
}
