//! Faults as strategies: user code over connections in memory, each kind, what they shrink to, and their text.

#[path = "common/memory.rs"]
mod memory;

use std::collections::BTreeMap;
use std::future::Future;

use kafka_batch_core::{Fate, Record, TopicPartition};
use kafka_batch_testing::proptest::proptest::prelude::*;
use kafka_batch_testing::proptest::proptest::strategy::ValueTree as _;
use kafka_batch_testing::proptest::proptest::test_runner::{TestCaseResult, TestError, TestRng, TestRunner};
use kafka_batch_testing::proptest::{self, FaultTargets};
use kafka_batch_testing::{ClusterFault, FaultKind, FaultPlan, TestCluster};
use memory::MemoryProducer;

const ORDERS: usize = 3;

fn cluster() -> TestCluster {
    TestCluster::builder().brokers(2).topic("orders").without_sockets().start().unwrap()
}

fn targets() -> FaultTargets {
    FaultTargets::new(2).topic("orders", 1)
}

/// Returns a producer that does not wait for long.
fn producer(cluster: &TestCluster) -> MemoryProducer {
    let settings = [
        ("retry.backoff.ms", "1"),
        ("retry.backoff.max.ms", "2"),
        ("reconnect.backoff.ms", "1"),
        ("reconnect.backoff.max.ms", "2"),
        ("request.timeout.ms", "50"),
    ];
    let builder = MemoryProducer::builder().set("bootstrap.servers", cluster.in_memory_servers());
    settings.into_iter().fold(builder, |builder, (name, value)| builder.set(name, value)).build().unwrap()
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
}

/// Orders, and where each ended.
#[derive(Debug, Default)]
struct Outbox {
    confirmed: Vec<String>,
    dead_letters: Vec<String>,
    doubtful: Vec<String>,
    /// A fault in the code under test: if some records of a batch are rejected, the others are forgotten.
    forgets_the_rest: bool,
}

impl Outbox {
    /// Sends orders in one batch, and what is certainly not written once more.
    async fn send(&mut self, producer: &MemoryProducer, mut orders: Vec<String>) {
        for _ in 0..2 {
            let mut batch = producer.batch();
            batch.extend(orders.iter().map(Record::new)).unwrap();
            let sent = match producer.send_batch(batch, TopicPartition::new("orders", 0)).await {
                Ok(pending) => pending.await,
                Err(_) => continue, // nothing was sent
            };
            let Err(error) = sent else { return self.confirmed.append(&mut orders) };
            let rejected: Vec<usize> = error.record_errors.iter().map(|error| error.position).collect();
            let mut rest = Vec::new();
            for (position, order) in orders.into_iter().enumerate() {
                match error.fate_of(position).expect("a fate for each") {
                    Fate::Written => self.confirmed.push(order),
                    Fate::Unknown => self.doubtful.push(order),
                    Fate::NotWritten if rejected.contains(&position) => self.dead_letters.push(order),
                    Fate::NotWritten => rest.push(order),
                }
            }
            orders = rest;
            if !rejected.is_empty() && self.forgets_the_rest {
                return;
            }
            if orders.is_empty() {
                return;
            }
        }
        self.dead_letters.append(&mut orders);
    }
}

/// Sends orders step by step while faults happen, and checks that each one is where the code says.
fn check(plan: &FaultPlan, forgets_the_rest: bool) -> TestCaseResult {
    let cluster = cluster();
    let mut outbox = Outbox { forgets_the_rest, ..Outbox::default() };
    block_on(async {
        let producer = producer(&cluster);
        for step in 0..ORDERS {
            plan.apply(step, &cluster);
            outbox.send(&producer, vec![format!("{step} a"), format!("{step} b")]).await;
        }
    });
    let mut stored = BTreeMap::new();
    for order in cluster.log("orders", 0).expect("the topic exists").values().expect("readable") {
        *stored.entry(order).or_insert(0) += 1;
    }
    prop_assert!(stored.values().all(|count| *count == 1), "stored twice: {:?}", stored);
    for order in (0..ORDERS).flat_map(|step| [format!("{step} a"), format!("{step} b")]) {
        let is_stored = stored.contains_key(&order);
        let of = |orders: &[String]| orders.contains(&order);
        let (confirmed, dead, doubtful) = (of(&outbox.confirmed), of(&outbox.dead_letters), of(&outbox.doubtful));
        prop_assert_eq!(usize::from(confirmed) + usize::from(dead) + usize::from(doubtful), 1, "{} is lost", order);
        prop_assert!(doubtful || confirmed == is_stored, "{} {:?} {:?}", order, outbox, stored);
    }
    prop_assert!(cluster.violations().is_empty(), "{:?}", cluster.violations());
    Ok(())
}

fn runner(cases: u32) -> TestRunner {
    let config = ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(cases) };
    let rng = TestRng::from_seed(config.rng_algorithm, &[7; 32]);
    TestRunner::new_with_rng(config, rng)
}

#[test]
fn code_that_is_right_passes_with_every_kind_of_fault() {
    let begin = std::time::Instant::now();
    runner(256).run(&proptest::plans(&targets(), ORDERS), |plan| check(&plan, false)).unwrap();
    println!("256 cases took {:?}", begin.elapsed());
}

#[test]
fn lost_messages_are_noticed_after_the_timeout() {
    let plans = proptest::plans_of(proptest::lost_messages(&targets()), ORDERS);
    runner(12).run(&plans, |plan| check(&plan, false)).unwrap();
}

#[test]
fn a_fault_in_the_code_is_found_and_shrinks_to_one_fault() {
    let failed = runner(256).run(&proptest::plans(&targets(), ORDERS), |plan| check(&plan, true));
    let Err(TestError::Fail(reason, plan)) = failed else { panic!("{failed:?}") };
    assert!(reason.message().contains("is lost"), "{reason}");
    let [(step, ClusterFault::Request(fault))] = plan.faults() else { panic!("{plan:?}") };
    let FaultKind::RejectRecords { positions } = fault.kind() else { panic!("{plan:?}") };
    assert_eq!((*step, &positions[..]), (0, &[0][..]), "the first step, and one record: {plan:?}");
    // The text is what a test by hand is made of.
    let text = "FaultPlan::from([(0, ClusterFault::Request(Fault::new(FaultKind::RejectRecords { positions: vec![0] })\
                .api(ApiKey::Produce)))])";
    assert_eq!(format!("{plan:?}"), text);
    assert!(check(&plan, true).is_err() && check(&plan, false).is_ok());
}

#[test]
fn a_test_that_always_fails_shrinks_to_no_fault() {
    let failed = runner(10).run(&proptest::faults(&targets()), |_| Err(TestCaseError::fail("always")));
    assert!(matches!(&failed, Err(TestError::Fail(_, faults)) if faults.is_empty()), "{failed:?}");
    let failed = runner(10).run(&proptest::plans(&targets(), 3), |_| Err(TestCaseError::fail("always")));
    assert!(matches!(&failed, Err(TestError::Fail(_, plan)) if plan.faults().is_empty()), "{failed:?}");
}

/// Each strategy makes faults that the cluster has, and together they are all kinds of them.
#[test]
fn each_strategy_makes_faults_that_can_happen() {
    let targets = targets();
    let strategies = [
        proptest::error_codes(&targets).boxed(),
        proptest::rejected_records(&targets).boxed(),
        proptest::closed_connections(&targets).boxed(),
        proptest::delays(&targets).boxed(),
        proptest::lost_messages(&targets).boxed(),
        proptest::cuts(&targets).boxed(),
        proptest::restarts(&targets).boxed(),
        proptest::leader_moves(&targets).boxed(),
        proptest::slow_disks(&targets).boxed(),
        proptest::rejected_identities().boxed(),
        proptest::losses(&targets).boxed(),
    ];
    let mut texts = String::new();
    for strategy in strategies {
        let mut runner = runner(1);
        for round in 0..200 {
            let fault = strategy.new_tree(&mut runner).unwrap().current();
            assert!(round > 30 || cluster().apply(&fault), "{fault:?}");
            texts += &format!("{fault:?}\n");
        }
    }
    for kind in [
        "Refuse {",
        "ExecuteAndRefuse",
        "RejectRecords",
        "CloseConnection { executed: true }",
        "CloseConnection { executed: false }",
        "CutResponse",
        "DelayRequest",
        "DelayResponse",
        "DropRequest",
        "DropResponse",
        "::Cut {",
        "CutAfter",
        "remembers_producers: true",
        "remembers_producers: false",
        "MoveLeader",
        "SlowDisk",
        "StopReplication",
        "OwnEpochs",
        "Forgotten",
        "ForgetProducers",
        "ForgetTopic",
        ".api(ApiKey::Metadata)",
        ".api(ApiKey::InitProducerId)",
        ".topic(\"orders\").partition(0)",
        ".after(2)",
        ".times(3)",
    ] {
        assert!(texts.contains(kind), "{kind}");
    }
}

/// Without topics and with one broker there are faults, too.
#[test]
fn a_cluster_without_topics_has_faults() {
    let targets = FaultTargets::new(1).max_delay(std::time::Duration::ZERO);
    let strategies = [
        proptest::fault(&targets).boxed(),
        proptest::leader_moves(&targets).boxed(),
        proptest::slow_disks(&targets).boxed(),
        proptest::losses(&targets).boxed(),
    ];
    let cluster = TestCluster::builder().without_sockets().start().unwrap();
    let mut runner = runner(1);
    for strategy in strategies {
        for _ in 0..50 {
            let fault = strategy.new_tree(&mut runner).unwrap().current();
            assert!(cluster.apply(&fault), "{fault:?}");
        }
    }
}

#[test]
fn a_fault_of_what_does_not_exist_is_none() {
    let cluster = cluster();
    let topic = || "none".to_owned();
    for fault in [
        ClusterFault::Cut { broker: 3 },
        ClusterFault::CutAfter { broker: 3, direction: kafka_batch_testing::Direction::ToBroker, bytes: 1 },
        ClusterFault::Kill { broker: 3 },
        ClusterFault::Restart { broker: 0, remembers_producers: false },
        ClusterFault::SlowDisk { broker: -1, delay: std::time::Duration::MAX },
        ClusterFault::MoveLeader { topic: topic(), partition: 0, to: 1 },
        ClusterFault::MoveLeader { topic: "orders".into(), partition: 1, to: 1 },
        ClusterFault::MoveLeader { topic: "orders".into(), partition: 0, to: 3 },
        ClusterFault::RemoveLeader { topic: topic(), partition: 0 },
        ClusterFault::StopReplication { topic: topic(), partition: 0, time: std::time::Duration::MAX },
        ClusterFault::ForgetProducers { topic: topic(), partition: 0 },
        ClusterFault::ForgetTopic { topic: topic() },
    ] {
        assert!(!cluster.apply(&fault), "{fault:?}");
    }
    assert!(cluster.apply(&ClusterFault::Kill { broker: 1 }) && !cluster.apply(&ClusterFault::Kill { broker: 1 }));
}
