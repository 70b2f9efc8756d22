//! Other Kafka clients write to the cluster of `kafka-batch-testing` and read from it: librdkafka in this process, and Java's
//! client, aiokafka, kafka-python and franz-go as programs (`foreign_clients/README.md`).
//!
//! Each writes the same records with every codec, idempotent and not, and each reads what every other one and this library
//! wrote. Every field is compared.

#[path = "foreign_clients/clients.rs"]
mod clients;
#[path = "foreign_clients/install.rs"]
mod install;
#[path = "foreign_clients/librdkafka.rs"]
mod librdkafka;
#[path = "foreign_clients/messages.rs"]
mod messages;
#[path = "foreign_clients/kafka_batch.rs"]
mod own;
#[path = "foreign_clients/prepare.rs"]
mod prepare;
#[path = "foreign_clients/program.rs"]
mod program;
#[path = "foreign_clients/sample.rs"]
mod sample;

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;

use clients::{Accepts, Client, never_paused};
use kafka_batch_testing::{ApiKey, ReceivedRequest, Release, TestCluster, TestClusterBuilder, Topic};
use messages::{CODECS, FetchedRecord, Place, ReadJob, RecordFields, Source, Target, WriteJob};
use sample::{MOMENT, first_from, sample};

/// Programs of several tests at once would only wait for each other.
static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

fn alone() -> MutexGuard<'static, ()> {
    ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The partitions that each client writes: one for each codec, without and with idempotence.
fn targets() -> Vec<Target> {
    let each = CODECS.iter().flat_map(|codec| [false, true].map(|idempotent| (*codec, idempotent)));
    (0..).zip(each).map(|(partition, (codec, idempotent))| Target { partition, codec, idempotent }).collect()
}

/// The records that each client wrote, in the order of their offsets, by topic and partition.
type Written = BTreeMap<(String, i32), Vec<RecordFields>>;

/// Lets every client write its sample to a topic of its own, at the same time, and checks where the records are.
fn write(cluster: &TestCluster, clients: &[Box<dyn Client>]) -> Written {
    let written = Mutex::new(Written::new());
    thread::scope(|scope| {
        let written = &written;
        for client in clients {
            scope.spawn(move || {
                let name = client.name();
                let records = sample(client.accepts());
                let topic = name.replace(' ', "-");
                let job = WriteJob::new(topic.clone(), targets(), &records);
                let offsets = client.write(&cluster.bootstrap_servers(), &job, &mut never_paused());
                for target in &job.partitions {
                    let found = offsets.of(target.partition);
                    assert_eq!(found, consecutive(records.len()), "offsets returned by {name}, {target:?}");
                    check_log(cluster, &topic, target, &job.records, name);
                    let key = (topic.clone(), target.partition);
                    written.lock().unwrap().insert(key, job.records.clone());
                }
            });
        }
    });
    written.into_inner().unwrap()
}

/// Checks what is stored: the records, the codec of the batches, and whether they have a producer id.
fn check_log(cluster: &TestCluster, topic: &str, target: &Target, expected: &[RecordFields], writer: &str) {
    let log = cluster.log(topic, target.partition).expect(topic);
    let stored: Vec<_> = log.records().unwrap().iter().map(RecordFields::from).collect();
    assert_eq!(stored, expected, "in the log, from {writer}, {target:?}");
    let batches = log.batches();
    assert!(batches.iter().all(|batch| batch.info.stamp.is_some() == target.idempotent), "{writer}, {target:?}");
    // Clients do not compress where that saves nothing.
    let codecs: Vec<_> = batches.iter().map(|batch| (batch.info.codec.name(), batch.info.records)).collect();
    assert!(
        codecs.iter().any(|(codec, records)| *codec == target.codec && *records > 1),
        "{writer}, {target:?}: {codecs:?}"
    );
    assert!(codecs.iter().all(|(codec, _)| [target.codec, "none"].contains(codec)), "{writer}, {target:?}: {codecs:?}");
}

/// Returns the position and the offset of each record of a partition that has no others.
fn consecutive(count: usize) -> Vec<(usize, i64)> {
    (0..count).zip(0..).collect()
}

fn read_job(written: &Written) -> ReadJob {
    let source = |((topic, partition), records): (&(String, i32), &Vec<RecordFields>)| Source {
        topic: topic.clone(),
        partition: *partition,
        count: records.len(),
    };
    ReadJob { partitions: written.iter().map(source).collect(), time: MOMENT, pause_after: None }
}

/// Lets every client read all of this, at the same time, and compares every field.
fn read(cluster: &TestCluster, clients: &[Box<dyn Client>], written: &Written) {
    let job = &read_job(written);
    thread::scope(|scope| {
        for client in clients {
            scope.spawn(move || {
                let read = client.read(&cluster.bootstrap_servers(), job, &mut never_paused());
                assert_eq!(read.ranges.len(), written.len(), "{}", client.name());
                for range in &read.ranges {
                    let Place { topic, partition } = &range.place;
                    let records = &written[&(topic.clone(), *partition)];
                    range.check(0, records.len() as i64, first_from(records, MOMENT), client.name());
                }
                check_records(&read.records, written, client.name());
            });
        }
    });
}

fn check_records(read: &[FetchedRecord], written: &Written, reader: &str) {
    let mut by_partition: BTreeMap<(String, i32), Vec<_>> = BTreeMap::new();
    for record in read {
        let Place { topic, partition } = &record.place;
        by_partition.entry((topic.clone(), *partition)).or_default().push((record.offset, &record.fields));
    }
    for ((topic, partition), records) in written {
        let found = by_partition.remove(&(topic.clone(), *partition)).unwrap_or_default();
        let expected: Vec<_> = (0..).zip(records).collect();
        assert_eq!(found, expected, "{reader} reads {topic}-{partition}");
    }
    assert!(by_partition.is_empty(), "{reader} reads other partitions: {:?}", by_partition.keys());
}

fn all_write_and_all_read(builder: TestClusterBuilder) {
    let _turn = alone();
    let clients = clients::all();
    let cluster = builder.start().unwrap();
    let mut written = write(&cluster, clients);
    written.extend(own::write(&cluster, targets()));
    assert_eq!(written.len(), (clients.len() + 1) * targets().len());
    read(&cluster, clients, &written);
    assert_eq!(cluster.violations(), [""; 0]);
}

/// The topics are created by the clients.
#[test]
#[ignore = "needs Java, Maven, Python and Go: cargo witnesses --test foreign_clients -- --ignored"]
fn every_client_reads_what_every_client_wrote() {
    all_write_and_all_read(TestCluster::builder().default_partitions(targets().len()));
}

/// Each broker leads a third of the partitions.
#[test]
#[ignore = "needs Java, Maven, Python and Go: cargo witnesses --test foreign_clients -- --ignored"]
fn every_client_finds_the_leaders_of_three_brokers() {
    let names = clients::all().iter().map(|client| client.name().to_owned()).chain([own::TOPIC.to_owned()]);
    let topics = names.map(|name| Topic::new(name.replace(' ', "-")).partitions(targets().len()));
    let builder = TestCluster::builder().brokers(3).auto_create(false);
    all_write_and_all_read(topics.fold(builder, TestClusterBuilder::topic));
}

/// The oldest release that Java's client 4 connects to, which is also the first that has zstd.
#[test]
#[ignore = "needs Java, Maven, Python and Go: cargo witnesses --test foreign_clients -- --ignored"]
fn every_client_speaks_to_an_old_release() {
    all_write_and_all_read(TestCluster::builder().release(Release::V2_1).default_partitions(targets().len()));
}

/// The leaders of all partitions change after each client has written half of its records, and again after it has read half
/// of them.
#[test]
#[ignore = "needs Java, Maven, Python and Go: cargo witnesses --test foreign_clients -- --ignored"]
fn every_client_follows_leaders_that_move() {
    let _turn = alone();
    thread::scope(|scope| {
        for client in clients::all() {
            scope.spawn(move || {
                leaders_move_while_it_writes(client.as_ref());
                leaders_move_while_it_reads(client.as_ref());
            });
        }
    });
}

const MOVING: &str = "moving";

/// A cluster of three brokers, and a topic of which one partition has each codec.
struct Moving {
    cluster: TestCluster,
    targets: Vec<Target>,
}

impl Moving {
    fn start() -> Self {
        let each = (0..).zip(CODECS);
        let targets: Vec<_> = each.map(|(partition, codec)| Target { partition, codec, idempotent: true }).collect();
        let topic = Topic::new(MOVING).partitions(targets.len());
        Self { cluster: TestCluster::builder().brokers(3).topic(topic).start().unwrap(), targets }
    }

    fn leader(&self, target: &Target) -> i32 {
        self.cluster.leader(MOVING, target.partition).unwrap()
    }

    /// Makes the next broker the leader of each partition, and forgets the requests so far.
    fn move_leaders(&self) {
        let _ = self.cluster.take_requests();
        for target in &self.targets {
            assert!(self.cluster.move_leader(MOVING, target.partition, self.leader(target) % 3 + 1));
        }
    }

    /// Asserts that, since the leaders moved, the client has sent such requests for each partition to its leader; and before,
    /// if it `was_refused`, to the former one.
    fn check_requests(&self, api: ApiKey, was_refused: bool, client: &str) {
        let requests = self.cluster.requests();
        for target in &self.targets {
            let concerns = |request: &&ReceivedRequest| {
                request.api == api && request.topics.iter().any(|topic| topic.partitions.contains(&target.partition))
            };
            let brokers: Vec<_> = requests.iter().filter(concerns).map(|request| request.broker).collect();
            let (leader, former) = (self.leader(target), (self.leader(target) + 1) % 3 + 1);
            let mut after = brokers.iter().skip_while(|broker| was_refused && **broker != former);
            assert!(
                after.any(|broker| *broker == leader),
                "{client}, {target:?}: {leader} after {former}: {brokers:?}"
            );
        }
        assert_eq!(self.cluster.violations(), [""; 0], "{client}");
    }
}

fn leaders_move_while_it_writes(client: &dyn Client) {
    let moving = Moving::start();
    let (name, records) = (client.name(), sample(client.accepts()));
    let half = records.len() / 2;
    let mut pauses = 0;
    let mut paused = || {
        for target in &moving.targets {
            let end = moving.cluster.log(MOVING, target.partition).unwrap().end();
            assert_eq!(end, half as i64, "{name} pauses when half is written, {target:?}");
        }
        moving.move_leaders();
        pauses += 1;
    };
    let job = WriteJob { pause_after: Some(half), ..WriteJob::new(MOVING.into(), moving.targets.clone(), &records) };
    let offsets = client.write(&moving.cluster.bootstrap_servers(), &job, &mut paused);
    assert_eq!(pauses, 1);
    for target in &moving.targets {
        assert_eq!(offsets.of(target.partition), consecutive(records.len()), "offsets returned by {name}, {target:?}");
        check_log(&moving.cluster, MOVING, target, &job.records, name);
    }
    moving.check_requests(ApiKey::Produce, true, name);
}

/// The second half of the records is written by this library, after the leaders have moved.
fn leaders_move_while_it_reads(client: &dyn Client) {
    let moving = Moving::start();
    let Moving { cluster, targets } = &moving;
    let records = sample(Accepts::EVERYTHING);
    let (first, second) = records.split_at(records.len() / 2);
    own::append(cluster, MOVING, targets, first);
    let mut pauses = 0;
    let mut paused = || {
        moving.move_leaders();
        own::append(cluster, MOVING, targets, second);
        pauses += 1;
    };
    let fields: Vec<_> = records.iter().map(RecordFields::from).collect();
    let written: Written = targets.iter().map(|target| ((MOVING.into(), target.partition), fields.clone())).collect();
    let job = ReadJob { pause_after: Some(first.len()), ..read_job(&written) };
    let read = client.read(&cluster.bootstrap_servers(), &job, &mut paused);
    assert_eq!(pauses, 1);
    check_records(&read.records, &written, client.name());
    // A request that waits at the former leader is answered when the leader moves.
    moving.check_requests(ApiKey::Fetch, false, client.name());
}
