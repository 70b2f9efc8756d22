//! The same requests to a real Apache Kafka and to these brokers: random dialogues of two instances of a transactional id, each
//! answer and what consumers read afterwards. `cargo with-kafka` sets the address.

mod common;

use std::net::TcpStream;
use std::time::{Duration, Instant};

use bytes::Bytes;
use common::{Client, PATIENCE, stamped};
use kafka_batch_core::batch::Stamp;
use kafka_batch_core::decode::{DEFAULT_MAX_DECOMPRESSED, RecordBatches};
use kafka_batch_testing::simulated::Random;
use kafka_batch_testing::wire::add_offsets_to_txn::{AddOffsetsToTxnRequest, AddOffsetsToTxnResponse};
use kafka_batch_testing::wire::add_partitions_to_txn::{
    AddPartitionsToTxnRequest, AddPartitionsToTxnResponse, AddPartitionsToTxnTopic,
};
use kafka_batch_testing::wire::end_txn::{EndTxnRequest, EndTxnResponse};
use kafka_batch_testing::wire::fetch::{FetchRequest, FetchResponse, PartitionData};
use kafka_batch_testing::wire::find_coordinator::{FindCoordinatorRequest, FindCoordinatorResponse};
use kafka_batch_testing::wire::init_producer_id::{InitProducerIdRequest, InitProducerIdResponse};
use kafka_batch_testing::wire::offset_fetch::{OffsetFetchRequest, OffsetFetchRequestTopic, OffsetFetchResponse};
use kafka_batch_testing::wire::produce::{ProduceRequest, ProduceResponse};
use kafka_batch_testing::wire::txn_offset_commit::{
    TxnOffsetCommitRequest, TxnOffsetCommitRequestPartition, TxnOffsetCommitRequestTopic, TxnOffsetCommitResponse,
};
use kafka_batch_testing::{ApiKey, Release, TestCluster};

/// The number of dialogues.
const DIALOGUES: u64 = 150;

/// A request of one of two instances.
#[derive(Clone, Copy, Debug)]
enum Step {
    /// As a new instance.
    Init,
    /// With the identity that it has (KIP-360).
    Recover,
    /// With the identity before (a repetition, if the answer was lost).
    RecoverAgain,
    Add(usize),
    Produce {
        version: i16,
        topic: usize,
        sequence: i32,
    },
    /// A batch without the flag.
    Plain {
        topic: usize,
        sequence: i32,
    },
    AddGroup,
    CommitOffset {
        version: i16,
        generation: i32,
    },
    End {
        version: i16,
        committed: bool,
    },
    /// With the identity before.
    EndAgain {
        version: i16,
        committed: bool,
    },
}

/// Returns random steps, each of the first or the second instance.
fn steps(random: &mut Random, is_level_2: bool) -> Vec<(usize, Step)> {
    let (produce, commit_offset, end): (&[i16], &[i16], &[i16]) =
        if is_level_2 { (&[9, 11, 12, 12], &[3, 4, 5, 5], &[4, 5, 5, 5]) } else { (&[9, 10, 11], &[3, 4], &[3, 4]) };
    let mut all = vec![(0, Step::Init)];
    for _ in 0..16 {
        let instance = usize::from(random.percent(15));
        let topic = random.below(2) as usize;
        let sequence = *random.pick(&[0, 0, 0, 1, 1, 2, 5]);
        let committed = random.percent(60);
        let version = *random.pick(end);
        let step = match random.below(20) {
            0 => Step::Init,
            1 => Step::Recover,
            2 => Step::RecoverAgain,
            3..=5 => Step::Add(topic),
            6..=11 => Step::Produce { version: *random.pick(produce), topic, sequence },
            12 => Step::Plain { topic, sequence },
            13 => Step::AddGroup,
            14 | 15 => {
                let generation = *random.pick(&[-1, -1, 3]);
                Step::CommitOffset { version: *random.pick(commit_offset), generation }
            }
            16..=18 => Step::End { version, committed },
            _ => Step::EndAgain { version, committed },
        };
        all.push((instance, step));
    }
    all
}

/// Returns true for answers at which every client tries again.
const fn is_transient(code: i16) -> bool {
    matches!(code, 3 | 5 | 6 | 14 | 15 | 16 | 19 | 51 | 88)
}

/// The brokers that are asked, and what two instances know.
struct Side {
    client: Client,
    name: String,
    /// Identity, and the one before, of each instance.
    identities: [[(i64, i16); 2]; 2],
    /// The producer ids in the order in which they were assigned: their numbers are not the same.
    producers: Vec<i64>,
}

/// An answer: error code, and producer id (as a number of its own) and epoch, if there are any.
type Answer = (i16, Option<(usize, i16)>);

impl Side {
    fn new(address: &str, name: String) -> Self {
        let stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let mut side = Self { client: Client(stream), name, identities: [[(-1, -1); 2]; 2], producers: Vec::new() };
        for topic in 0..2 {
            let topic = side.topic(topic);
            side.until(|side| (side.client.metadata(12, &topic).topics[0].error_code, ()));
        }
        for key_type in [0, 1] {
            let find = FindCoordinatorRequest { key: side.name.clone(), key_type, ..Default::default() };
            side.until(|side| {
                let found: FindCoordinatorResponse = side.client.ask(ApiKey::FindCoordinator, 3, &find);
                (found.error_code, ())
            });
        }
        side
    }

    fn topic(&self, topic: usize) -> String {
        format!("{}-{topic}", self.name)
    }

    /// Asks until the answer is not transient.
    fn until<T>(&mut self, mut ask: impl FnMut(&mut Self) -> (i16, T)) -> (i16, T) {
        let until = Instant::now() + PATIENCE;
        loop {
            let (code, answer) = ask(self);
            if !is_transient(code) {
                return (code, answer);
            }
            assert!(Instant::now() < until, "the error code stays {code}");
        }
    }

    /// Notes the identity of an instance.
    fn note(&mut self, instance: usize, identity: (i64, i16)) -> (usize, i16) {
        let [current, before] = &mut self.identities[instance];
        if *current != identity {
            (*before, *current) = (*current, identity);
        }
        let number = self.producers.iter().position(|known| *known == identity.0).unwrap_or(self.producers.len());
        if number == self.producers.len() {
            self.producers.push(identity.0);
        }
        (number, identity.1)
    }

    fn init(&mut self, instance: usize, (producer_id, producer_epoch): (i64, i16)) -> Answer {
        let request = InitProducerIdRequest {
            transactional_id: Some(self.name.clone()),
            transaction_timeout_ms: 600_000,
            producer_id,
            producer_epoch,
            ..Default::default()
        };
        let (code, response) = self.until(|side| {
            let response: InitProducerIdResponse = side.client.ask(ApiKey::InitProducerId, 4, &request);
            (response.error_code, response)
        });
        let identity = (response.producer_id, response.producer_epoch);
        (code, (code == 0).then(|| self.note(instance, identity)))
    }

    fn end(&mut self, instance: usize, version: i16, committed: bool, identity: (i64, i16)) -> Answer {
        let (producer_id, producer_epoch) = identity;
        let request = EndTxnRequest { transactional_id: self.name.clone(), producer_id, producer_epoch, committed };
        let mut ask = || {
            self.until(|side| {
                let response: EndTxnResponse = side.client.ask(ApiKey::EndTxn, version, &request);
                (response.error_code, response)
            })
        };
        let (code, response) = ask();
        if code == 0 {
            // Until the markers are written, a late batch still joins the transaction. A repetition waits for that.
            assert_eq!(ask(), (0, response.clone()));
        }
        let next = (response.producer_id, response.producer_epoch);
        (code, (code == 0 && version >= 5).then(|| self.note(instance, next)))
    }

    fn produce(&mut self, version: i16, topic: usize, stamp: Stamp, value: &str) -> Answer {
        let request = self.client.produce_request(version, &self.topic(topic), 0, stamped(&[value], stamp), -1);
        let request = ProduceRequest { transactional_id: Some(self.name.clone()), ..request };
        let (code, ()) = self.until(|side| {
            let response: ProduceResponse = side.client.ask(ApiKey::Produce, version, &request);
            (response.responses[0].partition_responses[0].error_code, ())
        });
        (code, None)
    }

    /// Does a step, whose records have a value of their own.
    fn step(&mut self, instance: usize, step: Step, value: &str) -> Answer {
        let [(producer, epoch), before] = self.identities[instance];
        let stamp = |sequence| Stamp::NONE.producer(producer, epoch, sequence).transactional(true);
        match step {
            Step::Init => self.init(instance, (-1, -1)),
            Step::Recover => self.init(instance, (producer, epoch)),
            Step::RecoverAgain => self.init(instance, before),
            // Without an identity a stamp cannot be written.
            Step::Produce { .. } | Step::Plain { .. } if producer < 0 => (0, None),
            Step::Produce { version, topic, sequence } => self.produce(version, topic, stamp(sequence), value),
            Step::Plain { topic, sequence } => self.produce(11, topic, stamp(sequence).transactional(false), value),
            Step::Add(topic) => {
                let topics = vec![AddPartitionsToTxnTopic { name: self.topic(topic), partitions: vec![0] }];
                let request = AddPartitionsToTxnRequest {
                    v3_and_below_transactional_id: self.name.clone(),
                    v3_and_below_producer_id: producer,
                    v3_and_below_producer_epoch: epoch,
                    v3_and_below_topics: topics,
                    ..Default::default()
                };
                self.until(|side| {
                    let response: AddPartitionsToTxnResponse = side.client.ask(ApiKey::AddPartitionsToTxn, 3, &request);
                    let topic = &response.results_by_topic_v3_and_below[0];
                    (topic.results_by_partition[0].partition_error_code, None)
                })
            }
            Step::AddGroup => {
                let request = AddOffsetsToTxnRequest {
                    transactional_id: self.name.clone(),
                    producer_id: producer,
                    producer_epoch: epoch,
                    group_id: self.name.clone(),
                };
                self.until(|side| {
                    let response: AddOffsetsToTxnResponse = side.client.ask(ApiKey::AddOffsetsToTxn, 3, &request);
                    (response.error_code, None)
                })
            }
            Step::CommitOffset { version, generation } => {
                let offset = value.len() as i64;
                let partition = TxnOffsetCommitRequestPartition { committed_offset: offset, ..Default::default() };
                let topic = TxnOffsetCommitRequestTopic {
                    name: self.topic(0),
                    partitions: vec![partition],
                    ..Default::default()
                };
                let request = TxnOffsetCommitRequest {
                    transactional_id: self.name.clone(),
                    group_id: self.name.clone(),
                    producer_id: producer,
                    producer_epoch: epoch,
                    generation_id_or_member_epoch: generation,
                    topics: vec![topic],
                    ..Default::default()
                };
                self.until(|side| {
                    let response: TxnOffsetCommitResponse = side.client.ask(ApiKey::TxnOffsetCommit, version, &request);
                    (response.topics[0].partitions[0].error_code, None)
                })
            }
            Step::End { version, committed } => self.end(instance, version, committed, (producer, epoch)),
            Step::EndAgain { version, committed } => self.end(instance, version, committed, before),
        }
    }

    fn fetch(&mut self, topic: usize, isolation_level: i8, offset: i64) -> PartitionData {
        let request = self.client.fetch_request(12, &self.topic(topic), offset);
        let request = FetchRequest { isolation_level, ..request };
        let response: FetchResponse = self.client.ask(ApiKey::Fetch, 12, &request);
        response.responses[0].partitions[0].clone()
    }

    /// Returns what a consumer reads of a topic: each record and marker with its offset, and the aborted transactions.
    fn read(&mut self, topic: usize, isolation_level: i8) -> (Vec<String>, Vec<(usize, i64)>) {
        let (mut all, mut aborted, mut offset) = (Vec::new(), Vec::new(), 0);
        let until = Instant::now() + PATIENCE;
        loop {
            let data = self.fetch(topic, isolation_level, offset);
            assert_eq!(data.error_code, 0);
            // Nothing is open any more.
            let is_stable = data.last_stable_offset == data.high_watermark;
            for transaction in data.aborted_transactions.clone().unwrap_or_default() {
                let producer = self.producers.iter().position(|known| *known == transaction.producer_id).unwrap();
                aborted.push((producer, transaction.first_offset));
            }
            let records = data.records.clone().unwrap_or_default();
            self.describe(&records, &mut offset, &mut all);
            if is_stable && offset == data.high_watermark {
                aborted.sort_unstable();
                aborted.dedup();
                return (all, aborted);
            }
            assert!(
                Instant::now() < until,
                "the topic is stable at {} of {}",
                data.last_stable_offset,
                data.high_watermark
            );
        }
    }

    fn describe(&self, records: &Bytes, offset: &mut i64, all: &mut Vec<String>) {
        for batch in RecordBatches::new(records) {
            let batch = batch.unwrap();
            // Control batches are compared but for the time and the coordinator's epoch.
            let flags = (batch.is_transactional(), batch.is_control());
            for record in batch.records(DEFAULT_MAX_DECOMPRESSED).unwrap().iter_lenient() {
                let record = record.unwrap();
                let value = if flags.1 { Vec::new() } else { record.value.unwrap_or_default().to_vec() };
                let key = record.key.map(<[u8]>::to_vec);
                let place = record.offset;
                all.push(format!("{place}: {flags:?} {key:?} {}", String::from_utf8(value).unwrap()));
                *offset = place + 1;
            }
        }
    }

    fn committed_offset(&mut self) -> i64 {
        let topic = OffsetFetchRequestTopic { name: self.topic(0), partition_indexes: vec![0] };
        let request = OffsetFetchRequest {
            group_id: self.name.clone(),
            topics: Some(vec![topic]),
            require_stable: true,
            ..Default::default()
        };
        let (code, offset) = self.until(|side| {
            let response: OffsetFetchResponse = side.client.ask(ApiKey::OffsetFetch, 7, &request);
            let partition = &response.topics[0].partitions[0];
            (partition.error_code, partition.committed_offset)
        });
        assert_eq!(code, 0);
        offset
    }
}

#[test]
#[ignore = "needs Kafka 4 or 3.9: cargo with-kafka --kafka 4 -- cargo test -p kafka-batch-testing --test same_as_kafka -- --ignored"]
fn dialogues_are_answered_as_by_kafka() {
    let variable = |name: &str| std::env::var(name).unwrap_or_else(|_| panic!("{name} is not set"));
    let (kafka, version) = (variable("KAFKA_BATCH_BROKERS"), variable("KAFKA_BATCH_KAFKA_VERSION"));
    let release = if version.starts_with("3.9") { Release::V3_9 } else { Release::NEWEST };
    let cluster = TestCluster::builder().release(release).start().unwrap();
    let began = Instant::now();
    let mut answers = std::collections::BTreeMap::new();
    for seed in 0..DIALOGUES {
        let mut random = Random::new(seed);
        let steps = steps(&mut random, release == Release::NEWEST);
        let name = format!("dialogue-{seed}");
        let mut theirs = Side::new(&kafka, name.clone());
        let mut ours = Side::new(&cluster.bootstrap_servers(), name);
        let mut so_far = Vec::new();
        for (number, (instance, step)) in steps.into_iter().enumerate() {
            let value = "v".repeat(number + 1);
            let expected = theirs.step(instance, step, &value);
            so_far.push((instance, step, expected));
            let answer = ours.step(instance, step, &value);
            assert_eq!(answer, expected, "seed {seed}: {so_far:#?}");
            *answers
                .entry((format!("{step:?}").split([' ', '(']).next().unwrap().to_owned(), answer.0))
                .or_insert(0) += 1;
        }
        // What is open is aborted by a last instance.
        assert_eq!(ours.init(0, (-1, -1)), theirs.init(0, (-1, -1)), "seed {seed}");
        for topic in 0..2 {
            for isolation_level in [0, 1] {
                let expected = theirs.read(topic, isolation_level);
                assert_eq!(ours.read(topic, isolation_level), expected, "seed {seed}: {so_far:#?}");
            }
        }
        assert_eq!(ours.committed_offset(), theirs.committed_offset(), "seed {seed}: {so_far:#?}");
    }
    let took = began.elapsed();
    println!("{DIALOGUES} dialogues with Kafka {version} in {took:?}: {answers:#?}");
    assert!(took > Duration::ZERO && answers.len() > 20, "few kinds of answers: {answers:?}");
}

/// The Java client of the release that runs, with the cluster for tests.
#[test]
#[ignore = "needs Java and the jars of Kafka: cargo with-kafka --kafka 4 -- cargo test -p kafka-batch-testing --test same_as_kafka -- --ignored"]
fn java_s_transactions_are_committed_aborted_and_fenced() {
    let variable = |name: &str| std::env::var(name).unwrap_or_else(|_| panic!("{name} is not set"));
    let program = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/kafka_clients/Transactions.java");
    for (release, level) in [(Release::NEWEST, 2), (Release::NEWEST, 1), (Release::NEWEST, 0), (Release::V3_9, 0)] {
        let topic = kafka_batch_testing::Topic::new("t").partitions(2);
        let cluster =
            TestCluster::builder().brokers(3).release(release).transaction_version(level).topic(topic).start().unwrap();
        let output = std::process::Command::new(variable("KAFKA_BATCH_JAVA"))
            .arg("-cp")
            .arg(variable("KAFKA_BATCH_KAFKA_BROKER_CLASSPATH"))
            .arg(&program)
            .arg(cluster.bootstrap_servers())
            .output()
            .expect("Java starts");
        let printed = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success(), "{printed}{}", String::from_utf8_lossy(&output.stderr));
        let lines: Vec<_> = printed.lines().collect();
        let expected = [
            "offset 1",
            "offset 1",
            "offset 3",
            "offset 3",
            "read_committed value0 value2",
            "read_uncommitted value0 value1 value2 value3 open",
            "fenced ProducerFencedException",
            "read_committed value0 value2 second",
        ];
        assert_eq!(lines, expected, "{release:?} at level {level}: {}", String::from_utf8_lossy(&output.stderr));
        let newest =
            cluster.requests().iter().filter(|request| request.api == ApiKey::EndTxn).map(|end| end.version).max();
        let knows_level_2 = !variable("KAFKA_BATCH_KAFKA_VERSION").starts_with("3.");
        let expected = if level == 2 && knows_level_2 { 5 } else { 4 };
        assert_eq!(newest, Some(expected), "{release:?} at level {level}");
        assert_eq!(cluster.violations(), Vec::<String>::new());
    }
}
