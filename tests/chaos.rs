//! A cluster that loses its leaders, connections that are cut, and a producer that still tells the truth.
//!
//! Three KRaft nodes of the newest Kafka, a topic with replication 3 and `min.insync.replicas` 2, and a steady load of
//! numbered records over tokio, from several tasks, by two idempotent producers: a patient one, and one whose
//! `delivery.timeout.ms` is shorter than an election takes, so that its batches fail in every way. Meanwhile
//!
//! - a TCP proxy before each node drops connections, truncates what they carry, stalls them, and delivers requests that
//!   their sender has given up, all from a seed;
//! - leaders are killed (`SIGKILL`) and started again, one after the other;
//! - each node is restarted in good order;
//! - the whole cluster is down while the application publishes on: memory stays bounded.
//!
//! Afterwards another client (librdkafka) reads the whole topic, and every record is compared with what its producer said:
//! *written* is there exactly once, in order, at the offset that was told; *not written* is not there; *unknown* is there
//! at most once, and a batch as a whole or not at all. Of the patient producer all of it is written.
//!
//! Nothing waits for a time to pass: the next kill waits for so many records acknowledged since the last one, for leaders,
//! and for in-sync replicas, as the cluster's metadata shows them.
//!
//! The short mode takes a minute or two:
//! ```console
//! $ cargo test --test chaos -- --ignored --nocapture
//! ```
//! The long mode, of 2 million records and 10 kills, takes some five to ten:
//! ```console
//! $ KAFKA_BATCH_CHAOS_RECORDS=2000000 KAFKA_BATCH_CHAOS_KILLS=10 cargo test --test chaos -- --ignored --nocapture
//! ```
//!
//! | variable | default | meaning |
//! |---|---|---|
//! | `KAFKA_BATCH_CHAOS_RECORDS` | 200 000 | records that are to be acknowledged, at least |
//! | `KAFKA_BATCH_CHAOS_KILLS` | 2 | leaders that are killed |
//! | `KAFKA_BATCH_CHAOS_RATE` | 12 000 | records a second that the tasks offer together |
//! | `KAFKA_BATCH_CHAOS_SEED` | the time | what faults, sizes and victims are drawn from; a failure prints it |
//!
//! The seed repeats what is drawn, not how processes and the network take turns.

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
#[ignore = "starts three real brokers, whose jars Maven has to get; takes minutes"]
fn every_record_is_where_its_producer_said() {
    let plan = Plan::from_environment();
    let begun = Instant::now();
    let say = |what: &str| println!("{:>6.1} s  {what}", begun.elapsed().as_secs_f64());
    println!("{plan}");
    // Whatever panics below: the seed stands above, and the counts so far are in the message.
    let proxies: Vec<Proxy> = (0..3).map(|node| Proxy::start(plan.seed, node)).collect();
    let mut cluster = Cluster::start(Release::find("4").unwrap(), &options(&proxies)).unwrap();
    for (node, proxy) in proxies.iter().enumerate() {
        proxy.leads_to(cluster.address(node));
    }
    let view = View::new(&cluster.internal_addresses());
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(view.create_topic(cluster.node_count()));
    say("three nodes run");

    let servers: Vec<String> = proxies.iter().map(|proxy| proxy.address().to_string()).collect();
    let load = Load::start(&runtime, &servers.join(","), &plan);
    let kills = storm::rage(&mut cluster, &view, load.progress(), &plan, &say);
    let mut books = load.stop(&runtime);
    say("the load has ended");
    let outage = outage::endure(&runtime, &mut cluster, &view, &servers.join(","), &proxies, &mut books);
    say("the outage is over");

    view.wait_until_whole();
    let (said, failed_in_spite_of_patience) = (books.to_string(), books.failed_in_spite_of_patience);
    let mut audit = Audit::new(books.batches);
    view.read_all(|partition, offset, value| audit.read(partition, offset, value));
    say("the topic is read");
    let findings = audit.conclude();
    let cuts = Tally::sum(proxies.iter().map(Proxy::tally));
    let report = format!("{plan}\n{said}\n{findings}\n{kills}\n{cuts}\n{outage}");

    assert!(findings.is_lawful(), "the producer did not tell the truth:\n{report}");
    assert!(failed_in_spite_of_patience == 0, "a producer that had the time gave up:\n{report}");
    assert!(findings.written >= plan.records, "too few were written to tell:\n{report}");
    assert!(kills.leaders == plan.kills && kills.in_good_order == 3, "too little was killed to tell:\n{report}");
    assert!(
        cuts.requests_in_the_middle > 0 && cuts.responses_in_the_middle > 0,
        "too little was cut to tell:\n{report}"
    );
    assert!(outage.is_bounded(), "memory is not bounded:\n{report}");
    println!("{report}");
}

fn options(proxies: &[Proxy]) -> ClusterOptions {
    let advertised = proxies.iter().map(Proxy::address).collect();
    let mut options = ClusterOptions { advertised, ..ClusterOptions::default() };
    options.each.heap_mib = 400;
    for (name, value) in [
        // How soon another node leads.
        ("broker.session.timeout.ms", "3000"),
        ("broker.heartbeat.interval.ms", "500"),
        // How soon a node that is gone or slow is no in-sync replica any more.
        ("replica.lag.time.max.ms", "5000"),
        ("min.insync.replicas", "2"),
        ("auto.create.topics.enable", "false"),
    ] {
        options.each.config.push((name.to_owned(), value.to_owned()));
    }
    options
}
