//! Runs a program that publishes the values `reading 0`, `reading 1`, … to one partition, with a cluster, and compares the log.
//!
//! ```text
//! with-cluster RECORDS COMMAND [ARGUMENT...]     # appends HOST PORT TOPIC RECORDS to the arguments
//! ```

use std::error::Error;
use std::process::{Command, ExitCode};

use kafka_batch_example_shared::{compare_readings, report};
use kafka_batch_testing::{TestCluster, Topic};

const TOPIC: &str = "readings";

fn main() -> ExitCode {
    report(run())
}

/// Returns a summary.
fn run() -> Result<String, Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let records: usize = arguments.next().ok_or("usage: RECORDS COMMAND [ARGUMENT...]")?.parse()?;
    let command = arguments.next().ok_or("there is no command")?;
    let cluster = TestCluster::builder().brokers(2).topic(Topic::new(TOPIC)).start()?;
    let address = cluster.address(1).ok_or("the cluster has no port")?;
    let status = Command::new(&command)
        .args(arguments)
        .args([address.ip().to_string(), address.port().to_string(), TOPIC.into(), records.to_string()])
        .status()?;
    if !status.success() {
        return Err(format!("{command} has ended with {status}").into());
    }
    Ok(compare_readings(&cluster, TOPIC, records)?)
}
