//! Requests of users of other clients, each as the code that they would write here.

use std::error::Error;

use kafka_batch::batch::CompressionRatio;
use kafka_batch::decode::{DEFAULT_MAX_DECOMPRESSED, RecordBatches};
use kafka_batch::message::*;
use kafka_batch::*;
use kafka_batch_testing::TestCluster;

type Outcome = Result<(), Box<dyn Error>>;

fn now() -> Timestamp {
    Timestamp::from_millis(1_734_300_000_000)
}

fn values(batch: &KafkaBatch) -> Vec<String> {
    batch.records().map(|record| String::from_utf8_lossy(record.value.unwrap_or(b"null")).into_owned()).collect()
}

/// FastStream 1991: developers who handle the overflow of a batch themselves, since it is part of their business logic.
#[test]
fn faststream_1991_fill_until_full_seal_and_continue_with_the_same_iterator() -> Outcome {
    let orders: Vec<String> = (0..1_000).map(|n| format!("order {n}")).collect();
    let mut records = orders.iter().map(Record::new).peekable();
    let mut batch = KafkaBatch::new(now());
    let mut sealed = Vec::new();
    while batch.fill_from(&mut records)?.full.is_some() {
        let next = batch.next_batch();
        sealed.push(std::mem::replace(&mut batch, next).seal()?);
    }
    sealed.push(batch.seal()?);
    assert!(sealed.iter().all(|batch| batch.size() <= 16_384));
    assert_eq!(sealed.iter().map(SealedBatch::record_count).sum::<usize>(), orders.len());
    Ok(())
}

/// FastStream 1991: the three forms of `publish_batch`, up to the batch that is sent.
#[test]
fn faststream_1991_three_forms_of_publish() -> Outcome {
    let small = || BatchOptions::default().max_records(3).build(now()).unwrap();
    let mut filled = small();
    filled.extend([Record::new("1"), Record::new("2")])?;
    let none = || unreachable!("a batch was given");

    assert_eq!(values(&Publish::to("t").batch(filled.clone()).prepare(none)?.batch), ["1", "2"]);
    assert_eq!(values(&Publish::to("t").messages(&["a", "b"]).prepare(small)?.batch), ["a", "b"]);
    assert_eq!(values(&Publish::to("t").batch(filled.clone()).messages(&["3"]).prepare(none)?.batch), ["1", "2", "3"]);

    let overflow = Publish::to("t").batch(filled.clone()).messages(&["3", "4"]).prepare(none).unwrap_err();
    let PublishError::Overflow { position, batch, .. } = overflow else { panic!("{overflow}") };
    assert_eq!((position, *batch), (1, filled));
    Ok(())
}

/// FastStream 1991: its prototype, line by line. A constructor that takes messages, with key, headers, correlation id
/// and reply address for all of them; `append`, which returns the record or nothing; `extend`, which fails by position.
#[test]
fn faststream_1991_the_prototype() -> Outcome {
    let call = Defaults::default().key("k").correlation_id("42").reply_to("answers").headers(&[]);
    let options = BatchOptions::default().batch_size(300);
    let mut batch = KafkaBatch::from_messages(options, now(), &call, &["first", "second"])?;

    let appended = batch.messages(&call).append("third")?.appended().expect("accepted");
    assert_eq!((appended.offset, appended.timestamp), (2, now()));

    let error = batch.messages(&call).extend(&["fourth", "fifth"]).unwrap_err();
    assert_eq!(error.position(), 0);
    assert_eq!(batch.messages(&call).append("sixth")?.appended(), None);
    Ok(())
}

/// librdkafka 204: let me build the batch, and report when it is full.
#[test]
fn librdkafka_204_build_the_batch_and_get_full_as_a_value() -> Outcome {
    let mut batch = BatchOptions::default().batch_size(100).build(now())?;
    while batch.fits(Record::new("payload")) {
        assert!(batch.append(Record::new("payload"))?.appended().is_some());
    }
    let Append::Full(full) = batch.append(Record::new("payload"))? else { panic!("it did not fit before") };
    assert_eq!(full.reason, FullReason::BatchSize { limit: 100 });
    assert!(full.needed > full.available && full.available == batch.room());
    Ok(())
}

/// aiokafka 216: know that this batch was delivered before the next one is sent.
#[tokio::test]
async fn aiokafka_216_one_batch_is_delivered_before_the_next_is_sent() -> Outcome {
    let cluster = TestCluster::start();
    let producer = TokioProducer::builder().set("bootstrap.servers", cluster.bootstrap_servers()).build()?;
    let mut next_offset = 0;
    for chunk in [["1", "2"], ["3", "4"]] {
        let mut batch = producer.batch();
        batch.extend(chunk.iter().map(Record::new))?;
        let delivery = producer.publish_batch(Publish::to("steps").partition(0).batch(batch)).await?;
        assert_eq!(delivery.base_offset(), Some(next_offset)); // the next one follows only when this one is in the log
        next_offset += 2;
    }
    Ok(())
}

/// loki 21781: all of these records, or none of them.
#[test]
fn loki_21781_all_of_these_or_none() -> Outcome {
    let mut batch = BatchOptions::default().max_records(3).build(now())?;
    batch.try_extend([Record::new("a"), Record::new("b")])?;
    let before = batch.clone();
    let error = batch.try_extend([Record::new("c"), Record::new("d")]).unwrap_err();
    assert_eq!(error.position(), 1);
    assert_eq!(batch, before);
    Ok(())
}

/// franz-go 1129: limit by compressed size; 120 MB that compress to 6 MB should pass.
#[test]
fn franz_go_1129_limit_by_compressed_size() -> Outcome {
    let mut ratio = CompressionRatio::default();
    ratio.observe(0.995); // as measured with earlier batches
    let options = BatchOptions::default()
        .compression("gzip".parse()?)
        .size_policy(SizePolicy::Estimated(CompressionRatio::new(0.01)))
        .max_message_bytes(100_000);
    let mut batch = options.build(now())?;
    let row = "the same again ".repeat(64);
    batch.extend((0..1_000).map(|_| Record::new(&row)))?;
    let sealed = batch.seal()?;
    assert!(sealed.uncompressed_size() > 900_000 && sealed.size() < 100_000);
    ratio.observe(sealed.compression_ratio());
    assert!(ratio.get() < 0.995);
    Ok(())
}

/// kafka-backup 156: repeated headers are preserved, in their order, and null differs from empty.
#[test]
fn kafka_backup_156_repeated_headers_are_preserved() -> Outcome {
    let headers =
        [Header::new("trace", "1"), Header::new("trace", "2"), Header::null("trace"), Header::new("trace", "")];
    let mut batch = KafkaBatch::new(now());
    batch.extend([Record::new("v").headers(&headers)])?;
    let stamped = batch.seal()?.without_producer_id();
    let read = RecordBatches::new(stamped.bytes()).next().unwrap()?.records(DEFAULT_MAX_DECOMPRESSED)?;
    assert!(read.iter().next().unwrap()?.headers.iter().eq(headers));
    Ok(())
}

/// librdkafka 488: a record that is too large does not affect its neighbours.
#[test]
fn librdkafka_488_one_record_too_large_does_not_affect_others() -> Outcome {
    let large = vec![7; 2_000];
    let mut batch = KafkaBatch::new(now());
    batch.extend([Record::new("before"), Record::new(&large), Record::new("after")])?;
    let split = batch.split(1_000)?; // the broker returned MESSAGE_TOO_LARGE: its limit is 1 000 bytes
    assert_eq!(split.too_large.iter().map(|record| record.position).collect::<Vec<_>>(), [1]);
    let sent: Vec<_> = split.parts.into_iter().flat_map(|(_, part)| values(&part.into_batch())).collect();
    assert_eq!(sent, ["before", "after"]);
    Ok(())
}

/// FastStream 2514: individual keys and headers for the messages of a batch.
#[test]
fn faststream_2514_keys_and_headers_for_each_message() -> Outcome {
    let headers = [Header::new("source", "app"), Header::new("v", "1")];
    let call = Defaults::default().key("all").headers(&headers);
    let mut batch = KafkaBatch::new(now());
    batch.messages(&call).extend::<&dyn Message>(&[
        &OutgoingMessage::new(Tombstone).key("k1"),
        &OutgoingMessage::new("text").key("k2").header("source", "test").correlation_id("7"),
        &b"raw",
    ])?;
    let keys: Vec<_> = batch.records().map(|record| record.key.unwrap()).collect();
    assert_eq!(keys, [&b"k1"[..], b"k2", b"all"]);
    let second = batch.records().nth(1).unwrap().headers;
    assert_eq!(second.last("source"), Some(Header::new("source", "test")));
    assert_eq!(second.last("v"), Some(Header::new("v", "1")));
    Ok(())
}
