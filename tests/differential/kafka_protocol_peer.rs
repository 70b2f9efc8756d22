//! The record codec of `kafka-protocol`.

use ::proptest::prelude::*;
use ::proptest::sample::select;
use ::proptest::test_runner::TestCaseResult;
use kafka_batch::batch::{Stamp, StampedBatch};
use kafka_batch::compression::Codec;
use kafka_batch::decode::RecordBatches;
use kafka_batch::proptest::{OwnedHeader, OwnedRecord, strategy};
use kafka_batch::*;
use kafka_batch_witnesses::kafka_protocol;
use kafka_batch_witnesses::kafka_protocol::records::{
    Compression as PeerCompression, Record as PeerRecord, RecordBatchDecoder, RecordBatchEncoder, RecordEncodeOptions,
    TimestampType as PeerTimestampType,
};

use super::{batch_of, config, fail, large_records, of_magic, read, repeated_names, within, without_repeats};

/// Returns the record without what `kafka-protocol` does not support: repeated names, and times whose difference wraps.
fn supported(record: OwnedRecord) -> OwnedRecord {
    const HALF_RANGE: i64 = i64::MAX / 2;
    let timestamp = within(HALF_RANGE, &record);
    OwnedRecord { timestamp, headers: without_repeats(record.headers), ..record }
}

fn records() -> impl Strategy<Value = Vec<OwnedRecord>> {
    strategy::records(1..8).prop_map(|records| records.into_iter().map(supported).collect())
}

fn to_owned_record(theirs: &PeerRecord) -> (i64, OwnedRecord) {
    let headers = theirs
        .headers
        .iter()
        .map(|(name, value)| OwnedHeader { name: name.to_string(), value: value.as_ref().map(|value| value.to_vec()) });
    let record = OwnedRecord {
        key: theirs.key.as_ref().map(|key| key.to_vec()),
        value: theirs.value.as_ref().map(|value| value.to_vec()),
        headers: headers.collect(),
        timestamp: Some(Timestamp::from_millis(theirs.timestamp)),
    };
    (theirs.offset, record)
}

/// The producer's fields of a batch: id, epoch, sequence, transactional.
type Sender = (i64, i16, i32, bool);

fn to_peer_record(record: &OwnedRecord, offset: i64, (id, epoch, sequence, transactional): Sender) -> PeerRecord {
    let text = |text: &str| kafka_protocol::protocol::StrBytes::from_string(text.to_owned());
    PeerRecord {
        transactional,
        control: false,
        delete_horizon: false,
        partition_leader_epoch: -1,
        producer_id: id,
        producer_epoch: epoch,
        timestamp_type: PeerTimestampType::Creation,
        offset,
        sequence: sequence.wrapping_add(offset as i32),
        timestamp: record.timestamp.map_or(0, Timestamp::millis),
        key: record.key.clone().map(Into::into),
        value: record.value.clone().map(Into::into),
        headers: record
            .headers
            .iter()
            .map(|header| (text(&header.name), header.value.clone().map(Into::into)))
            .collect(),
    }
}

const CODECS: [(Codec, PeerCompression); 5] = [
    (Codec::None, PeerCompression::None),
    (Codec::Gzip, PeerCompression::Gzip),
    (Codec::Snappy, PeerCompression::Snappy),
    (Codec::Lz4, PeerCompression::Lz4),
    (Codec::Zstd, PeerCompression::Zstd),
];

fn peer_reads(batch: KafkaBatch, stamp: Stamp, base_offset: i64, sender: Sender) -> TestCaseResult {
    let records: Vec<_> = batch.records().map(|view| (base_offset + view.offset, OwnedRecord::from(view))).collect();
    let stamped = batch.seal().map_err(fail)?.stamp(stamp).map_err(fail)?;
    let read = RecordBatchDecoder::decode(&mut stamped.bytes().clone()).map_err(fail)?;
    let codec = CODECS.iter().find(|(_, theirs)| *theirs == read.compression).map(|(codec, _)| *codec);
    prop_assert_eq!(codec, Some(stamped.codec()));
    for (read, (offset, _)) in read.records.iter().zip(&records) {
        let (id, epoch, sequence, transactional) = sender;
        prop_assert_eq!((read.producer_id, read.producer_epoch, read.transactional), (id, epoch, transactional));
        prop_assert_eq!(read.sequence, sequence.wrapping_add((offset - base_offset) as i32));
    }
    prop_assert_eq!(read.records.iter().map(to_owned_record).collect::<Vec<_>>(), records);
    Ok(())
}

fn crate_reads(records: &[OwnedRecord], gap: i64, compression: PeerCompression, sender: Sender) -> TestCaseResult {
    let sent: Vec<_> =
        records.iter().enumerate().map(|(at, record)| to_peer_record(record, at as i64 * gap, sender)).collect();
    let mut bytes = Vec::new();
    let options = RecordEncodeOptions { version: 2, compression };
    RecordBatchEncoder::encode(&mut bytes, &sent, &options).map_err(fail)?;
    let (codec, read) = read(&bytes)?;
    prop_assert!(CODECS.contains(&(codec, compression)));
    prop_assert_eq!(read, sent.iter().map(to_owned_record).collect::<Vec<_>>());
    let header = *RecordBatches::new(&bytes).next().expect("a batch").map_err(fail)?.header().expect("magic 2");
    let (id, epoch, sequence, transactional) = sender;
    prop_assert_eq!((header.producer_id, header.producer_epoch, header.base_sequence), (id, epoch, sequence));
    prop_assert_eq!(header.attributes & 1 << 4 != 0, transactional);
    Ok(())
}

proptest! {
    #![proptest_config(config(1))]

    #[test]
    fn the_peer_reads_what_this_crate_writes(
        records in records(),
        compression in strategy::compressions(),
        sender in (any::<i64>(), any::<i16>(), any::<i32>(), any::<bool>()),
        base_offset in 0..i64::MAX / 2,
    ) {
        let (id, epoch, sequence, transactional) = sender;
        let stamp = Stamp::default().producer(id, epoch, sequence).transactional(transactional).base_offset(base_offset);
        peer_reads(batch_of(compression, &records), stamp, base_offset, sender)?;
    }

    #[test]
    fn this_crate_reads_what_the_peer_writes(
        records in records(),
        gap in 1..1_000_i64,
        compression in select(CODECS.map(|(_, theirs)| theirs).to_vec()),
        sender in (any::<i64>(), any::<i16>(), any::<i32>(), any::<bool>()),
    ) {
        crate_reads(&records, gap, compression, sender)?;
    }

    /// `kafka-protocol` does not apply log-append-time, so the flag is compared, and the times are those of the records.
    #[test]
    fn the_peer_reads_the_flags_that_this_crate_sets(
        records in records(),
        time in strategy::timestamps(),
        horizon in prop::option::of(Just(Timestamp::from_millis(0))),
    ) {
        let options = horizon.into_iter().fold(BatchOptions::default().batch_size(1 << 20), BatchOptions::delete_horizon);
        let mut batch = options.build(time).map_err(fail)?;
        let borrowed: Vec<_> = records.iter().map(OwnedRecord::borrowed).collect();
        batch.extend(&borrowed).map_err(fail)?;
        let stamped = batch.seal().map_err(fail)?.stamp(Stamp::default().log_append_time(time)).map_err(fail)?;
        let decoded = RecordBatchDecoder::decode(&mut stamped.bytes().clone()).map_err(fail)?;
        for (read, own) in decoded.records.iter().zip(&records) {
            prop_assert_eq!(read.timestamp_type, PeerTimestampType::LogAppend);
            prop_assert_eq!(read.delete_horizon, horizon.is_some());
            prop_assert_eq!(&to_owned_record(read).1, own);
        }
    }
}

/// If this fails, the peer supports more, and the generators can include it.
#[test]
fn the_peer_does_not_support_what_is_left_out() {
    let decode = |bytes: &StampedBatch| RecordBatchDecoder::decode(&mut bytes.bytes().clone());
    let headers = decode(&repeated_names()).unwrap().records[0].headers.len();
    assert_eq!(headers, 1, "repeated names collapse");
    for magic in [Magic::V0, Magic::V1] {
        assert!(decode(&of_magic(magic)).is_err(), "{magic}");
    }
}

#[test]
fn batches_of_many_blocks_are_read_both_ways_with_every_codec() -> TestCaseResult {
    let (records, sender) = (large_records(), (-1, -1, -1, false));
    for (codec, theirs) in CODECS {
        let compression = Compression::with_default_level(codec).expect("every codec is enabled");
        let batch = batch_of(compression, &records);
        prop_assert_eq!(batch.clone().seal().map_err(fail)?.codec(), codec, "the batch is not compressed");
        peer_reads(batch, Stamp::NONE, 0, sender)?;
        crate_reads(&records, 1, theirs, sender)?;
    }
    Ok(())
}
