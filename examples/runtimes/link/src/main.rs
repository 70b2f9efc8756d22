//! Starts the program of `examples/smoltcp`, and is the gateway at the other end of its link, to a cluster in this process. Then it
//! compares the log.
//!
//! ```text
//! cargo run --manifest-path examples/runtimes/Cargo.toml -p kafka-batch-example-link -- PROGRAM [RECORDS]
//! ```

use std::error::Error;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixDatagram;
use std::process::{Command, ExitCode};
use std::time::{Duration, Instant as Moment};

use kafka_batch_example_link::Gateway;
use kafka_batch_example_shared::{compare_readings, report};
use kafka_batch_testing::{TestCluster, Topic};

/// More than any run takes.
const LIMIT: Duration = Duration::from_secs(120);

fn main() -> ExitCode {
    report(run())
}

/// Returns a summary.
fn run() -> Result<String, Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let program = arguments.next().ok_or("usage: PROGRAM [RECORDS]")?;
    let records: usize = arguments.next().as_deref().unwrap_or("2000").parse()?;
    let cluster = TestCluster::builder().topic(Topic::new("readings")).start()?;
    let address = cluster.address(1).ok_or("the cluster has no port")?;

    let (ours, theirs) = UnixDatagram::pair()?;
    println!("{program}: {} bytes", std::fs::metadata(&program)?.len());
    let mut child =
        Command::new(&program).args([address.to_string(), records.to_string()]).stdin(OwnedFd::from(theirs)).spawn()?;

    let mut gateway = Gateway::new(ours, [address.port()])?;
    let start = Moment::now();
    let status = loop {
        gateway.forward()?;
        if let Some(status) = child.try_wait()? {
            break status;
        }
        if start.elapsed() > LIMIT {
            child.kill()?;
            return Err(format!("{program} has not ended after {LIMIT:?}").into());
        }
    };
    if !status.success() {
        return Err(format!("{program} has ended with {status}").into());
    }
    Ok(format!("smoltcp: {}, in {:?}", compare_readings(&cluster, "readings", records)?, start.elapsed()))
}
