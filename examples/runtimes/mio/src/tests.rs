use std::time::SystemTime;

use kafka_batch::{BatchOptions, Record, TopicPartition};
use kafka_batch_testing::{ApiKey, Direction, Fault, FaultKind, TestCluster};

use super::*;
use crate::driver::MAX_OUTPUTS;

/// Returns a producer that knows the topic `t` of this cluster.
fn connected(cluster: &TestCluster) -> MioProducer {
    let addresses = cluster.bootstrap_servers();
    let addresses = addresses.split(',').map(|address| {
        let (_, port) = address.rsplit_once(':').unwrap();
        ("localhost", port.parse().unwrap())
    });
    let mut producer = MioProducer::new(MachineConfig::new(addresses), 1, Box::new(resolve_v4)).unwrap();
    let (machine, now) = producer.command();
    machine.lookup_topic("t", now);
    until(&mut producer, |event| matches!(event, Event::Topic { partitions: Ok(_), .. }));
    producer
}

fn resolve_v4(host: &str, port: u16) -> io::Result<SocketAddr> {
    let mut addresses = (host, port).to_socket_addrs()?;
    addresses.find(SocketAddr::is_ipv4).ok_or_else(|| io::ErrorKind::NotFound.into())
}

/// Runs turns until there is such an event. Returns all events.
fn until(producer: &mut MioProducer, condition: impl Fn(&Event) -> bool) -> Vec<Event> {
    let mut events = Vec::new();
    while !events.iter().any(&condition) {
        producer.turn(Duration::from_secs(20), &mut events).unwrap();
    }
    events
}

fn send(producer: &mut MioProducer, size: usize) {
    let options = BatchOptions::default().batch_size(size + 1_000);
    let mut batch = options.build(SystemTime::now()).unwrap();
    batch.extend([Record::new(vec![b'x'; size])]).unwrap();
    let (machine, now) = producer.command();
    machine.send(batch.seal().unwrap(), TopicPartition::new("t", 0), now).unwrap();
}

fn is_delivered(event: &Event) -> bool {
    matches!(event, Event::Delivered { .. })
}

#[test]
fn everything_is_published_and_verified() {
    let plan = Plan::parse(["--records", "50000"]).unwrap();
    let summary = publish(&plan).unwrap();
    assert!(summary.starts_with("mio: 50000 records in "), "{summary}");
}

#[test]
fn lost_connections_and_a_moved_leader_lose_and_repeat_nothing() {
    let plan = Plan::parse(["--records", "20000", "--partitions", "3"]).unwrap();
    let cluster = plan.cluster().unwrap();
    for broker in 1..=3 {
        cluster.cut_after(broker, Direction::ToBroker, 40_000);
    }
    cluster.inject(Fault::new(FaultKind::Refuse { code: 6, all: true }).api(ApiKey::Produce));
    publish(&plan).unwrap();
}

/// More than a socket accepts in one write: the rest is written once the socket has become writable again.
#[test]
fn large_batches_are_written_completely() {
    let cluster = TestCluster::start();
    cluster.create_topic("t").unwrap();
    let mut producer = connected(&cluster);
    (0..20).for_each(|_| send(&mut producer, 1_000_000));
    until(&mut producer, |event| matches!(event, Event::Delivered { id, .. } if id.to_string() == "batch 19"));
    let log = cluster.log("t", 0).unwrap().records().unwrap();
    assert!(
        log.len() == 20 && log.iter().all(|record| record.value.as_ref().map(|value| value.len()) == Some(1_000_000))
    );
}

/// A turn that may not wait returns, although the brokers never respond: otherwise this test would not end.
#[test]
fn turns_do_not_block() {
    let cluster = TestCluster::start();
    cluster.create_topic("t").unwrap();
    let mut producer = connected(&cluster);
    cluster.inject(Fault::new(FaultKind::DelayResponse(Duration::MAX)).api(ApiKey::Produce));
    send(&mut producer, 10);
    let mut events = Vec::new();
    let mut turns = 0;
    while turns < 1_000 || cluster.log("t", 0).is_none_or(|log| log.values().unwrap().is_empty()) {
        producer.turn(Duration::ZERO, &mut events).unwrap();
        turns += 1;
    }
    assert!(!events.iter().any(is_delivered), "{events:?}");
    cluster.release_held();
    until(&mut producer, is_delivered);
}

#[test]
fn a_turn_does_a_bounded_amount_of_work() {
    let cluster = TestCluster::start();
    cluster.create_topic("t").unwrap();
    let mut producer = connected(&cluster);
    let (machine, now) = producer.command();
    for _ in 0..3 * MAX_OUTPUTS {
        machine.flush(now); // each is one output
    }
    for turn in 1..=3 {
        let mut events = Vec::new();
        producer.turn(Duration::from_secs(20), &mut events).unwrap();
        assert_eq!(events.len(), MAX_OUTPUTS, "turn {turn}");
    }
}

#[test]
fn a_host_that_cannot_be_connected_to_is_tried_again() {
    let cluster = TestCluster::start();
    cluster.create_topic("t").unwrap();
    let port = cluster.address(1).unwrap().port();
    let mut attempts = 0;
    let resolve = move |_: &str, port| {
        attempts += 1;
        match attempts {
            1 => Err(io::ErrorKind::TimedOut.into()),
            2 => Ok(([127, 0, 0, 1], 1).into()), // nothing listens there
            _ => Ok(([127, 0, 0, 1], port).into()),
        }
    };
    let mut producer = MioProducer::new(MachineConfig::new([("broker", port)]), 1, Box::new(resolve)).unwrap();
    send(&mut producer, 10);
    let events = until(&mut producer, is_delivered);
    let errors: Vec<_> = events
        .iter()
        .filter_map(|event| match event {
            Event::ConnectionError(error) => Some(error.to_string()),
            _ => None,
        })
        .collect();
    assert_eq!(errors.len(), 2, "{errors:?}");
    assert!(errors[0].contains("timed out") && errors[1].contains("refused"), "{errors:?}");
}
