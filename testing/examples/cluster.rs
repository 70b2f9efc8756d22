//! A cluster for programs in any language: prints its addresses, runs until its input ends, and prints what it stored.
//!
//! ```console
//! cargo run -p kafka-batch-testing --example cluster -- [BROKERS [RELEASE]]
//! ```

use std::error::Error;
use std::io;

use kafka_batch_testing::{Release, TestCluster};

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let brokers = arguments.next().map_or(Ok(1), |number| number.parse())?;
    let release = match arguments.next() {
        None => Release::NEWEST,
        Some(version) => {
            let known = Release::ALL.into_iter().find(|release| release.version().starts_with(&version));
            known.ok_or_else(|| format!("no release begins with {version}"))?
        }
    };
    let cluster = TestCluster::builder().brokers(brokers).release(release).default_partitions(3).start()?;
    println!("{}", cluster.bootstrap_servers());
    io::copy(&mut io::stdin(), &mut io::sink())?;
    for topic in cluster.topics() {
        for (partition, log) in (0..).map_while(|partition| Some((partition, cluster.log(&topic, partition)?))) {
            println!("{topic}-{partition}: {} records in {} batches", log.end() - log.start(), log.batches().len());
        }
    }
    for violation in cluster.violations() {
        println!("violation: {violation}");
    }
    Ok(())
}
