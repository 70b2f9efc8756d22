//! A cluster on simulated time.

mod common;

use std::time::Duration;

use common::batch;
use kafka_batch_testing::simulated::{ClientEvent, EngineSettings, LinkSettings, Network, PORT, host};
use kafka_batch_testing::wire::metadata::MetadataRequest;
use kafka_batch_testing::wire::produce::{PartitionProduceData, ProduceRequest, TopicProduceData};
use kafka_batch_testing::{ApiKey, Fault, FaultKind, wire};

const LINKS: LinkSettings = LinkSettings { latency_ms: 20, pieces_percent: 30 };

/// Runs a network until nothing happens any more. Returns what happened, with times.
fn run(network: &mut Network, mut now: Duration, on_connected: &[bytes::Bytes]) -> Vec<(Duration, u64, ClientEvent)> {
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

fn produce() -> bytes::Bytes {
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
