//! The README's example of publishing, as it stands there: over each transport only the line changes that names the
//! producer.

use std::error::Error;

use kafka_batch::{Publish, Record, Transport};

use crate::cluster::Cluster;
use crate::subject::Subject;

over_each_transport! {
    what_the_readme_shows
}

async fn what_the_readme_shows<S: Subject>() {
    let cluster = Cluster::new();
    publish(cluster.producer::<S>()).await.unwrap();
    let log = crate::log::of(&cluster.wanted().servers, "readings", 0);
    assert_eq!(log.len(), 2);
}

async fn publish(producer: impl Transport) -> Result<(), Box<dyn Error>> {
    // As in the README:
    let mut batch = producer.batch();
    batch.extend([Record::new("21.5").key("sensor-7"), Record::new("21.7").key("sensor-7")])?;

    let delivery = producer.publish_batch(Publish::to("readings").batch(batch).partition(0)).await?;
    println!("the second record has offset {:?}", delivery.offset(1));
    // So far.
    Ok(())
}

#[test]
fn the_readme_shows_what_runs_here() {
    let here = include_str!("readme.rs");
    let (_, here) = here.split_once("    // As in the README:\n").unwrap();
    let (here, _) = here.split_once("    // So far.\n").unwrap();
    let shown = include_str!("../../README.md");
    let lines: String = here.lines().map(|line| format!("{}\n", line.strip_prefix("    ").unwrap_or(line))).collect();
    assert!(shown.contains(&lines), "not in the README:\n{lines}");
    for producer in
        ["TokioProducer as Producer", "AsyncStdProducer", "SmolProducer", "RdkafkaProducer: this line changes"]
    {
        assert!(shown.contains(producer), "{producer}");
    }
}
