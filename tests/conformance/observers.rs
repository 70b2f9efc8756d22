//! What observers of batches are told, and headers that the producer adds to messages.

use std::sync::Arc;

use kafka_batch::message::OutgoingMessage;
use kafka_batch::proptest::OwnedHeader;
use kafka_batch::protocol::ErrorCode;
use kafka_batch::{Header, Publish, Record, Transport};

use crate::cluster::Cluster;
use crate::log::batch;
use crate::recorder::Recorder;
use crate::setup::Answer;
use crate::subject::{Subject, Wanted};

over_each_transport! {
    a_batch_is_observed_from_before_it_is_sealed_to_its_outcome
    a_batch_that_fails_is_observed
    a_batch_that_is_not_accepted_has_no_outcome
    an_observer_that_panics_affects_nothing
    messages_that_are_published_get_the_headers_that_the_producer_adds
}

const OUTCOMES: [&str; 3] = ["seal", "acknowledged", "failed"];

pub(crate) fn producer<S: Subject>(cluster: &Cluster, recorder: &Arc<Recorder>) -> S::Producer {
    S::create(Wanted { hooks: Some(Arc::clone(recorder)), ..cluster.wanted() })
}

async fn a_batch_is_observed_from_before_it_is_sealed_to_its_outcome<S: Subject>() {
    let (cluster, recorder) = (Cluster::new(), Arc::new(Recorder::default()));
    let producer = producer::<S>(&cluster, &recorder);
    producer.send_batch(batch(["a", "b"]), cluster.partition(1)).await.unwrap().await.unwrap();
    assert_eq!(recorder.calls(&OUTCOMES), ["seal 2 records for partition 1", "acknowledged 2 records"]);
    assert_eq!(cluster.log_of(1).len(), 2);
}

async fn a_batch_that_fails_is_observed<S: Subject>() {
    let (cluster, recorder) = (Cluster::new(), Arc::new(Recorder::default()));
    let producer = producer::<S>(&cluster, &recorder);
    cluster.answer_produce(&[Answer::Error(ErrorCode::INVALID_RECORD)]);
    producer.send_batch(batch(["a"]), cluster.partition(0)).await.unwrap().await.unwrap_err();
    assert_eq!(recorder.calls(&OUTCOMES), ["seal 1 records for partition 0", "failed 1 records"]);
}

async fn a_batch_that_is_not_accepted_has_no_outcome<S: Subject>() {
    let (cluster, recorder) = (Cluster::new(), Arc::new(Recorder::default()));
    let producer = producer::<S>(&cluster, &recorder);
    producer.send_batch(batch(["a"]), cluster.partition(9)).await.unwrap_err();
    producer.close().await.unwrap();
    producer.send_batch(batch(["a"]), cluster.partition(0)).await.unwrap_err();
    assert!(recorder.calls(&OUTCOMES).is_empty(), "{recorder:?}");
}

async fn an_observer_that_panics_affects_nothing<S: Subject>() {
    for at in ["seal", "sent", "acknowledged", "change", "during", "inject"] {
        let (cluster, recorder) = (Cluster::new(), Arc::new(Recorder::that_panics(at)));
        let producer = producer::<S>(&cluster, &recorder);
        for value in ["a", "b"] {
            let messages = [value];
            let publish = Publish::to(cluster.topic()).partition(0).messages(&messages);
            producer.publish_batch(publish).await.unwrap();
        }
        assert_eq!(cluster.values(), ["a", "b"], "{at}");
        let outcomes = recorder.calls(&OUTCOMES[1..]).len();
        let is_called = matches!(at, "acknowledged" | "change" | "inject") || recorder.calls(&[at]).is_empty();
        // What has panicked for a batch is not called again for it.
        assert_eq!(outcomes, if is_called { 2 } else { 2 - recorder.calls(&[at]).len() }, "{at}: {recorder:?}");
        producer.close().await.unwrap();
    }
}

async fn messages_that_are_published_get_the_headers_that_the_producer_adds<S: Subject>() {
    let (cluster, recorder) = (Cluster::new(), Arc::new(Recorder::default()));
    let producer = producer::<S>(&cluster, &recorder);
    let messages = [
        OutgoingMessage::new(Record::new("a")),
        OutgoingMessage::new(Record::new("b")).header("traceparent", "its own"),
    ];
    let shared = [Header::new("source", "shop")];
    let publish = Publish::to(cluster.topic()).partition(0).batch(batch(["filled before"])).messages(&messages);
    producer.publish_batch(publish.publisher_headers(&shared)).await.unwrap();
    assert_eq!(recorder.calls(&["inject"]).len(), 1, "once for the call");
    let headers: Vec<Vec<OwnedHeader>> = cluster.log().into_iter().map(|(_, record)| record.headers).collect();
    let shared = OwnedHeader::new("source", "shop");
    let trace = |value: &str| OwnedHeader::new("traceparent", value);
    assert_eq!(headers, [vec![], vec![trace(cluster.topic()), shared.clone()], vec![trace("its own"), shared]]);

    let publish: Publish<'_> = Publish::to(cluster.topic()).partition(0).batch(batch(["filled"]));
    producer.boxed().publish_batch(publish).await.unwrap();
    assert_eq!(recorder.calls(&["inject"]).len(), 1, "a batch is not changed");
}
