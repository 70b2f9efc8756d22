//! A cluster that loses its leaders, connections that are cut, and producers whose reports must stay correct.
//!
//! Three KRaft nodes of the newest Kafka, a topic with replication 3 and `min.insync.replicas` 2, and a steady load of
//! numbered records, from several tasks, by two idempotent producers: one with a long timeout, and one whose
//! `delivery.timeout.ms` is shorter than an election, so that its batches fail in every way. Meanwhile
//!
//! - a TCP proxy in front of each node drops connections, truncates their data, stalls them, and delivers requests late
//!   that the client has given up, all from a seed;
//! - leaders are killed (`SIGKILL`) and restarted, one after the other;
//! - over tokio, each node is restarted cleanly, and then
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
//! $ cargo witnesses --test chaos -- --ignored --nocapture tokio
//! ```
//! The long mode, with 2 million records and 10 kills, takes five to ten minutes:
//! ```console
//! $ KAFKA_BATCH_CHAOS_RECORDS=2000000 KAFKA_BATCH_CHAOS_KILLS=10 cargo witnesses --test chaos -- --ignored --nocapture tokio
//! ```
//! The Python package, with an interpreter that has it (`transports/asyncio/chaos` makes one, and runs this with 500 000 records):
//! ```console
//! $ KAFKA_BATCH_CHAOS_PYTHON=venv/bin/python cargo witnesses --test chaos -- --ignored --nocapture python
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
#[path = "chaos/program.rs"]
mod program;
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

// The parts of `soak` that have tests, because that suite has no harness.
#[path = "soak/attribution.rs"]
#[allow(dead_code)]
mod soak_attribution;
#[path = "soak/line.rs"]
#[allow(dead_code)]
mod soak_line;
#[path = "soak/plan.rs"]
#[allow(dead_code)]
mod soak_plan;
#[path = "soak/unknown.rs"]
#[allow(dead_code)]
mod soak_unknown;

use std::env;
use std::time::Instant;

use kafka_batch_brokers::{Cluster, ClusterOptions, Release};
use tokio::runtime::Runtime;

use crate::audit::Audit;
use crate::load::{Load, Outcomes};
use crate::plan::Plan;
use crate::program::Program;
use crate::proxy::{Proxy, Tally};
use crate::view::View;

const TOPIC: &str = "chaos";
const PARTITIONS: i32 = 6;

#[test]
#[ignore = "starts three real brokers, whose jars Maven has to get; takes minutes"]
fn tokio_the_log_equals_the_reported_outcomes() {
    let mut stage = Stage::start();
    let Stage { plan, proxies, cluster, view, runtime, servers, started } = &mut stage;
    let report_progress = |what: &str| println!("{:>6.1} s  {what}", started.elapsed().as_secs_f64());
    let load = Load::start(runtime, servers, plan);
    let mut kills = storm::kill_leaders(cluster, view, load.progress(), plan, &report_progress);
    storm::restart_each(cluster, view, load.progress(), &mut kills, &report_progress);
    storm::wait_for_all(load.progress(), plan);
    let mut outcomes = load.stop(runtime);
    report_progress("the end of the load");
    let outage = outage::endure(runtime, cluster, view, servers, proxies, &mut outcomes);
    report_progress("the end of the outage");
    let report = stage.conclude(outcomes, &kills);
    assert!(kills.in_good_order == 3, "too few nodes were restarted:\n{report}");
    assert!(outage.is_bounded(), "memory is not bounded:\n{report}\n{outage}");
    println!("{report}\n{outage}");
}

#[test]
#[ignore = "starts three real brokers, and a Python interpreter that has the package; takes a minute"]
fn python_the_log_equals_the_reported_outcomes() {
    let python = env::var("KAFKA_BATCH_CHAOS_PYTHON").expect("KAFKA_BATCH_CHAOS_PYTHON: a Python that has the package");
    let mut stage = Stage::start();
    let Stage { plan, cluster, view, servers, started, .. } = &mut stage;
    let report_progress = |what: &str| println!("{:>6.1} s  {what}", started.elapsed().as_secs_f64());
    let load = Program::start(&python, servers, plan);
    let kills = storm::kill_leaders(cluster, view, load.progress(), plan, &report_progress);
    storm::wait_for_all(load.progress(), plan);
    let outcomes = load.stop();
    report_progress("the end of the load");
    println!("{}", stage.conclude(outcomes, &kills));
}

/// A running cluster behind proxies.
struct Stage {
    plan: Plan,
    proxies: Vec<Proxy>,
    cluster: Cluster,
    view: View,
    runtime: Runtime,
    /// The proxies' addresses.
    servers: String,
    started: Instant,
}

impl Stage {
    /// Starts everything. Prints the seed, since anything may panic.
    fn start() -> Self {
        let plan = Plan::from_environment();
        let started = Instant::now();
        println!("{plan}");
        let proxies: Vec<Proxy> = (0..3).map(|node| Proxy::start(plan.seed, node)).collect();
        let cluster = Cluster::start(Release::find("4").unwrap(), &options(&proxies)).unwrap();
        for (node, proxy) in proxies.iter().enumerate() {
            proxy.leads_to(cluster.address(node));
        }
        let view = View::new(&cluster.internal_addresses());
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        runtime.block_on(view.create_topic(cluster.node_count()));
        println!("{:>6.1} s  three running nodes", started.elapsed().as_secs_f64());
        let servers: Vec<String> = proxies.iter().map(|proxy| proxy.address().to_string()).collect();
        Self { plan, proxies, cluster, view, runtime, servers: servers.join(","), started }
    }

    /// Compares the log with the outcomes, and returns a report.
    fn conclude(&self, outcomes: Outcomes, kills: &storm::Kills) -> String {
        let Self { plan, proxies, view, started, .. } = self;
        view.wait_until_whole();
        let (outcome_text, failed_with_long_timeout) = (outcomes.to_string(), outcomes.failed_with_long_timeout);
        let mut audit = Audit::new(outcomes.batches);
        view.read_all(|partition, offset, value| audit.read(partition, offset, value));
        println!("{:>6.1} s  the topic's records", started.elapsed().as_secs_f64());
        let findings = audit.conclude();
        let cuts = Tally::sum(proxies.iter().map(Proxy::tally));
        let report = format!("{plan}\n{outcome_text}\n{findings}\n{kills}\n{cuts}");

        assert!(findings.is_lawful(), "a reported outcome is wrong:\n{report}");
        assert!(failed_with_long_timeout == 0, "the producer with the long timeout has failed batches:\n{report}");
        assert!(findings.written >= plan.records, "too few records were written:\n{report}");
        assert!(kills.leaders == plan.kills, "too few leaders were killed:\n{report}");
        assert!(
            cuts.requests_in_the_middle > 0 && cuts.responses_in_the_middle > 0,
            "too few connections were cut:\n{report}"
        );
        report
    }
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
