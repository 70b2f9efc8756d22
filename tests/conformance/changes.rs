//! Attempts, retries and changes, as observers are told of them.

use std::sync::Arc;

use kafka_batch::Transport;

use crate::cluster::Cluster;
use crate::log::batch;
use crate::observers::producer;
use crate::recorder::Recorder;
use crate::subject::Subject;

over_the_machine! {
    retries_and_changes_are_observed
}

async fn retries_and_changes_are_observed<S: Subject>() {
    let (cluster, recorder) = (Cluster::of(2), Arc::new(Recorder::default()));
    let producer = producer::<S>(&cluster, &recorder);
    producer.send_batch(batch(["a"]), cluster.partition(0)).await.unwrap().await.unwrap();
    cluster.set_leader(0, 2);
    producer.send_batch(batch(["b", "c"]), cluster.partition(0)).await.unwrap().await.unwrap();
    let calls = recorder.calls(&["sent", "retry", "change: the leader", "during"]);
    let leader = format!("the leader of {} is broker 2 instead of 1", cluster.partition(0));
    let expected = [
        "sent 1 records, attempt 1".to_owned(),
        "sent 2 records, attempt 1".to_owned(),
        "retry of 2 records: Some(ErrorCode(NOT_LEADER_OR_FOLLOWER (6)))".to_owned(),
        format!("change: {leader}"),
        format!("during 2 records: {leader}"),
        "sent 2 records, attempt 2".to_owned(),
    ];
    let mut found = calls.clone();
    found.retain(|call| expected.contains(call));
    found.dedup();
    assert_eq!(found, expected, "{calls:#?}");
}
