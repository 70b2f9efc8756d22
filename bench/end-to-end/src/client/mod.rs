//! The clients, one file each. Each is given a job, and the settings that serve it best.

mod krafka;
mod librdkafka;
mod ours;
mod raw;
mod rskafka;

use std::error::Error;
use std::future::Future;

use crate::job::{Job, Report};

pub type Outcome = Result<Report, Box<dyn Error>>;

/// A client's name, and how it is run.
pub struct Client {
    pub name: &'static str,
    pub run: fn(&Job) -> Outcome,
}

pub const RAW: &str = "raw socket";
pub const TOKIO: &str = "kafka-batch, tokio";
pub const OVER_RDKAFKA: &str = "kafka-batch, rdkafka";
pub const RDKAFKA: &str = "rdkafka";

pub const CLIENTS: [Client; 7] = [
    Client { name: RAW, run: raw::run },
    Client { name: TOKIO, run: ours::tokio },
    Client { name: "kafka-batch, async-std", run: ours::async_std },
    Client { name: OVER_RDKAFKA, run: ours::rdkafka },
    Client { name: RDKAFKA, run: librdkafka::run },
    Client { name: "rskafka 0.6.0", run: rskafka::run },
    Client { name: "krafka 0.28.1", run: krafka::run },
];

pub fn named(name: &str) -> Option<&'static Client> {
    CLIENTS.iter().find(|client| client.name == name)
}

/// All clients have one core, so their tasks have one thread.
fn on_one_thread(work: impl Future<Output = Outcome>) -> Outcome {
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(work)
}
