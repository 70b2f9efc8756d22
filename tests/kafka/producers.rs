//! Producer ids: sequences, duplicates, transactions.

use kafka_batch::batch::{Stamp, StampedBatch};
use kafka_batch::decode::{ControlType, DEFAULT_MAX_DECOMPRESSED, RecordBatch};
use kafka_batch::protocol::{ApiKey, ErrorCode};
use kafka_batch::{Compression, Magic};

use super::broker::Kafka;
use super::rows::{Row, at_offsets, batch, batches, bulk, options, records, sample};
use super::transaction::{Producer, Protocol, idempotent_producer};
use super::wire::Wire;
use super::{codecs, segments, tools};

pub(crate) fn stamped(rows: &[Row], compression: Compression, stamp: Stamp) -> StampedBatch {
    batch(rows, options(Magic::V2, compression)).seal().unwrap().stamp(stamp).unwrap()
}

#[test]
#[ignore = "needs a real broker: cargo with-kafka --kafka 4 -- cargo witnesses --test kafka -- --ignored"]
fn sequences_are_checked_and_duplicates_recognised() {
    let kafka = Kafka::here();
    let mut wire = Wire::connect(&kafka);
    let newest = wire.newest(ApiKey::Produce);
    let topic = wire.topic("idempotent", 1, &[]);
    let (id, epoch) = idempotent_producer(&mut wire);
    let stamp = |sequence| Stamp::default().producer(id, epoch, sequence);
    let count = sample().len() as i32;

    let in_order: Vec<_> = (0..6)
        .zip(codecs().into_iter().cycle())
        .map(|(n, codec)| stamped(&sample(), codec, stamp(n * count)))
        .collect();
    for (n, batch) in (0..).zip(&in_order) {
        assert_eq!(wire.append((&topic, 0), batch), n * i64::from(count));
    }
    // The five newest batches are remembered: the response to the same bytes has their offset.
    for (n, batch) in (0..).zip(&in_order).skip(1) {
        assert_eq!(wire.append((&topic, 0), batch), n * i64::from(count));
    }
    // An older batch is not remembered: it is out of order to the broker, as is one after a gap.
    let refused = |wire: &mut Wire, batch: &StampedBatch| wire.produce(newest, None, (&topic, 0), batch).unwrap();
    let older = refused(&mut wire, &in_order[0]);
    assert_eq!(older.error_code, ErrorCode::OUT_OF_ORDER_SEQUENCE_NUMBER);
    let gap = refused(&mut wire, &stamped(&sample(), Compression::None, stamp(7 * count)));
    assert_eq!(gap.error_code, ErrorCode::OUT_OF_ORDER_SEQUENCE_NUMBER);

    let log = wire.log(&topic, 0);
    let stored = batches(&log);
    assert_eq!(stored.len(), in_order.len());
    for (n, batch) in (0..).zip(&stored) {
        let header = batch.header().unwrap();
        assert_eq!((header.producer_id, header.producer_epoch), (id, epoch));
        assert_eq!((header.base_sequence, batch.is_transactional()), (n * count, false));
        assert_eq!(records(batch), at_offsets(&sample(), header.base_offset));
    }
    segments::compare_with_dump(&[kafka.segment(&topic.name, 0)]);
}

#[test]
#[ignore = "needs a real broker: cargo with-kafka --kafka 4 -- cargo witnesses --test kafka -- --ignored"]
fn committed_transactions_are_visible_and_aborted_ones_are_not() {
    let kafka = Kafka::here();
    let mut wire = Wire::connect(&kafka);
    let mut rounds = vec![(Protocol::Classic, 11)];
    let features = &wire.listed.finalized_features;
    if features.iter().any(|feature| feature.name == "transaction.version" && feature.max_version_level >= 2) {
        rounds.extend((12..=wire.newest(ApiKey::Produce)).map(|version| (Protocol::Implicit, version)));
    }
    assert_eq!(rounds.len() > 1, kafka.major() >= 4);

    for (protocol, version) in rounds {
        let topic = wire.topic("transactions", 1, &[]);
        let mut producer = Producer::new(&mut wire, protocol);
        let mut sent = Vec::new();
        for (committed, compression) in [true, false, true, false, true].into_iter().zip(codecs()) {
            for part in [sample(), bulk()] {
                let batch = batch(&part, options(Magic::V2, compression));
                let sequence = producer.append(version, (&topic, 0), batch);
                sent.push((producer.id, producer.epoch, sequence, committed, part));
            }
            producer.end(committed, (&topic, 0));
        }

        let log = wire.log(&topic, 0);
        let mut stored = batches(&log).into_iter();
        let mut committed_rows = Vec::new();
        for two in sent.chunks(2) {
            for (id, epoch, sequence, committed, part) in two {
                let batch = stored.next().unwrap();
                let header = batch.header().unwrap();
                assert_eq!((header.producer_id, header.producer_epoch, header.base_sequence), (*id, *epoch, *sequence));
                assert!(batch.is_transactional() && !batch.is_control());
                let expected = at_offsets(part, header.base_offset);
                assert_eq!(records(&batch), expected);
                committed_rows.extend(expected.into_iter().filter(|_| *committed));
            }
            let kind = if two[0].3 { ControlType::Commit } else { ControlType::Abort };
            assert_eq!(marker(&stored.next().unwrap(), two[0].0), kind);
        }
        assert!(stored.next().is_none());

        let consumed = tools::consume(&kafka, &topic.name, committed_rows.len(), true);
        assert_eq!(tools::of_partition(&consumed, 0), committed_rows);
        let aborted = wire.fetch((&topic, 0), 0, true).aborted_transactions.unwrap();
        assert_eq!(aborted.len(), 2);
        segments::compare_with_dump(&[kafka.segment(&topic.name, 0)]);
    }
}

/// Returns the control record at the end of a transaction.
fn marker(batch: &RecordBatch<'_>, producer_id: i64) -> ControlType {
    assert!(batch.is_control() && batch.is_transactional());
    assert_eq!((batch.header().unwrap().producer_id, batch.record_count()), (producer_id, Some(1)));
    let records = batch.records(DEFAULT_MAX_DECOMPRESSED).unwrap();
    let record = records.iter().next().unwrap().unwrap();
    let control = record.control().unwrap();
    assert!(control.coordinator_epoch.is_some_and(|epoch| epoch >= 0));
    control.control_type
}
