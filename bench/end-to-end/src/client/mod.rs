//! The clients, one file each. Each is given a job, and the settings that serve it best.

mod by_hand;
mod krafka;
mod librdkafka;
mod ours;
mod raw;
mod rskafka;

use std::error::Error;
use std::future::Future;

use crate::broker::Broker;
use crate::job::{Acks, Job, Report, Work};
use crate::rows::Row;

pub type Outcome = Result<Report, Box<dyn Error>>;

/// A client: its name, and how it is run.
pub struct Client {
    pub name: &'static str,
    pub run: fn(&Job) -> Outcome,
    /// Whether somebody else made it, to publish records with.
    pub is_peer: bool,
    /// Whether it has what a row asks for, and gets along with the broker.
    pub can: fn(&Row, &Broker) -> bool,
}

pub const RAW: &str = "raw socket";
pub const BY_HAND: &str = "filled by hand";
pub const TOKIO: &str = "kafka-batch, tokio";
pub const OVER_RDKAFKA: &str = "kafka-batch, rdkafka";
pub const RDKAFKA: &str = "rdkafka";

pub const CLIENTS: [Client; 8] = [
    Client { name: RAW, run: raw::run, is_peer: false, can: |row, _| row.work != Work::Flush },
    Client { name: BY_HAND, run: by_hand::run, is_peer: false, can: |row, _| row.work == Work::Throughput && !row.lz4 },
    Client { name: TOKIO, run: ours::tokio, is_peer: false, can: |_, _| true },
    Client { name: "kafka-batch, async-std", run: ours::async_std, is_peer: false, can: |_, _| true },
    Client { name: OVER_RDKAFKA, run: ours::rdkafka, is_peer: false, can: |_, _| true },
    Client { name: RDKAFKA, run: librdkafka::run, is_peer: true, can: |_, _| true },
    // It asks for all acknowledgements, always, and has nothing to flush.
    Client {
        name: "rskafka 0.6.0",
        run: rskafka::run,
        is_peer: true,
        can: |row, _| row.acks == Acks::All && row.work != Work::Flush,
    },
    // It cannot read what the mock cluster answers, which ends with a list of tags too many.
    Client { name: "krafka 0.28.1", run: krafka::run, is_peer: true, can: |_, broker| !broker.is_mock() },
];

pub fn named(name: &str) -> Option<&'static Client> {
    CLIENTS.iter().find(|client| client.name == name)
}

/// All clients have one core, so their tasks have one thread.
fn on_one_thread(work: impl Future<Output = Outcome>) -> Outcome {
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(work)
}
