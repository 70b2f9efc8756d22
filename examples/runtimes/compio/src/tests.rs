use kafka_batch_testing::{ApiKey, Direction, Fault, FaultKind};

use super::*;

fn run(plan: &Plan) -> String {
    thread_per_core(plan, "test", THREADS, publish_batches).unwrap()
}

#[test]
fn everything_is_published_and_verified() {
    let summary = run(&Plan::parse(["--records", "50000"]).unwrap());
    assert!(summary.starts_with("test: 50000 records in "), "{summary}");
}

#[test]
fn lost_connections_and_a_moved_leader_lose_and_repeat_nothing() {
    let plan = Plan::parse(["--records", "20000"]).unwrap();
    let cluster = plan.cluster().unwrap();
    for broker in 1..=3 {
        cluster.cut_after(broker, Direction::ToBroker, 40_000);
    }
    cluster.inject(Fault::new(FaultKind::Refuse { code: 6, all: true }).api(ApiKey::Produce));
    run(&plan);
}

/// Batches that a socket does not accept in one operation.
#[test]
fn large_batches_are_written_completely() {
    run(&Plan::parse(["--records", "200000", "--batch-size", "1000000"]).unwrap());
}

#[test]
fn names_of_hosts_are_resolved() {
    let mut plan = Plan::parse(["--records", "100"]).unwrap();
    plan.brokers = plan.brokers.replace("127.0.0.1", "localhost");
    run(&plan);
}
