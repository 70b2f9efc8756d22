//! A cluster on sockets: hostile bytes, brokers that are killed and restarted, and ports.

mod common;

use std::io::Write as _;
use std::net::{TcpListener, TcpStream};
use std::time::Instant;

use common::{Client, PATIENCE, batch};
use kafka_batch_testing::wire::api_versions::{ApiVersionsRequest, ApiVersionsResponse};
use kafka_batch_testing::{ApiKey, Direction, TestCluster};

#[test]
fn what_is_produced_over_a_socket_is_in_the_log() {
    let cluster = TestCluster::start();
    let mut client = Client::new(&cluster, 1);
    let mut versions = |name: &str, cluster_id: Option<&str>, node_id| {
        let (client_software_name, client_software_version) = (name.into(), "1".into());
        let cluster_id = cluster_id.map(str::to_owned);
        let body = ApiVersionsRequest { client_software_name, client_software_version, cluster_id, node_id };
        client.ask::<ApiVersionsResponse>(ApiKey::ApiVersions, 5, &body).error_code
    };
    assert_eq!(versions("test", None, -1), 0);
    assert_eq!(versions("test", Some("kafka-batch-testing"), 1), 0);
    assert_eq!(versions("test", Some("kafka-batch-testing"), 2), 129, "REBOOTSTRAP_REQUIRED");
    assert_eq!(versions("test", Some("another"), 1), 129);
    assert_eq!(versions("no name", None, -1), 42, "INVALID_REQUEST");
    assert_eq!(cluster.violations().len(), 1);
    let metadata = client.metadata(12, "t");
    assert_eq!((metadata.topics[0].error_code, metadata.topics[0].partitions[0].leader_id), (0, 1));
    assert_eq!(metadata.brokers[0].port, i32::from(cluster.address(1).unwrap().port()));
    assert_eq!(client.produce(13, "t", batch(&["a", "b"])).base_offset, 0);
    assert_eq!(client.produce(13, "t", batch(&["c"])).base_offset, 2);
    let log = cluster.log("t", 0).unwrap();
    assert_eq!(log.values().unwrap(), ["a", "b", "c"]);
    assert_eq!(log.records().unwrap().last().unwrap().offset, 2);
    let produced = cluster.requests().into_iter().find(|request| request.api == ApiKey::Produce).unwrap();
    assert_eq!((produced.version, produced.broker, produced.client_id.as_deref()), (13, 1, Some("test")));
    assert_eq!((produced.topics[0].topic.as_str(), &produced.topics[0].partitions[..]), ("t", &[0][..]));
    assert_eq!(cluster.violations().len(), 1, "no other");
    assert!(!cluster.take_requests().is_empty() && cluster.requests().is_empty());
    drop(cluster);
    assert!(client.is_closed());
}

#[test]
fn malformed_requests_close_their_connection_and_no_other() {
    let cluster = TestCluster::builder().request_max_bytes(10_000).start().unwrap();
    let mut other = Client::new(&cluster, 1);
    let header = |api: i16, version: i16| {
        [&api.to_be_bytes()[..], &version.to_be_bytes(), &7_i32.to_be_bytes(), &(-1_i16).to_be_bytes()].concat()
    };
    let framed = |bytes: &[u8]| [&(bytes.len() as u32).to_be_bytes()[..], bytes].concat();
    let hostile = [
        framed(b""),
        framed(&[0; 7]),
        framed(&header(999, 0)),
        framed(&header(0, -3)),
        framed(&header(0, 99)),
        framed(&header(3, 1)),
        // An array of two billion topics; a string of 32 KiB in a message of a few bytes.
        framed(&[&header(3, 1)[..], &i32::MAX.to_be_bytes()].concat()),
        framed(&[&header(3, 1)[..], &1_i32.to_be_bytes(), &i16::MAX.to_be_bytes()].concat()),
        // Compact lengths and tags: too long, and of more than five bytes.
        framed(&[&header(3, 12)[..], &[0, 0xff, 0xff, 0xff, 0xff, 0x0f]].concat()),
        framed(&[&header(3, 12)[..], &[0xff; 9]].concat()),
        // More than socket.request.max.bytes, and a negative length.
        [&10_001_u32.to_be_bytes()[..], &[1]].concat(),
        (-1_i32).to_be_bytes().to_vec(),
    ];
    for bytes in hostile {
        let mut client = Client::new(&cluster, 1);
        client.0.write_all(&bytes).unwrap();
        assert!(client.is_closed(), "{bytes:?}");
    }
    assert_eq!(other.metadata(12, "t").topics[0].error_code, 0);
    assert!(cluster.violations().len() >= 10, "{:?}", cluster.violations());
}

#[test]
fn a_killed_broker_refuses_connections_and_keeps_its_log() {
    let cluster = TestCluster::builder().topic("t").start().unwrap();
    let address = cluster.address(1).unwrap();
    let mut client = Client::new(&cluster, 1);
    assert_eq!(client.produce(12, "t", batch(&["a"])).base_offset, 0);
    assert!(cluster.kill(1));
    assert!(!cluster.kill(1));
    assert!(client.is_closed());
    assert!(TcpStream::connect(address).is_err());
    assert_eq!(cluster.leader("t", 0), None);
    assert!(cluster.restart(1).unwrap());
    assert!(!cluster.restart(1).unwrap());
    assert_eq!(cluster.address(1), Some(address));
    let mut client = Client::new(&cluster, 1);
    assert_eq!(client.produce(12, "t", batch(&["b"])).base_offset, 1);
    assert_eq!(cluster.log("t", 0).unwrap().values().unwrap(), ["a", "b"]);

    assert!(cluster.kill(1));
    cluster.lose_logs();
    assert!(cluster.restart(1).unwrap());
    assert_eq!(Client::new(&cluster, 1).produce(12, "t", batch(&["c"])).base_offset, 0);
}

#[test]
fn other_brokers_lead_when_one_is_killed() {
    let cluster = TestCluster::builder().brokers(3).topic("t").start().unwrap();
    assert_eq!(cluster.leader("t", 0), Some(1));
    assert_eq!(Client::new(&cluster, 1).produce(12, "t", batch(&["a"])).base_offset, 0);
    assert!(cluster.kill(1));
    assert_eq!(cluster.leader("t", 0), Some(2));
    let mut client = Client::new(&cluster, 2);
    let metadata = client.metadata(12, "t");
    assert_eq!(metadata.brokers.iter().map(|broker| broker.node_id).collect::<Vec<_>>(), [2, 3]);
    assert_eq!(metadata.topics[0].partitions[0].leader_epoch, 1);
    assert_eq!(client.produce(12, "t", batch(&["b"])).base_offset, 1);
    assert!(cluster.move_leader("t", 0, 3));
    let refused = client.produce(12, "t", batch(&["c"]));
    assert_eq!((refused.error_code, refused.current_leader.leader_id), (6, 3));
    assert!(!cluster.move_leader("t", 0, 4) && !cluster.move_leader("t", 1, 1));
}

#[test]
fn the_ports_are_free_when_the_cluster_is_dropped() {
    let cluster = TestCluster::builder().brokers(2).start().unwrap();
    let addresses = [1, 2].map(|broker| cluster.address(broker).unwrap());
    let clients = [1, 2].map(|broker| Client::new(&cluster, broker));
    drop(cluster);
    for address in addresses {
        // A client of another test may have got the port for a moment.
        let until = Instant::now() + PATIENCE;
        while let Err(error) = TcpListener::bind(address) {
            assert!(Instant::now() < until, "{address}: {error}");
            std::thread::yield_now();
        }
    }
    assert!(clients.into_iter().all(|mut client| client.is_closed()));
}

#[test]
fn connections_are_cut_after_some_bytes() {
    let cluster = TestCluster::builder().topic("t").start().unwrap();
    let mut client = Client::new(&cluster, 1);
    let request = client.produce_request(12, "t", 0, batch(&["a"]), -1);
    cluster.cut_after(1, Direction::ToBroker, 20);
    client.send(ApiKey::Produce, 12, &request);
    assert!(client.is_closed());
    assert_eq!(cluster.log("t", 0).unwrap().values().unwrap(), [""; 0], "before it was appended");

    let mut client = Client::new(&cluster, 1);
    cluster.cut_after(1, Direction::ToClient, 3);
    client.send(ApiKey::Produce, 12, &request);
    assert!(client.frame().is_none());
    assert_eq!(cluster.log("t", 0).unwrap().values().unwrap(), ["a"], "after it was appended");

    let mut client = Client::new(&cluster, 1);
    assert_eq!(client.produce(12, "t", batch(&["b"])).base_offset, 1);
    cluster.cut(1);
    assert!(client.is_closed());
    assert_eq!(cluster.connection_count(), 0);
}

#[test]
fn many_requests_at_once_are_answered_in_order() {
    let cluster = TestCluster::builder().topic("t").start().unwrap();
    let mut client = Client::new(&cluster, 1);
    let request = client.produce_request(12, "t", 0, batch(&["a"]), -1);
    for _ in 0..200 {
        client.send(ApiKey::Produce, 12, &request);
    }
    for offset in 0..200 {
        let response: kafka_batch_testing::wire::produce::ProduceResponse = client.receive(ApiKey::Produce, 12);
        assert_eq!(response.responses[0].partition_responses[0].base_offset, offset);
    }
    assert!(cluster.wait_for_records("t", 0, 200, PATIENCE).is_some());
}
