//! The client of `rskafka`, connected to a [`stub_broker`].

use ::proptest::prelude::*;
use ::proptest::sample::select;
use ::proptest::test_runner::{TestCaseResult, TestRunner};
use kafka_batch::batch::{Stamp, StampedBatch};
use kafka_batch::compression::Codec;
use kafka_batch::proptest::{OwnedHeader, OwnedRecord, strategy};
use kafka_batch::*;
use kafka_batch_witnesses::rskafka;
use kafka_batch_witnesses::rskafka::chrono::DateTime;
use kafka_batch_witnesses::rskafka::client::partition::{
    Compression as PeerCompression, PartitionClient, UnknownTopicHandling,
};
use kafka_batch_witnesses::rskafka::record::Record as PeerRecord;

use super::{
    batch_of, config, fail, large_records, of_magic, read, repeated_names, stamped, stub_broker, within,
    without_repeats,
};

struct Rskafka {
    runtime: tokio::runtime::Runtime,
    client: PartitionClient,
    stored: stub_broker::Stored,
}

impl Rskafka {
    /// Connects a client to a new stub broker.
    fn connect() -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        let (address, stored) = stub_broker::start();
        let client = runtime.block_on(async {
            let client = rskafka::client::ClientBuilder::new(vec![address]).build().await?;
            client.partition_client(stub_broker::TOPIC, 0, UnknownTopicHandling::Error).await
        });
        Self { runtime, client: client.expect("a partition"), stored }
    }

    fn reads(&self, batch: KafkaBatch, stamp: Stamp, base_offset: i64) -> TestCaseResult {
        let expected: Vec<_> =
            batch.records().map(|view| (base_offset + view.offset, OwnedRecord::from(view))).collect();
        let stamped = batch.seal().map_err(fail)?.stamp(stamp).map_err(fail)?;
        self.stored.put(stamped.bytes());
        let fetched = self.client.fetch_records(base_offset, 1..i32::MAX, 0);
        let (fetched, _) = self.runtime.block_on(fetched).map_err(fail)?;
        let fetched: Vec<_> =
            fetched.into_iter().map(|fetched| (fetched.offset, to_owned_record(fetched.record))).collect();
        prop_assert_eq!(fetched, expected);
        Ok(())
    }

    fn writes(&self, records: &[OwnedRecord], codec: Codec, compression: PeerCompression) -> TestCaseResult {
        let produced = self.client.produce(records.iter().map(to_peer_record).collect(), compression);
        self.runtime.block_on(produced).map_err(fail)?;
        let (found, read) = read(&self.stored.take())?;
        prop_assert_eq!(found, codec);
        prop_assert_eq!(read, (0..).zip(records.iter().cloned()).collect::<Vec<_>>());
        Ok(())
    }
}

/// Returns the record without what `rskafka` does not support: repeated names, null header values, years outside the range of
/// `chrono`; and with its headers in the order in which it returns them.
fn supported(record: OwnedRecord) -> OwnedRecord {
    const A_HUNDRED_THOUSAND_YEARS: i64 = 100_000 * 365 * 86_400_000;
    let timestamp = within(A_HUNDRED_THOUSAND_YEARS, &record);
    let mut headers = without_repeats(record.headers);
    headers.iter_mut().for_each(|header| header.value = Some(header.value.take().unwrap_or_default()));
    headers.sort_by(|left, right| left.name.cmp(&right.name));
    OwnedRecord { timestamp, headers, ..record }
}

fn records() -> impl Strategy<Value = Vec<OwnedRecord>> {
    strategy::records(1..8).prop_map(|records| records.into_iter().map(supported).collect())
}

fn to_owned_record(theirs: PeerRecord) -> OwnedRecord {
    let PeerRecord { key, value, headers, timestamp } = theirs;
    let headers = headers.into_iter().map(|(name, value)| OwnedHeader::new(name, value)).collect();
    OwnedRecord { key, value, headers, timestamp: Some(Timestamp::from_millis(timestamp.timestamp_millis())) }
}

fn to_peer_record(record: &OwnedRecord) -> PeerRecord {
    let OwnedRecord { key, value, headers, timestamp } = record.clone();
    let headers = headers.into_iter().map(|header| (header.name, header.value.unwrap_or_default())).collect();
    let millis = timestamp.map_or(0, Timestamp::millis);
    PeerRecord {
        key,
        value,
        headers,
        timestamp: DateTime::from_timestamp_millis(millis).expect("a year within the range of chrono"),
    }
}

const CODECS: [(Codec, PeerCompression); 5] = [
    (Codec::None, PeerCompression::NoCompression),
    (Codec::Gzip, PeerCompression::Gzip),
    (Codec::Snappy, PeerCompression::Snappy),
    (Codec::Lz4, PeerCompression::Lz4),
    (Codec::Zstd, PeerCompression::Zstd),
];

#[test]
fn the_peer_reads_what_this_crate_writes() {
    let peer = Rskafka::connect();
    let producers = (any::<i64>(), any::<i16>(), any::<i32>(), any::<bool>());
    let cases = (records(), strategy::compressions(), producers, 0..i64::MAX / 2);
    let outcome = TestRunner::new(config(1)).run(&cases, |(records, compression, producer, base_offset)| {
        let (id, epoch, sequence, transactional) = producer;
        let stamp = Stamp::default().producer(id, epoch, sequence).transactional(transactional);
        peer.reads(batch_of(compression, &records), stamp.base_offset(base_offset), base_offset)
    });
    outcome.unwrap_or_else(|error| panic!("{error}"));
}

#[test]
fn this_crate_reads_what_the_peer_writes() {
    let peer = Rskafka::connect();
    let outcome = TestRunner::new(config(1))
        .run(&(records(), select(&CODECS[..])), |(records, (codec, theirs))| peer.writes(&records, codec, theirs));
    outcome.unwrap_or_else(|error| panic!("{error}"));
}

/// If this fails, the peer supports more, and the generators can include it.
#[test]
fn the_peer_does_not_support_what_is_left_out() {
    let peer = Rskafka::connect();
    let fetch = |batch: &StampedBatch| {
        peer.stored.put(batch.bytes());
        peer.runtime.block_on(peer.client.fetch_records(0, 1..i32::MAX, 0))
    };
    let (fetched, _) = fetch(&repeated_names()).unwrap();
    assert_eq!(fetched[0].record.headers.len(), 1, "repeated names collapse");
    let null = OwnedRecord { headers: vec![OwnedHeader::null("a")], ..OwnedRecord::default() };
    assert!(fetch(&stamped(&[null])).is_err(), "a null header value");
    let late = |millis| OwnedRecord { timestamp: Some(Timestamp::from_millis(millis)), ..OwnedRecord::default() };
    assert!(fetch(&stamped(&[late(i64::MAX)])).is_err(), "a year outside the range of chrono");
    assert!(fetch(&stamped(&[late(1), late(i64::MIN)])).is_err(), "a difference that wraps");
    for magic in [Magic::V0, Magic::V1] {
        assert!(fetch(&of_magic(magic)).is_err(), "{magic}");
    }
}

#[test]
fn batches_of_many_blocks_are_read_both_ways_with_every_codec() -> TestCaseResult {
    let (peer, records) = (Rskafka::connect(), large_records());
    for (codec, theirs) in CODECS {
        let compression = Compression::with_default_level(codec).expect("every codec is enabled");
        peer.reads(batch_of(compression, &records), Stamp::NONE, 0)?;
        peer.writes(&records, codec, theirs)?;
    }
    Ok(())
}
