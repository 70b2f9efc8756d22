//! Transactions while brokers are killed, connections cut and coordinators moved, on simulated time: each is committed in all
//! partitions or in none, as its producer was told, and none stays open.

mod common;

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use common::stamped;
use kafka_batch_core::batch::Stamp;
use kafka_batch_core::decode::{DEFAULT_MAX_DECOMPRESSED, RecordBatches};
use kafka_batch_testing::simulated::{
    ClientEvent, ClusterSettings, EngineSettings, LinkSettings, Log, Network, PORT, Random, host,
};
use kafka_batch_testing::wire::end_txn::{EndTxnRequest, EndTxnResponse};
use kafka_batch_testing::wire::find_coordinator::{FindCoordinatorRequest, FindCoordinatorResponse};
use kafka_batch_testing::wire::init_producer_id::{InitProducerIdRequest, InitProducerIdResponse};
use kafka_batch_testing::wire::produce::{PartitionProduceData, ProduceRequest, ProduceResponse, TopicProduceData};
use kafka_batch_testing::wire::{self, Field, Frames};
use kafka_batch_testing::{ApiKey, CoordinatorKind, Fault, FaultKind, Release};

const LINKS: LinkSettings = LinkSettings { latency_ms: 5, pieces_percent: 10 };
const BROKERS: i32 = 3;
const PARTITIONS: i32 = 2;
const TRANSACTIONS: usize = 12;
const RUNS: u64 = 300;
const ID: &str = "a";
/// The time after which a client gives a connection up.
const PATIENCE: Duration = Duration::from_millis(400);

fn init_request() -> InitProducerIdRequest {
    InitProducerIdRequest { transactional_id: Some(ID.into()), transaction_timeout_ms: 30_000, ..Default::default() }
}

/// What the producer knows of a transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Outcome {
    Committed,
    Aborted,
    Unknown,
}

struct Connection {
    number: u64,
    frames: Frames,
    is_open: bool,
    is_lost: bool,
}

/// A producer of level 2 and the brokers, to which things happen.
struct Run {
    network: Network,
    now: Duration,
    random: Random,
    connections: BTreeMap<i32, Connection>,
    /// What other instances with the same id send once they are connected. They do nothing else.
    rivals: BTreeMap<u64, Bytes>,
    coordinator: i32,
    identity: Option<(i64, i16)>,
    has_faults: bool,
    correlation: i32,
}

impl Run {
    fn new(seed: u64) -> Self {
        let settings = EngineSettings::simulation(seed);
        let settings = EngineSettings {
            releases: vec![Release::NEWEST; BROKERS as usize],
            cluster: ClusterSettings { replication_ms: Some(20), ..settings.cluster.clone() },
            ..settings
        };
        let mut network = Network::new(settings, LINKS);
        network.engine.cluster.create("t", PARTITIONS as usize, Duration::ZERO);
        Self {
            network,
            now: Duration::ZERO,
            random: Random::new(seed).fork(5),
            connections: BTreeMap::new(),
            rivals: BTreeMap::new(),
            coordinator: 1,
            identity: None,
            has_faults: true,
            correlation: 0,
        }
    }

    /// Lets the next thing happen, or time pass.
    fn step(&mut self) {
        let soon = self.now + Duration::from_millis(10);
        let at = self.network.wakes_at().map_or(soon, |at| at.min(soon));
        self.now = self.now.max(at);
        for (number, event) in self.network.turn(self.now) {
            if let Some(request) = self.rivals.remove(&number).filter(|_| event == ClientEvent::Connected) {
                self.network.write(number, request, self.now);
            }
            let of_event = |connection: &&mut Connection| connection.number == number;
            let Some(connection) = self.connections.values_mut().find(of_event) else { continue };
            match event {
                ClientEvent::Connected => connection.is_open = true,
                ClientEvent::Received(bytes) => connection.frames.push(&bytes),
                ClientEvent::Refused | ClientEvent::Closed { .. } => connection.is_lost = true,
                ClientEvent::Written => {}
            }
        }
        if self.has_faults && self.random.below(60) == 0 {
            self.fault();
        }
    }

    fn fault(&mut self) {
        let broker = self.random.between(1, BROKERS as u64) as i32;
        let partition = self.random.below(PARTITIONS as u64) as i32;
        let later = self.now + self.random.millis(1, 500);
        let without_leader = self.random.millis(0, 50);
        let cluster = &mut self.network.engine.cluster;
        let is_up = cluster.member(broker).up;
        match self.random.below(10) {
            0 if is_up => self.network.kill(broker, later, without_leader, self.now),
            1 => self.network.cut(broker, self.now),
            2 if is_up => {
                cluster.set_coordinator(CoordinatorKind::Transaction, ID, Some(broker), self.now);
            }
            3 => cluster.hold_markers("t", partition),
            4 => cluster.release_markers(),
            5 => {
                cluster.time_out_transaction(ID, self.now);
            }
            6 => cluster.remove_leader("t", partition, without_leader, self.now),
            7 => {
                let request = wire::request(ApiKey::InitProducerId, 5, 0, None, &init_request());
                let number = self.network.connect(&host(self.coordinator), PORT, self.now);
                // The first one aborts what is open.
                self.rivals.insert(number, request.repeat(4).into());
            }
            kind => {
                let apis = [ApiKey::Produce, ApiKey::EndTxn, ApiKey::InitProducerId];
                let api = *self.random.pick(&apis);
                let done = self.random.percent(70);
                let fault = match kind {
                    8 => FaultKind::CloseConnection { executed: done },
                    _ => FaultKind::DelayRequest(self.random.millis(1, 900)),
                };
                self.network.engine.inject(Fault::new(fault).api(api));
            }
        }
    }

    /// Returns the response of a broker; `None` if its connection is lost, or it does not respond in time.
    fn ask<T: Field>(&mut self, broker: i32, api: ApiKey, version: i16, body: &impl Field) -> Option<T> {
        if self.connections.get(&broker).is_none_or(|connection| connection.is_lost) {
            let number = self.network.connect(&host(broker), PORT, self.now);
            let connection = Connection { number, frames: Frames::default(), is_open: false, is_lost: false };
            self.connections.insert(broker, connection);
        }
        self.correlation += 1;
        let correlation = self.correlation;
        let mut request = Some(wire::request(api, version, correlation, None, body));
        let until = self.now + PATIENCE;
        while self.now < until {
            let connection = self.connections.get_mut(&broker)?;
            if connection.is_lost {
                return None;
            }
            if let Some(request) = request.take_if(|_| connection.is_open) {
                self.network.write(connection.number, request, self.now);
            }
            if let Some(frame) = connection.frames.next_frame() {
                assert_eq!(frame[..4], correlation.to_be_bytes());
                return Some(wire::read(api, version, frame.slice(wire::response_header_len(api, version)..)).unwrap());
            }
            self.step();
        }
        if let Some(connection) = self.connections.remove(&broker) {
            self.network.close(connection.number, self.now);
        }
        None
    }

    fn find_coordinator(&mut self) {
        loop {
            let find = FindCoordinatorRequest { key: ID.into(), key_type: 1, ..Default::default() };
            let broker = self.random.between(1, BROKERS as u64) as i32;
            let found: Option<FindCoordinatorResponse> = self.ask(broker, ApiKey::FindCoordinator, 3, &find);
            if let Some(found) = found.filter(|found| found.error_code == 0) {
                self.coordinator = found.node_id;
                return;
            }
            self.step();
        }
    }

    /// Initialises the id as a new instance.
    fn initialise(&mut self) -> (i64, i16) {
        loop {
            let response: Option<InitProducerIdResponse> =
                self.ask(self.coordinator, ApiKey::InitProducerId, 5, &init_request());
            match response {
                Some(response) if response.error_code == 0 => return (response.producer_id, response.producer_epoch),
                Some(response) if response.error_code == 51 => self.step(),
                _ => self.find_coordinator(),
            }
        }
    }

    /// Sends a record to a partition. Returns false if the transaction cannot be committed any more.
    fn produce(&mut self, partition: i32, (producer, epoch): (i64, i16), value: &str) -> bool {
        let stamp = Stamp::NONE.producer(producer, epoch, 0).transactional(true);
        let partition_data = vec![PartitionProduceData { index: partition, records: Some(stamped(&[value], stamp)) }];
        let topic_data = vec![TopicProduceData { name: "t".into(), topic_id: [0; 16], partition_data }];
        let request = ProduceRequest { transactional_id: Some(ID.into()), acks: -1, timeout_ms: 1_000, topic_data };
        loop {
            let Some(leader) = self.network.engine.cluster.partition("t", partition).unwrap().leader else {
                self.step();
                continue;
            };
            let response: Option<ProduceResponse> = self.ask(leader, ApiKey::Produce, 12, &request);
            match response.map(|response| response.responses[0].partition_responses[0].error_code) {
                Some(0) => return true,
                None | Some(6 | 7 | 19 | 51) => self.step(),
                Some(_) => return false,
            }
        }
    }

    fn end(&mut self, identity: (i64, i16), committed: bool) -> Outcome {
        let request = EndTxnRequest {
            transactional_id: ID.into(),
            producer_id: identity.0,
            producer_epoch: identity.1,
            committed,
        };
        loop {
            let response: Option<EndTxnResponse> = self.ask(self.coordinator, ApiKey::EndTxn, 5, &request);
            match response {
                Some(response) if response.error_code == 0 => {
                    self.identity = Some((response.producer_id, response.producer_epoch));
                    return if committed { Outcome::Committed } else { Outcome::Aborted };
                }
                Some(response) if response.error_code == 51 => self.step(),
                None | Some(EndTxnResponse { error_code: 14..=16, .. }) => self.find_coordinator(),
                // It was aborted because its time was over.
                Some(response) if committed && response.error_code == 48 => return Outcome::Aborted,
                Some(_) => return Outcome::Unknown,
            }
        }
    }

    /// Makes a transaction, and returns what the producer knows of it.
    fn transaction(&mut self, value: &str) -> Outcome {
        let identity = match self.identity.take() {
            Some(identity) => identity,
            None => {
                self.find_coordinator();
                self.initialise()
            }
        };
        let is_sent = (0..PARTITIONS).all(|partition| self.produce(partition, identity, value));
        let committed = is_sent && self.random.percent(75);
        match self.end(identity, committed) {
            Outcome::Unknown if !committed => Outcome::Aborted,
            outcome => outcome,
        }
    }

    /// Ends the faults, and lets everything come to its end.
    fn settle(&mut self) {
        self.has_faults = false;
        self.network.end_faults();
        self.find_coordinator();
        self.initialise();
        let until = self.now + Duration::from_secs(60);
        let is_stable = |log: &Log| log.last_stable_offset() == log.end();
        while !(0..PARTITIONS).all(|partition| is_stable(self.log(partition))) {
            assert!(self.now < until, "{:?}", self.network.engine.cluster.transactions());
            self.step();
        }
    }

    fn log(&self, partition: i32) -> &Log {
        &self.network.engine.cluster.partition("t", partition).unwrap().log
    }

    /// Returns how often each value is committed in a partition.
    fn committed(&self, partition: i32) -> BTreeMap<String, usize> {
        let (mut open, mut committed): (BTreeMap<i64, Vec<String>>, _) = (BTreeMap::new(), BTreeMap::new());
        for stored in self.log(partition).stored() {
            let producer = stored.info.stamp.unwrap().producer;
            match stored.info.control {
                Some(control) => {
                    for value in open.remove(&producer).unwrap_or_default() {
                        *committed.entry(value).or_insert(0) += usize::from(control.commits());
                    }
                }
                None => {
                    let batch = RecordBatches::new(&stored.bytes).next().unwrap().unwrap();
                    for record in &batch.records(DEFAULT_MAX_DECOMPRESSED).unwrap() {
                        let value = record.unwrap().value.unwrap().to_vec();
                        open.entry(producer).or_default().push(String::from_utf8(value).unwrap());
                    }
                }
            }
        }
        assert!(open.is_empty(), "every transaction has its marker: {open:?}");
        committed.retain(|_, count| *count > 0);
        committed
    }
}

/// Runs a schedule. Returns how many transactions had each outcome.
fn run(seed: u64) -> BTreeMap<Outcome, usize> {
    let mut run = Run::new(seed);
    let values: Vec<String> = (0..TRANSACTIONS).map(|number| format!("value {number}")).collect();
    let outcomes: Vec<Outcome> = values.iter().map(|value| run.transaction(value)).collect();
    run.settle();
    let committed: Vec<_> = (0..PARTITIONS).map(|partition| run.committed(partition)).collect();
    let mut counts = BTreeMap::new();
    for (value, outcome) in values.iter().zip(outcomes) {
        let each: Vec<usize> = committed.iter().map(|of| of.get(value).copied().unwrap_or(0)).collect();
        assert!(each.iter().all(|count| *count == each[0]), "seed {seed}: {value} is in some partitions: {each:?}");
        let expected: &[usize] = match outcome {
            Outcome::Committed => &[1],
            Outcome::Aborted => &[0],
            Outcome::Unknown => &[0, 1],
        };
        assert!(expected.contains(&each[0]), "seed {seed}: {value} is {outcome:?}, and there {} times", each[0]);
        *counts.entry(outcome).or_insert(0) += 1;
    }
    counts
}

#[test]
fn transactions_are_atomic_whatever_happens() {
    let mut all: BTreeMap<Outcome, usize> = BTreeMap::new();
    for seed in 0..RUNS {
        for (outcome, count) in run(seed) {
            *all.entry(outcome).or_insert(0) += count;
        }
    }
    let enough = [(Outcome::Committed, 500), (Outcome::Aborted, 500), (Outcome::Unknown, 1)];
    let of = |outcome| all.get(&outcome).copied().unwrap_or(0);
    assert!(enough.iter().all(|(outcome, least)| of(*outcome) >= *least), "{all:?}");
}

#[test]
fn the_same_seed_gives_the_same_outcomes() {
    assert_eq!(run(11), run(11));
}
