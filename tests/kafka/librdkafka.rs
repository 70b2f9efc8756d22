//! The transport over librdkafka: what it delivers is in the log as the [`Delivery`] reports.

use kafka_batch::compression::Codec;
use kafka_batch::protocol::ErrorCode;
use kafka_batch::transports::rdkafka::ConfigError;
use kafka_batch::{
    Compression, Delivery, Fate, Magic, Publish, PublishError, RdkafkaProducer, SendErrorReason, TopicPartition,
};
use tokio::runtime::Runtime;

use super::broker::Kafka;
use super::rows::{self, NOON, Row, at_offsets, batch, batches, bulk, options, rows, rows_of_another_decoder, sample};
use super::wire::Wire;
use super::{codecs, segments, tools};

fn producer(kafka: &Kafka, codec: Codec) -> Result<RdkafkaProducer, ConfigError> {
    let builder = RdkafkaProducer::builder().set("bootstrap.servers", &kafka.address);
    builder.set("compression.type", codec.name()).build()
}

/// Returns the codecs of this build of librdkafka: all, except perhaps for zstd.
fn built_in(kafka: &Kafka) -> Vec<Codec> {
    let missing = |codec: &Codec| match producer(kafka, *codec) {
        Ok(_) => false,
        Err(ConfigError::Setting { setting, remedy, .. }) if *codec == Codec::Zstd => {
            assert!(setting == "compression.type" && remedy.contains("not available at build time"), "{remedy}");
            println!("librdkafka: this build has no {codec}");
            true
        }
        Err(error) => panic!("{error}"),
    };
    codecs().map(Compression::codec).into_iter().filter(|codec| !missing(codec)).collect()
}

/// Returns the offset and timestamp of each record of a delivery.
fn places(delivery: &Delivery) -> Vec<(i64, i64)> {
    delivery.records().map(|record| (record.offset.unwrap(), record.timestamp.millis())).collect()
}

#[test]
#[ignore = "needs a real broker: cargo with-kafka --kafka 4 -- cargo witnesses --test kafka -- --ignored"]
fn batches_arrive_record_by_record() {
    let kafka = Kafka::here();
    let mut wire = Wire::connect(&kafka);
    let built_in = built_in(&kafka);
    let topic = wire.topic("librdkafka", built_in.len() as i32, &[]);
    let runtime = Runtime::new().unwrap();
    for (partition, &codec) in (0..).zip(&built_in) {
        let producer = producer(&kafka, codec).unwrap();
        let mut expected = Vec::new();
        for part in [sample(), bulk(), sample()] {
            let to = TopicPartition::new(&topic.name, partition);
            let filled = batch(&part, options(Magic::V2, Compression::None));
            let delivery = runtime.block_on(async { producer.send_batch(filled, to).await.unwrap().await.unwrap() });
            let delivered = at_offsets(&part, expected.len() as i64);
            assert_eq!(places(&delivery), delivered.iter().map(|row| (row.offset, row.timestamp)).collect::<Vec<_>>());
            expected.extend(delivered);
        }
        runtime.block_on(producer.close()).unwrap();

        let log = wire.log(&topic, partition);
        assert!(batches(&log).iter().any(|batch| batch.codec() == codec), "{codec}");
        assert_eq!(rows(&log), expected, "{codec}");
        assert_eq!(rows_of_another_decoder(&log), rows::without_repeated_headers(&expected), "{codec}");
    }
    let partitions = 0..built_in.len() as i32;
    let segments: Vec<_> = partitions.clone().map(|partition| kafka.segment(&topic.name, partition)).collect();
    let count = segments::compare_with_dump(&segments);
    let consumed = tools::consume(&kafka, &topic.name, count, false);
    for partition in partitions {
        let records = tools::of_partition(&consumed, partition);
        assert_eq!(records, rows(&wire.log(&topic, partition)));
    }
}

#[test]
#[ignore = "needs a real broker: cargo with-kafka --kafka 4 -- cargo witnesses --test kafka -- --ignored"]
fn a_delivery_has_the_broker_s_time_if_the_broker_sets_it() {
    let kafka = Kafka::here();
    let mut wire = Wire::connect(&kafka);
    let topic = wire.topic("librdkafka-time", 1, &[("message.timestamp.type", "LogAppendTime")]);
    let producer = producer(&kafka, Codec::Lz4).unwrap();
    let publish = Publish::to(&topic.name).partition(0).batch(batch(&sample(), options(Magic::V2, Compression::None)));
    let delivery = Runtime::new().unwrap().block_on(producer.publish_batch(publish)).unwrap();
    let stored = rows(&wire.log(&topic, 0));
    assert!(stored.iter().all(|row| row.timestamp > NOON + 86_400_000));
    assert_eq!(places(&delivery), stored.iter().map(|row| (row.offset, row.timestamp)).collect::<Vec<_>>());
}

#[test]
#[ignore = "needs a real broker: cargo with-kafka --kafka 4 -- cargo witnesses --test kafka -- --ignored"]
fn a_batch_that_the_broker_rejects_is_returned() {
    let kafka = Kafka::here();
    let mut wire = Wire::connect(&kafka);
    let runtime = Runtime::new().unwrap();
    let producer = producer(&kafka, Codec::None).unwrap();
    let publish = |topic: &str, rows: &[Row]| {
        let filled = batch(rows, options(Magic::V2, Compression::None));
        runtime.block_on(producer.publish_batch(Publish::to(topic).partition(0).batch(filled)))
    };
    let refused = |topic: &str, rows: &[Row]| match publish(topic, rows) {
        Err(PublishError::Delivery(failed)) => {
            assert_eq!(failed.fate(), Some(Fate::NotWritten), "{failed}");
            assert_eq!(failed.record_count(), rows.len());
            failed
        }
        other => panic!("{other:?}"),
    };

    let compacted = wire.topic("librdkafka-compacted", 1, &[("cleanup.policy", "compact")]);
    let keyed = |key: &str| Row::new(Some(key.as_bytes()), Some(b"value"));
    let keyless = Row::new(None, Some(b"value"));
    // If there is just one rejected record, librdkafka 2.12 does not pass its position on, so none is named.
    let failed = refused(&compacted.name, &[keyed("a"), keyless.clone(), keyed("b")]);
    assert_eq!((failed.record_errors.len(), failed.remainder().unwrap().record_count()), (0, 3), "{failed}");
    let mixed = [keyed("a"), keyless.clone(), keyed("b"), keyless];
    let failed = refused(&compacted.name, &mixed);
    assert_eq!(failed.record_errors.iter().map(|error| error.position).collect::<Vec<_>>(), [1, 3], "{failed}");
    let remainder = failed.remainder().unwrap();
    assert_eq!(remainder.records().map(|record| record.key.unwrap().to_vec()).collect::<Vec<_>>(), [b"a", b"b"]);
    assert_eq!(rows(&wire.log(&compacted, 0)), []);
    runtime.block_on(producer.publish_batch(Publish::to(&compacted.name).partition(0).batch(remainder))).unwrap();
    assert_eq!(rows(&wire.log(&compacted, 0)), at_offsets(&[keyed("a"), keyed("b")], 0));

    let small = wire.topic("librdkafka-small", 1, &[("max.message.bytes", "100")]);
    let failed = refused(&small.name, &sample());
    assert_eq!(failed.reason.code(), Some(ErrorCode::MESSAGE_TOO_LARGE), "{failed}");
    assert_eq!(rows(&wire.log(&small, 0)), []);

    let to = TopicPartition::new(&wire.topic("librdkafka-one", 1, &[]).name, 1);
    let filled = batch(&mixed, options(Magic::V2, Compression::None));
    let refused = runtime.block_on(producer.send_batch(filled, to)).unwrap_err();
    assert!(
        matches!(refused.reason, SendErrorReason::UnknownPartition { partition: 1, partitions: 1, .. }),
        "{refused}"
    );
}
