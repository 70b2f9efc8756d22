//! A cluster on simulated time.

mod common;

use std::time::Duration;

use bytes::Bytes;
use common::{batch, stamped};
use kafka_batch_core::batch::Stamp;
use kafka_batch_testing::simulated::{ClientEvent, EngineSettings, LinkSettings, Network, PORT, host};
use kafka_batch_testing::wire::end_txn::{EndTxnRequest, EndTxnResponse};
use kafka_batch_testing::wire::find_coordinator::{FindCoordinatorRequest, FindCoordinatorResponse};
use kafka_batch_testing::wire::init_producer_id::{InitProducerIdRequest, InitProducerIdResponse};
use kafka_batch_testing::wire::metadata::MetadataRequest;
use kafka_batch_testing::wire::produce::{PartitionProduceData, ProduceRequest, ProduceResponse, TopicProduceData};
use kafka_batch_testing::wire::{self, Field, Frames};
use kafka_batch_testing::{ApiKey, ControlKind, Fault, FaultKind, TransactionState};

const LINKS: LinkSettings = LinkSettings { latency_ms: 20, pieces_percent: 30 };

/// Runs a network until nothing happens any more. Returns what happened, with times.
fn run(network: &mut Network, mut now: Duration, on_connected: &[Bytes]) -> Vec<(Duration, u64, ClientEvent)> {
    let mut all = Vec::new();
    while let Some(at) = network.wakes_at() {
        now = now.max(at);
        for (connection, event) in network.turn(now) {
            if event == ClientEvent::Connected {
                on_connected.iter().for_each(|bytes| network.write(connection, bytes.clone(), now));
            }
            all.push((now, connection, event));
        }
    }
    all
}

fn produce() -> Bytes {
    let partition_data = vec![PartitionProduceData { index: 0, records: Some(batch(&["a"])) }];
    let topic_data = vec![TopicProduceData { name: "t".into(), topic_id: [0; 16], partition_data }];
    let body = ProduceRequest { transactional_id: None, acks: -1, timeout_ms: 1_000, topic_data };
    wire::request(ApiKey::Produce, 12, 7, None, &body)
}

fn network(seed: u64) -> Network {
    let mut network = Network::new(EngineSettings::simulation(seed), LINKS);
    network.engine.cluster.create("t", 1, Duration::ZERO);
    network
}

#[test]
fn the_same_seed_gives_the_same_run() {
    let run = |seed| {
        let mut network = network(seed);
        for _ in 0..3 {
            network.connect(&host(1), PORT, Duration::ZERO);
        }
        run(&mut network, Duration::ZERO, &[produce(), produce()])
    };
    assert_eq!(run(1), run(1));
    assert_ne!(run(1), run(2));
}

#[test]
fn connections_are_refused_without_a_broker_and_lost_with_it() {
    let mut network = network(3);
    network.connect("nowhere", PORT, Duration::ZERO);
    let events = run(&mut network, Duration::ZERO, &[]);
    assert!(matches!(events[..], [(_, 0, ClientEvent::Refused)]), "{events:?}");

    let now = Duration::from_secs(1);
    network.engine.inject(Fault::new(FaultKind::DropResponse).api(ApiKey::Produce));
    let connection = network.connect(&host(1), PORT, now);
    let events = run(&mut network, now, &[produce()]);
    assert!(!events.iter().any(|(_, _, event)| matches!(event, ClientEvent::Received(_))), "{events:?}");
    assert_eq!(network.engine.cluster.partition("t", 0).unwrap().log.end(), 1, "executed without a response");

    let now = Duration::from_secs(60);
    network.kill(1, now + Duration::from_secs(5), Duration::ZERO, now);
    let late = network.connect(&host(1), PORT, now);
    let events = run(&mut network, now, &[]);
    assert!(events.iter().any(|(_, of, event)| (*of, event) == (connection, &ClientEvent::Closed { orderly: false })));
    assert!(events.iter().any(|(_, of, event)| (*of, event) == (late, &ClientEvent::Refused)));
    let now = Duration::from_secs(70);
    network.connect(&host(1), PORT, now);
    let metadata = wire::request(ApiKey::Metadata, 12, 7, None, &MetadataRequest::default());
    let events = run(&mut network, now, &[metadata]);
    assert!(events.iter().any(|(_, _, event)| matches!(event, ClientEvent::Received(_))), "it is up again");
}

/// A client that sends one request after the other, on simulated time.
struct Dialogue {
    network: Network,
    now: Duration,
    connection: u64,
    frames: Frames,
}

impl Dialogue {
    fn new(seed: u64) -> Self {
        let mut network = network(seed);
        let connection = network.connect(&host(1), PORT, Duration::ZERO);
        Self { network, now: Duration::ZERO, connection, frames: Frames::default() }
    }

    /// Lets the next thing happen.
    fn step(&mut self) {
        let at = self.network.wakes_at().expect("something happens");
        self.now = self.now.max(at);
        for (_, event) in self.network.turn(self.now) {
            if let ClientEvent::Received(bytes) = event {
                self.frames.push(&bytes);
            }
        }
    }

    fn ask<T: Field>(&mut self, api: ApiKey, version: i16, body: &impl Field) -> T {
        let request = wire::request(api, version, 7, None, body);
        self.network.write(self.connection, request, self.now);
        loop {
            if let Some(frame) = self.frames.next_frame() {
                return wire::read(api, version, frame.slice(wire::response_header_len(api, version)..)).unwrap();
            }
            self.step();
        }
    }

    /// Repeats a request until its error code is not one of those at which a client tries again.
    fn ask_until<T: Field>(
        &mut self,
        api: ApiKey,
        version: i16,
        body: &impl Field,
        code: impl Fn(&T) -> i16,
    ) -> (T, usize) {
        for attempts in 1..1_000 {
            let response = self.ask(api, version, body);
            if !matches!(code(&response), 14 | 15 | 6 | 19 | 51) {
                return (response, attempts);
            }
        }
        panic!("{api:?} is not answered")
    }
}

/// Commits a transaction, and lets another one time out. Returns what was stored, and how often requests were sent.
fn transactions(seed: u64) -> (Vec<(i64, Bytes)>, [usize; 3]) {
    let mut client = Dialogue::new(seed);
    let find = FindCoordinatorRequest { key: "a".into(), key_type: 1, ..Default::default() };
    let of_find = |response: &FindCoordinatorResponse| response.error_code;
    let (_, found_after) = client.ask_until(ApiKey::FindCoordinator, 3, &find, of_find);
    let transactional_id = Some("a".to_owned());
    let init = InitProducerIdRequest {
        transactional_id: transactional_id.clone(),
        transaction_timeout_ms: 10_000,
        ..Default::default()
    };
    let of_init = |response: &InitProducerIdResponse| response.error_code;
    let (ready, _) = client.ask_until(ApiKey::InitProducerId, 5, &init, of_init);
    let mut identity = (ready.producer_id, ready.producer_epoch);
    let mut attempts = Vec::new();
    for commits in [true, false] {
        let stamp = Stamp::NONE.producer(identity.0, identity.1, 0).transactional(true);
        let partition_data = vec![PartitionProduceData { index: 0, records: Some(stamped(&["a"], stamp)) }];
        let topic_data = vec![TopicProduceData { name: "t".into(), topic_id: [0; 16], partition_data }];
        let produce =
            ProduceRequest { transactional_id: transactional_id.clone(), acks: -1, timeout_ms: 1_000, topic_data };
        let of_produce = |response: &ProduceResponse| response.responses[0].partition_responses[0].error_code;
        let (produced, sent) = client.ask_until(ApiKey::Produce, 12, &produce, of_produce);
        assert_eq!(of_produce(&produced), 0);
        attempts.push(sent);
        if commits {
            let (producer_id, producer_epoch) = identity;
            let end = EndTxnRequest { transactional_id: "a".into(), producer_id, producer_epoch, committed: true };
            let of_end = |response: &EndTxnResponse| response.error_code;
            let (ended, _) = client.ask_until(ApiKey::EndTxn, 5, &end, of_end);
            assert_eq!(of_end(&ended), 0);
            identity = (ended.producer_id, ended.producer_epoch);
        }
    }
    let began = client.now;
    while client.network.engine.cluster.transaction("a").unwrap().state != TransactionState::CompleteAbort {
        client.step();
    }
    let aborted_after = client.now - began;
    assert!((Duration::from_secs(9)..Duration::from_secs(11)).contains(&aborted_after), "{aborted_after:?}");
    let log = &client.network.engine.cluster.partition("t", 0).unwrap().log;
    let kinds: Vec<_> = log.stored().iter().map(|stored| stored.info.control).collect();
    assert_eq!(kinds, [None, Some(ControlKind::Commit), None, Some(ControlKind::Abort)]);
    assert_eq!(log.last_stable_offset(), 4);
    let stored = log.stored().iter().map(|stored| (stored.base_offset, stored.bytes.clone()));
    (stored.collect(), [found_after, attempts[0], attempts[1]])
}

#[test]
fn transactions_end_on_simulated_time() {
    let runs: Vec<_> = (0..200).map(transactions).collect();
    assert_eq!(transactions(7), runs[7], "the same seed gives the same run");
    assert_ne!(runs[7].0, runs[8].0);
    assert!(runs.iter().any(|(_, [found, ..])| *found > 1), "a coordinator is not available at once");
    assert!(runs.iter().any(|(_, [_, _, second])| *second > 1), "markers come late");
}
