//! Batches that are not accepted: each error has the reason and the batch.

use std::time::{Duration, Instant};

use kafka_batch::error::NoBrokerCause;
use kafka_batch::transports::rdkafka::{ConfigError, LibrdkafkaError, Unsendable};
use kafka_batch::{
    BatchOptions, KafkaBatch, Magic, MagicChoice, RdkafkaProducer, Record, SendError, SendErrorReason, TopicPartition,
};
use kafka_batch_witnesses::rdkafka::types::RDKafkaRespErr;

use crate::cluster::{Cluster, t0};
use crate::futures::block_on;
use crate::log::batch;

/// Returns the error of a rejected batch, which must contain the batch unchanged.
#[track_caller]
fn rejected(producer: &RdkafkaProducer, batch: &KafkaBatch, to: &TopicPartition) -> SendError {
    let error = match block_on(producer.send_batch(batch.clone(), to.clone())) {
        Err(error) => error,
        Ok(pending) => panic!("accepted: {pending:?}"),
    };
    assert_eq!((&*error.batch, &error.to), (batch, to));
    error
}

#[track_caller]
fn cannot_be_sent(error: &SendError) -> &Unsendable {
    match &error.reason {
        SendErrorReason::Transport(error) => error.downcast_ref().unwrap(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_timestamp_that_librdkafka_would_change() {
    let cluster = Cluster::new();
    let mut batch = batch(["a", "b"]);
    let _ = batch.append(Record::new("c").timestamp(0)).unwrap();
    let error = rejected(&cluster.producer(), &batch, &t0());
    assert_eq!(cannot_be_sent(&error), &Unsendable::TimestampZero { position: 2 });
    assert_eq!(cluster.log(), []);
}

#[test]
fn an_invalid_topic_name() {
    let cluster = Cluster::new();
    for topic in ["", "a\0b", &"long".repeat(200)] {
        let error = rejected(&cluster.producer(), &batch(["v"]), &TopicPartition::new(topic, 0));
        assert!(matches!(&error.reason, SendErrorReason::InvalidTopic { topic: found } if found == topic), "{error}");
        assert!(block_on(cluster.producer().partition_count(topic)).is_err());
    }
}

#[test]
fn a_partition_that_the_topic_does_not_have() {
    let cluster = Cluster::new();
    for partition in [3, 1_000] {
        let error = rejected(&cluster.producer(), &batch(["v"]), &TopicPartition::new("t", partition));
        let expected = format!("topic \"t\" has partitions 0 to 2, but partition {partition} was requested");
        assert!(error.to_string().contains(&expected), "{error}");
        assert!(error.is_retriable());
    }
}

#[test]
fn a_topic_that_does_not_exist() {
    let cluster = Cluster::new();
    cluster.mock.topic_error("missing", RDKafkaRespErr::RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART).unwrap();
    let producer = cluster.builder().metadata_timeout(Duration::from_millis(300)).build().unwrap();
    let error = rejected(&producer, &batch(["v"]), &TopicPartition::new("missing", 0));
    assert!(matches!(&error.reason, SendErrorReason::UnknownTopic { topic } if topic == "missing"), "{error}");
    assert!(error.to_string().contains("create it"), "{error}");
    let counted = block_on(producer.partition_count("missing"));
    assert!(matches!(counted, Err(SendErrorReason::UnknownTopic { .. })), "{counted:?}");
}

#[test]
fn a_topic_without_permission() {
    let cluster = Cluster::new();
    cluster.mock.topic_error("secret", RDKafkaRespErr::RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED).unwrap();
    let error = rejected(&cluster.producer(), &batch(["v"]), &TopicPartition::new("secret", 0));
    assert!(error.to_string().contains("change the broker's ACLs"), "{error}");
}

#[test]
fn a_broker_that_does_not_respond() {
    let producer = RdkafkaProducer::builder()
        .set("bootstrap.servers", "127.0.0.1:1")
        .metadata_timeout(Duration::from_millis(700))
        .build()
        .unwrap();
    let start = Instant::now();
    let error = rejected(&producer, &batch(["v"]), &t0());
    assert!(start.elapsed() < Duration::from_secs(20), "{:?}", start.elapsed());
    match &error.reason {
        SendErrorReason::NoBroker { brokers, cause } => {
            assert_eq!(brokers, "127.0.0.1:1");
            let NoBrokerCause::Transport(cause) = cause else { panic!("{cause:?}") };
            assert!(cause.downcast_ref::<LibrdkafkaError>().is_some());
        }
        other => panic!("{other:?}"),
    }
    assert!(error.to_string().contains("127.0.0.1:1") && error.is_retriable(), "{error}");
    block_on(producer.close()).unwrap();
}

#[test]
fn a_first_record_that_is_too_large_for_librdkafka() {
    let cluster = Cluster::new();
    let producer = cluster.builder().set("message.max.bytes", "1000").build().unwrap();
    let error = rejected(&producer, &batch([[0; 2_000]]), &t0());
    assert!(error.to_string().contains("raise message.max.bytes"), "{error}");
    let delivery = block_on(block_on(producer.send_batch(batch(["small"]), t0())).unwrap()).unwrap();
    assert_eq!(delivery.base_offset(), Some(0), "the producer continues");
}

#[test]
fn invalid_settings() {
    let set = |name: &str, value: &str| Cluster::new().builder().set(name, value).build();
    match set("linger.ms", "soon") {
        Err(ConfigError::Setting { setting, found, .. }) => assert_eq!((&*setting, &*found), ("linger.ms", "soon")),
        other => panic!("{other:?}"),
    }
    assert!(
        matches!(set("transactional.id", "x"), Err(ConfigError::Setting { .. })),
        "it is made by build_transactional"
    );
    let contradiction = Cluster::new().builder().set("enable.idempotence", "true").set("acks", "1").build();
    assert!(matches!(contradiction, Err(ConfigError::Conflict(_))), "{contradiction:?}");
    let options = BatchOptions::default().magic(MagicChoice::Pinned(Magic::V1)).compression("zstd".parse().unwrap());
    let contradiction = Cluster::new().builder().batch_options(options).build();
    assert!(matches!(contradiction, Err(ConfigError::BatchOptions(_))), "{contradiction:?}");
    assert!(matches!(RdkafkaProducer::builder().build(), Err(ConfigError::Setting { .. })));
}
