//! Exactly once, while everything fails: three processes consume a topic, and produce what they read to another one in
//! transactions that also commit the offsets (KIP-447), with three KRaft nodes of the newest Kafka. Meanwhile, from a seed,
//!
//! - a TCP proxy in front of each node drops connections, truncates their data, stalls them, and delivers requests late that the
//!   client has given up;
//! - processes are killed (`SIGKILL`), and others take their place and their transactional id;
//! - nodes are killed that lead partitions, or coordinate the transactions of a process, and restarted.
//!
//! Afterwards another client (librdkafka) reads what is committed: each input record occurs exactly once. No transaction is left
//! open: the last stable offset is the end of each partition.
//!
//! The short mode takes one to two minutes:
//! ```console
//! $ cargo witnesses --test chaos_transactions -- --ignored
//! ```
//! The long mode, with a million input records:
//! ```console
//! $ KAFKA_BATCH_CHAOS_RECORDS=1000000 KAFKA_BATCH_CHAOS_KILLS=10 cargo witnesses --test chaos_transactions -- --ignored
//! ```
//! `KAFKA_BATCH_CHAOS_SEED` repeats what is drawn. `KAFKA_BATCH_CHAOS_KILLS` is the number of nodes that are killed; twice as many
//! processes are. This suite is a program without libtest's `main`, since it also is the program of those processes.

#[path = "chaos_transactions/audit.rs"]
mod audit;
#[path = "chaos_transactions/cluster.rs"]
mod cluster;
#[path = "chaos/faults.rs"]
#[allow(dead_code, unused_imports)] // its tests are in `chaos`
mod faults;
#[path = "chaos/plan.rs"]
#[allow(dead_code)] // there is no rate
mod plan;
#[path = "chaos_transactions/process.rs"]
mod process;
#[path = "chaos/proxy.rs"]
#[allow(dead_code, unused_imports)] // its tests are in `chaos`
mod proxy;
#[path = "chaos/random.rs"]
mod random;
#[path = "chaos_transactions/transform.rs"]
mod transform;

use std::env;
use std::time::Instant;

use crate::cluster::Stage;
use crate::plan::Plan;
use crate::process::Processes;
use crate::proxy::{Proxy, Tally};
use crate::random::Random;

const INPUT: &str = "input";
const OUTPUT: &str = "output";
const GROUP: &str = "transform";
const PARTITIONS: i32 = 6;
/// The number of processes at any time.
const PROCESSES: usize = 3;
/// The processes that are killed for each node that is.
const PROCESS_KILLS: u64 = 2;

fn main() {
    let arguments: Vec<String> = env::args().skip(1).collect();
    match arguments.first().map(String::as_str) {
        Some("transform") => transform::run(&arguments[1], &arguments[2]),
        _ if arguments.iter().any(|argument| argument == "--ignored") => each_input_is_in_the_output_once(),
        _ if arguments.iter().any(|argument| argument == "--list") => {}
        _ => println!("ignored: it starts three real brokers, whose jars Maven has to get; run it with --ignored"),
    }
}

fn each_input_is_in_the_output_once() {
    let plan = Plan::from_environment();
    println!("{plan}");
    let started = Instant::now();
    let progress = |what: &str| println!("{:>6.1} s  {what}", started.elapsed().as_secs_f64());
    let mut stage = Stage::start(&plan);
    progress("three running nodes");
    stage.fill(plan.records);
    progress(&format!("{} input records", plan.records));

    let mut random = Random::new(plan.seed, 2);
    let mut processes = Processes::start(&stage.servers(), PROCESSES);
    let (mut node_kills, mut process_kills) = (0, 0);
    let steps = plan.kills * (1 + PROCESS_KILLS);
    for step in 0..steps {
        // The last records are left for the time after the last kill.
        let enough = plan.records * (step + 1) / (steps + 2);
        let committed = processes.wait_for(enough);
        if step % (1 + PROCESS_KILLS) == PROCESS_KILLS {
            // A node that leads an output partition, or coordinates the transactions of a process.
            let victim = if random.below(2) == 0 {
                stage.leader(random.below(PARTITIONS as u64) as i32)
            } else {
                stage.coordinator(&Processes::transactional_id(random.below(PROCESSES as u64) as usize))
            };
            let led = stage.partitions_of(victim);
            stage.kill(victim);
            progress(&format!("node {victim} is killed, the leader of {led} partitions; {committed} records"));
            processes.wait_for((committed + plan.records / (steps + 2) / 4).min(plan.records));
            stage.restart(victim);
            node_kills += 1;
        } else {
            let slot = random.below(PROCESSES as u64) as usize;
            processes.replace(slot);
            progress(&format!("process {slot} is killed; {committed} records"));
            process_kills += 1;
        }
    }
    stage.wait_for_offsets(plan.records);
    progress("all offsets are committed");
    let told = processes.stop();
    stage.wait_until_whole();
    let findings = audit::read(&stage, plan.records);
    progress("the output");
    let cuts = Tally::sum(stage.proxies().iter().map(Proxy::tally));
    let report =
        format!("{plan}\n{findings}\n{told}\nnodes killed: {node_kills}; processes killed: {process_kills}\n{cuts}");
    println!("{report}");
    assert!(findings.is_lawful(), "not each input record is in the output once");
    assert!(node_kills == plan.kills && process_kills == plan.kills * PROCESS_KILLS, "too few were killed");
    assert!(cuts.requests_in_the_middle > 0 && cuts.responses_in_the_middle > 0, "too few connections were cut");
    println!("{:>6.1} s  in all", started.elapsed().as_secs_f64());
}
