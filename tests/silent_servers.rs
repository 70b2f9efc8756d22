//! Servers that accept requests and do not answer them, or answer something else: the error of the delivery says which server, API and
//! version that was.

use std::time::Duration;

use kafka_batch::{DeliveryError, Record, TokioProducer, TopicPartition, Transport as _};
use kafka_batch_testing::{ApiKey, Fault, FaultKind, Garbage, Release, TestCluster, Topic};

/// Publishes to a cluster with this fault. Returns the error, and the address of its broker.
async fn publish(release: Release, fault: Fault) -> (DeliveryError, String) {
    let cluster = TestCluster::builder().release(release).topic(Topic::new("readings")).start().unwrap();
    let address = cluster.address(1).unwrap().to_string();
    let builder = TokioProducer::builder().set("bootstrap.servers", &address).set("delivery.timeout.ms", "1500");
    let producer = builder.set("request.timeout.ms", "600").set("linger.ms", "0").build().unwrap();
    producer.partition_count("readings").await.unwrap(); // so that the fault concerns the batch
    cluster.inject(fault.always());
    let mut batch = producer.batch();
    batch.extend([Record::new("21.5")]).unwrap();
    let pending = producer.send_batch(batch, TopicPartition::new("readings", 0)).await.unwrap();
    (pending.await.unwrap_err(), address)
}

#[tokio::test]
async fn a_request_that_is_never_answered_is_named() {
    for (api, name) in [(ApiKey::InitProducerId, "InitProducerId v5"), (ApiKey::Produce, "Produce v13")] {
        let (error, address) = publish(Release::NEWEST, Fault::new(FaultKind::DropRequest).api(api)).await;
        let text = error.to_string();
        let expected = format!("broker 1 at {address}: {name} was not answered within request.timeout.ms (600)");
        assert!(text.contains(&expected), "{text}");
        assert!(!text.contains("no producer id"), "{text}");
        let pending = error.reason.connection_error().and_then(|error| error.pending).unwrap();
        assert!(pending.elapsed >= Duration::from_millis(600), "{pending:?}");
    }
}

/// Without producer ids, a batch that is sent again may be in the log twice.
#[tokio::test]
async fn a_server_without_producer_ids_is_named() {
    let fault = Fault::new(FaultKind::DropResponse).api(ApiKey::Produce);
    let (error, address) = publish(Release::V0_10, fault).await;
    let text = error.to_string();
    let unanswered = format!("broker 1 at {address}: Produce v2 was not answered within request.timeout.ms (600)");
    let without = "the batch has no producer id, which the broker does not support (InitProducerId)";
    assert!(text.contains(&unanswered) && text.contains(without) && error.may_have_been_written(), "{text}");
}

#[tokio::test]
async fn a_truncated_response_is_named() {
    let truncated = Fault::new(FaultKind::CutResponse { bytes: 10 }).api(ApiKey::Produce);
    let (error, address) = publish(Release::NEWEST, truncated).await;
    let text = error.to_string();
    assert!(
        text.contains(&format!("broker 1 at {address}: the broker closed the connection while Produce v13 was")),
        "{text}"
    );
    // Without the four of the length.
    assert!(text.contains("(6 of ") && text.contains(" bytes of a response had arrived)"), "{text}");

    let (error, address) =
        publish(Release::NEWEST, Fault::new(FaultKind::Garbage(Garbage::Short)).api(ApiKey::Produce)).await;
    let text = error.to_string();
    let expected = format!("broker 1 at {address}: it violates the protocol: Produce v13 response, byte ");
    assert!(text.contains(&expected), "{text}");
}
