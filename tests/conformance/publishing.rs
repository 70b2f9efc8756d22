//! `publish_batch`, its three shapes and its options.

use std::collections::HashSet;

use kafka_batch::message::OutgoingMessage;
use kafka_batch::partitioner::partition_for_key;
use kafka_batch::proptest::{OwnedHeader, OwnedRecord};
use kafka_batch::{
    AppendError, BatchOptions, BoxTransport, Publish, PublishError, Record, SendErrorReason, Timestamp, Transport,
};

use crate::cluster::Cluster;
use crate::log::batch;
use crate::subject::Subject;

over_each_transport_and_to_kafka! {
    a_filled_batch
    messages_alone
    a_batch_and_messages
    messages_that_do_not_fit_are_named_by_position_and_nothing_is_sent
    a_batch_that_is_not_accepted_is_returned_with_the_messages_in_it
    without_confirmation_the_handle_can_be_awaited_later_or_dropped
    without_a_partition_one_is_chosen_and_kept_until_a_batch_was_sent_to_it
    keys_are_partitioned_as_by_the_java_client
    a_producer_creates_batches_with_its_options
    a_boxed_transport_does_the_same
}

async fn a_filled_batch<S: Subject>(cluster: Cluster) {
    let publish: Publish<'_> = Publish::to(cluster.topic()).partition(0).batch(batch(["a", "b"]));
    let delivery = cluster.producer::<S>().publish_batch(publish).await.unwrap();
    assert_eq!((delivery.offset(0), delivery.offset(1), delivery.offset(2)), (Some(0), Some(1), None));
    assert_eq!(cluster.values(), ["a", "b"]);
    assert_eq!(delivery.into_batch(), batch(["a", "b"]));
}

async fn messages_alone<S: Subject>(cluster: Cluster) {
    let messages = [OutgoingMessage::new("text"), OutgoingMessage::new("its own key").key("k").correlation_id("43")];
    let publish = Publish::to(cluster.topic()).partition(0).messages(&messages);
    let publish = publish.key("call").timestamp(5).correlation_id("42").reply_to("answers");
    cluster.producer::<S>().publish_batch(publish).await.unwrap();
    let record = |key: &str, value: &str, id: &str| OwnedRecord {
        key: Some(key.into()),
        value: Some(value.into()),
        headers: vec![
            OwnedHeader::new("content-type", "text/plain"),
            OwnedHeader::new("correlation_id", id),
            OwnedHeader::new("reply_to", "answers"),
        ],
        timestamp: Some(Timestamp::from_millis(5)),
    };
    assert_eq!(cluster.log(), [(0, record("call", "text", "42")), (1, record("k", "its own key", "43"))]);
}

async fn a_batch_and_messages<S: Subject>(cluster: Cluster) {
    let publish = Publish::to(cluster.topic()).partition(0).batch(batch(["a"])).messages(&["b", "c"]);
    let delivery = cluster.producer::<S>().publish_batch(publish).await.unwrap();
    assert_eq!(delivery.record_count(), 3);
    assert_eq!(cluster.values(), ["a", "b", "c"]);
}

async fn messages_that_do_not_fit_are_named_by_position_and_nothing_is_sent<S: Subject>(cluster: Cluster) {
    let options = BatchOptions::default().max_records(3);
    let producer = S::create(crate::subject::Wanted { options: options.clone(), ..cluster.wanted() });
    let alone = Publish::to(cluster.topic()).partition(0).messages(&["0", "1", "2", "3", "4"]);
    let mut filled = options.build(1_700_000_000_000).unwrap();
    let _ = filled.append(Record::new("filled")).unwrap();
    let both = Publish::to(cluster.topic()).partition(0).batch(filled.clone()).messages(&["0", "1", "2"]);
    for (publish, overflow, before) in [(alone, 3, None), (both, 2, Some(filled))] {
        match producer.publish_batch(publish).await {
            Err(PublishError::Overflow { position, batch, .. }) => {
                assert_eq!(position, overflow);
                assert_eq!(batch.record_count(), before.as_ref().map_or(0, |_| 1));
                assert!(before.is_none_or(|before| *batch == before));
            }
            other => panic!("{other:?}"),
        }
    }
    producer.close().await.unwrap();
    assert_eq!(cluster.log(), []);
}

async fn a_batch_that_is_not_accepted_is_returned_with_the_messages_in_it<S: Subject>(cluster: Cluster) {
    let producer = cluster.producer::<S>();
    let both = || Publish::to(cluster.topic()).batch(batch(["a"])).messages(&["b", "c"]);
    match producer.publish_batch(both().partition(77)).await {
        Err(PublishError::Send(error)) => {
            assert!(matches!(error.reason, SendErrorReason::UnknownPartition { .. }), "{error}");
            let again: Publish<'_> = Publish::to(cluster.topic()).partition(0).batch(*error.batch);
            producer.publish_batch(again).await.unwrap();
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(cluster.values(), ["a", "b", "c"]);
    producer.close().await.unwrap();
    match producer.publish_batch(both().partition(0)).await {
        Err(PublishError::Send(error)) => {
            assert!(matches!(error.reason, SendErrorReason::Closed), "{error}");
            assert_eq!(error.batch.record_count(), 3);
        }
        other => panic!("{other:?}"),
    }
}

async fn without_confirmation_the_handle_can_be_awaited_later_or_dropped<S: Subject>(cluster: Cluster) {
    let producer = cluster.producer::<S>();
    let publish = |message| Publish::to(cluster.topic()).partition(0).messages(message);
    let later = producer.publish_batch_no_confirm(publish(&["later"])).await.unwrap();
    drop(producer.publish_batch_no_confirm(publish(&["dropped"])).await.unwrap());
    producer.flush().await.unwrap();
    assert_eq!(later.await.unwrap().base_offset(), Some(0));
    assert_eq!(cluster.values(), ["later", "dropped"]);
}

async fn without_a_partition_one_is_chosen_and_kept_until_a_batch_was_sent_to_it<S: Subject>(cluster: Cluster) {
    let producer = cluster.producer::<S>();
    let mut went_to = Vec::new();
    for _ in 0..6 {
        let picked = producer.pick_partition(cluster.topic()).await.unwrap();
        assert_eq!(producer.pick_partition(cluster.topic()).await.unwrap(), picked, "it sticks");
        let delivery = producer.publish_batch(Publish::to(cluster.topic()).messages(&["v"])).await.unwrap();
        assert_eq!(delivery.topic_partition().partition, picked);
        went_to.push(picked);
    }
    assert!(went_to.windows(2).all(|pair| pair[0] != pair[1]), "{went_to:?}");
    let again = cluster.producer::<S>();
    assert_eq!(again.pick_partition(cluster.topic()).await.unwrap(), went_to[0], "the same seed, the same choice");
    let mut seen = HashSet::new();
    for seed in 0..20 {
        let producer = S::create(crate::subject::Wanted { seed, ..cluster.wanted() });
        seen.insert(producer.pick_partition(cluster.topic()).await.unwrap());
    }
    assert_eq!(seen, HashSet::from([0, 1, 2]));
}

async fn keys_are_partitioned_as_by_the_java_client<S: Subject>(cluster: Cluster) {
    let producer = cluster.producer::<S>();
    let partitions = producer.partition_count(cluster.topic()).await.unwrap();
    assert_eq!(partitions.get(), 3);
    let mut batch = producer.keyed_batch(cluster.topic()).await.unwrap();
    assert_eq!(batch.options(), &producer.batch().options().clone().route_by_key(partitions));
    let _ = batch.append(Record::new("value").key("sensor-7")).unwrap();
    let routed = partition_for_key(b"sensor-7", partitions);
    assert_eq!(batch.routed_partition(), Some(routed));
    let others = (0..).map(|number| number.to_string());
    let other = others.into_iter().find(|key| partition_for_key(key.as_bytes(), partitions) != routed).unwrap();
    let error = batch.append(Record::new("value").key(&other)).unwrap_err();
    assert!(matches!(error, AppendError::RoutesElsewhere { batch, .. } if batch == routed), "{error}");
    let elsewhere: Publish<'_> = Publish::to(cluster.topic()).partition((routed + 1) % 3).batch(batch.clone());
    match producer.publish_batch(elsewhere).await {
        Err(PublishError::Send(error)) => {
            assert!(matches!(error.reason, SendErrorReason::RoutedElsewhere { .. }), "{error}");
        }
        other => panic!("{other:?}"),
    }
    let error = producer.send_batch(batch.clone(), cluster.partition((routed + 1) % 3)).await.unwrap_err();
    assert!(matches!(error.reason, SendErrorReason::RoutedElsewhere { .. }), "{error}");
    assert_eq!(*error.batch, batch);
    let publish: Publish<'_> = Publish::to(cluster.topic()).batch(batch);
    let delivery = producer.publish_batch(publish).await.unwrap();
    assert_eq!(delivery.topic_partition().partition, routed);
}

async fn a_producer_creates_batches_with_its_options<S: Subject>(cluster: Cluster) {
    let options = BatchOptions::default().batch_size(99).compression("lz4".parse().unwrap());
    let batch = S::create(crate::subject::Wanted { options: options.clone(), ..cluster.wanted() }).batch();
    assert!(batch.is_empty());
    assert_eq!(batch.options(), &options);
}

async fn a_boxed_transport_does_the_same<S: Subject>(cluster: Cluster) {
    let producer = cluster.producer::<S>();
    let transport: BoxTransport = producer.clone().boxed();
    assert_eq!(transport.capabilities(), producer.capabilities());
    assert_eq!(transport.partition_count(cluster.topic()).await.unwrap().get(), 3);
    let mut keyed = transport.keyed_batch(cluster.topic()).await.unwrap();
    keyed.extend([Record::new("a").key("k")]).unwrap();
    let partition = keyed.routed_partition().unwrap();
    let delivery = transport.publish_batch(Publish::to(cluster.topic()).batch(keyed)).await.unwrap();
    assert_eq!((delivery.topic_partition().partition, delivery.offset(0)), (partition, Some(0)));
    let picked = transport.pick_partition(cluster.topic()).await.unwrap();
    let mut batch = transport.batch();
    batch.extend([Record::new("b")]).unwrap();
    let pending = transport.send_batch(batch, cluster.partition(picked)).await.unwrap();
    transport.flush().await.unwrap();
    assert_eq!(pending.await.unwrap().record_count(), 1);
    transport.close().await.unwrap();
    transport.clone().close_at_once().await.unwrap();
    let error = producer.send_batch(producer.batch(), cluster.partition(0)).await.unwrap_err();
    assert!(matches!(error.reason, SendErrorReason::Closed), "it is the same producer: {error}");
}
