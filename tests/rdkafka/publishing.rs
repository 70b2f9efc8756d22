//! `publish_batch` and its three shapes.

use std::collections::HashSet;

use kafka_batch::kit::{OwnedHeader, OwnedRecord};
use kafka_batch::{
    BatchOptions, Outgoing, Publish, PublishError, Record, SendErrorReason, Timestamp, Tombstone, Transport,
    partition_for_key,
};

use crate::cluster::{Cluster, batch};
use crate::futures::block_on;

#[test]
fn a_batch_filled_beforehand() {
    let cluster = Cluster::new();
    let publish: Publish<'_> = Publish::to("t").partition(0).batch(batch(["a", "b"]));
    let delivery = block_on(cluster.producer().publish_batch(publish)).unwrap();
    assert_eq!((delivery.offset(0), delivery.offset(1)), (Some(0), Some(1)));
    assert_eq!(cluster.values(), ["a", "b"]);
}

#[test]
fn messages_alone() {
    let cluster = Cluster::new();
    let messages = [Outgoing::new("text"), Outgoing::new("its own key").key("k")];
    let publish = Publish::to("t").partition(0).messages(&messages).key("call").timestamp(5).correlation_id("42");
    block_on(cluster.producer().publish_batch(publish)).unwrap();
    let record = |key: &str, value: &str| OwnedRecord {
        key: Some(key.into()),
        value: Some(value.into()),
        headers: vec![OwnedHeader::new("content-type", "text/plain"), OwnedHeader::new("correlation_id", "42")],
        timestamp: Some(Timestamp::from_millis(5)),
    };
    assert_eq!(cluster.log(), [(0, record("call", "text")), (1, record("k", "its own key"))]);
}

#[test]
fn a_batch_and_messages() {
    let cluster = Cluster::new();
    let publish = Publish::to("t").partition(0).batch(batch(["a"])).messages(&["b", "c"]);
    let delivery = block_on(cluster.producer().publish_batch(publish)).unwrap();
    assert_eq!(delivery.record_count(), 3);
    assert_eq!(cluster.values(), ["a", "b", "c"]);
}

#[test]
fn messages_that_overflow_are_named_by_position_and_nothing_is_sent() {
    let cluster = Cluster::new();
    let options = BatchOptions::default().max_records(3);
    let producer = cluster.builder().batch_options(options.clone()).create().unwrap();
    let alone = Publish::to("t").partition(0).messages(&["0", "1", "2", "3", "4"]);
    let mut filled = options.build(1_700_000_000_000).unwrap();
    let _ = filled.append(Record::new("filled")).unwrap();
    let both = Publish::to("t").partition(0).batch(filled.clone()).messages(&["0", "1", "2"]);
    for (publish, overflow, before) in [(alone, 3, None), (both, 2, Some(filled))] {
        match block_on(producer.publish_batch(publish)) {
            Err(PublishError::Overflow { position, batch, .. }) => {
                assert_eq!(position, overflow);
                assert_eq!(batch.record_count(), before.as_ref().map_or(0, |_| 1));
                assert!(before.is_none_or(|before| *batch == before));
            }
            other => panic!("{other:?}"),
        }
    }
    block_on(producer.close()).unwrap();
    assert_eq!(cluster.log(), []);
}

#[test]
fn without_confirmation_the_handle_can_be_awaited_later_or_dropped() {
    let cluster = Cluster::new();
    let producer = cluster.producer();
    let publish = |message| Publish::to("t").partition(0).messages(message);
    let later = block_on(producer.publish_batch_no_confirm(publish(&["later"]))).unwrap();
    drop(block_on(producer.publish_batch_no_confirm(publish(&["dropped"]))).unwrap());
    block_on(producer.flush()).unwrap();
    assert_eq!(block_on(later).unwrap().base_offset(), Some(0));
    assert_eq!(cluster.values(), ["later", "dropped"]);
}

#[test]
fn messages_of_every_kind() {
    let cluster = Cluster::new();
    let publish = Publish::to("t").partition(0).timestamp(9).messages(&[
        &() as &(dyn kafka_batch::Message + Sync),
        &Tombstone,
        &b"bytes",
    ]);
    block_on(cluster.producer().publish_batch(publish)).unwrap();
    let values: Vec<_> = cluster.log().into_iter().map(|(_, record)| record.value).collect();
    assert_eq!(values, [Some(vec![]), None, Some(b"bytes".to_vec())]);
}

#[test]
fn without_a_partition_one_is_picked_and_kept_until_a_batch_has_gone_there() {
    let cluster = Cluster::new();
    let producer = cluster.builder().seed(7).create().unwrap();
    let mut went_to = Vec::new();
    for _ in 0..6 {
        let picked = block_on(producer.pick_partition("t")).unwrap();
        assert_eq!(block_on(producer.pick_partition("t")).unwrap(), picked, "it sticks");
        let delivery = block_on(producer.publish_batch(Publish::to("t").messages(&["v"]))).unwrap();
        assert_eq!(delivery.topic_partition().partition, picked);
        went_to.push(picked);
    }
    assert!(went_to.windows(2).all(|pair| pair[0] != pair[1]), "{went_to:?}");
    let again = cluster.builder().seed(7).create().unwrap();
    assert_eq!(block_on(again.pick_partition("t")).unwrap(), went_to[0], "the same seed, the same choice");
    let seen: HashSet<_> = (0..40)
        .map(|seed| {
            let producer = cluster.builder().seed(seed).create().unwrap();
            block_on(producer.pick_partition("t")).unwrap()
        })
        .collect();
    assert_eq!(seen, HashSet::from([0, 1, 2]));
}

#[test]
fn keys_route_as_the_java_client_routes_them() {
    let cluster = Cluster::new();
    let producer = cluster.producer();
    let partitions = block_on(producer.partition_count("t")).unwrap();
    assert_eq!(partitions.get(), 3);
    let mut batch = BatchOptions::default().route_by_key(partitions).build(1_700_000_000_000).unwrap();
    let _ = batch.append(Record::new("value").key("sensor-7")).unwrap();
    let routed = partition_for_key(b"sensor-7", partitions);
    let elsewhere: Publish<'_> = Publish::to("t").partition((routed + 1) % 3).batch(batch.clone());
    match block_on(producer.publish_batch(elsewhere)) {
        Err(PublishError::Send(error)) => {
            assert!(matches!(error.reason, SendErrorReason::RoutedElsewhere { .. }), "{error}");
        }
        other => panic!("{other:?}"),
    }
    let publish: Publish<'_> = Publish::to("t").batch(batch);
    let delivery = block_on(producer.publish_batch(publish)).unwrap();
    assert_eq!(delivery.topic_partition().partition, routed);
}
