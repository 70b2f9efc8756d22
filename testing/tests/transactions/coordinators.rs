//! Coordinators: who they are, and what happens when they move.

use std::time::Duration;

use kafka_batch_testing::wire::find_coordinator::{FindCoordinatorRequest, FindCoordinatorResponse};
use kafka_batch_testing::{ApiKey, CoordinatorKind, Fault, FaultKind, Release, TestCluster, TransactionState};

use crate::common::{Client, PATIENCE};
use crate::producer::{Producer, find};

const T0: (&str, i32) = ("t", 0);
const KIND: CoordinatorKind = CoordinatorKind::Transaction;

#[test]
fn every_version_of_find_coordinator() {
    for release in [Release::V0_9, Release::V2_8, Release::NEWEST] {
        let cluster = TestCluster::builder().brokers(3).release(release).start().unwrap();
        let mut client = Client::new(&cluster, 1);
        let newest = release.lists(ApiKey::FindCoordinator).unwrap().1;
        for version in 0..=newest {
            for key_type in 0..=i8::from(version >= 1) {
                let response = find(&mut client, version, key_type, "k");
                let (code, id, port) = if version < 4 {
                    (response.error_code, response.node_id, response.port)
                } else {
                    let found = &response.coordinators[0];
                    assert_eq!(found.key, "k");
                    (found.error_code, found.node_id, found.port)
                };
                assert_eq!((code, port), (0, cluster.address(id).unwrap().port().into()), "v{version}");
                let kind = if key_type == 0 { CoordinatorKind::Group } else { KIND };
                assert_eq!(cluster.coordinator(kind, "k"), Some(id));
            }
        }
        if newest >= 6 {
            assert_eq!(find(&mut client, 6, 2, "share").coordinators[0].error_code, 42);
        }
    }
}

#[test]
fn several_keys_are_found_at_once() {
    let cluster = TestCluster::builder().brokers(3).start().unwrap();
    let mut client = Client::new(&cluster, 1);
    let coordinator_keys: Vec<_> = ["a", "b", "c"].map(str::to_owned).into();
    let request = FindCoordinatorRequest { key_type: 1, coordinator_keys, ..Default::default() };
    let response: FindCoordinatorResponse = client.ask(ApiKey::FindCoordinator, 6, &request);
    let ids: Vec<_> = response.coordinators.iter().map(|found| found.node_id).collect();
    assert_eq!(ids, [3, 1, 2], "by the partition of the hash, as in Java");
    let refuse = FaultKind::Refuse { code: 15, all: false };
    cluster.inject(Fault::new(refuse).api(ApiKey::FindCoordinator));
    let response: FindCoordinatorResponse = client.ask(ApiKey::FindCoordinator, 6, &request);
    let codes: Vec<_> = response.coordinators.iter().map(|found| found.error_code).collect();
    assert_eq!(codes, [15, 0, 0]);
}

#[test]
fn a_coordinator_that_moved_knows_what_the_former_one_knew() {
    let cluster = TestCluster::builder().brokers(2).topic("t").start().unwrap();
    let mut finder = Client::new(&cluster, 1);
    let first = find(&mut finder, 3, 1, "a").node_id;
    let second = 3 - first;
    assert!(cluster.move_leader("t", 0, first));
    let mut producer = Producer { client: Client::new(&cluster, first), id: "a".into(), identity: (-1, -1) };
    assert_eq!(producer.init(), 0);
    assert_eq!(producer.produce(12, T0, 0, &["x"]), 0);
    cluster.remove_coordinator(KIND, "a");
    assert_eq!(find(&mut finder, 4, 1, "a").coordinators[0].error_code, 15);
    assert_eq!((producer.end(5, true), producer.add(3, "t", &[0]), producer.bump()), (16, vec![16], 16));
    assert!(cluster.move_coordinator(KIND, "a", second) && !cluster.move_coordinator(KIND, "a", 7));
    assert_eq!(find(&mut finder, 4, 1, "a").coordinators[0].node_id, second);
    assert_eq!(producer.end(5, true), 16);
    producer.client = Client::new(&cluster, second);
    assert_eq!(producer.end(5, true), 0);
    let log = cluster.log("t", 0).unwrap();
    assert_eq!(log.committed_values().unwrap(), ["x"]);
    let epoch = &log.batches()[1].bytes[73..77];
    assert!(i32::from_be_bytes(epoch.try_into().unwrap()) > 0, "the coordinator's epoch has increased");
}

#[test]
fn a_killed_coordinator_is_replaced_and_its_transactions_go_on() {
    let cluster = TestCluster::builder().brokers(2).topic("t").start().unwrap();
    let mut finder = Client::new(&cluster, 1);
    let first = find(&mut finder, 3, 1, "a").node_id;
    let second = 3 - first;
    assert!(cluster.move_leader("t", 0, second));
    let mut producer = Producer { client: Client::new(&cluster, first), id: "a".into(), identity: (-1, -1) };
    assert_eq!(producer.init(), 0);
    assert_eq!(producer.add(3, "t", &[0]), [0]);
    cluster.hold_markers("t", 0);
    assert_eq!(producer.end(5, true), 0);
    assert!(cluster.kill(first));
    producer.client = Client::new(&cluster, second);
    assert_eq!(find(&mut producer.client, 3, 1, "a").node_id, second);
    assert_eq!(producer.produce(12, T0, 0, &["y"]), 51, "the markers are still due");
    cluster.release_markers();
    assert_eq!(cluster.transaction("a").unwrap().state, TransactionState::CompleteCommit);
    assert_eq!(producer.produce(12, T0, 0, &["y"]), 0);
    assert!(cluster.restart(first).unwrap());
    assert_eq!(producer.end(5, true), 0, "a coordinator does not move back on its own");
}

#[test]
fn a_coordinator_that_loads_lets_clients_wait() {
    let cluster = TestCluster::builder().brokers(2).topic("t").coordinator_load_ms(50).start().unwrap();
    let mut finder = Client::new(&cluster, 1);
    let first = find(&mut finder, 3, 1, "a").node_id;
    let second = 3 - first;
    assert!(cluster.move_leader("t", 0, second));
    let mut producer = Producer { client: Client::new(&cluster, first), id: "a".into(), identity: (-1, -1) };
    assert_eq!(producer.init(), 0);
    producer.client = Client::new(&cluster, second);
    let began = cluster.now();
    assert!(cluster.move_coordinator(KIND, "a", second));
    let codes = [producer.produce(12, T0, 0, &["x"]), producer.end(5, true)];
    if cluster.now() - began < Duration::from_millis(50) {
        assert_eq!(codes, [19, 14], "Produce tells every client to try again");
    }
    let until = cluster.now() + PATIENCE;
    while producer.produce(12, T0, 0, &["x"]) != 0 {
        assert!(cluster.now() < until);
    }
    assert_eq!(producer.end(5, true), 0);
}

#[test]
fn a_leader_asks_the_coordinator_at_another_broker() {
    let cluster = TestCluster::builder().brokers(2).topic("t").start().unwrap();
    let mut finder = Client::new(&cluster, 1);
    let coordinator = find(&mut finder, 3, 1, "a").node_id;
    let leader = 3 - coordinator;
    assert!(cluster.move_leader("t", 0, leader));
    let mut producer = Producer { client: Client::new(&cluster, coordinator), id: "a".into(), identity: (-1, -1) };
    assert_eq!(producer.init(), 0);
    assert_eq!(producer.produce(12, T0, 0, &["x"]), 6, "not the leader, so nothing is added");
    assert_eq!(cluster.transaction("a").unwrap().state, TransactionState::Empty);
    let to_coordinator = std::mem::replace(&mut producer.client, Client::new(&cluster, leader));
    cluster.remove_coordinator(KIND, "a");
    assert_eq!(producer.produce(12, T0, 0, &["x"]), 19, "the coordinator is not available");
    assert!(cluster.move_coordinator(KIND, "a", coordinator));
    assert_eq!(producer.produce(12, T0, 0, &["x"]), 0);
    producer.client = to_coordinator;
    assert_eq!(producer.end(5, true), 0);
    assert_eq!(cluster.log("t", 0).unwrap().committed_values().unwrap(), ["x"]);
}
