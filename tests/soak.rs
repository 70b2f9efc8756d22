//! Hours of service in minutes: three nodes of two releases (Kafka 4.4 and 3.9) with TLS and client certificates, and a process
//! with four idempotent producers, two of which authenticate with SCRAM and two with OAUTHBEARER, again at the end of every
//! session (KIP-368, each minute). Their load is steady. Meanwhile, from a seed,
//!
//! - the route between the client and the brokers is lost for up to twelve seconds: packets are dropped without a word, or the
//!   client's system has no route (the client is in a network namespace of its own, behind a veth pair);
//! - all nodes are restarted cleanly, one after the other;
//! - the disk of a log directory is full (a small tmpfs), until it is freed and the node restarted;
//! - the certificates of brokers and clients are replaced twice, the second time by those of another authority.
//!
//! Afterwards another client (librdkafka) reads the whole topic, and every record is compared with the reported outcome, as in
//! `chaos`. Each *unknown* outcome must have a fault that was in effect while its batch was in flight (or brokers that were slow for
//! another client, too, on a machine that is busy); whether it was written is in the log. Producers with a timeout longer than every fault lose nothing. The memory of the client's process, measured
//! whenever nothing is in flight, does not grow by more than 5 % between the tenth minute and the last one.
//!
//! The short mode takes about a minute and a half, with sessions of ten seconds:
//! ```console
//! $ cargo witnesses --test soak -- --ignored
//! ```
//! An hour:
//! ```console
//! $ cargo witnesses --release --test soak -- --ignored --minutes 60
//! ```
//!
//! | argument | variable | default | meaning |
//! |---|---|---|---|
//! | `--minutes` | `KAFKA_BATCH_SOAK_MINUTES` | 1 | duration of the load; below 10 it is the short mode |
//! | `--seed` | `KAFKA_BATCH_SOAK_SEED` | the time | seed of faults, sizes and partitions |
//! | `--rate` | `KAFKA_BATCH_SOAK_RATE` | 400 | records that all producers together offer per second |
//!
//! Namespaces and mounts need root. Without, no route is lost and no disk is full, which is printed. This suite is a program
//! without libtest's `main`, since it also is the program of the client; the tests of its parts are in `chaos`.

#[path = "soak/attribution.rs"]
#[allow(dead_code, unused_imports)] // its tests are in `chaos`
mod attribution;
#[path = "chaos/audit.rs"]
#[allow(dead_code, unused_imports)] // its tests are in `chaos`
mod audit;
#[path = "soak/client.rs"]
mod client;
#[path = "soak/credentials.rs"]
mod credentials;
#[path = "soak/disk.rs"]
mod disk;
#[path = "soak/line.rs"]
#[allow(dead_code, unused_imports)] // its tests are in `chaos`
mod line;
#[path = "chaos/memory.rs"]
mod memory;
#[path = "soak/network.rs"]
mod network;
#[path = "soak/plan.rs"]
#[allow(dead_code, unused_imports)] // its tests are in `chaos`
mod plan;
#[path = "soak/probe.rs"]
mod probe;
#[path = "soak/process.rs"]
mod process;
#[path = "chaos/progress.rs"]
mod progress;
#[path = "chaos/random.rs"]
#[allow(dead_code, unused_imports)] // its tests are in `chaos`
mod random;
#[path = "chaos/record.rs"]
mod record;
#[path = "soak/report.rs"]
mod report;
#[path = "soak/stage.rs"]
mod stage;
#[path = "soak/unknown.rs"]
mod unknown;
#[path = "chaos/view.rs"]
mod view;

use std::env;
use std::net::Ipv4Addr;
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};
use std::time::Instant;

use kafka_batch_brokers::TempFolder;

use crate::attribution::{Injected, Kind};
use crate::audit::Audit;
use crate::client::now;
use crate::network::Network;
use crate::plan::{Event, Loss, Plan};
use crate::process::Client;
use crate::report::Report;
use crate::stage::{NODES, SCRAM, Stage, TOKENS};
use crate::unknown::Unknown;

const TOPIC: &str = "soak";
const PARTITIONS: i32 = 6;
const USER: &str = "client";
const PASSWORD: &str = "open sesame";

/// Set in the mount namespace.
const INSIDE: &str = "KAFKA_BATCH_SOAK_INSIDE";

fn main() {
    let arguments: Vec<String> = env::args().skip(1).collect();
    match arguments.first().map(String::as_str) {
        Some("client") => client::run(&arguments[1..]),
        _ if arguments.iter().any(|argument| argument == "--list") => {}
        _ if arguments.iter().any(|argument| argument == "--ignored") => {
            let has_root = env::var_os(INSIDE).is_some() || enter_mount_namespace();
            soak(&Plan::new(&arguments), has_root);
        }
        _ => println!("ignored: it starts three real brokers, whose jars Maven has to get; run it with --ignored"),
    }
}

/// Continues as the same program in a mount namespace of its own, so that nothing stays mounted. Returns false if this process
/// may not make namespaces.
fn enter_mount_namespace() -> bool {
    let mut trial = Command::new("unshare");
    trial
        .args(["--mount", "--net", "ip", "link", "add", "one", "type", "veth", "peer", "name", "other"])
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    if !trial.status().is_ok_and(|status| status.success()) {
        return false;
    }
    let program = env::current_exe().unwrap();
    let error =
        Command::new("unshare").arg("--mount").arg("--").arg(program).args(env::args().skip(1)).env(INSIDE, "1").exec();
    panic!("unshare: {error}");
}

fn soak(plan: &Plan, has_root: bool) {
    println!("{plan}");
    if !has_root {
        println!("!!! NOT ROOT, OR NO unshare, nsenter, ip OR veth HERE: NO ROUTE IS LOST, NO DISK IS FULL !!!");
    }
    let started = Instant::now();
    let report_progress = |what: &str| println!("{:>6.1} s  {what}", started.elapsed().as_secs_f64());
    let folder = TempFolder::create().unwrap();
    let mut client = Client::start(folder.path(), plan, has_root);
    let network = has_root.then(|| Network::connect(client.id()));
    let address = network.as_ref().map_or(Ipv4Addr::LOCALHOST, Network::brokers);
    let mut stage = Stage::start(&folder, plan, address, has_root);
    report_progress("three running nodes");
    let (scram, tokens) = (stage.servers(SCRAM), stage.servers(TOKENS));
    client.tell(&format!("{} {}", scram.join(","), tokens.join(",")));
    wait_for_each_partition(&client);
    let begun = Instant::now();

    let (mut faults, mut restarts) = (Vec::new(), 0);
    let (mut has_new_certificates, mut certificates_used) = (false, 0);
    for (at, event) in plan.schedule(NODES) {
        client.run_until(begun + at);
        let begin = now();
        let kind = match event {
            Event::Measure => {
                let memory = client.measure();
                report_progress(&format!("{memory:?}; {:?}", client.progress().counts()));
                continue;
            }
            Event::LoseRoute(how, length) => {
                let Some(network) = &network else { continue };
                network.lose(how);
                client.run_until(Instant::now() + length);
                network.restore(how);
                report_progress(&format!("the route was lost for {length:?}: {how:?}"));
                match how {
                    Loss::Silent => Kind::SilentLoss,
                    Loss::Unreachable => Kind::Unreachable,
                }
            }
            Event::Restart(nodes) => {
                for node in nodes {
                    stage.stop(node);
                    wait_for_each_partition(&client);
                    stage.start_again(node);
                    restarts += 1;
                    report_progress(&format!("node {node} was restarted"));
                }
                Kind::Restart
            }
            Event::FillDisk(length) => {
                if network.is_none() {
                    continue;
                }
                let (bytes, replicas) = stage.fill_disk();
                report_progress(&format!("a disk is full, by {bytes} bytes: {replicas} replicas are offline"));
                client.run_until(Instant::now() + length);
                wait_for_each_partition(&client);
                stage.free_disk();
                restarts += 1;
                report_progress("the disk is free, and its node was restarted");
                Kind::FullDisk
            }
            Event::ReplaceCertificates => {
                stage.replace_certificates();
                report_progress("certificates were replaced");
                Kind::Certificates
            }
        };
        // Each of the other faults loses connections.
        if has_new_certificates && kind != Kind::Certificates {
            certificates_used += 1;
        }
        has_new_certificates = kind == Kind::Certificates;
        faults.push(Injected { kind, begin, end: now() });
        wait_for_each_partition(&client);
    }
    let seconds = begun.elapsed().as_secs();
    let printed = client.stop();
    report_progress("the end of the load");
    faults.extend(stage.slow_times());

    stage.view.wait_until_whole();
    let mut unknown = Unknown::of(printed.ended.iter().map(|ended| ended.sent));
    let mut audit = Audit::new(printed.ended.iter().map(|ended| ended.sent).collect());
    stage.view.read_all(|partition, offset, value| {
        audit.read(partition, offset, value);
        if let Some((task, number)) = record::parse(value) {
            unknown.read(task, number);
        }
    });
    report_progress("the topic's records");
    let report = Report {
        seconds,
        is_short: plan.is_short(),
        faults,
        printed,
        findings: audit.conclude(),
        unknown,
        scram,
        tokens,
        // Each listener has at least a connection, which is used for many sessions in a row.
        least_again: seconds / plan.session().as_secs() / 4,
        certificate_replacements: stage.certificate_replacements(),
        certificates_used,
        restarts,
    };
    println!("{plan}\n{report}");
    let faults = report.faults();
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

/// Waits until records of each partition are acknowledged.
fn wait_for_each_partition(client: &Client) {
    let progress = client.progress();
    let before = progress.counts();
    progress.wait("records of each partition", |counts| {
        counts.by_partition.iter().zip(before.by_partition).all(|(now, before)| *now > before)
    });
}
