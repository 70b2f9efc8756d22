//! What we write, other people's code reads; what it writes, we read: `kafka-protocol` and `rskafka`, which share no line
//! with each other nor with us.
//!
//! `kafka-protocol` has its record codec in public. That of `rskafka` is private, so it is asked as a user would: its
//! client talks over TCP to a broker of a page (`bystander`, below), which keeps the bytes that it produces and hands
//! out ours when it fetches.
//!
//! What they cannot do is left out by the generators, each thing by its name:
//!
//! | | `kafka-protocol` 0.18 | `rskafka` 0.6 |
//! |---|---|---|
//! | magic 0 and 1 | neither read nor written (the suites `vectors` and `kafka` have other witnesses) | the same |
//! | repeated header names | collapse into one ([`KafkaProtocol::can_say`]) | the same ([`Rskafka::can_say`]) |
//! | order of headers | kept | sorted by name |
//! | null header values | read and written | a decode error; cannot be said |
//! | timestamps so far apart that their difference wraps | overflow | refused |
//! | timestamps beyond the years that `chrono` has | read and written | refused |
//! | log-append-time | the flag is told, the records keep their own time | the flag is not looked at |
//! | producer id, epoch, sequence, transactional bit | read and written | read past; always written as "none" |
//! | delete horizon | read and written as a flag | read past |
//! | relative offsets with gaps | read and written | read; never written |
//! | which Snappy it writes | xerial framing | raw |

use ::proptest::prelude::*;
use ::proptest::sample::select;
use ::proptest::test_runner::{TestCaseError, TestCaseResult, TestRunner};
use kafka_batch::proptest::{OwnedHeader, OwnedRecord, strategy};
use kafka_batch::*;

/// The usual number of cases (or what `PROPTEST_CASES` says) divided by `costs`. No seeds are kept: every failure here is
/// to become a test with a name.
fn config(costs: u32) -> ProptestConfig {
    let usual = ProptestConfig::default();
    ProptestConfig { cases: usual.cases.div_ceil(costs), failure_persistence: None, ..usual }
}

fn fail(error: impl std::fmt::Debug) -> TestCaseError {
    TestCaseError::fail(format!("{error:?}"))
}

fn batch_of(compression: Compression, records: &[OwnedRecord]) -> KafkaBatch {
    let options = BatchOptions::default().batch_size(1 << 20).compression(compression);
    let mut batch = options.build(Timestamp::from_millis(0)).expect("options that go together");
    let borrowed: Vec<_> = records.iter().map(OwnedRecord::borrowed).collect();
    batch.extend(&borrowed).expect("room for these few");
    batch
}

/// What we read out of these bytes: each record with its offset.
fn read(bytes: &[u8]) -> Result<(Codec, Vec<(i64, OwnedRecord)>), TestCaseError> {
    let mut batches = RecordBatches::new(bytes);
    let batch = batches.next().ok_or_else(|| TestCaseError::fail("no batch"))?.map_err(fail)?;
    let records = batch.records(DEFAULT_MAX_DECOMPRESSED).map_err(fail)?;
    records.validate().map_err(fail)?;
    let views = records.iter().map(|view| view.map(|view| (view.offset, OwnedRecord::from(view))));
    let records = views.collect::<Result<_, _>>().map_err(fail)?;
    prop_assert!(batches.next().is_none() && batches.tail().is_none(), "more than one batch");
    Ok((batch.codec(), records))
}

fn stamped(records: &[OwnedRecord]) -> StampedBatch {
    batch_of(Compression::None, records).seal().expect("no limit is near").without_producer_id()
}

/// A batch of one record with one header name twice.
fn repeated_names() -> StampedBatch {
    let headers = vec![OwnedHeader::new("a", "1"), OwnedHeader::new("a", "2")];
    stamped(&[OwnedRecord { headers, ..OwnedRecord::default() }])
}

/// A batch of one record in an older format.
fn of_magic(magic: Magic) -> StampedBatch {
    let mut batch =
        BatchOptions::default().magic(MagicChoice::Pinned(magic)).build(0).expect("options that go together");
    let _ = batch.append(Record::new("x")).expect("a record for every format");
    batch.seal().expect("no limit is near").without_producer_id()
}

/// A list in which no name comes twice: the first of each stays.
fn without_repeats(headers: Vec<OwnedHeader>) -> Vec<OwnedHeader> {
    let mut kept: Vec<OwnedHeader> = Vec::new();
    for header in headers {
        if kept.iter().all(|other| other.name != header.name) {
            kept.push(header);
        }
    }
    kept
}

/// The timestamp, brought within so many milliseconds of 1970.
fn within(most: i64, record: &OwnedRecord) -> Option<Timestamp> {
    Some(Timestamp::from_millis(record.timestamp.map_or(0, |timestamp| timestamp.millis() % most)))
}

/// Records of some hundred kilobytes: more than one block of every codec, runs and noise mixed.
fn large_records() -> Vec<OwnedRecord> {
    let mut state = 1_u32;
    let mut noise = move || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 24) as u8
    };
    let value = |kind: usize, noise: &mut dyn FnMut() -> u8| -> Vec<u8> {
        (0..50_000 + kind).map(|at| if kind % 2 == 0 { noise() } else { (at / 100) as u8 }).collect()
    };
    (0..6)
        .map(|kind| OwnedRecord {
            timestamp: Some(Timestamp::from_millis(5)),
            ..OwnedRecord::new(value(kind, &mut noise))
        })
        .collect()
}

mod kafka_protocol_peer {
    use super::*;
    use kafka_protocol::records::{
        Compression as TheirCompression, Record as TheirRecord, RecordBatchDecoder, RecordBatchEncoder,
        RecordEncodeOptions, TimestampType as TheirTimestampType,
    };

    struct KafkaProtocol;

    impl KafkaProtocol {
        /// Record with what it has no words for left out: repeated names, differences of time that wrap.
        fn can_say(record: OwnedRecord) -> OwnedRecord {
            const HALF_OF_ALL_TIME: i64 = i64::MAX / 2;
            let timestamp = within(HALF_OF_ALL_TIME, &record);
            OwnedRecord { timestamp, headers: without_repeats(record.headers), ..record }
        }
    }

    fn records() -> impl Strategy<Value = Vec<OwnedRecord>> {
        strategy::records(1..8).prop_map(|records| records.into_iter().map(KafkaProtocol::can_say).collect())
    }

    fn ours(theirs: &TheirRecord) -> (i64, OwnedRecord) {
        let headers = theirs.headers.iter().map(|(name, value)| OwnedHeader {
            name: name.to_string(),
            value: value.as_ref().map(|value| value.to_vec()),
        });
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

    fn theirs(record: &OwnedRecord, offset: i64, (id, epoch, sequence, transactional): Sender) -> TheirRecord {
        let text = |text: &str| kafka_protocol::protocol::StrBytes::from_string(text.to_owned());
        TheirRecord {
            transactional,
            control: false,
            delete_horizon: false,
            partition_leader_epoch: -1,
            producer_id: id,
            producer_epoch: epoch,
            timestamp_type: TheirTimestampType::Creation,
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

    const CODECS: [(Codec, TheirCompression); 5] = [
        (Codec::None, TheirCompression::None),
        (Codec::Gzip, TheirCompression::Gzip),
        (Codec::Snappy, TheirCompression::Snappy),
        (Codec::Lz4, TheirCompression::Lz4),
        (Codec::Zstd, TheirCompression::Zstd),
    ];

    fn it_reads(batch: KafkaBatch, stamp: Stamp, base_offset: i64, sender: Sender) -> TestCaseResult {
        let records: Vec<_> =
            batch.records().map(|view| (base_offset + view.offset, OwnedRecord::from(view))).collect();
        let stamped = batch.seal().map_err(fail)?.stamp(stamp).map_err(fail)?;
        let read = RecordBatchDecoder::decode(&mut stamped.bytes().clone()).map_err(fail)?;
        let codec = CODECS.iter().find(|(_, theirs)| *theirs == read.compression).map(|(codec, _)| *codec);
        prop_assert_eq!(codec, Some(stamped.codec()));
        for (read, (offset, _)) in read.records.iter().zip(&records) {
            let (id, epoch, sequence, transactional) = sender;
            prop_assert_eq!((read.producer_id, read.producer_epoch, read.transactional), (id, epoch, transactional));
            prop_assert_eq!(read.sequence, sequence.wrapping_add((offset - base_offset) as i32));
        }
        prop_assert_eq!(read.records.iter().map(ours).collect::<Vec<_>>(), records);
        Ok(())
    }

    fn we_read(records: &[OwnedRecord], gap: i64, compression: TheirCompression, sender: Sender) -> TestCaseResult {
        let sent: Vec<_> =
            records.iter().enumerate().map(|(at, record)| theirs(record, at as i64 * gap, sender)).collect();
        let mut bytes = Vec::new();
        let options = RecordEncodeOptions { version: 2, compression };
        RecordBatchEncoder::encode(&mut bytes, &sent, &options).map_err(fail)?;
        let (codec, read) = read(&bytes)?;
        prop_assert!(CODECS.contains(&(codec, compression)));
        prop_assert_eq!(read, sent.iter().map(ours).collect::<Vec<_>>());
        let header = *RecordBatches::new(&bytes).next().expect("a batch").map_err(fail)?.header().expect("magic 2");
        let (id, epoch, sequence, transactional) = sender;
        prop_assert_eq!((header.producer_id, header.producer_epoch, header.base_sequence), (id, epoch, sequence));
        prop_assert_eq!(header.attributes & 1 << 4 != 0, transactional);
        Ok(())
    }

    proptest! {
        #![proptest_config(config(1))]

        #[test]
        fn it_reads_what_we_write(
            records in records(),
            compression in strategy::compressions(),
            sender in (any::<i64>(), any::<i16>(), any::<i32>(), any::<bool>()),
            base_offset in 0..i64::MAX / 2,
        ) {
            let (id, epoch, sequence, transactional) = sender;
            let stamp = Stamp::default().producer(id, epoch, sequence).transactional(transactional).base_offset(base_offset);
            it_reads(batch_of(compression, &records), stamp, base_offset, sender)?;
        }

        #[test]
        fn we_read_what_it_writes(
            records in records(),
            gap in 1..1_000_i64,
            compression in select(CODECS.map(|(_, theirs)| theirs).to_vec()),
            sender in (any::<i64>(), any::<i16>(), any::<i32>(), any::<bool>()),
        ) {
            we_read(&records, gap, compression, sender)?;
        }

        /// It does not apply log-append-time, so what is compared is the flag, and that its times are the records' own.
        #[test]
        fn it_sees_the_flags_that_we_set(
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
                prop_assert_eq!(read.timestamp_type, TheirTimestampType::LogAppend);
                prop_assert_eq!(read.delete_horizon, horizon.is_some());
                prop_assert_eq!(&ours(read).1, own);
            }
        }
    }

    /// Should one of these come to fail, the generators above have something to gain.
    #[test]
    fn what_is_left_out_it_cannot_do() {
        let decode = |bytes: &StampedBatch| RecordBatchDecoder::decode(&mut bytes.bytes().clone());
        let headers = decode(&repeated_names()).unwrap().records[0].headers.len();
        assert_eq!(headers, 1, "repeated names collapse");
        for magic in [Magic::V0, Magic::V1] {
            assert!(decode(&of_magic(magic)).is_err(), "{magic}");
        }
    }

    #[test]
    fn batches_of_many_blocks_go_both_ways_with_every_codec() -> TestCaseResult {
        let (records, sender) = (large_records(), (-1, -1, -1, false));
        for (codec, theirs) in CODECS {
            let compression = Compression::with_default_level(codec).expect("all are compiled in");
            let batch = batch_of(compression, &records);
            prop_assert_eq!(batch.clone().seal().map_err(fail)?.codec(), codec, "it has to be compressed");
            it_reads(batch, Stamp::NONE, 0, sender)?;
            we_read(&records, 1, theirs, sender)?;
        }
        Ok(())
    }
}

mod rskafka_peer {
    use super::*;
    use rskafka::chrono::DateTime;
    use rskafka::client::partition::{Compression as TheirCompression, PartitionClient, UnknownTopicHandling};
    use rskafka::record::Record as TheirRecord;

    struct Rskafka {
        runtime: tokio::runtime::Runtime,
        client: PartitionClient,
        shelf: bystander::Shelf,
    }

    impl Rskafka {
        /// A client that is connected to a bystander.
        fn connect() -> Self {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
            let (address, shelf) = bystander::start();
            let client = runtime.block_on(async {
                let client = rskafka::client::ClientBuilder::new(vec![address]).build().await?;
                client.partition_client(bystander::TOPIC, 0, UnknownTopicHandling::Error).await
            });
            Self { runtime, client: client.expect("a partition"), shelf }
        }

        /// Record with what it has no words for left out: repeated names, null header values, years that `chrono` has not;
        /// and its headers in the order that it gives them.
        fn can_say(record: OwnedRecord) -> OwnedRecord {
            const A_HUNDRED_THOUSAND_YEARS: i64 = 100_000 * 365 * 86_400_000;
            let timestamp = within(A_HUNDRED_THOUSAND_YEARS, &record);
            let mut headers = without_repeats(record.headers);
            headers.iter_mut().for_each(|header| header.value = Some(header.value.take().unwrap_or_default()));
            headers.sort_by(|left, right| left.name.cmp(&right.name));
            OwnedRecord { timestamp, headers, ..record }
        }

        fn reads(&self, batch: KafkaBatch, stamp: Stamp, base_offset: i64) -> TestCaseResult {
            let expected: Vec<_> =
                batch.records().map(|view| (base_offset + view.offset, OwnedRecord::from(view))).collect();
            let stamped = batch.seal().map_err(fail)?.stamp(stamp).map_err(fail)?;
            self.shelf.put(stamped.bytes());
            let fetched = self.client.fetch_records(base_offset, 1..i32::MAX, 0);
            let (fetched, _) = self.runtime.block_on(fetched).map_err(fail)?;
            let fetched: Vec<_> = fetched.into_iter().map(|fetched| (fetched.offset, ours(fetched.record))).collect();
            prop_assert_eq!(fetched, expected);
            Ok(())
        }

        fn writes(&self, records: &[OwnedRecord], codec: Codec, compression: TheirCompression) -> TestCaseResult {
            let produced = self.client.produce(records.iter().map(theirs).collect(), compression);
            self.runtime.block_on(produced).map_err(fail)?;
            let (found, read) = read(&self.shelf.take())?;
            prop_assert_eq!(found, codec);
            prop_assert_eq!(read, (0..).zip(records.iter().cloned()).collect::<Vec<_>>());
            Ok(())
        }
    }

    fn records() -> impl Strategy<Value = Vec<OwnedRecord>> {
        strategy::records(1..8).prop_map(|records| records.into_iter().map(Rskafka::can_say).collect())
    }

    fn ours(theirs: TheirRecord) -> OwnedRecord {
        let TheirRecord { key, value, headers, timestamp } = theirs;
        let headers = headers.into_iter().map(|(name, value)| OwnedHeader::new(name, value)).collect();
        OwnedRecord { key, value, headers, timestamp: Some(Timestamp::from_millis(timestamp.timestamp_millis())) }
    }

    fn theirs(record: &OwnedRecord) -> TheirRecord {
        let OwnedRecord { key, value, headers, timestamp } = record.clone();
        let headers = headers.into_iter().map(|header| (header.name, header.value.unwrap_or_default())).collect();
        let millis = timestamp.map_or(0, Timestamp::millis);
        TheirRecord { key, value, headers, timestamp: DateTime::from_timestamp_millis(millis).expect("a usual year") }
    }

    const CODECS: [(Codec, TheirCompression); 5] = [
        (Codec::None, TheirCompression::NoCompression),
        (Codec::Gzip, TheirCompression::Gzip),
        (Codec::Snappy, TheirCompression::Snappy),
        (Codec::Lz4, TheirCompression::Lz4),
        (Codec::Zstd, TheirCompression::Zstd),
    ];

    #[test]
    fn it_reads_what_we_write() {
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
    fn we_read_what_it_writes() {
        let peer = Rskafka::connect();
        let outcome = TestRunner::new(config(1))
            .run(&(records(), select(&CODECS[..])), |(records, (codec, theirs))| peer.writes(&records, codec, theirs));
        outcome.unwrap_or_else(|error| panic!("{error}"));
    }

    /// Should one of these come to fail, the generators above have something to gain.
    #[test]
    fn what_is_left_out_it_cannot_do() {
        let peer = Rskafka::connect();
        let fetch = |batch: &StampedBatch| {
            peer.shelf.put(batch.bytes());
            peer.runtime.block_on(peer.client.fetch_records(0, 1..i32::MAX, 0))
        };
        let (fetched, _) = fetch(&repeated_names()).unwrap();
        assert_eq!(fetched[0].record.headers.len(), 1, "repeated names collapse");
        let null = OwnedRecord { headers: vec![OwnedHeader::null("a")], ..OwnedRecord::default() };
        assert!(fetch(&stamped(&[null])).is_err(), "a null header value");
        let late = |millis| OwnedRecord { timestamp: Some(Timestamp::from_millis(millis)), ..OwnedRecord::default() };
        assert!(fetch(&stamped(&[late(i64::MAX)])).is_err(), "a year that chrono has not");
        assert!(fetch(&stamped(&[late(1), late(i64::MIN)])).is_err(), "a difference that wraps");
        for magic in [Magic::V0, Magic::V1] {
            assert!(fetch(&of_magic(magic)).is_err(), "{magic}");
        }
    }

    #[test]
    fn batches_of_many_blocks_go_both_ways_with_every_codec() -> TestCaseResult {
        let (peer, records) = (Rskafka::connect(), large_records());
        for (codec, theirs) in CODECS {
            let compression = Compression::with_default_level(codec).expect("all are compiled in");
            peer.reads(batch_of(compression, &records), Stamp::NONE, 0)?;
            peer.writes(&records, codec, theirs)?;
        }
        Ok(())
    }
}

/// A broker that understands nothing of records: it keeps what is produced, and hands out what was put there.
mod bystander {
    use std::io::{Read, Write};
    use std::net::{TcpListener, TcpStream};
    use std::sync::{Arc, Mutex};

    use kafka_protocol::messages::*;
    use kafka_protocol::protocol::{Decodable, Encodable, StrBytes};

    pub(super) const TOPIC: &str = "topic";

    /// Where the record bytes lie.
    #[derive(Clone, Default)]
    pub(super) struct Shelf(Arc<Mutex<Vec<u8>>>);

    impl Shelf {
        pub(super) fn put(&self, bytes: &[u8]) {
            *self.0.lock().expect("nobody panics holding it") = bytes.to_vec();
        }

        pub(super) fn take(&self) -> Vec<u8> {
            std::mem::take(&mut *self.0.lock().expect("nobody panics holding it"))
        }
    }

    /// Starts it on a free port; it runs until the test does not.
    pub(super) fn start() -> (String, Shelf) {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let port = listener.local_addr().expect("it is bound").port();
        let shelf = Shelf::default();
        let shared = shelf.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let shelf = shared.clone();
                std::thread::spawn(move || serve(stream, port, &shelf));
            }
        });
        (format!("127.0.0.1:{port}"), shelf)
    }

    /// Answers requests until the connection closes.
    fn serve(mut stream: TcpStream, port: u16, shelf: &Shelf) -> Option<()> {
        stream.set_nodelay(true).ok()?;
        loop {
            let mut length = [0; 4];
            stream.read_exact(&mut length).ok()?;
            let mut request = vec![0; u32::from_be_bytes(length) as usize];
            stream.read_exact(&mut request).ok()?;
            let answer = answer(&request, port, shelf);
            let mut frame = (answer.len() as u32).to_be_bytes().to_vec();
            frame.extend(answer);
            stream.write_all(&frame).ok()?;
        }
    }

    fn answer(request: &[u8], port: u16, shelf: &Shelf) -> Vec<u8> {
        let [key, version] = [0, 2].map(|at| i16::from_be_bytes([request[at], request[at + 1]]));
        let key = ApiKey::try_from(key).expect("an API of Kafka's");
        let mut rest = request;
        let header = RequestHeader::decode(&mut rest, key.request_header_version(version)).expect("a header");
        let mut answer = Vec::new();
        ResponseHeader::default()
            .with_correlation_id(header.correlation_id)
            .encode(&mut answer, key.response_header_version(version))
            .expect("a header");
        match key {
            ApiKey::ApiVersions => versions().encode(&mut answer, version),
            ApiKey::Metadata => metadata(port).encode(&mut answer, version),
            ApiKey::Produce => {
                let produce = ProduceRequest::decode(&mut rest, version).expect("a request");
                let records = produce.topic_data[0].partition_data[0].records.clone();
                shelf.put(&records.expect("records"));
                produced().encode(&mut answer, version)
            }
            ApiKey::Fetch => fetched(shelf.take()).encode(&mut answer, version),
            other => panic!("nobody should ask for {other:?}"),
        }
        .expect("an answer");
        answer
    }

    fn versions() -> ApiVersionsResponse {
        let known =
            [(ApiKey::ApiVersions, 0, 3), (ApiKey::Metadata, 0, 4), (ApiKey::Produce, 3, 7), (ApiKey::Fetch, 4, 4)];
        let known = known.map(|(key, min, max)| {
            api_versions_response::ApiVersion::default()
                .with_api_key(key as i16)
                .with_min_version(min)
                .with_max_version(max)
        });
        ApiVersionsResponse::default().with_api_keys(known.to_vec())
    }

    fn topic() -> TopicName {
        TopicName(StrBytes::from_static_str(TOPIC))
    }

    fn metadata(port: u16) -> MetadataResponse {
        use metadata_response::{MetadataResponseBroker, MetadataResponsePartition, MetadataResponseTopic};
        let broker = MetadataResponseBroker::default()
            .with_node_id(BrokerId(1))
            .with_host(StrBytes::from_static_str("127.0.0.1"))
            .with_port(i32::from(port));
        let partition = MetadataResponsePartition::default().with_partition_index(0).with_leader_id(BrokerId(1));
        let topic = MetadataResponseTopic::default().with_name(Some(topic())).with_partitions(vec![partition]);
        MetadataResponse::default().with_brokers(vec![broker]).with_controller_id(BrokerId(1)).with_topics(vec![topic])
    }

    fn produced() -> ProduceResponse {
        use produce_response::{PartitionProduceResponse, TopicProduceResponse};
        let partition = PartitionProduceResponse::default().with_index(0).with_base_offset(0);
        let topic = TopicProduceResponse::default().with_name(topic()).with_partition_responses(vec![partition]);
        ProduceResponse::default().with_responses(vec![topic])
    }

    fn fetched(records: Vec<u8>) -> FetchResponse {
        use fetch_response::{FetchableTopicResponse, PartitionData};
        let partition = PartitionData::default().with_partition_index(0).with_records(Some(records.into()));
        let topic = FetchableTopicResponse::default().with_topic(topic()).with_partitions(vec![partition]);
        FetchResponse::default().with_responses(vec![topic])
    }
}
