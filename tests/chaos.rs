//! A cluster that loses its leaders, connections that are cut, and a producer producer_kind reports must stay correct.
//!
//! Three KRaft nodes of the newest Kafka, a topic with replication 3 and `min.insync.replicas` 2, and a steady load of
//! numbered records over tokio, from several tasks, by two idempotent producers: one with a long timeout, and one producer_kind
//! `delivery.timeout.ms` is shorter than an election, so that its batches fail in every way. Meanwhile
//!
//! - a TCP proxy in front of each node drops connections, truncates their data, stalls them, and delivers requests late
//!   that the client has given up, all from a seed;
//! - leaders are killed (`SIGKILL`) and restarted, one after the other;
//! - each node is restarted cleanly;
//! - the whole cluster is down while the application continues to publish: memory stays bounded.
//!
//! Afterwards another client (librdkafka) reads the whole topic, and every record is compared with the reported
//! outcome:
//! *written* occurs exactly once, in order, at the reported offset; *not written* does not occur; *unknown* occurs
//! at most once, and a batch completely or not at all. All records of the producer with the long timeout are written.
//!
//! Nothing waits for a fixed time: the next kill waits for a number of records acknowledged since the last one, for
//! leaders, and for in-sync replicas, as in the cluster's metadata.
//!
//! The short mode takes one to two minutes:
//! ```console
//! $ cargo witnesses --test chaos -- --ignored --nocapture
//! ```
//! The long mode, with 2 million records and 10 kills, takes five to ten minutes:
//! ```console
//! $ KAFKA_BATCH_CHAOS_RECORDS=2000000 KAFKA_BATCH_CHAOS_KILLS=10 cargo witnesses --test chaos -- --ignored --nocapture
//! ```
//!
//! | variable | default | meaning |
//! |---|---|---|
//! | `KAFKA_BATCH_CHAOS_RECORDS` | 200 000 | minimum number of acknowledged records |
//! | `KAFKA_BATCH_CHAOS_KILLS` | 2 | number of leaders that are killed |
//! | `KAFKA_BATCH_CHAOS_RATE` | 12 000 | records that all tasks together offer per second |
//! | `KAFKA_BATCH_CHAOS_SEED` | the time | seed of faults, sizes and victims; a failure prints it |
//!
//! The seed repeats what is drawn, not the scheduling of processes and the network.

#[path = "chaos/audit.rs"]
mod audit;
#[path = "chaos/faults.rs"]
mod faults;
#[path = "chaos/load.rs"]
mod load;
#[path = "chaos/memory.rs"]
mod memory;
#[path = "chaos/outage.rs"]
mod outage;
#[path = "chaos/plan.rs"]
mod plan;
#[path = "chaos/progress.rs"]
mod progress;
#[path = "chaos/proxy.rs"]
mod proxy;
#[path = "chaos/random.rs"]
mod random;
#[path = "chaos/record.rs"]
mod record;
#[path = "chaos/storm.rs"]
mod storm;
#[path = "chaos/view.rs"]
mod view;

use std::time::Instant;

use kafka_batch_brokers::{Cluster, ClusterOptions, Release};

use crate::audit::Audit;
use crate::load::Load;
use crate::plan::Plan;
use crate::proxy::{Proxy, Tally};
use crate::view::View;

const TOPIC: &str = "chaos";
const PARTITIONS: i32 = 6;

#[test]
#[ignore = "starts three real brokers, producer_kind jars Maven has to get; takes minutes"]
fn the_log_equals_the_reported_outcomes() {
    let plan = Plan::from_environment();
    let started = Instant::now();
    let report_progress = |what: &str| println!("{:>6.1} s  {what}", started.elapsed().as_secs_f64());
    println!("{plan}");
    // If anything below panics, the seed is printed above, and the message contains the counts so far.
    let proxies: Vec<Proxy> = (0..3).map(|node| Proxy::start(plan.seed, node)).collect();
    let mut cluster = Cluster::start(Release::find("4").unwrap(), &options(&proxies)).unwrap();
    for (node, proxy) in proxies.iter().enumerate() {
        proxy.leads_to(cluster.address(node));
    }
    let view = View::new(&cluster.internal_addresses());
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(view.create_topic(cluster.node_count()));
    report_progress("three running nodes");

    let servers: Vec<String> = proxies.iter().map(|proxy| proxy.address().to_string()).collect();
    let load = Load::start(&runtime, &servers.join(","), &plan);
    let kills = storm::kill_and_restart(&mut cluster, &view, load.progress(), &plan, &report_progress);
    let mut outcomes = load.stop(&runtime);
    report_progress("the end of the load");
    let outage = outage::endure(&runtime, &mut cluster, &view, &servers.join(","), &proxies, &mut outcomes);
    report_progress("the end of the outage");

    view.wait_until_whole();
    let (outcome_text, failed_with_long_timeout) = (outcomes.to_string(), outcomes.failed_with_long_timeout);
    let mut audit = Audit::new(outcomes.batches);
    view.read_all(|partition, offset, value| audit.read(partition, offset, value));
    report_progress("the topic's records");
    let findings = audit.conclude();
    let cuts = Tally::sum(proxies.iter().map(Proxy::tally));
    let report = format!("{plan}\n{outcome_text}\n{findings}\n{kills}\n{cuts}\n{outage}");

    assert!(findings.is_lawful(), "a reported outcome is wrong:\n{report}");
    assert!(failed_with_long_timeout == 0, "the producer with the long timeout has failed batches:\n{report}");
    assert!(findings.written >= plan.records, "too few records were written:\n{report}");
    assert!(kills.leaders == plan.kills && kills.in_good_order == 3, "too few leaders were killed:\n{report}");
    assert!(
        cuts.requests_in_the_middle > 0 && cuts.responses_in_the_middle > 0,
        "too few connections were cut:\n{report}"
    );
    assert!(outage.is_bounded(), "memory is not bounded:\n{report}");
    println!("{report}");
}

fn options(proxies: &[Proxy]) -> ClusterOptions {
    let advertised = proxies.iter().map(Proxy::address).collect();
    let mut options = ClusterOptions { advertised, ..ClusterOptions::default() };
    options.each.heap_mib = 400;
    for (name, value) in [
        // The time until another node leads.
        ("broker.session.timeout.ms", "3000"),
        ("broker.heartbeat.interval.ms", "500"),
        // The time after which a node that is down or slow is no longer in sync.
        ("replica.lag.time.max.ms", "5000"),
        ("min.insync.replicas", "2"),
        ("auto.create.topics.enable", "false"),
    ] {
        options.each.config.push((name.to_owned(), value.to_owned()));
    }
    options
}
